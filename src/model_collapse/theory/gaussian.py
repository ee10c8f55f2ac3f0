"""Closed forms of the Gaussian chain, CF-G*: n fits of M rows each, true variance 1. All broadcast over n and M."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import digamma, gammaln

Estimator = Literal["mle", "unbiased"]


def _shrink(M: np.ndarray, estimator: Estimator) -> np.ndarray:
    """E of one fitted variance over the true one: (M - 1) / M for the mle, 1 for the unbiased estimator."""
    return (M - 1) / M if estimator == "mle" else np.ones_like(M)


def expected_variance(n: ArrayLike, M: ArrayLike, estimator: Estimator = "mle") -> np.ndarray:
    """CF-G1. E[s_n^2] = (1 - 1/M)^n (mle), 1 (unbiased).

    Given s_(n-1), the scatter of M rows is s_(n-1)^2 chi^2_(M-1), of mean (M - 1) s_(n-1)^2; divide and iterate.
    """
    n, M = np.asarray(n, float), np.asarray(M, float)
    return _shrink(M, estimator) ** n


def expected_deviation(n: ArrayLike, M: ArrayLike, estimator: Estimator = "mle") -> np.ndarray:
    """CF-G2. E[s_n] = (a(M) sqrt(shrink))^n, a(M) = sqrt(2 / (M - 1)) Gamma(M / 2) / Gamma((M - 1) / 2) (M >= 2).

    a is the mean of sqrt(chi^2_(M-1) / (M - 1)).
    """
    n, M = np.asarray(n, float), np.asarray(M, float)
    log_a = 0.5 * np.log(2 / (M - 1)) + gammaln(M / 2) - gammaln((M - 1) / 2)
    return np.exp(n * (log_a + 0.5 * np.log(_shrink(M, estimator))))


def expected_log_variance(n: ArrayLike, M: ArrayLike, estimator: Estimator = "mle") -> np.ndarray:
    """CF-G3. E[ln s_n^2] = n [psi((M - 1) / 2) + ln(2 / c)], c = M (mle) or M - 1 (unbiased), M >= 2.

    E ln chi^2_k = psi(k / 2) + ln 2. The typical chain follows exp of it: about exp(-2n/M) (mle), exp(-n/M) (unbiased).
    """
    n, M = np.asarray(n, float), np.asarray(M, float)
    return n * (digamma((M - 1) / 2) + np.log(2 / (M - 1)) + np.log(_shrink(M, estimator)))


def variance_of_log_variance(n: ArrayLike, M: ArrayLike) -> np.ndarray:
    """Var[ln s_n^2] = n psi_1((M - 1) / 2): the log-variance is a random walk with independent steps."""
    from scipy.special import polygamma

    return np.asarray(n, float) * polygamma(1, (np.asarray(M, float) - 1) / 2)


def mean_drift(n: ArrayLike, M: ArrayLike, estimator: Estimator = "mle") -> np.ndarray:
    """CF-G4. E[(mu_n - mu_0)^2] = 1 - (1 - 1/M)^n (mle), n / M (unbiased).

    Each fit moves the mean by s_(k-1) / sqrt(M) times a standard normal, so the drift is sum E[s_(k-1)^2] / M. With the
    mle the variance lost is exactly the drift gained: E[s_n^2] + E[(mu_n - mu_0)^2] = 1.
    """
    n, M = np.asarray(n, float), np.asarray(M, float)
    return 1 - expected_variance(n, M) if estimator == "mle" else n / M


def expected_w2_squared(n: ArrayLike, M: ArrayLike, estimator: Estimator = "mle") -> np.ndarray:
    """CF-G5. E[W2^2(N(mu_n, s_n^2), N(0, 1))] = drift + E[s_n^2] + 1 - 2 E[s_n].

    mle: 2 (1 - E[s_n]), bounded by 2. unbiased: n / M + 2 (1 - a^n), 3 n / (2 M) to first order, unbounded.
    """
    drift = mean_drift(n, M, estimator)
    return drift + expected_variance(n, M, estimator) + 1 - 2 * expected_deviation(n, M, estimator)


def expected_fourth_moment(n: ArrayLike, M: ArrayLike, estimator: Estimator = "mle") -> np.ndarray:
    """CF-G6. E[s_n^4] = ((M^2 - 1) / M^2)^n (mle), ((M + 1) / (M - 1))^n (unbiased).

    E[(chi^2_k)^2] = k (k + 2). Its growth in the unbiased chain is why means over chains need ever more chains there.
    """
    n, M = np.asarray(n, float), np.asarray(M, float)
    return (((M + 1) / (M - 1)) * _shrink(M, estimator) ** 2) ** n


def accumulated_variance(t: ArrayLike, M: ArrayLike, estimator: Estimator = "mle") -> np.ndarray:
    """CF-G7 (mle) and CF-G8 (unbiased): E[s_t^2] when fit t uses all t batches of M rows so far.

    mle: prod_(j=1..t) (1 - 1 / (M j^2)). unbiased: prod_(j=2..t) (1 - 1 / (j (M j - 1))).
    Batch j adds M rows of variance s_(j-1)^2 about mu_(j-1), the pool's mean moves by 1/j of theirs; taking means of
    scatter over the pool's count gives one factor per batch.
    """
    t, M = np.broadcast_arrays(np.asarray(t, int), np.asarray(M, float))
    j = np.arange(1, t.max(initial=0) + 1)
    if estimator == "mle":
        factor = 1 - 1 / (M[..., None] * j**2)
    else:
        with np.errstate(divide="ignore"):
            factor = np.where(j == 1, 1, 1 - 1 / (j * (M[..., None] * j - 1)))
    return np.prod(np.where(j <= t[..., None], factor, 1), axis=-1)


def accumulated_variance_limit(M: ArrayLike) -> np.ndarray:
    """Limit of CF-G7 (mle): sin(pi / sqrt M) / (pi / sqrt M), Euler's product for the sine."""
    return np.sinc(1 / np.sqrt(np.asarray(M, float)))


def accumulated_mean_drift(t: ArrayLike, M: ArrayLike) -> np.ndarray:
    """CF-G7, mle: E[(mu_t - mu_0)^2] = 1 - E[s_t^2]: what the pooled variance loses, the mean has wandered."""
    return 1 - accumulated_variance(t, M, "mle")
