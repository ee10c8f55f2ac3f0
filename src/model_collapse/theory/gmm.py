"""Closed forms of the mixture chain with one component: where regularised fits end, and distances of distributions."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def regularised_variance(n: ArrayLike, M: ArrayLike, reg_covar: ArrayLike = 1e-6) -> np.ndarray:
    """E[s_n^2] = f + (1 - 1/M)^n (1 - f), f = M reg_covar: variance of a coordinate that begins at 1, mle.

    scikit-learn adds reg_covar to every fitted variance: E[s_n^2] = (1 - 1/M) E[s_(n-1)^2] + reg_covar. So a chain does
    not go to zero but to the floor f, however long it runs. (1 - 1/M)^n is CF-G1; derived, exact for every M >= 1.
    """
    n, M = np.asarray(n, float), np.asarray(M, float)
    floor = M * np.asarray(reg_covar, float)
    return floor + (1 - 1 / M) ** n * (1 - floor)


def l2_of_normals(variance: ArrayLike, drift_squared: ArrayLike = 0.0, dim: int = 2) -> np.ndarray:
    """int (p - q)^2 for p = N(0, I) and q = N(mu, variance I) in `dim` dimensions, with |mu|^2 = drift_squared.

    (4 pi)^(-d/2) (1 + s^(-d)) - 2 (2 pi (1 + s^2))^(-d/2) exp(-|mu|^2 / (2 (1 + s^2))), from
    int N(x; a, A) N(x; b, B) dx = N(a - b; 0, A + B). It grows as s^(-d): a needle is far from everything.
    """
    variance, drift_squared = np.asarray(variance, float), np.asarray(drift_squared, float)
    own = (4 * np.pi) ** (-dim / 2) * (1 + variance ** (-dim / 2))
    both = (2 * np.pi * (1 + variance)) ** (-dim / 2) * np.exp(-drift_squared / (2 * (1 + variance)))
    return own - 2 * both
