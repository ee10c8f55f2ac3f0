"""What a chain costs, CF-C*: how many times the rows the error of one fit to real rows takes after n fits.

The price r_n multiplies every training set, the real one of the first fit included: a chain with r_n M rows in each fit
has after n fits the error that one fit to M real rows has. n counts fits.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from model_collapse.theory import regression
from model_collapse.theory.discrete import survival_rate

Kept = Literal["replace", "accumulate", "subsample"]
Regime = Literal["replace", "accumulate", "subsample", "mix", "fresh"]


def row_price(n: ArrayLike, regime: Regime, real_fraction: float = 0.0) -> np.ndarray:
    """CF-C1. r_n where errors fall as 1 / rows: any estimator that is efficient to first order; shape of n.

    With an error of V / M for fit 1 on M rows, a chain of M rows has r_n V / M after n fits (`regression.pathway` for
    the regimes without real rows), so r_n M rows have the error V / M. With a share g of every later set real,

        r_(k+1) = 1 + (1 - g)^2 r_k  (fresh),     1 + 2 g (1 - g) + (1 - g)^2 r_k  (mix),     r_1 = 1

    as in `mixed` for a known variance; the limits 1 / (1 - (1 - g)^2) and (1 + 2 g (1 - g)) / (1 - (1 - g)^2) are about
    1 / (2 g) for small g. Exact for the mean of normal rows of known variance, but for subsample, where M -> infinity.
    """
    if regime in ("replace", "accumulate", "subsample"):
        return regression.pathway(n, regime)
    n, written = np.asarray(n, int), 1 - real_fraction
    if not real_fraction:
        return n.astype(float)
    limit = (1 + 2 * real_fraction * written * (regime == "mix")) / (1 - written**2)
    return limit + (1 - limit) * written ** (2.0 * (n - 1))


def regression_rows(n: ArrayLike, T: float, d: int, regime: Literal["replace", "accumulate"]) -> np.ndarray:
    """CF-C2. Rows per fit with which relabelled regression has, after n fits, the error of one fit to T; shape of n.

    d + 1 + r_n (T - d - 1) with r_n of `row_price`: CF-L1 and CF-L2 (the same x relabelled) solved for the rows, exact.
    A little less than r_n T, for the d + 1 rows that are lost to the fit itself are paid once.
    """
    return d + 1 + row_price(n, regime) * (T - d - 1)


def tail_price(
    n: ArrayLike, regime: Literal["replace", "accumulate", "fresh"], real_fraction: float = 0.0
) -> np.ndarray:
    """CF-C3. r_n where errors are symbols never seen (Hutter's learner, metric `lost_mass`); shape of n.

    1 / h_n, where exp(-M q h_n) is the chance that a rare symbol with the expected count M q is not in what fit n read:

    replace     h_n = g_n = `survival_rate`, as `scaling.token_price`: about n / 2
    accumulate  1: what was read stays in the pool for ever, and nothing can be missed a second time
    fresh       h_n = s_(n-1) + g (s_0 + ... + s_(n-2)), s_0 = 1, s_(i+1) = 1 - exp(-(1 - g) s_i)

    A row of fit k has Poisson(1 - g) copies in fit k + 1, so s_i is the chance that its line lives i fits later; fit 1
    read M real rows and every later one g M. For rare symbols and n << M, whatever the distribution and the error. A
    set that is read again (mix) has no such form, for its rows come back together.
    """
    n = np.asarray(n, int)
    if regime == "accumulate":
        return np.ones(n.shape)
    if regime == "replace":
        return 1 / survival_rate(n)
    alive = np.ones(int(n.max(initial=1)))
    for i in range(1, len(alive)):
        alive[i] = -np.expm1(-(1 - real_fraction) * alive[i - 1])
    known = alive + real_fraction * (np.cumsum(alive) - alive)
    return 1 / known[n - 1]


def spent(n: ArrayLike, regime: Regime, rows: ArrayLike = 1.0, real_fraction: float = 0.0) -> dict[str, np.ndarray]:
    """CF-C4. What n fits with training sets of `rows` (accumulate: batches) take in all, in rows; broadcasts.

    read     trained on, all fits together: n rows, but rows n (n + 1) / 2 under accumulate
    written  by models 1 to n - 1 for the next; under `fresh` only what is read
    real     different real rows: those of the first fit, under `fresh` with the new ones of every later fit
    """
    n, rows = np.asarray(n, float), np.asarray(rows, float)
    new = real_fraction * (regime == "fresh")
    return {
        "read": rows * (n * (n + 1) / 2 if regime == "accumulate" else n),
        "written": rows * (n - 1) * (1 - new),
        "real": rows * (1 + (n - 1) * new),
    }
