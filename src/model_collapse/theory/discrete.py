"""Closed forms of the discrete chain, CF-W*: n fits of M rows each, shares of symbols that sum to 1.

Fitted shares are the frequencies of M draws from the last ones, so the counts of one symbol form the neutral
Wright-Fisher chain X_n ~ Binomial(M, X_(n-1) / M) with X_1 ~ Binomial(M, q), q its true share; what the other symbols
do makes no difference to it. Functions of (n, share, M) return shape n.shape + share.shape; M is one integer there.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import scipy
from numpy.typing import ArrayLike

from model_collapse.theory.gaussian import accumulated_variance


def zipf_law(symbols: int, exponent: float) -> np.ndarray:
    """p_i = i^-S / sum_j j^-S for ranks i = 1 .. K, shape (K,); S = 0 is the uniform distribution."""
    weight = np.exp(-exponent * np.log(np.arange(1, symbols + 1)))
    return weight / weight.sum()


def fixation_probability(share: ArrayLike) -> np.ndarray:
    """CF-W1. P(the chain ends with this symbol alone) = q.

    E[p_n] = q for all n, because a multinomial count has mean M p; the limit is 1 with this probability and else 0.
    """
    return np.asarray(share, float)


def expected_heterozygosity(n: ArrayLike, M: ArrayLike, shares: ArrayLike) -> np.ndarray:
    """CF-W2. E[1 - sum_i p_i^2] = (1 - sum_i q_i^2) (1 - 1/M)^n; shares (K,), broadcasts over n and M.

    Two of M rows drawn with replacement are the same row with probability 1/M, and otherwise differ as two draws of the
    last model do. Wright 1931, doi:10.1093/genetics/16.2.97; for language models Seddik et al. 2024, arXiv:2404.05090.
    """
    return (1 - np.sum(np.square(shares))) * (1 - inbreeding(n, M))


def inbreeding(n: ArrayLike, M: ArrayLike) -> np.ndarray:
    """INB-1. F_n = 1 - (1 - 1/M)^n, the probability that two draws of fit n come from one and the same real row.

    The inbreeding coefficient of a population of M gene copies; heterozygosity is H_n = H_0 (1 - F_n).
    """
    n, M = np.asarray(n, float), np.asarray(M, float)
    with np.errstate(divide="ignore"):
        return -np.expm1(n * np.log1p(-1 / M))


def loss_probability(share: ArrayLike, M: ArrayLike) -> np.ndarray:
    """CF-W3. P(a symbol is not among M draws) = (1 - q)^M; about exp(-M q), so e^-1 at q = 1/M."""
    with np.errstate(divide="ignore"):
        return np.exp(scipy.special.xlog1py(np.asarray(M, float), -np.asarray(share, float)))


def transition_matrix(M: int) -> np.ndarray:
    """T[x, y] = P(Binomial(M, x / M) = y), shape (M + 1, M + 1): the exact chain of one symbol's count."""
    return _binomial(M, np.arange(M + 1) / M)


def _binomial(M: int, share: np.ndarray) -> np.ndarray:
    """P(Binomial(M, q) = y), shape share.shape + (M + 1,)."""
    y = np.arange(M + 1)
    choose = scipy.special.gammaln(M + 1) - scipy.special.gammaln(y + 1) - scipy.special.gammaln(M - y + 1)
    q = share[..., None]
    distribution = np.exp(choose + scipy.special.xlogy(y, q) + scipy.special.xlog1py(M - y, -q))
    # The logarithms above are as large as M; what they lose shows in the sum.
    return distribution / distribution.sum(axis=-1, keepdims=True)


