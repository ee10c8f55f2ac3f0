"""Claims about the Gaussian chain: GA-1 to GA-7, and ACC-2 for accumulated data.

Means over chains are compared up to n = M / 2 fits. Beyond, the unbiased chain's mean is carried by ever fewer chains
and its interval says nothing; logarithms and medians are always valid.
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
        statement="the variance of a typical chain of Gaussian fits goes to 0 at the exponential rate of the closed "
        "form",
        source=f"{NATURE}, theorem 3.1; rate derived (CF-G3)",
        measured="median of ln s² over E[ln s²] at the last generation",
        band=(0.95, 1.05),
        reason="5 % of the exponent; after the 20 M fits of the official runs it is −40 (maximum likelihood) or −20 "
        "(unbiased)",
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
        statement="the mean of a chain of Gaussian fits drifts away from the truth like a random walk: its expected "
        "square grows as n / M after n fits to M rows",
        source=f"{NATURE}, supplement 3.1; exact form derived (CF-G4)",
        measured="mean of μ² over n / M, unbiased fits, n = M / 4 and M / 2, the one farther from 1",
        band=(0.9, 1.1),
        target=1,
        reason="10 %, twice the half-width at 25,600 chains; maximum likelihood falls short by 21 % at M / 2",
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
        statement="the expected squared distance E[W₂²] of a Gaussian chain from the truth is 3 n / (2 M) to first "
        "order, after n fits to M rows",
        source=f"{NATURE}, supplement 3.1.1",
        measured="mean of W₂² over 3 n / (2 M), unbiased fits, n = M / 10 and M / 5, the one farther from 1",
        band=(0.95, 1.05),
        reason="5 % for n / M up to 0.2; the next order is about −2 % there",
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
        statement="the risk E[W₂²] of a Gaussian chain grows by 1 / M or more with every fit to M rows, and so "
        "without bound, if the variance is estimated without bias; by maximum likelihood it stays below 2",
        source=f"{NATURE}, theorem 3.1, which assumes unbiased estimates; bound derived (CF-G5)",
        measured="the smallest of two: gain of E[W₂²] from fit M / 2 to fit M over the gain of n / M (unbiased), and "
        "2 / E[W₂²] for n ≤ 2 M (maximum likelihood)",
        band=(1.0, np.inf),
        reason="the unbiased risk is n / M + 2 (1 − aⁿ), which gains more than n / M at every n; theory has 1.43 "
        "between these fits, where maximum likelihood gains 0.87 and would fail. Later means over chains rest on too "
        "few chains",
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
        statement="the risk E[W₂²] of a Gaussian chain stays finite if generation i has Mᵢ rows and the sum of all 1 "
        "/ Mᵢ is finite; with a constant number of rows it grows without bound",
        source=f"{NATURE}, supplement 3.1.1",
        measured="gain of E[W₂²] in the second half of the fits, for Mᵢ = M i² over the same for Mᵢ = M",
        band=(-np.inf, 0.05),
        reason="for 40 fits the expected ratio is 0.001: the sum of 1 / i² from 21 on is 0.024, over 20; equal "
        "growth would give 1",
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
        statement="a Gaussian chain with k times the rows per generation takes k times the generations to collapse",
        source="Suresh et al. 2025, arXiv:2412.17646",
        measured="log-log slope, against the number of rows M, of the number of fits until the median standard "
        "deviation is one half",
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
        statement="the functional expressivity error is made only once: with unlimited data it appears at the first "
        "fit, and later fits add nothing to it",
        source=f"{NATURE}, section on the sources of model collapse",
        measured="W₂ distance to the two-peaked truth at later generations over that at generation 0, the one "
        "farthest from 1",
        band=(0.98, 1.02),
        reason="2 %; if every fit made the error again, the squared distance would double at generation 1",
        runs={"two peaks": _run(truth="bimodal", n=1_000_000, generations=10, replicates=128, metrics=["w2_squared"])},
        check=expressivity_again,
        chapter="error_sources",
        figure="error-sources-stacked",
        ends=lambda table: 5,
    ),
    Claim(
        id="ACC-2",
        statement="a Gaussian that is fitted to all data so far, real and generated, keeps its variance on average",
        source="Kazdan et al. 2025, arXiv:2410.16713; exact form derived (CF-G7)",
        measured="mean variance over its closed form at the last generation",
        band=(0.99, 1.01),
        target=1,
        reason="1 %; after 100 fits of M = 100 rows, replaced data would leave a third of the variance",
        runs={"M = 100": _run("accumulate", n=100, generations=99, every=99, replicates=24576, metrics=["variance"])},
        check=accumulated_variance,
        chapter="accumulate",
        figure="accumulate-gaussian-variance",
        ends=lambda table: rows(table) - 1,
        definition=(4,),
    ),
)
