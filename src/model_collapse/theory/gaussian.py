"""Closed forms of the Gaussian chain, CF-G*: n fits of M rows each, true variance 1. All broadcast over n and M.

Chains of pure `replace` and `accumulate`; forms for real and synthetic rows together are in `mixed`.
"""

from __future__ import annotations

from functools import cache
from typing import Literal

import numpy as np
import scipy
from numpy.typing import ArrayLike

Estimator = Literal["mle", "unbiased"]
Truth = Literal["normal", "bimodal"]

BIMODAL = (0.96, 0.28)
"""(a, b) of the truth that is half N(-a, b^2), half N(a, b^2): a^2 + b^2 = 1, so mean 0 and variance 1."""


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
    # Pochhammer's ratio of Gammas: a difference of log-Gammas would cancel for large M.
    log_a = np.log(scipy.special.poch((M - 1) / 2, 0.5) / np.sqrt((M - 1) / 2))
    return np.exp(n * (log_a + 0.5 * np.log(_shrink(M, estimator))))


def deviation_tail_bound(eps: ArrayLike, n: ArrayLike, M: ArrayLike) -> np.ndarray:
    """CF-G6c. P(s_n > eps) <= exp(-n / (4 M - 1)) / eps, either estimator (Suresh et al. 2025, arXiv:2412.17646).

    It goes to 0 for every eps: s_n -> 0 in probability, and as the sum over n is finite also almost surely. Markov's
    inequality with CF-G2, E[s_n] / eps, is sharper.
    """
    n, M = np.asarray(n, float), np.asarray(M, float)
    return np.exp(-n / (4 * M - 1)) / np.asarray(eps, float)


def expected_log_variance(n: ArrayLike, M: ArrayLike, estimator: Estimator = "mle") -> np.ndarray:
    """CF-G3. E[ln s_n^2] = n [psi((M - 1) / 2) + ln(2 / c)], c = M (mle) or M - 1 (unbiased), M >= 2.

    E ln chi^2_k = psi(k / 2) + ln 2. The typical chain follows exp of it: about exp(-2n/M) (mle), exp(-n/M) (unbiased).
    """
    n, M = np.asarray(n, float), np.asarray(M, float)
    return n * (scipy.special.digamma((M - 1) / 2) + np.log(2 / (M - 1)) + np.log(_shrink(M, estimator)))


def variance_of_log_variance(n: ArrayLike, M: ArrayLike) -> np.ndarray:
    """Var[ln s_n^2] = n psi_1((M - 1) / 2): the log-variance is a random walk with independent steps."""
    return np.asarray(n, float) * scipy.special.polygamma(1, (np.asarray(M, float) - 1) / 2)


def variance_quantile(p: ArrayLike, n: ArrayLike, M: ArrayLike, estimator: Estimator = "mle") -> np.ndarray:
    """The p-quantile of s_n^2 over chains, to order 1/n in p: p = 0.5 is the median that CF-G3 approximates.

    ln s_n^2 is a sum of n independent log chi-squares with cumulants n psi_(k-1)((M-1)/2), so it is normal in the
    limit and s_n^2 lognormal. The third cumulant is kept (Cornish & Fisher): with g = psi_2 / (psi_1^1.5 sqrt n) the
    quantile of the standardised sum is z + (z^2 - 1) g / 6. The median of the logarithm is -psi_2 / (6 psi_1), about
    1 / (3 M), above its mean.
    """
    n, k = np.asarray(n, float), (np.asarray(M, float) - 1) / 2
    z, spread = scipy.stats.norm.ppf(p), scipy.special.polygamma(1, k)
    skew = scipy.special.polygamma(2, k) / spread**1.5 / np.sqrt(n)
    return np.exp(expected_log_variance(n, M, estimator) + np.sqrt(n * spread) * (z + (z**2 - 1) * skew / 6))