def _evolve(n: ArrayLike, share: ArrayLike, M: int, state: np.ndarray, weight: np.ndarray | float = 1.0) -> np.ndarray:
    """E[weight(X_1) ... weight(X_n) state(X_n)] for functions of the count, (M + 1,): n - 1 steps backwards.

    The real sample comes last. Memory O(M^2); shares are taken some at a time.
    """
    n, share = np.asarray(n), np.asarray(share, float)
    if n.size and n.min() < 1:
        raise ValueError("n counts fits and starts at 1")
    step = transition_matrix(M)
    wanted: dict[int, np.ndarray] = {}
    for k in range(1, int(n.max(initial=0)) + 1):
        state = weight * (step @ state if k > 1 else state)
        if np.any(n == k):
            wanted[k] = state
    states = np.array([wanted[int(k)] for k in n.ravel()]).reshape(-1, M + 1).T
    parts = max(1, share.size * (M + 1) // 2**23)
    first = [_binomial(M, part) @ states for part in np.array_split(share.ravel(), parts)]
    return np.concatenate(first).T.reshape(n.shape + share.shape)


def survival(n: ArrayLike, share: ArrayLike, M: int) -> np.ndarray:
    """CF-W4, exact. P(a symbol of true share q is still there after n fits), by n - 1 products with T.

    Time O(n M^2), memory O(M^2): meant for M up to a few thousand. `survival_bounds` costs nothing.
    """
    return _evolve(n, share, M, (np.arange(M + 1) > 0).astype(float))


def survival_rate(n: ArrayLike) -> np.ndarray:
    """g_1 = 1, g_(k+1) = 1 - exp(-g_k), shape of n: 1, .6321, .4685, ...; k g_k -> 2.

    exp(-g_k) iterates the Poisson(1) generating function: g_k is how a rare row's chance of having descendants decays.
    """
    n = np.asarray(n)
    if n.size and n.min() < 1:
        raise ValueError("n counts fits and starts at 1")
    g = np.ones(int(n.max(initial=1)))
    for k in range(1, len(g)):
        g[k] = -np.expm1(-g[k - 1])
    return g[n - 1]


def survival_bounds(n: ArrayLike, share: ArrayLike, M: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """CF-W4, bounds (Suresh et al. 2025, arXiv:2412.17646): lower and upper, each of shape n.shape + share.shape.

    1 - e <= P(X_n > 0) <= 1 - max(1 - 3 M q^2 - 3 n q, 0) e with e = exp(-M q g_n). Lower: (1 - x)^M <= exp(-M x), n
    times over. The upper bound says little unless both M q^2 and n q are small.
    """
    n, q = np.asarray(n), np.asarray(share, float)
    n = n.reshape(n.shape + (1,) * q.ndim)
    e = np.exp(-np.asarray(M, float) * q * survival_rate(n))
    return 1 - e, 1 - np.maximum(1 - 3 * np.asarray(M, float) * q**2 - 3 * n * q, 0) * e


def poisson_survival(n: ArrayLike, share: ArrayLike, M: ArrayLike) -> np.ndarray:
    """CF-W9. P(X_n > 0) = 1 - exp(-M q g_n), exact for `family.counts=poisson`; shape n.shape + share.shape.

    With X_n ~ Poisson(X_(n-1)) the rows of one symbol are independent critical branching processes.
    """
    return survival_bounds(n, share, M)[0]


def expected_support(n: ArrayLike, shares: ArrayLike, M: int) -> np.ndarray:
    """CF-W3 (n = 1) and CF-W4. E[number of symbols left after n fits] = sum_i P(X_n > 0 | q_i); shape of n."""
    return survival(n, np.asarray(shares, float), M).sum(axis=-1)


def forgetting_time(count: ArrayLike) -> np.ndarray:
    """WF-6. Fits after which half of the symbols with expected count M q are gone: (continuous) n with M q g_n = ln 2.

    Exact for the Poisson chain; for the multinomial one if q << 1. As g_n -> 2 / n it is 2 M q / ln 2 = 2.89 M q for
    large counts: linear. Between whole n, 1 / g_n (nearly n / 2) is interpolated. At least 1; below a count of ln 2 the
    first sample loses more than half already.
    """
    count = np.asarray(count, float)
    most = int(4 * count.max(initial=1)) + 8
    inverse = 1 / survival_rate(np.arange(1, most + 1))
    return np.interp(count / np.log(2), inverse, np.arange(1, most + 1))


def both_alive(n: ArrayLike, share: ArrayLike, M: int) -> np.ndarray:
    """P(a chain of two symbols has not lost one after n fits), exact, by products with T; cost as for `survival`."""
    x = np.arange(M + 1)
    return _evolve(n, share, M, ((x > 0) & (x < M)).astype(float))


def both_alive_bounds(n: ArrayLike, share: ArrayLike, M: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """CF-W8. 4 q (1 - q) (1 - 1/M)^n <= P(both alive) <= M q (1 - q) (1 - 1/M)^(n - 1); M >= 2, broadcasts.

    While both live, (1/M)(1 - 1/M) <= p (1 - p) <= 1/4, and E[p (1 - p)] decays as in CF-W2. The upper bound
    is at most the published one, 2 M q (1 - q) (1 - 1/M)^n (Suresh et al. 2025, arXiv:2412.17646).
    """
    n, q, M = np.asarray(n, float), np.asarray(share, float), np.asarray(M, float)
    spread = q * (1 - q)
    return 4 * spread * (1 - 1 / M) ** n, M * spread * (1 - 1 / M) ** (n - 1)


def absorption_time(share: ArrayLike, M: int) -> np.ndarray:
    """CF-W5, exact. Mean number of fits until one of two symbols is alone: 1 + sum_y P(X_1 = y) t(y).

    t solves (I - T) t = 1 over the states 1 .. M - 1. Time O(M^3).
    """
    inside = slice(1, M)
    t = np.zeros(M + 1)
    t[inside] = np.linalg.solve(np.eye(M - 1) - transition_matrix(M)[inside, inside], np.ones(M - 1))
    share = np.asarray(share, float)
    # A share of 0 or 1 is absorbed before the first fit.
    return np.where((share > 0) & (share < 1), 1 + _binomial(M, share) @ t, 0.0)


def fixation_time(shares: ArrayLike, M: int) -> np.ndarray:
    """CF-W5, exact for K symbols. Mean number of fits until one of them is alone; shares (..., K), K >= 1.

    At most one symbol can hold all M rows, so P(not yet after n fits) = 1 - sum_i P(X_n = M | q_i), and each term is
    about one symbol. As sum_i q_i = 1 the mean time is sum_i d(q_i) with d(q) = sum_(n >= 0) [q - P(X_n = M | q)],
    where (I - T) d = x/M over the counts x = 1 .. M - 1 and d(0) = d(M) = 0. Time O(M^3). For two symbols it is
    `absorption_time`.
    """
    inside = slice(1, M)
    d = np.zeros(M + 1)
    d[inside] = np.linalg.solve(np.eye(M - 1) - transition_matrix(M)[inside, inside], np.arange(1, M) / M)
    share = np.asarray(shares, float)
    # Before the first fit n = 0, and a symbol that is alone from the beginning.
    return np.where(share < 1, share + _binomial(M, share) @ d, 0.0).sum(axis=-1)


def fixed_probability(n: ArrayLike, shares: ArrayLike, M: int) -> np.ndarray:
    """P(one symbol alone after n fits) = sum_i P(X_n = M | q_i); shares (K,), shape of n, exact, cost of `survival`."""
    x = np.arange(M + 1)
    return _evolve(n, np.asarray(shares, float), M, (x == M).astype(float)).sum(axis=-1)


def absorption_time_approximation(shares: ArrayLike, M: ArrayLike) -> np.ndarray:
    """CF-W5. Mean number of fits until one of K symbols is alone: -2 M sum_i (1 - q_i) ln(1 - q_i), shares (..., K).

    The diffusion limit M -> infinity; -2 M [q ln q + (1 - q) ln(1 - q)] for two symbols, 2 M for many rare ones. Some
    4 % too long at M = 50.
    """
    rest = 1 - np.asarray(shares, float)
    return -2 * np.asarray(M, float) * np.sum(scipy.special.xlogy(rest, rest), axis=-1)


def stationary_variance(
    share: ArrayLike, M: ArrayLike, real_fraction: ArrayLike, regime: Literal["fresh", "mix", "bernoulli"] = "mix"
) -> np.ndarray:
    """Var(p_i) after many fits when a share g > 0 of every training set is real: q (1 - q) / M times

    fresh      CF-W6 of 6.7: g M new real rows.                     1 / D, D = 1 - (1 - g)^2 + (1 - g) / M
    mix        g M rows of the M real ones, without replacement.    (1 + 2 g (1 - g)) / D
    bernoulli  CF-W6: every row real with probability g.            1 / (1 - (1 - g)^2 (1 - 1/M))

    With v = q (1 - q): V = g v/M + (1 - g)^2 [V + (v - V) / ((1 - g) M)] + 2 g (1 - g) C, where v - V = E[p (1 - p)]
    and C is the covariance of a fit with the next real rows: 0 when they are new, v/M when they come from the one real
    set (that of a real set with itself). g is the share in whole rows, round(real_fraction M) / M.
    """
    q, M, g = np.asarray(share, float), np.asarray(M, float), np.asarray(real_fraction, float)
    one = q * (1 - q) / M
    if regime == "bernoulli":
        return one / (1 - (1 - g) ** 2 * (1 - 1 / M))
    d = 1 - (1 - g) ** 2 + (1 - g) / M
    return one * (1 + 2 * g * (1 - g) if regime == "mix" else 1) / d


def accumulated_heterozygosity(t: ArrayLike, M: ArrayLike, shares: ArrayLike) -> np.ndarray:
    """CF-W7. E[1 - sum p^2] = H_0 prod_(j=1..t) (1 - 1 / (M j^2)) when fit t uses all t batches of M rows so far.

    Batch t moves the pooled shares by 1/t of its own sampling error: E[H_t] = E[H_(t-1)] (1 - 1 / (M t^2)). The
    product is that of the Gaussian chain, with the limit sin(pi / sqrt M) / (pi / sqrt M). The support never changes:
    it is that of the real batch, `expected_support(1, shares, M)`.
    """
    return (1 - np.sum(np.square(shares))) * accumulated_variance(t, M, "mle")


def expected_within_variance(n: ArrayLike, shares: ArrayLike, M: int) -> np.ndarray:
    """WF-5, exact. E[sum_k p_k s_k^2] / s^2 after n fits of breeds of true variance s^2; shares (K,), shape of n.

    Given y rows of a breed, the mle of its variance is s_k^2 chi^2_(y-1) / y, so a fit keeps the part (y - 1) / y of it
    on average, and nothing of a breed that is lost. Hence the sum over breeds of E[p_n prod_(j <= n) (1 - 1/X_j)], in
    which the last factor p_n = X_n / M; for one breed (1 - 1/M)^n. Cost as for `survival`.
    """
    x = np.arange(M + 1)
    kept = np.where(x > 0, 1 - 1 / np.maximum(x, 1), 0)
    return _evolve(n, np.asarray(shares, float), M, x / M, kept).sum(axis=-1)


def narrowing_time(ratio: ArrayLike, M: ArrayLike) -> np.ndarray:
    """WF-5. Mean number of fits until the standard deviation of one breed is below `ratio` < 1 of the true one.

    ln s_n^2 is a random walk with steps ln(chi^2_(M-1) / M) of mean -m and variance v (mle, CF-G3). By Wald's identity
    the mean time to pass 2 ln(ratio) is [2 ln(1/ratio) + overshoot] / m. Small steps overshoot by 0.583 sqrt(v) on
    average (Siegmund 1985, doi:10.1007/978-1-4757-1862-1, ch. X); their drift and their skewness add about 1/4 and 1/6
    of a fit. About M ln(1/ratio) in all, 4.6 M for 1 %; simulation agrees within 1 % from M = 3 on. A breed that shares
    its M rows with others narrows faster.
    """
    half = (np.asarray(M, float) - 1) / 2
    m = -(scipy.special.digamma(half) + np.log(2 / np.asarray(M, float)))
    return (2 * np.log(1 / np.asarray(ratio, float)) + 0.5826 * np.sqrt(scipy.special.polygamma(1, half))) / m + 5 / 12
