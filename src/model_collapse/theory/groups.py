"""A group of rows and its members, with and without weights that give every group its true share again.

A group of true share q has X_n of the M rows of fit n. Without weights X_n is the chain of `theory.discrete`. With
`reweigh`, and all other rows one group, a model writes the group with its true share as long as both are there, so that
X_n ~ Binomial(M, q) anew: it no longer wanders, but every fit may lose it. After that a weight has nothing to weigh.
The first model is fitted to real rows as they are, so that this begins with n = 3, the rows of the first weighed model.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import scipy
from numpy.typing import ArrayLike

from model_collapse.theory.discrete import _evolve, both_alive, loss_probability, survival


def group_survival(n: ArrayLike, share: ArrayLike, M: int, *, reweighed: bool = False) -> np.ndarray:
    """P(a group of true share q is there after n fits), exact; shape n.shape + share.shape.

    Reweighed, for n >= 2: B a^(n-2) + A + B q^M (1 - a^(n-2)) / (1 - a), a = 1 - (1 - q)^M - q^M the chance that a fit
    loses neither side, B = P(0 < X_2 < M) and A = P(X_2 = M).
    """
    n, q = np.asarray(n, int), np.asarray(share, float)
    if not reweighed:
        return survival(n, q, M)
    weighed = np.maximum(n - 2, 0).reshape(n.shape + (1,) * q.ndim)
    first = survival(np.minimum(n, 2), q, M)
    both, alone = both_alive(2, q, M), q**M
    a = 1 - loss_probability(q, M) - alone
    return first - both * (1 - a**weighed) + both * alone * _summed(a, weighed)


def group_variety(n: ArrayLike, share: float, M: int, *, reweighed: bool = False) -> np.ndarray:
    """E[H_n] / H_0, exact; shape of n. H_n is the heterozygosity inside a group after n fits, 0 for one that is lost.

    H_n is the chance that two draws from the group differ. Given y rows of it, a fit keeps the part 1 - 1/y of that on
    average: E[prod_(j <= n) (1 - 1/X_j); X_n > 0]. Reweighed the factors from the third on are independent while both
    sides live; once the group is alone each is 1 - 1/M.
    """
    n, x, q = np.asarray(n, int), np.arange(M + 1), np.asarray(share)
    kept = np.where(x > 0, 1 - 1 / np.maximum(x, 1), 0)
    there = (x > 0).astype(float)
    if not reweighed:
        return _evolve(n, q, M, there, kept)
    distribution = scipy.stats.binom.pmf(x, M, share)
    both, alone = (float(_evolve(2, q, M, state, kept)) for state in (there - (x == M), (x == M).astype(float)))
    values = [0.0, float(_evolve(1, q, M, there, kept)), both + alone]
    for _ in range(int(n.max(initial=1)) - 2):
        both, alone = both * (distribution[1:M] @ kept[1:M]), (both * distribution[M] + alone) * kept[M]
        values.append(both + alone)
    return np.array(values)[n]


def selected_share(
    generation: ArrayLike, share: ArrayLike, kept: float, keep: Literal["low", "high", "random"]
) -> np.ndarray:
    """Share of a minority after t = `generation` selections, many rows; shape of both broadcast.

    The minority are the rarest symbols, of true share m; every training set is the part s = `kept` of the generated
    rows that generation 0's model finds the least surprising (low), the most surprising (high), or at random.
    Selections by one fixed order compose: t of them leave the part s^t of the true distribution at its likely end, or
    at its unlikely end, so

        low  max(0, 1 - (1 - m) / s^t),   high  min(1, m / s^t),   random  m .

    low loses the minority entirely after ln(1 - m) / ln s generations. Where a symbol lies across the cut, exact only
    if it may be divided, which rows may.
    """
    m, part = np.asarray(share, float), kept ** np.asarray(generation, float)
    if keep == "random":
        return m + 0 * part
    return np.minimum(m / part, 1) if keep == "high" else np.maximum(1 - (1 - m) / part, 0)


def half_life(share: float, M: int, *, reweighed: bool = False) -> float:
    """Fits after which a group of true share q < 1/2 is lost in half of all chains, between whole n interpolated.

    Without weights about 2.89 M q, see `forgetting_time`. With them 2 + ln(2 B) / -ln a, see `group_survival`: about
    0.69 exp(M q); the small chance that the group takes all is left out.
    """
    both = float(both_alive(2, share, M))
    if reweighed and both > 0.5:
        return 2 + float(np.log(2 * both) / -np.log1p(-loss_probability(share, M)))
    most = 2
    while (alive := survival(np.arange(1, most + 1), share, M))[-1] > 0.5:
        most *= 2
    alive = np.concatenate([[1.0], alive])
    after = int(np.argmax(alive <= 0.5))
    return float(after - (0.5 - alive[after]) / (alive[after - 1] - alive[after]))


def _summed(ratio: np.ndarray, n: np.ndarray) -> np.ndarray:
    """1 + r + ... + r^(n - 1)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(ratio < 1, (1 - ratio**n) / (1 - ratio), n)