def improvement_probability(first: ArrayLike, added: ArrayLike) -> np.ndarray:
    """P(|mu_n - mu| < |mu_1 - mu|) = arctan(2 sqrt(a / b)) / pi: a refitted mean is nearer to the truth than the first.

    a = `first` is the variance of the real data's mean, b = `added` that of what the refits added to it: for a normal
    distribution of known variance 1/M_1 and sum_(i > 1) 1/M_i. The refit is better if what was added, sqrt(b) Z',
    points back and is smaller than twice the first error, sqrt(a) Z: the plane of (Z, Z') has two opposite sectors of
    that kind, each of angle arctan(2 sqrt(a/b)). Always below 1/2, which it approaches as b -> 0; 0.352 for one refit
    of equal size. Derived here; Xu, He & Cheng 2025, arXiv:2505.13947, of which only the abstract was read.
    """
    a, b = np.asarray(first, float), np.asarray(added, float)
    return np.arctan2(2 * np.sqrt(a), np.sqrt(b)) / np.pi


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


def w2_squared_first_order(n: ArrayLike, M: ArrayLike, d: ArrayLike = 1) -> np.ndarray:
    """E[W2^2(N(mu_n, Sigma_n), N(0, I))] = n d (d + 5) / (4 M), up to a term in (n d / M)^2: 3 n / (2 M) for d = 1.

    Either estimator. With Sigma_n = I + D, Sigma^(1/2) = I + D / 2 + O(D^2), so W2^2 = |mu|^2 + tr(D^2) / 4 + O(D^3).
    E|mu|^2 = n d / M; the errors of n fits add up, each with Var D_ii = 2 / M and Var D_ij = 1 / M, so
    E tr(D^2) = n d (d + 1) / M.
    """
    n, M, d = np.asarray(n, float), np.asarray(M, float), np.asarray(d, float)
    return n * d * (d + 5) / (4 * M)


def w2_squared_bounds(
    n: ArrayLike, M: ArrayLike, d: int, estimator: Estimator = "mle"
) -> tuple[np.ndarray, np.ndarray]:
    """(low, high) around E[W2^2(N(mu_n, Sigma_n), N(0, I))] in d dimensions, for M > d; both are CF-G5 if d = 1.

    W2^2 = |mu|^2 + tr Sigma + d - 2 tr Sigma^(1/2), and only the mean of the last term is not known exactly.
    low: (Sigma^(1/2))_ii <= sqrt(Sigma_ii) by Jensen's inequality, and Sigma_ii is a chain in one dimension: d times
    CF-G5. For the unbiased estimator that is more than d n / M, what the mean alone contributes.
    high: tr Sigma^(1/2) >= d det(Sigma)^(1 / 2d), arithmetic and geometric mean of its eigenvalues. det is a product of
    independent chi-squares, M - 1, ..., M - d degrees of freedom a fit, so its mean is
    d [sqrt(2/c) prod_j Gamma((M-j)/2 + 1/2d) / Gamma((M-j)/2)]^n, c = M (mle) or M - 1 (unbiased).
    """
    n, M = np.asarray(n, float), np.asarray(M, float)
    half = (M[..., None] - np.arange(1, d + 1)) / 2
    divisor = M if estimator == "mle" else M - 1
    geometric = d * np.exp(n * (np.log(scipy.special.poch(half, 1 / (2 * d))).sum(axis=-1) - 0.5 * np.log(divisor / 2)))
    low = d * expected_w2_squared(n, M, estimator)
    return low, d * (mean_drift(n, M, estimator) + expected_variance(n, M, estimator) + 1) - 2 * geometric


def expected_fourth_moment(n: ArrayLike, M: ArrayLike, estimator: Estimator = "mle") -> np.ndarray:
    """CF-G6. E[s_n^4] = ((M^2 - 1) / M^2)^n (mle), ((M + 1) / (M - 1))^n (unbiased).

    E[(chi^2_k)^2] = k (k + 2). Its growth in the unbiased chain is why means over chains need ever more chains there.
    """
    n, M = np.asarray(n, float), np.asarray(M, float)
    return (((M + 1) / (M - 1)) * _shrink(M, estimator) ** 2) ** n


# Three sources of error --------------------------------------------------------------------------------------------


