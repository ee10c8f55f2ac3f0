"""A real share that changes from generation to generation: what each fit reads, and which symbols it still knows.

A schedule is a list of (k, m), the new real and the written rows of fits 2, 3, ...; its last entry holds for ever. The
variance and the drift that follow from it are in `theory.mixed`; here is the exact chain of one symbol's count. With q
its true share, fit n + 1 counts

    X' = A + B,   A ~ Binomial(k, q) among the real rows,   B ~ Binomial(m, X / (rows of fit n)) among the written ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy
from numpy.typing import ArrayLike

Schedule = Sequence[tuple[int, int]]


def fresh_schedule(M: int, real_fraction: float) -> Schedule:
    """Regime `fresh`: round(g M) new real rows in every fit but the first, which reads nothing else."""
    k = round(real_fraction * M)
    return [(k, M - k)]


def fill_share(t: ArrayLike, floor: float, half: float) -> np.ndarray:
    """Share of real rows in generation t under `fill`: floor + (1 - floor) / (1 + t / half), shape of t.

    A stock of real texts to which every generation of models adds 1/half of it: after t generations the stock is a
    share 1 / (1 + t / half) of everything. floor is what is kept real all the same.
    """
    return floor + (1 - floor) / (1 + np.asarray(t, float) / half)


def fill_schedule(generations: int, M: int, floor: float, half: float) -> Schedule:
    """Regime `fill`: real rows are round(fill_share M) in generations 1 .. generations (at least one)."""
    real = [round(float(share) * M) for share in fill_share(np.arange(1, max(generations, 1) + 1), floor, half)]
    return [(k, M - k) for k in real]


def heal_schedule(M: int, until: int, real_fraction: float) -> Schedule:
    """Regime `heal`: no real rows in generations 1 .. until, round(g M) new ones in every later one."""
    return [(0, M)] * until + list(fresh_schedule(M, real_fraction))


def presence(n: ArrayLike, share: ArrayLike, M: int, schedule: Schedule) -> np.ndarray:
    """P(X_n > 0), exact: whether a symbol of true share q is in what fit n read. Shape n.shape + share.shape.

    Fit 1 read M real rows. The distribution of the count of every symbol is carried forward: k M + M^2 products a fit
    and symbol, memory O(M^2). With k = 0 throughout it is `theory.survival`. Not for rows of one finite real set: there
    it is `mix_presence`, and under `fixed`, which reads every real row every time, that of fit 1 for ever.
    """
    n, share = np.asarray(n, int), np.asarray(share, float)
    if n.size and n.min() < 1:
        raise ValueError("n counts fits and starts at 1")
    q = share.reshape(-1, 1)
    distribution, rows = scipy.stats.binom.pmf(np.arange(M + 1), M, q), M
    present = [1 - distribution[:, 0]]
    read: tuple[int, int] | None = None
    for i in range(int(n.max(initial=1)) - 1):
        k, m = schedule[min(i, len(schedule) - 1)]
        if (k, m) != read or rows != k + m:
            writes = scipy.stats.binom.pmf(np.arange(m + 1), m, np.arange(rows + 1)[:, None] / rows)
            real, read = scipy.stats.binom.pmf(np.arange(k + 1), k, q), (k, m)
        written = distribution @ writes
        distribution, rows = np.zeros((len(q), k + m + 1)), k + m
        for a in range(k + 1):
            distribution[:, a : a + m + 1] += real[:, [a]] * written
        present.append(1 - distribution[:, 0])
    return np.array(present)[n - 1].reshape(n.shape + share.shape)


def mix_presence(n: ArrayLike, share: ArrayLike, M: int, real_fraction: float) -> np.ndarray:
    """P(X_n > 0) under `mix`, exact: round(g M) rows drawn anew from one real set of M rows. n.shape + share.shape.

    Given that x rows of the real set show the symbol, which has the distribution Binomial(M, q), a fit counts

        X' = A + B,   A ~ Hypergeometric(M, x, k) among the real rows,   B ~ Binomial(M - k, X / M), X = x at first.

    The distributions for all x are carried forward together: M^2 (M - k) products a fit, memory O(M^2), whatever the
    shares.
    """
    n, share = np.asarray(n, int), np.asarray(share, float)
    if n.size and n.min() < 1:
        raise ValueError("n counts fits and starts at 1")
    k, counts = round(real_fraction * M), np.arange(M + 1)
    m = M - k
    real = scipy.stats.hypergeom.pmf(np.arange(k + 1), M, counts[:, None], k)
    writes = scipy.stats.binom.pmf(np.arange(m + 1), m, counts[:, None] / M)
    distribution = np.eye(M + 1)
    present = [(counts > 0).astype(float)]
    for _ in range(int(n.max(initial=1)) - 1):
        written = distribution @ writes
        distribution = np.zeros((M + 1, M + 1))
        for a in range(k + 1):
            distribution[:, a : a + m + 1] += real[:, [a]] * written
        present.append(1 - distribution[:, 0])
    among = np.array(present) @ scipy.stats.binom.pmf(counts, M, share.reshape(-1, 1)).T
    return among[n - 1].reshape(n.shape + share.shape)


def expected_presence(n: ArrayLike, shares: ArrayLike, M: int, schedule: Schedule) -> np.ndarray:
    """E[number of symbols in what fit n read], shares (K,): the sum of `presence`; shape of n."""
    return presence(n, np.asarray(shares, float), M, schedule).sum(axis=-1)


def first_return(share: ArrayLike, real_rows: ArrayLike) -> np.ndarray:
    """Mean number of generations until a lost symbol is among k new real rows: 1 / (1 - (1 - q)^k), about 1 / (k q).

    No model writes a symbol that it does not know, so nothing but real rows can bring it back. inf for k = 0.
    """
    with np.errstate(divide="ignore"):
        return -1 / np.expm1(np.asarray(real_rows, float) * np.log1p(-np.asarray(share, float)))
