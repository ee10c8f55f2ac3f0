"""Closed forms of K models that read each other, CF-X*: who wrote two rows that are read decides all second moments.

Every model reads M rows, made up as `Reads` says (who, share s). Take one row that model k reads and another that
model l reads (for k = l two different ones): either they are two rows that models i and j wrote, or they are one
and the same row of model i. Their probabilities, `pair_distribution`, do not depend on what the rows say. Rows of one
generation are independent draws of the models that wrote them, so that for any function of two rows the expectation
after a fit is linear in that before it. Shares of symbols and means of normal distributions are two cases of the same
recursion.

All models are alike and start from real data of their own. n counts fits, M is the number of rows of one model.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import scipy
from numpy.typing import ArrayLike

Who = Literal["own", "all", "ring", "deal"]


def reading_weights(models: int, who: Who, share: float = 0.5) -> np.ndarray:
    """W[k, j], the expected share of model j's rows in what model k reads; shape (K, K), rows sum to 1."""
    K = models
    if K == 1 or who == "own":
        return np.eye(K)
    if who == "deal":
        return np.full((K, K), 1 / K)
    # Row k of the rolled identity points at k - 1, and row 0 at the last.
    others = np.roll(np.eye(K), -1, axis=1) if who == "ring" else (1 - np.eye(K)) / (K - 1)
    return (1 - share) * np.eye(K) + share * others


