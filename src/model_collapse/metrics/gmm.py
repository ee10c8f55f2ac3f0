"""Metrics of a fitted Gaussian mixture in the plane, one value per chain."""

from __future__ import annotations

import numpy as np

from model_collapse.families._em import Mixture
from model_collapse.metrics import Measurement


def l2(m: Measurement) -> np.ndarray:
    """Integral of (p_g - p_0)^2 over the plane, shape (R,), where p_0 is the mixture that generation 0 fitted.

    The real distribution is not in it, so generation 0 has the value 0. The paper's supplement calls it the L2
    distance. Between components, int N(x; m, A) N(x; m', B) dx = N(m - m'; 0, A + B).
    """
    now, then = m.model, m.first.model
    return np.maximum(_overlap(now, now) + _overlap(then, then) - 2 * _overlap(now, then), 0)


def component_sd(m: Measurement) -> np.ndarray:
    """Mean over components of sqrt(tr(C) / 2), each counting the same whatever its weight, shape (R,)."""
    return np.sqrt(np.trace(m.model.covariances, axis1=2, axis2=3) / 2).mean(axis=1)


def pooled_sd(m: Measurement) -> np.ndarray:
    """sqrt(tr(C) / 2) for the covariance C of the whole mixture, within and between components, shape (R,)."""
    model = m.model
    within = np.einsum("rk,rkii->r", model.weights, model.covariances)
    apart = model.means - np.einsum("rk,rki->ri", model.weights, model.means)[:, None]
    between = np.einsum("rk,rki,rki->r", model.weights, apart, apart)
    return np.sqrt((within + between) / 2)


def component(m: Measurement) -> dict[str, np.ndarray]:
    """The fitted parameters, (R,) each: items "1 weight", "1 x", "1 y" (mean), "1 xx", "1 xy", "1 yy" (covariance), ...

    Components are numbered as EM left them: one and the same component may change its number between generations.
    """
    model, items = m.model, {}
    for k in range(model.weights.shape[1]):
        items[f"{k + 1} weight"] = model.weights[:, k]
        items |= {f"{k + 1} {axis}": model.means[:, k, i] for i, axis in enumerate("xy")}
        for name, (i, j) in {"xx": (0, 0), "xy": (0, 1), "yy": (1, 1)}.items():
            items[f"{k + 1} {name}"] = model.covariances[:, k, i, j]
    return items


def _overlap(a: Mixture, b: Mixture) -> np.ndarray:
    """int p_a p_b, shape (R,)."""
    spread = a.covariances[:, :, None] + b.covariances[:, None]
    xx, xy, yy = spread[..., 0, 0], spread[..., 0, 1], spread[..., 1, 1]
    dx, dy = np.moveaxis(a.means[:, :, None] - b.means[:, None], -1, 0)
    det = xx * yy - xy**2
    density = np.exp(-0.5 * (yy * dx**2 - 2 * xy * dx * dy + xx * dy**2) / det) / (2 * np.pi * np.sqrt(det))
    return np.einsum("rj,rk,rjk->r", a.weights, b.weights, density)
