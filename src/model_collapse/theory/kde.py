"""Closed forms of resampling from a kernel density estimate (smoothed bootstrap), again and again.

n counts fits, M rows per generation, real rows of variance 1 in every coordinate. The model of rows with population
variance v and kernels of standard deviation h has the variance V = v + h^2 and the rows' mean; those of the next M rows
are E v' = (1 - 1/M) V and E(mu' - mu)^2 = V / M. Everything below is exact, in the mean over chains, for any
distribution of the real rows and each coordinate of it. A Gaussian refitted by maximum likelihood is the case h = 0.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from model_collapse.theory.subsample import subsample_moments

Rule = Literal["scott", "silverman"]


def rule_factor(rows: ArrayLike, rule: Rule, dim: int = 1) -> np.ndarray:
    """f = kernel width / unbiased standard deviation: N^(-1/(d+4)) (Scott), (N (d+2)/4)^(-1/(d+4)) (Silverman)."""
    rows = np.asarray(rows, float)
    return (rows if rule == "scott" else rows * (dim + 2) / 4) ** (-1 / (dim + 4))


def kde_variance(
    n: ArrayLike,
    M: int,
    bandwidth: float,
    regime: Literal["replace", "accumulate", "subsample"] = "replace",
) -> np.ndarray:
    """E[V_n], the model's variance, for kernels of fixed width h; M >= 2.

    replace     V' = (1 - 1/M) V + h^2, so V_n = M h^2 + (1 - M h^2) (1 - 1/M)^n: to M h^2, from either side
    accumulate  v' = v (1 - 1/(M k^2)) + (h^2 / k) (1 - 1/(M k)) at batch k: h^2 ln n in the long run. Batch k has the
                variance v + h^2 and moves the pool's mean by 1/k of its own.
    subsample   `subsample_moments` with the bandwidth; also h^2 ln n
    """
    n = np.asarray(n, int)
    if regime == "replace":
        return M * bandwidth**2 + (1 - M * bandwidth**2) * (1 - 1 / M) ** n
    if regime == "subsample":
        return subsample_moments(n, M, bandwidth=bandwidth)[1]
    v = [1 - 1 / M]
    for k in range(2, n.max(initial=1) + 1):
        v.append(v[-1] * (1 - 1 / (M * k**2)) + bandwidth**2 / k * (1 - 1 / (M * k)))
    return np.array(v)[n - 1] + bandwidth**2


def kde_mean_drift(n: ArrayLike, M: int, bandwidth: float) -> np.ndarray:
    """E[mu_n^2] under `replace` for kernels of fixed width h and a real mean of 0: the sum of V_(k-1) / M, k = 1 .. n.

    V_n + E mu_n^2 = 1 + n h^2, as every generation adds h^2 to the second moment. V_n levels off at M h^2, so that in
    the end the whole cloud walks away, by h^2 per generation.
    """
    n = np.asarray(n, int)
    return 1 + n * bandwidth**2 - kde_variance(n, M, bandwidth)


def kde_rule_variance(
    n: ArrayLike, M: int, rule: Rule = "scott", regime: Literal["replace", "accumulate"] = "replace", dim: int = 1
) -> np.ndarray:
    """E[V_n] where the width follows the rows: h^2 = f^2 times their unbiased variance, f = `rule_factor`; M >= 2.

    replace     (1 - 1/M + f^2)^n: geometric growth, for both rules have f^2 > 1/M
    accumulate  v' = v (1 - 1/(M k^2) + f^2 (N/(N-1)) (1/k) (1 - 1/(M k))), N = (k - 1) M rows before: bounded, as
                f^2 / k is summable
    """
    n = np.asarray(n, int)
    if regime == "replace":
        return (1 - 1 / M + rule_factor(M, rule, dim) ** 2) ** n
    v = [1 - 1 / M]
    widen = []
    for k in range(1, n.max(initial=1) + 1):
        N = k * M
        squared = float(rule_factor(N, rule, dim)) ** 2 * N / (N - 1)
        widen.append(1 + squared)
        j = k + 1
        v.append(v[-1] * (1 - 1 / (M * j**2) + squared / j * (1 - 1 / (M * j))))
    return np.array(v[:-1])[n - 1] * np.array(widen)[n - 1]
