"""What synthetic rows are worth to a learner with few real ones: regime `blend`, N real rows in all, k of them kept.

Fit 1 reads all N real rows, every later one the same k of them and m rows of the model before. To the mean the N - k
rows that the learner has not are known only through the first model, and every further generation hears less of them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from model_collapse.theory.gaussian import Estimator
from model_collapse.theory.mixed import Moments, Variance, _iterate


def blend_moments(
    n: ArrayLike,
    N: int,
    real: int,
    synthetic: int,
    *,
    estimator: Estimator = "mle",
    variance: Variance = "estimated",
    bias: float = 1.0,
) -> Moments:
    """(V_n, S_n) of regime `blend`, exact for n >= 1: the recursion of `theory.mixed` with a covariance of its own.

    C = Cov(r, mu_n), r the mean of the k kept rows, starts at 1/N, as they are among those of fit 1, and goes on as
    C' = (1 + m C) / (k + m). The limit of V is that of `fixed` with k real rows: in the long run the loop knows no more
    than these. As everywhere there, Var(p_i) = q_i (1 - q_i) V_n for the symbols of a discrete chain.
    """
    return _iterate(n, N, [(real, synthetic)], estimator, variance, bias, same=True)


def break_even(N: ArrayLike, real: ArrayLike) -> np.ndarray:
    """Synthetic rows m above which a learner of k real rows gains by those of a model of N: k (2 k - N) / (N - k).

    Known sigma, first learner (n = 2): V = [k + m + m^2 / N + 2 k m / N] / (k + m)^2 is below the 1/k of its real rows
    alone exactly if m (N - k) > k (2 k - N). At most half of the N rows: any number helps (0). All of them: none does
    (inf), for the synthetic rows say nothing that the real ones do not.
    """
    N, k = np.asarray(N, float), np.asarray(real, float)
    with np.errstate(divide="ignore"):
        return np.where(k < N, np.maximum(k * (2 * k - N), 0) / np.maximum(N - k, 0), np.inf)
