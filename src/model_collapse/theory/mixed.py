"""Closed forms of normal distributions refitted to real and synthetic rows together. numpy and scipy only.

n counts fits, M rows per generation; real rows come from N(0, 1), or from N(0, I) in d dimensions.

One recursion carries everything here. Let V_n = E[mu_n^2] and S_n = E[s_n^2]. Fit n + 1 reads k real rows of weight a
and m rows of weight b written by fit n, whose variance is lambda s_n^2 (lambda = 1: no bias). With W = a k + b m the
new mean is (a k r + b m y) / W, r the mean of the real rows and y that of the written ones, so that

    V' = [a^2 k + b^2 m lambda S + (b m)^2 V + 2 a k b m C] / W^2

where C = Cov(r, mu_n) is 0 for new real rows and 1/N for rows of one finite real set of N rows that the chain began
with (mu_1 is the mean of that set, and C' = (a k / N + b m C) / W keeps the value 1/N). The weighted mean square about
0 has the mean Q = [a k + b m (lambda S + V)] / W, and the scatter is what the mean has not taken:

    S' = Q - V' (mle),   (Q - V') W / (W - 1) (unbiased),   1 (variance known).

It is exact for every M, for only first and second moments enter. With the mle, lambda = 1 and C = 0, Q = 1 if V + S =
1: then V_n + S_n = 1 for every n, as without real rows. Means over chains get heavy tails where S stays near 1 by rare
large values (pure replace, unbiased, n > M); a real share bounds them.

The discrete chain has the same recursion, for a row that is symbol i or not has a first and a second moment too: with
the V_n and S_n of the mle, Var(p_i) = q_i (1 - q_i) V_n and E[1 - sum p^2] = (1 - sum q^2) S_n, in every regime here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import scipy
from numpy.typing import ArrayLike

from model_collapse.theory.gaussian import Estimator, expected_variance, mean_drift
from model_collapse.theory.real_share import Schedule, fill_schedule, fresh_schedule, heal_schedule

Variance = Literal["estimated", "known"]
Moments = tuple[np.ndarray, np.ndarray]

GOLDEN = (np.sqrt(5) - 1) / 2
"""Inverse of the golden ratio, 0.618: the best weight of real rows, see `weigh_drift_limit`."""


def fresh_moments(
    n: ArrayLike,
    M: int,
    real_fraction: float,
    *,
    estimator: Estimator = "mle",
    variance: Variance = "estimated",
    bias: float = 1.0,
) -> Moments:
    """(V_n, S_n) of regime `fresh`: round(g M) new real rows and the rest from the last sample, exact for n >= 1."""
    return _iterate(n, M, fresh_schedule(M, real_fraction), estimator, variance, bias)


def fill_moments(
    n: ArrayLike,
    M: int,
    floor: float = 0.0,
    half: float = 5.0,
    *,
    estimator: Estimator = "mle",
    variance: Variance = "estimated",
    bias: float = 1.0,
) -> Moments:
    """(V_n, S_n) of regime `fill`, whose real share falls from 1 towards the floor. Exact for any n >= 1.

    Without a floor g_t -> half / t, and for a known sigma dV/dn = 1/M - 2 (half / n) V has the solution
    n / (M (1 + 2 half)): the mean wanders as without real rows, only 1 + 2 half times more slowly.
    """
    schedule = fill_schedule(int(np.max(n, initial=1)) - 1, M, floor, half)
    return _iterate(n, M, schedule, estimator, variance, bias)


def heal_moments(
    n: ArrayLike,
    M: int,
    until: int,
    real_fraction: float,
    *,
    estimator: Estimator = "mle",
    variance: Variance = "estimated",
    bias: float = 1.0,
) -> Moments:
    """(V_n, S_n) of regime `heal`: `replace` for fits 1 .. until + 1, then `fresh`. Exact for any n >= 1.

    From there V_n and, with the mle, S_n = 1 - V_n go to the limits of `fresh` like (1 - D)^i, i generations of healing
    with D as in `fresh_drift_limit`; how ill the chain was makes no difference to where it goes.
    """
    return _iterate(n, M, heal_schedule(M, until, real_fraction), estimator, variance, bias)


def mix_moments(
    n: ArrayLike,
    M: int,
    real_fraction: float,
    *,
    estimator: Estimator = "mle",
    variance: Variance = "estimated",
    bias: float = 1.0,
) -> Moments:
    """(V_n, S_n) of regime `mix`: round(g M) rows drawn again from one real set of M rows. Exact for any n >= 1.

    Given the set, the rows drawn have its mean on average, so their covariance with mu_n is C = 1/M too.
    """
    k = round(real_fraction * M)
    return _iterate(n, M, [(k, M - k)], estimator, variance, bias, kept=True)


def fixed_moments(
    n: ArrayLike,
    M: int,
    synthetic: float = 1.0,
    *,
    estimator: Estimator = "mle",
    variance: Variance = "estimated",
    bias: float = 1.0,
) -> Moments:
    """(V_n, S_n) of regime `fixed`: all M real rows beside round(synthetic M) written ones. Exact for any n >= 1."""
    return _iterate(n, M, [(M, max(round(synthetic * M), 1))], estimator, variance, bias, kept=True)


def weigh_moments(
    n: ArrayLike,
    M: int,
    real_weight: float,
    *,
    ratio: float = 1.0,
    estimator: Estimator = "mle",
    variance: Variance = "estimated",
    bias: float = 1.0,
) -> Moments:
    """(V_n, S_n) of regime `weigh`: round(ratio M) new real rows of total weight w, M written ones of 1 - w."""
    real = round(ratio * M)
    weights = (real_weight * (real + M) / real, (1 - real_weight) * (real + M) / M)
    return _iterate(n, M, [(real, M)], estimator, variance, bias, weights=weights)


def inflow_moments(n: ArrayLike, M: int, real_fraction: float, *, variance: Variance = "estimated") -> Moments:
    """(V_n, S_n) of regime `inflow`, exact for n >= 1: a pool to which fit after fit adds a M real and M - a M written
    rows.

    Fit n reads n M rows. Their mean is (n M mu + a M r + (1 - a) M y) / ((n + 1) M) one fit later, so that

        V_(n+1) = ((n + 1 - a) / (n + 1))^2 V_n + (a + (1 - a) S_n) / (M (n + 1)^2),   V_1 = 1 / M,

    with S_n = 1 (variance known) or 1 - V_n (mle), a = round(real_fraction M) / M. The product of the factors falls
    like n^(-2a), the sum of what is added like 1/n: the slower of the two decides, see `inflow_rate`. With rows added
    singly, M = 1, and a row real with probability a, it is E S^2' = E S^2 (1 + 2 (1 - a) / t) + 1 for the sum S of t
    rows. Derived here; the phase change is that of Wang, Niu & Li 2026, arXiv:2602.16065, of which only the abstract
    was read.
    """
    n = np.asarray(n, int)
    if n.min(initial=1) < 1:
        raise ValueError("n counts fits and is at least 1")
    a = round(real_fraction * M) / M
    V, S = [1 / M], [1.0 if variance == "known" else 1 - 1 / M]
    for fits in range(2, n.max(initial=1) + 1):
        V.append((1 - a / fits) ** 2 * V[-1] + (a + (1 - a) * S[-1]) / (M * fits**2))
        S.append(1.0 if variance == "known" else 1 - V[-1])
    return np.array(V)[n - 1], np.array(S)[n - 1]


def inflow_rate(real_fraction: ArrayLike) -> np.ndarray:
    """r = min(2 a, 1): V_n of `inflow` falls like n^-r; at a = 1/2 like ln n / n.

    Below a = 1/2 the first real rows' error is forgotten too slowly, and more rows help less and less. Above it, and
    for a known sigma, M n V_n -> 1 / (2 a - 1): the error of a fit to as many real rows, times that constant.
    """
    return np.minimum(2 * np.asarray(real_fraction, float), 1)


def discounted(own: ArrayLike, real_fraction: float) -> np.ndarray:
    """D_n = sum_(k <= n) (1 - a)^(2 (n - k)) e_k, (n, ...) from each fit's own error e_k, (n, ...), first axis fits.

    Fit k learns from p = a q + (1 - a) p_(k-1), q the truth, and misses it by own errors of mean 0, whatever went
    before: p_k - q = (1 - a) (p_(k-1) - q) + own error, and squares add up. Exact for D_n = E sum (p_n - q)^2 / q and
    e_k = E sum (p_k - p)^2 / q. With e_k the chi-square distance sum (p_k - p)^2 / p of a fit to its own training
    distribution it holds to first order in D. Khelifa, Turner & Venkataramanan 2026, arXiv:2602.16601, bound the same
    sum from both sides.
    """
    found = np.array(own, float)
    for k in range(1, len(found)):
        found[k] += (1 - real_fraction) ** 2 * found[k - 1]
    return found


def grow_moments(
    sizes: Sequence[int],
    *,
    estimator: Estimator = "mle",
    variance: Variance = "estimated",
    bias: float = 1.0,
) -> Moments:
    """(V_n, S_n) for n = 1 .. len(sizes), where fit i reads sizes[i - 1] rows of fit i - 1 (fit 1: real ones)."""
    steps = [(0, m) for m in sizes[1:]]
    return _iterate(np.arange(1, len(sizes) + 1), sizes[0], steps, estimator, variance, bias)


def _iterate(
    n: ArrayLike,
    first: int,
    steps: Schedule,
    estimator: Estimator,
    variance: Variance,
    bias: float,
    weights: tuple[float, float] = (1, 1),
    kept: bool = False,
    same: bool = False,
) -> Moments:
    """V and S at fits n, fit 1 on `first` real rows; the last of `steps` (k, m) is repeated. See the module.

    kept  real rows come from the first ones: any k of them, drawn anew for every fit, or all
    same  they are the same k < `first` of them in every fit, whose own mean draws the fits to it
    """
    n = np.asarray(n, int)
    if n.min(initial=1) < 1:
        raise ValueError("n counts fits and is at least 1")
    a, b = weights
    C = 1 / first if kept or same else 0.0
    V = [1 / first]
    S = [1.0 if variance == "known" or estimator == "unbiased" else 1 - 1 / first]
    for i in range(n.max(initial=1) - 1):
        k, m = steps[min(i, len(steps) - 1)]
        real, wrote = a * k, b * m
        W = real + wrote
        drift = (a * real + b * wrote * bias * S[-1] + wrote**2 * V[-1] + 2 * real * wrote * C) / W**2
        scatter = (real + wrote * (bias * S[-1] + V[-1])) / W - drift
        C = (a + wrote * C) / W if same else C
        V.append(drift)
        S.append(1.0 if variance == "known" else scatter if estimator == "mle" else scatter * W / (W - 1))
    return np.array(V)[n - 1], np.array(S)[n - 1]


def fresh_drift_limit(M: ArrayLike, real_fraction: ArrayLike, *, variance: Variance = "estimated") -> np.ndarray:
    """CF-G9. Limit of V_n under `fresh` with a share g of new real rows, lambda = 1: V = 1 / (M D).

    Known sigma: V' = 1/M + (1-g)^2 V, so D = 1 - (1-g)^2. With the mle S = 1 - V, hence the synthetic rows spread less:
    V' = 1/M + [(1-g)^2 - (1-g)/M] V and D = 1 - (1-g)^2 + (1-g)/M. g M is a whole number of rows; 0 < g <= 1 (mle:
    g = 0 gives 1, the limit of pure replace).
    """
    return 1 / (np.asarray(M, float) * drift_decay(M, real_fraction, variance=variance))


def mix_drift_limit(M: ArrayLike, real_fraction: ArrayLike, *, variance: Variance = "estimated") -> np.ndarray:
    """Limit of V_n under `mix`: (1 + 2 g (1-g)) / (M D), D as in `fresh_drift_limit`; mle or known sigma, 0 < g <= 1.

    The covariance term of the recursion adds 2 g (1-g) / M in every generation: the same real rows, again and again,
    hold the mean at the mean of that set and not at the truth.
    """
    g = np.asarray(real_fraction, float)
    return (1 + 2 * g * (1 - g)) * fresh_drift_limit(M, g, variance=variance)


def fixed_drift_limit(M: ArrayLike, synthetic: ArrayLike = 1.0, *, variance: Variance = "estimated") -> np.ndarray:
    """Limit of V_n under `fixed`: M real rows for ever and l M synthetic ones; mle or known sigma, l M whole.

    With g = 1 / (1 + l), T = M + l M rows in all: (3 - 2 g) / (T D_T), D_T as in `fresh_drift_limit` with T for M. For
    a known sigma this is 1 / (g T) + (1 - g) / (T (2 g - g^2)): the spread of the real mean, plus what the loop adds.
    """
    g = 1 / (1 + np.asarray(synthetic, float))
    T = np.asarray(M, float) / g
    return (3 - 2 * g) / (T * drift_decay(T, g, variance=variance))


def weigh_drift_limit(
    M: ArrayLike, real_weight: ArrayLike, *, ratio: ArrayLike = 1.0, variance: Variance = "known"
) -> np.ndarray:
    """CF-G10. Limit of V_n under `weigh`: (1/M) (w^2/k + (1-w)^2) / (1 - (1-w)^2) for a known sigma, 0 < w <= 1.

    M written rows, k M new real ones, k = ratio. For k = 1 its minimum solves w^2 + w = 1: w = 0.618, the inverse of
    the golden ratio, and its value there is 0.618 / M, less than the 1 / M of real rows alone (He, Xu & Cheng 2025,
    arXiv:2502.18049); for other k see `best_real_weight`. With the mle S = 1 - V, so that (1-w)^2 / M is added to the
    denominator.
    """
    M, w = np.asarray(M, float), np.asarray(real_weight, float)
    less = 0 if variance == "known" else (1 - w) ** 2 / M
    return (w**2 / np.asarray(ratio, float) + (1 - w) ** 2) / (1 - (1 - w) ** 2 + less) / M


def best_real_weight(ratio: ArrayLike) -> np.ndarray:
    """w* = (sqrt(k^2 + 4 k) - k) / 2, where `weigh_drift_limit` with a known sigma is least; shape of k = ratio.

    The derivative of (w^2 + k (1-w)^2) / (w (2-w)) is 0 where w^2 + k w - k = 0, one root of which lies between 0 and
    1. There V = w* / (k M), so that w* is also the error that is left, in units of that of one fit to the k M real
    rows. k = 1: 0.618; 2: 0.732; 1/2: 0.500; 1/8: 0.297. It goes to 1 for many real rows and like sqrt(k) to 0 for few.
    Derived here; He, Xu & Cheng, arXiv:2502.18049v5, have one expression for all ratios in their abstract.
    """
    k = np.asarray(ratio, float)
    # (sqrt(k^2 + 4 k) - k) / 2 without its subtraction.
    return 2 / (1 + np.sqrt(1 + 4 / k))


def drift_decay(M: ArrayLike, real_fraction: ArrayLike, *, variance: Variance = "estimated") -> np.ndarray:
    """D, the share of the gap V_n - V that one generation closes under `fresh` or `mix`; known sigma or mle.

    1 - (1-g)^2 (+ (1-g)/M for the mle): about 2 g, so that 1 / (2 g) generations make the plateau, but never less than
    1/M with the mle, whose variance forgets the past by itself.
    """
    M, rest = np.asarray(M, float), 1 - np.asarray(real_fraction, float)
    return 1 - rest**2 + (0 if variance == "known" else rest / M)


def biased_variance(n: ArrayLike, M: ArrayLike, bias: ArrayLike, estimator: Estimator = "mle") -> np.ndarray:
    """CF-G11. E[s_n^2] = lambda^(n-1) (1 - 1/M)^n (mle), lambda^(n-1) (unbiased), under `replace`.

    Fit 1 reads real rows; each of the n - 1 samples since had its variance multiplied by lambda. The spread of ln s_n^2
    does not depend on lambda, and its mean is moved by (n - 1) ln lambda.
    """
    return np.asarray(bias, float) ** (np.asarray(n, float) - 1) * expected_variance(n, M, estimator)


def expected_log_det(
    n: ArrayLike, M: ArrayLike, d: int, estimator: Estimator = "mle", bias: ArrayLike = 1.0
) -> np.ndarray:
    """CF-G6b. E[ln det Sigma_n] = n [sum_(j=1..d) psi((M-j)/2) + d ln(2/c)] + (n-1) d ln lambda, -inf for M <= d.

    c = M (mle) or M - 1 (unbiased). det of a Wishart_d(I, M-1) matrix is a product of independent chi-squares with M -
    1, ..., M - d degrees of freedom (Bartlett), and E ln chi^2_k = psi(k/2) + ln 2. It falls even where E Sigma_n = I.
    """
    n, M = np.asarray(n, float), np.asarray(M, float)
    freedom = np.maximum(M[..., None] - np.arange(1, d + 1), 0)
    with np.errstate(divide="ignore"):
        halves = np.where(freedom > 0, scipy.special.digamma(np.where(freedom > 0, freedom / 2, 1)), -np.inf).sum(
            axis=-1
        )
        divisor = M if estimator == "mle" else M - 1
        return n * (halves + d * np.log(2 / divisor)) + (n - 1) * d * np.log(np.asarray(bias, float))


def variance_of_log_det(n: ArrayLike, M: ArrayLike, d: int) -> np.ndarray:
    """Var[ln det Sigma_n] = n sum_(j=1..d) psi_1((M-j)/2) for M > d: n independent steps, whatever the estimator."""
    n, M = np.asarray(n, float), np.asarray(M, float)
    return n * scipy.special.polygamma(1, (M[..., None] - np.arange(1, d + 1)) / 2).sum(axis=-1)


def expected_covariance_scale(n: ArrayLike, M: ArrayLike, estimator: Estimator = "mle") -> np.ndarray:
    """CF-G6b. The factor f in E[Sigma_n] = f Sigma_0: (1 - 1/M)^n (mle), 1 (unbiased), in any dimension."""
    return expected_variance(n, M, estimator)


def expected_squared_drift(n: ArrayLike, M: ArrayLike, d: int, estimator: Estimator = "mle") -> np.ndarray:
    """CF-G6b. E|mu_n - mu_0|^2 = d n / M (unbiased), d (1 - (1 - 1/M)^n) (mle), for Sigma_0 = I: d times CF-G4."""
    return d * mean_drift(n, M, estimator)


def grow_expected_deviation(sizes: Sequence[int], estimator: Estimator = "mle") -> np.ndarray:
    """E[s_n], n = 1 .. len(sizes), with M_i = sizes[i - 1] >= 2 rows in fit i: a product of independent chi means.

    Factor i is sqrt(2 / c) Gamma(M_i / 2) / Gamma((M_i - 1) / 2), c = M_i (mle) or M_i - 1 (unbiased).
    """
    M = np.asarray(sizes, float)
    divisor = M if estimator == "mle" else M - 1
    # Pochhammer's ratio of Gammas: a difference of log-Gammas would cancel from M = 1e8 on.
    return np.exp(np.cumsum(np.log(scipy.special.poch((M - 1) / 2, 0.5)) - 0.5 * np.log(divisor / 2)))


def grow_expected_w2_squared(
    sizes: Sequence[int], *, estimator: Estimator = "unbiased", variance: Variance = "estimated"
) -> np.ndarray:
    """GA-5. E[W2^2(N(mu_n, s_n^2), N(0, 1))] for n = 1 .. len(sizes) under growing sets, M_i = sizes[i - 1] rows.

    V_n + S_n + 1 - 2 E[s_n]. Unbiased: sum 1/M_i + 2 (1 - prod a(M_i)), to first order (3/2) sum 1/M_i, so finite for
    ever exactly if sum 1/M_i is. Known sigma: sum 1/M_i. Mle: 2 (1 - E[s_n]), at most 2 whatever the sizes.
    """
    V, S = grow_moments(sizes, estimator=estimator, variance=variance)
    deviation = np.ones(len(sizes)) if variance == "known" else grow_expected_deviation(sizes, estimator)
    return V + S + 1 - 2 * deviation
