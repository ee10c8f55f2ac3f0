"""Metrics of a density against the true one, one value per chain. Logarithms are natural.

`mean` and `variance` of a density are those of metrics.gaussian.
"""

from __future__ import annotations

import numpy as np
import scipy

from model_collapse.metrics import Measurement

GRID = 400
"""Points at which distribution functions are known, and quantiles that are compared."""


def nll(m: Measurement) -> np.ndarray:
    """Mean of -ln density over the chain's real test rows, in nats, shape (R,)."""
    return -m.once(_on_test).mean(axis=0)


def kl_density(m: Measurement) -> np.ndarray:
    """KL(true || model) in nats, shape (R,): mean over real test rows of ln(true / model), unbiased, at times < 0."""
    truth = m.family.truth(1)
    x = m.test.x
    true = truth.log_density(x.reshape(-1, 1, x.shape[-1])).reshape(x.shape[:2])
    return (true - m.once(_on_test)).mean(axis=0)


def w2_marginal(m: Measurement) -> np.ndarray:
    """Squared 2-Wasserstein distance of the first coordinate to its true distribution, shape (R,); in 1-D, of it all.

    The mean of (Q(u) - Q_true(u))^2 over 400 midpoints u, quantiles by interpolation of distribution functions.
    """
    model, truth = m.model, m.family.truth(1)
    true = _quantiles(truth.x[:, 0, 0], None, _width(truth.kernel)[0])
    weight = model.weight
    found = [
        _quantiles(model.x[:, r, 0], None if weight is None else weight[:, r], width)
        for r, width in enumerate(_width(model.kernel))
    ]
    return np.mean((np.array(found) - true) ** 2, axis=1)


def _on_test(m: Measurement) -> np.ndarray:
    """ln density (T, R) at the test rows."""
    return m.model.log_density(m.test.x)


def _width(kernel: np.ndarray) -> np.ndarray:
    """Standard deviation of the kernels along the first axis, (R,)."""
    return np.abs(kernel[:, 0, 0])


def _quantiles(x: np.ndarray, share: np.ndarray | None, width: float) -> np.ndarray:
    """Quantiles at the midpoints of a mixture of N(x_i, width^2)."""
    if share is not None:
        x, share = x[share > 0], share[share > 0]
    u = (np.arange(GRID) + 0.5) / GRID
    grid = np.linspace(x.min() - 4 * width, x.max() + 4 * width, GRID)
    below = np.zeros(GRID)
    # A thousand rows at a time, so that memory does not grow with their number.
    for start in range(0, len(x), 1000):
        part = scipy.special.ndtr((grid[:, None] - x[start : start + 1000]) / width)
        below += part.mean(axis=1) * (part.shape[1] / len(x)) if share is None else part @ share[start : start + 1000]
    return np.interp(u, below, grid)
