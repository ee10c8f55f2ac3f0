"""Claims about the Gaussian chain: GA-1 to GA-7, and ACC-2 for accumulated data.

Means over chains are compared up to n = M / 2 fits. Beyond, the unbiased chain's mean is carried by ever fewer chains
and its interval says nothing; logarithms and medians are good for ever.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from model_collapse import theory
from model_collapse.analysis import stats, testing
from model_collapse.analysis.stats import Estimate
from model_collapse.companion.claims import NATURE, Claim, Tables, family, rows


def _fits(table: pd.DataFrame, most: float = np.inf) -> np.ndarray:
    """n = g + 1 of the generations in the table, up to `most`, in order."""
    n = np.sort(table["generation"].unique()) + 1
    return n[n <= most]


def _values(table: pd.DataFrame, metric: str, n: int) -> np.ndarray:
    """One value per chain after n fits."""
    return stats.per_replicate(table, metric, int(n) - 1).to_numpy()


def typical_variance(tables: Tables, level: float) -> Estimate:
    """GA-1: median of ln s_n^2 over its closed form CF-G3, at the last generation; all tables."""
    found = []
    for table in tables.values():
        n = _fits(table)[-1]
        expected = theory.expected_log_variance(n, rows(table), family(table)["estimator"])
        found.append(partial(stats.median, _values(table, "log_det", n) / float(expected)))
    return testing.farthest(found, 1, level)


def drift_of_the_mean(tables: Tables, level: float) -> Estimate:
    """GA-2: mean of mu_n^2 over n / M, at the last n up to M / 4 and up to M / 2; all tables."""
    found = []
    for table in tables.values():
        M = rows(table)
        for n in {_fits(table, M / 4)[-1], _fits(table, M / 2)[-1]}:
            found.append(partial(stats.mean, _values(table, "mean", n) ** 2 / (n / M)))
    return testing.farthest(found, 1, level)


def first_order_distance(tables: Tables, level: float) -> Estimate:
    """GA-3: mean of W2^2 over 3 n / (2 M), at the last n up to M / 10 and up to M / 5; all tables."""
    found = []
    for table in tables.values():
        M = rows(table)
        for n in {_fits(table, M / 10)[-1], _fits(table, M / 5)[-1]}:
            expected = float(theory.w2_squared_first_order(n, M))
            found.append(partial(stats.mean, _values(table, "w2_squared", n) / expected))
    return testing.farthest(found, 1, level)


def _trusted(table: pd.DataFrame) -> float:
    """Fits up to which GA-4 looks at means over chains: M with the unbiased estimator, 2 M with the mle."""
    return rows(table) * (1 if family(table)["estimator"] == "unbiased" else 2)


def divergence(tables: Tables, level: float) -> Estimate:
    """GA-4: what E[W2^2] gains from fit M / 2 to fit M over what n / M gains, unbiased, or 2 / E[W2^2], mle, n up to
    2 M: the smallest."""
    found: list[testing.Procedure] = []
    for table in tables.values():
        M, n = rows(table), _fits(table, _trusted(table))
        if family(table)["estimator"] == "unbiased":
            early, late = _fits(table, M / 2)[-1], n[-1]
            gained = _values(table, "w2_squared", late) - _values(table, "w2_squared", early)
            found.append(partial(stats.mean, gained / ((late - early) / M)))
        else:
            found += [partial(_room_below_two, _values(table, "w2_squared", k)) for k in n]
    return testing.lowest(found, level)


def _room_below_two(distances: np.ndarray, level: float) -> Estimate:
    """2 over the mean of squared distances; no interval for chains that are all alike: nothing was risked."""
    mean = stats.mean(distances, level)
    low, high = 2 / mean.high, 2 / mean.low if mean.low > 0 else np.inf
    if mean.low == mean.high:
        low = high = np.nan
    return Estimate(2 / mean.value, low, high, mean.n, level)


def growth_of_the_risk(tables: Tables, level: float) -> Estimate:
    """GA-5: what E[W2^2] gains in the second half of the chain, table `growing` over table `constant`."""
    gains = {}
    for label in ("growing", "constant"):
        table = tables[label]
        end = _fits(table)[-1]
        middle = _fits(table, end / 2)[-1]
        gained = _values(table, "w2_squared", end) - _values(table, "w2_squared", middle)
        gains[label] = stats.mean(gained, testing.bonferroni(level, 2))
    up, unit = gains["growing"], gains["constant"]
    if not unit.low > 0:
        return Estimate(up.value / unit.value, -np.inf, np.inf, up.n, level)
    ends = [gain / by for gain in (up.low, up.high) for by in (unit.low, unit.high)]
    return Estimate(up.value / unit.value, min(ends), max(ends), up.n, level)


def slope_of_half_times(tables: Tables, level: float) -> Estimate:
    """GA-6: slope of ln n* against ln M, n* the number of fits after which the median deviation is one half.

    Least squares. A slope is a weighted sum, so its interval follows from those of the n*: where the two ends of the
    median's interval, as curves over n, cross one half.
    """
    sizes = np.log([rows(table) for table in tables.values()])
    if np.ptp(sizes) == 0:
        return Estimate(np.nan, np.nan, np.nan, len(sizes), level)
    weights = (sizes - sizes.mean()) / np.sum((sizes - sizes.mean()) ** 2)
    value = low = high = 0.0
    for weight, table in zip(weights, tables.values(), strict=True):
        n = _fits(table)
        # All sizes at once: the interval of the slope is made of the ends of each.
        sure = testing.bonferroni(level, len(tables))
        medians = [stats.median(_values(table, "log_det", k), sure) for k in n]
        early, middle, late = (
            crossing(n, np.array([getattr(m, side) for m in medians])) for side in ("low", "value", "high")
        )
        value += weight * np.log(middle)
        low += weight * np.log(early if weight > 0 else late)
        high += weight * np.log(late if weight > 0 else early)
    return Estimate(float(value), float(low), float(high), len(sizes), level)


def crossing(n: np.ndarray, log_variance: np.ndarray) -> float:
    """Where a curve over n first falls below ln(1/4), interpolated; nan if it does not."""
    below = np.flatnonzero(log_variance < -np.log(4))
    if not len(below) or below[0] == 0:
        return np.nan
    i = below[0]
    return float(np.interp(np.log(4), -log_variance[i - 1 : i + 1], n[i - 1 : i + 1]))


def expressivity_again(tables: Tables, level: float) -> Estimate:
    """GA-7: W2 to the truth at a later generation over that of generation 0; all generations and tables."""
    later = [(table, n) for table in tables.values() for n in _fits(table)[1:]]
    found = []
    for table, n in later:
        ratio = np.sqrt(_values(table, "w2_squared", n) / _values(table, "w2_squared", 1))
        found.append(partial(stats.mean, ratio))
    return testing.farthest(found, 1, level)


def accumulated_variance(tables: Tables, level: float) -> Estimate:
    """ACC-2: mean variance over its closed form CF-G7 or CF-G8, at the last generation; all tables."""
    found = []
    for table in tables.values():
        t = _fits(table)[-1]
        expected = theory.accumulated_variance(t, rows(table), family(table)["estimator"])
        found.append(partial(stats.mean, _values(table, "variance", t) / float(expected)))
    return testing.farthest(found, 1, level)


def _run(regime: str = "replace", **more: Any) -> Mapping[str, Any]:
    """Arguments of `plan`; settings of the family by their own names."""
    names = ("n", "generations", "replicates", "every", "metrics")
    settings = {f"family.{key}": value for key, value in more.items() if key not in (*names, "power")}
    if "power" in more:
        settings["regime.power"] = more["power"]
    return {"family": "gaussian", "regime": regime, "settings": settings} | {k: more[k] for k in names if k in more}


def _arms() -> Iterator[tuple[str, int]]:
    yield from ((estimator, M) for estimator in ("mle", "unbiased") for M in (10, 30))


CLAIMS = (
    Claim(
        id="GA-1",
        statement="the variance of a typical Gaussian chain goes to 0 at the rate of the closed form",
        source=f"{NATURE}, theorem 3.1; rate derived (CF-G3)",
        measured="median of ln s² over E[ln s²] at the last generation",
        band=(0.95, 1.05),
        reason="5 % on the exponent; after the 20 M fits of the official runs it is -40 (mle) or -20 (unbiased)",
        runs={
            f"{estimator}, M = {M}": _run(
                estimator=estimator, n=M, generations=20 * M - 1, every=20 * M - 1, replicates=4096, metrics=["log_det"]
            )
            for estimator, M in _arms()
        },
        check=typical_variance,
        chapter="gaussian",
        figure="gaussian-log-variance",
        ends=lambda table: 2 * rows(table) - 1,
        definition=(4,),
    ),
    Claim(
        id="GA-2",
        statement="the mean wanders: its squared drift grows as n / M",
        source=f"{NATURE}, supplement 3.1; exact form derived (CF-G4)",
        measured="mean of mu² over n / M, unbiased fits, n = M / 4 and M / 2",
        band=(0.9, 1.1),
        target=1,
        reason="10 %, twice the half-width at 25,600 chains; the mle falls short by 21 % at M / 2",
        runs={
            f"M = {M}": _run(
                estimator="unbiased", n=M, generations=M // 2 - 1, every=M // 4 - 1, replicates=25600, metrics=["mean"]
            )
            for M in (20, 100)
        },
        check=drift_of_the_mean,
        chapter="gaussian",
        figure="gaussian-drift",
        ends=lambda table: rows(table) / 2 - 1,
        definition=(3,),
    ),
    Claim(
        id="GA-3",
        statement="the risk E[W2²] is 3 n / (2 M) to first order",
        source=f"{NATURE}, supplement 3.1.1",
        measured="mean of W2² over 3 n / (2 M), unbiased fits, n = M / 10 and M / 5",
        band=(0.95, 1.05),
        reason="5 % for n / M up to 0.2; the next order is about -2 % there",
        runs={
            "M = 100": _run(
                estimator="unbiased", n=100, generations=19, every=9, replicates=53248, metrics=["w2_squared"]
            )
        },
        check=first_order_distance,
        chapter="gaussian",
        figure="gaussian-w2",
        ends=lambda table: rows(table) / 5 - 1,
        published="0.165 to first order after 11 fits of 100 rows",
        definition=(3,),
    ),
    Claim(
        id="GA-4",
        statement="the risk of the unbiased Gaussian chain grows by 1 / M or more with every fit, and so without "
        "bound, while that of maximum likelihood stays below 2",
        source=f"{NATURE}, theorem 3.1, which assumes unbiased estimates; bound derived (CF-G5)",
        measured="gain of E[W2²] from fit M / 2 to fit M over that of n / M, unbiased, or 2 / E[W2²], mle, n <= 2 M, "
        "the smallest",
        band=(1.0, np.inf),
        reason="the unbiased risk is n / M + 2 (1 - a^n), which gains more than n / M at every n; theory has 1.43 "
        "between these fits, where maximum likelihood gains 0.87 and would fail. Later means over chains are carried "
        "by too few",
        runs={
            "mle": _run(estimator="mle", n=20, generations=39, every=3, replicates=8192, metrics=["w2_squared"]),
            "unbiased": _run(
                estimator="unbiased", n=20, generations=19, every=9, replicates=32_768, metrics=["w2_squared"]
            ),
        },
        check=divergence,
        chapter="gaussian",
        figure="gaussian-w2",
        ends=lambda table: _trusted(table) - 1,
        definition=(3,),
    ),
    Claim(
        id="GA-5",
        statement="the risk stays finite if the sum of 1 / M_i does, and grows without end at constant size",
        source=f"{NATURE}, supplement 3.1.1",
        measured="gain of E[W2²] in the second half of the fits, M_i = M i² over M_i = M",
        band=(-np.inf, 0.05),
        reason="for 40 fits the sum of 1 / i² from 21 on, 0.024, over 20: 0.001; equal growth would be 1",
        runs={
            "growing": _run(
                "grow", estimator="unbiased", power=2, n=100, generations=39, replicates=2048, metrics=["w2_squared"]
            ),
            "constant": _run(estimator="unbiased", n=100, generations=39, replicates=2048, metrics=["w2_squared"]),
        },
        check=growth_of_the_risk,
        chapter="gaussian",
        figure="gaussian-growing-samples",
        ends=lambda table: 39,
        definition=(3,),
    ),
    Claim(
        id="GA-6",
        statement="more rows slow collapse in proportion",
        source="Suresh et al. 2025, arXiv:2412.17646",
        measured="log-log slope of the fits until the median deviation is one half, against M",
        band=(0.9, 1.1),
        reason="exactly 1 for large M; M = 10 adds about 0.015",
        runs={
            f"M = {M}": _run(n=M, generations=int(1.2 * M), every=max(M // 20, 1), replicates=2048, metrics=["log_det"])
            for M in (10, 100, 1000)
        },
        check=slope_of_half_times,
        chapter="gaussian",
        figure="gaussian-half-times",
        definition=(4,),
    ),
    Claim(
        id="GA-7",
        statement="the expressivity error acts once: with endless data the first fit makes it and no later one adds",
        source=f"{NATURE}, section on the sources of model collapse",
        measured="W2 to the two-peaked truth at later generations over that at generation 0",
        band=(0.98, 1.02),
        reason="2 %; if every fit made it anew, the square would double at generation 1",
        runs={"two peaks": _run(truth="bimodal", n=1_000_000, generations=10, replicates=128, metrics=["w2_squared"])},
        check=expressivity_again,
        chapter="error_sources",
        figure="error-sources-stacked",
        ends=lambda table: 5,
    ),
    Claim(
        id="ACC-2",
        statement="a Gaussian keeps its variance if data accumulate",
        source="Kazdan et al. 2025, arXiv:2410.16713; exact form derived (CF-G7)",
        measured="mean variance over its closed form at the last generation",
        band=(0.99, 1.01),
        target=1,
        reason="1 %; for 100 fits of M = 100, replacing the data would leave a third",
        runs={"M = 100": _run("accumulate", n=100, generations=99, every=99, replicates=24576, metrics=["variance"])},
        check=accumulated_variance,
        chapter="accumulate",
        figure="accumulate-gaussian-variance",
        ends=lambda table: rows(table) - 1,
        definition=(4,),
    ),
)