def pair_distribution(M: int, models: int, who: Who, share: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """CF-X1. (D, S): D[k, l, i, j] = P(two different rows, by i and j), S[k, l, i] = P(the same row, by i).

    Of a row drawn from what model k reads and one from what model l reads, with replacement if k = l; together they sum
    to 1. With m = round(s M) of M rows from elsewhere, without replacement:

        k = l   the same row with probability 1/M; else two different rows of the M
        k != l  W[k, i] W[l, j], and of the pairs with i = j one in M is the same row, as both chose among M;
                when all is dealt out no row is read twice, and one author has (M - 1) of the KM - 1 other rows
    """
    K = models
    W, eye = reading_weights(K, who, round(share * M) / M), np.eye(K)
    different = np.einsum("ki,lj->klij", W, W)
    same = np.einsum("ki,li->kli", W, W) / M
    if who == "deal" and K > 1:
        c = (M - 1) / (K * M - 1)
        different[:] = (eye * c + (1 - eye) * (1 - c) / (K - 1)) / K
        same[:] = 0
    else:
        different -= np.einsum("kli,ij->klij", same, eye)
    for k in range(K):
        same[k, k] = W[k] / M
        different[k, k] = (1 - 1 / M) * (different[k, k] if who == "deal" and K > 1 else _within(k, M, K, who, share))
    return different, same


def _within(k: int, M: int, K: int, who: Who, share: float) -> np.ndarray:
    """P(two different rows of the M that model k reads are by i and j), (K, K)."""
    m = round(share * M) if K > 1 and who != "own" else 0
    others = [] if m == 0 else [(k - 1) % K] if who == "ring" else [j for j in range(K) if j != k]
    distribution = np.zeros((K, K))
    distribution[k, k] = (M - m) * (M - m - 1)
    for i in others:
        distribution[k, i] = distribution[i, k] = m * (M - m) / len(others)
        for j in others:
            rest = M - 1 if i == j else M
            distribution[i, j] = m * (m - 1) / len(others) * rest / (len(others) * M - 1) if m > 1 else 0
    return distribution / (M * (M - 1))


def heterozygosity(
    n: ArrayLike, M: int, shares: ArrayLike, models: int, who: Who = "all", share: float = 0.5
) -> np.ndarray:
    """CF-X2. E[1 - sum_i p_ki p_li] after n fits, shape n.shape + (K, K): the diagonal within, the rest between models.

        J_kl' = sum_ij D[k, l, i, j] J_ij + sum_i S[k, l, i],        J = 1 - H

    is the chance that a draw of model k and one of model l are the same symbol: as they were for two different rows,
    surely for one row. Before the first fit J = sum q^2, and the rows are real ones of each model's own. This is the
    island model of genetics (Wright 1931, doi:10.1093/genetics/16.2.97), here with rows that several may copy.
    """
    start = float(np.sum(np.square(shares)))
    first = np.full((models, models), start) + np.eye(models) * (1 - start) / M
    return 1 - _iterated(n, first, pair_distribution(M, models, who, share), 1.0)


def effective_rows(M: int, models: int, who: Who = "all", share: float = 0.5) -> float:
    """CF-X3. Rows that a model alone would need to lose heterozygosity as slowly: 1 / (1 - largest eigenvalue of D).

    Of D over the pairs of models that two rows of one model can come from, so that lines that never meet do not count.
    One model: M. Swapping all data between two (ring, s = 1) changes nothing: M. Dealing: (K M - 1) M / (M - 1), that
    is K M and a little more. Reading half of one's own and half of another's, two models: about 4/3 M.
    """
    different, _ = pair_distribution(M, models, who, share)
    step = different.reshape(models**2, models**2)
    reached = np.arange(models**2) == 0
    while (more := reached | (step[reached].sum(axis=0) > 0)).sum() > reached.sum():
        reached = more
    return 1 / (1 - spectral_radius(step[np.ix_(reached, reached)]))


def mean_drift(
    n: ArrayLike, M: int, models: int, who: Who = "all", share: float = 0.5, real_fraction: float = 0.0
) -> np.ndarray:
    """CF-X4. E[mu_k mu_l] after n fits of the mean of N(0, 1), whose variance is known; shape n.shape + (K, K).

    Of every training set g M rows are real and new (regime `fresh`), and N = M - g M follow `pair_distribution`:

        C_kl' = (1 - g)^2 (sum_ij D_ij C_ij + sum_i S_i (C_ii + 1)) + g / M if k = l,        g = round(g M) / M.

    The diagonal is the risk of a model, the rest what the models err in together. With g = 0 it grows for ever.
    """
    real = round(real_fraction * M)
    g = real / M
    first = np.eye(models) / M
    distribution = pair_distribution(M - real, models, who, share)
    return _iterated(n, first, distribution, 0.0, (1 - g) ** 2, np.eye(models) * g / M)


def _iterated(
    n: ArrayLike,
    first: np.ndarray,
    distribution: tuple[np.ndarray, np.ndarray],
    alike: float,
    scale: float = 1.0,
    add: np.ndarray | float = 0.0,
) -> np.ndarray:
    """n - 1 steps of x' = scale (D x + S r) + add; a row with itself has r = `alike`, or if that is 0 x_ii + 1."""
    n = np.asarray(n)
    if n.size and n.min() < 1:
        raise ValueError("n counts fits and starts at 1")
    different, same = distribution
    states, x = [], first
    for _ in range(int(n.max(initial=1))):
        states.append(x)
        itself = np.full(len(x), alike) if alike else np.diagonal(x) + 1
        x = scale * (np.einsum("klij,ij->kl", different, x) + same @ itself) + add
    return np.array(states)[n - 1]


def linear_moments(
    n: ArrayLike, weights: ArrayLike, noise: ArrayLike, start: ArrayLike, pull: ArrayLike = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """CF-X5. Mean (..., d) and covariance (..., d, d) after n steps of theta' = A theta + b + noise of covariance Q.

        m' = A m + b,   C' = A C A' + Q,   C_0 = 0

    The surrogate of models that read each other's outputs and some of their first data: A = (1 - g) W with W who reads
    whom, b = g times what the first data say (Vu, Reeves & Wenger 2025, arXiv:2505.21677).
    """
    n, A, Q = np.asarray(n), np.asarray(weights, float), np.asarray(noise, float)
    means, covariances = [np.asarray(start, float)], [np.zeros(A.shape)]
    for _ in range(int(n.max(initial=0))):
        means.append(A @ means[-1] + pull)
        covariances.append(A @ covariances[-1] @ A.T + Q)
    return np.array(means)[n], np.array(covariances)[n]


def linear_limit(weights: ArrayLike, noise: ArrayLike, pull: ArrayLike = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """CF-X6. What `linear_moments` tend to: m = (I - A)^-1 b and C = A C A' + Q. ValueError unless A is stable.

    It is exactly if the spectral radius of A is below 1. For A = (1 - g) W that is 1 - g, whoever reads whom: what
    keeps models near the truth is the real data of all, not the exchange.
    """
    A = np.asarray(weights, float)
    radius = spectral_radius(A)
    if radius > 1 - 1e-9:  # rounding hides a unit root
        raise ValueError(f"no limit: the spectral radius is {radius:.3g}, and has to be below 1")
    mean = np.linalg.solve(np.eye(len(A)) - A, np.broadcast_to(np.asarray(pull, float), len(A)))
    return mean, scipy.linalg.solve_discrete_lyapunov(A, np.asarray(noise, float))


def spectral_radius(weights: ArrayLike) -> float:
    """Largest absolute eigenvalue of A, (d, d)."""
    return float(np.abs(np.linalg.eigvals(np.asarray(weights, float))).max())


def survival_bounds(n: ArrayLike, share: ArrayLike, M: int, models: int) -> tuple[np.ndarray, np.ndarray]:
    """CF-X7. Bounds of P(one model still has a symbol after n fits) when all is dealt out: n.shape + share.shape each.

        1 - exp(-K M q h_n) <= P <= 1 - (1 - q)^M,    h_1 = 1/K,    h_(n+1) = 1 - exp(-h_n)

    Lower: given that K models with x_k copies write, E z^(copies written) = prod_k (1 + (z - 1) x_k / M)^M <=
    exp((z - 1) sum x_k) for z <= 1, n times over; a hand of 1/K of all rows misses a symbol of X copies with at most
    (1 - 1/K)^X. K = 1 is CF-W4. Upper, for any exchange of models that are alike: the distribution that its M rows come
    from has the mean q, and (1 - p)^M is convex (Jensen): no exchange keeps more symbols than M real rows have.
    """
    n, q = np.asarray(n), np.asarray(share, float)
    if n.size and n.min() < 1:
        raise ValueError("n counts fits and starts at 1")
    h = np.full(int(n.max(initial=1)), 1 / models)
    for k in range(1, len(h)):
        h[k] = -np.expm1(-h[k - 1])
    rate = h[n - 1].reshape(n.shape + (1,) * q.ndim)
    return -np.expm1(-models * M * q * rate), np.broadcast_to(1 - (1 - q) ** M, n.shape + q.shape)
