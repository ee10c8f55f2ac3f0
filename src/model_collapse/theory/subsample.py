"""Accumulate at fixed compute, exactly: each fit reads M rows, without replacement, of all rows there are.

The pool of k batches of M rows has the mean m and the population variance w; u = w k M / (k M - 1) is its unbiased
variance. A fit to M of the rows has, given the pool and over the choice of rows,

    E mu = m,   Var mu = (u / M) (1 - 1/k),   E s^2 = a u,    a = 1 - 1/M (mle) or 1 (unbiased)

and so the batch it writes has E(y - m)^2 = E s^2 + Var mu about m, and a mean with B = E(ybar - m)^2 = E s^2 / M +
Var mu, by 1 / (k + 1) of which the pool's mean moves. In the mean over chains, W = E w,

    (k + 1) W' = k W + E s^2 + Var mu - B / (k + 1),        E m'^2 = E m^2 + B / (k + 1)^2.

With the mle E s^2 + Var mu = W, so W' = W (1 - (2 - 1/M - 1/k) / ((M - 1/k) (k + 1)^2)): step by step the pool loses
about twice as much as under `accumulate`, which is still a finite share in all. Real rows come from N(0, 1).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from model_collapse.theory.gaussian import Estimator


def subsample_moments(
    n: ArrayLike,
    M: int,
    *,
    estimator: Estimator = "mle",
    variance: Literal["estimated", "known"] = "estimated",
    bandwidth: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """(E mu_n^2, E s_n^2) of regime `subsample`, exact for every n >= 1 and M >= 2 (M >= 1 for a known variance).

    variance=known has E s^2 = 1. With a bandwidth h the model is a kernel density estimate of the M rows: what it
    writes has the variance s^2 + h^2 with the mle's s^2, and that is returned in the place of E s_n^2.
    """
    n = np.asarray(n, int)
    a = 1 - 1 / M if estimator == "mle" else 1.0
    pool, drift = 1 - 1 / M, 1 / M
    V, S = [], []
    for k in range(1, n.max(initial=1) + 1):
        u = pool * k * M / (k * M - 1) if k * M > 1 else 0.0
        about = u / M * (1 - 1 / k)
        spread = 1.0 if variance == "known" else a * u + bandwidth**2
        V.append(drift + about)
        S.append(spread)
        moved = spread / M + about
        drift += moved / (k + 1) ** 2
        pool = (k * pool + spread + about - moved / (k + 1)) / (k + 1)
    return np.array(V)[n - 1], np.array(S)[n - 1]