@cache
def overlap(truth: Truth) -> float:
    """c = integral of q(u) Phi^-1(u) over u in (0, 1), q the quantile function of the truth: 1 if it is normal.

    For a truth of mean 0 and variance 1, W2^2(N(mu, s^2), truth) = mu^2 + s^2 + 1 - 2 c s, as in one dimension the best
    transport pairs equal quantiles. The normal distribution of the same mean and variance is at 2 (1 - c). By parts
    c = integral of phi(Phi^-1(F(x))) dx, F the distribution function of the truth.
    """
    if truth == "normal":
        return 1.0
    a, b = BIMODAL
    norm = scipy.stats.norm

    def integrand(x: float) -> float:
        # Both halves as survival functions: for x >= 0 they are small where a distribution function would be near 1.
        return norm.pdf(norm.isf((norm.sf(x, -a, b) + norm.sf(x, a, b)) / 2))

    return 2 * scipy.integrate.quad(integrand, 0, a + 30 * b, points=(a, a + 5 * b), epsabs=1e-12)[0]


@cache
def first_deviation(M: int, estimator: Estimator = "mle", truth: Truth = "normal") -> float:
    """E[s_1], the first fit's standard deviation, for M >= 2 real rows of the truth.

    Bimodal: with k of M rows on the right, scatter / b^2 is chi-square with M - 1 degrees of freedom and noncentrality
    4 k (M - k) a^2 / (M b^2). The root of a positive X has the mean (1 / 2 sqrt(pi)) int (1 - E e^(-t X)) t^(-3/2) dt.
    """
    if truth == "normal":
        return float(expected_deviation(1, M, estimator))
    a, b = BIMODAL
    reach = int(np.ceil(5 * np.sqrt(M)))  # ten standard deviations of k to either side
    k = np.arange(max(M // 2 - reach, 0), min(M // 2 + reach, M) + 1)
    noncentrality = 4 * k * (M - k) / M * (a / b) ** 2
    size = M / b**2
    # In u = ln(size t) the integrand falls as e^(-|u| / 2) and the trapezoidal rule converges exponentially.
    u = np.arange(-75, 75, 0.2)
    t = np.exp(u)[:, None] / size
    missing = -np.expm1(-noncentrality * t / (1 + 2 * t) - (M - 1) / 2 * np.log1p(2 * t))
    root = np.sqrt(size / np.pi) / 2 * 0.2 * np.sum(missing @ scipy.stats.binom.pmf(k, M, 0.5) * np.exp(-u / 2))
    return float(b * root / np.sqrt(M if estimator == "mle" else M - 1))


def w2_sources(
    n: ArrayLike, M: int, estimator: Estimator = "mle", *, truth: Truth = "normal", noise: float = 0.0
) -> dict[str, np.ndarray]:
    """E[W2^2] to the truth after n >= 1 fits, as a sum of the paper's three errors; each has the shape of n.

    expressivity   2 (1 - c), c = overlap(truth): left with endless data and perfect training, the same in every fit
    statistical    drift + E[s_n^2] - 1 + 2 c (1 - E[s_n]): 0 for M -> infinity, grows with n
    approximation  n noise^2: training moves the mean by an independent N(0, noise^2) in every fit

    W2^2 = mu^2 + s^2 + 1 - 2 c s for a truth of mean 0 and variance 1 (see `overlap`). The noise never touches s, and
    adds its variance to that of the mean. Only the first fit sees the truth: E[s_n] is E[s_1] times CF-G2 for n - 1
    fits; E[s_1^2] and the variance of the first mean are the same for any truth.
    """
    n = np.asarray(n, float)
    c = overlap(truth)
    deviation = first_deviation(M, estimator, truth) * expected_deviation(n - 1, M, estimator)
    statistical = mean_drift(n, M, estimator) + expected_variance(n, M, estimator) - 1 + 2 * c * (1 - deviation)
    return {
        "expressivity": np.full(n.shape, 2 * (1 - c)),
        "statistical": statistical,
        "approximation": n * noise**2,
    }


# Accumulate --------------------------------------------------------------------------------------------------------


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
