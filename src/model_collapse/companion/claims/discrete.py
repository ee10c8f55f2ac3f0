"""Claims about chains of symbols: what they lose, in which order and how fast, and the analogy with inbreeding."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import scipy

from model_collapse import theory
from model_collapse.analysis import stats, testing
from model_collapse.analysis.stats import Estimate
from model_collapse.companion.claims import NATURE, Claim, Tables, family, rows, unsettled
from model_collapse.errors import InputError


def distribution(table: pd.DataFrame) -> np.ndarray:
    """The true shares (K,) of a table of the family `discrete`."""
    return theory.zipf_law(family(table)["symbols"], family(table)["zipf"])


def shares(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of metric `share`, with `item` as a number and, of models that read each other, `model`.

    InputError where they are not those of all symbols: of many only some ranks are recorded, see
    `metrics.discrete.share`, and a sum over these is not one over all.
    """
    found = stats.by_model(stats.pick(table, "share"))
    found = found.assign(item=found["item"].astype(int))
    if set(found["item"]) != set(range(1, (K := family(table)["symbols"]) + 1)):
        raise InputError(f"family.symbols={K}: not the share of every symbol is recorded, which is done up to 20")
    return found


def by_chain(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """One metric without items: a row per generation, a column per chain."""
    return stats.pick(table, metric).pivot(index="generation", columns="replicate", values="value")


def over_groups(chains: int, measure: Callable[[np.ndarray], float], level: float, groups: int = 16) -> Estimate:
    """A statistic of many chains with an interval: `measure(which chains)` of disjoint groups as independent values."""
    dealt = np.array_split(np.arange(chains), groups)
    return stats.mean([measure(group) for group in dealt], level)


def absorbed(tables: Tables, level: float) -> Estimate:
    """WF-1: share of chains with one symbol left at the last generation, which is at least 20 M."""
    estimates = []
    for table in tables.values():
        last = stats.last_of(table)
        left = stats.per_replicate(table, "support", last)
        estimates.append(partial(stats.proportion, left == 1))
    return testing.lowest(estimates, level)


def fixation(tables: Tables, level: float) -> Estimate:
    """WF-2: frequency with which a symbol is the last one, minus its true share; all symbols."""
    estimates = []
    for table in tables.values():
        shares = stats.pick(table, "share", stats.last_of(table)).astype({"item": str})
        p = distribution(table)
        for item, values in shares.groupby("item")["value"]:
            estimates.append(testing.less(partial(stats.proportion, values == 1), p[int(str(item)) - 1]))
    return testing.farthest(estimates, 0, level)


def decay(tables: Tables, level: float) -> Estimate:
    """WF-3: heterozygosity over its closed form, both averaged over the recorded generations up to M / 2."""
    estimates = []
    for table in tables.values():
        M, H = rows(table), by_chain(table, "heterozygosity")
        H = H[H.index < M / 2]
        expected = theory.expected_heterozygosity(H.index.to_numpy() + 1, M, distribution(table)).mean()
        estimates.append(partial(stats.mean, H.mean(skipna=False) / expected))
    return testing.farthest(estimates, 1, level)


def rank_order(tables: Tables, level: float) -> Estimate:
    """WF-4: Spearman correlation of the time for which symbols survive with their true share.

    No interval, if the mean number of survivors leaves the published bounds at some generation.
    """
    (table,) = tables.values()
    alive = stats.pick(table, "share").astype({"item": str})
    alive = alive.assign(value=alive["value"] > 0, item=alive["item"].astype(int))
    lifetime = alive.pivot_table(index="item", columns="replicate", values="value", aggfunc="mean")
    p, times = distribution(table)[lifetime.index - 1], lifetime.to_numpy()
    found = over_groups(
        times.shape[1], lambda chains: float(scipy.stats.spearmanr(times[:, chains].mean(axis=1), p).statistic), level
    )
    left = alive.pivot_table(index="generation", columns="replicate", values="value", aggfunc="sum")
    bounds = theory.survival_bounds(left.index.to_numpy() + 1, distribution(table), rows(table))
    for counts, lower, upper in zip(left.to_numpy(), *(bound.sum(axis=-1) for bound in bounds), strict=True):
        survivors = stats.mean(counts, testing.bonferroni(level, len(left)))
        if not (survivors.high >= lower and survivors.low <= upper):
            return unsettled(found)
    return found


def alike_when_alone(tables: Tables, level: float) -> Estimate:
    """WF-5: spread within the breed when it is the first recorded time alone, the median chain; all sizes."""
    return testing.farthest((partial(stats.median, spread_at_takeover(t)) for t in tables.values()), 0.01, level)


def spread_at_takeover(table: pd.DataFrame) -> np.ndarray:
    """Spread within breeds, over that at first, at the first recorded generation with one breed left, (R,); nan for
    never."""
    left, spread = by_chain(table, "breeds_left"), by_chain(table, "within_deviation")
    alone = (left == 1).to_numpy()
    first = spread.to_numpy()[alone.argmax(axis=0), np.arange(alone.shape[1])]
    return np.where(alone.any(axis=0), first, np.nan)


def takeover(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """First recorded generation with one breed left, and with a spread within breeds below 1 %; (R,), nan for never."""

    def first(reached: pd.DataFrame) -> np.ndarray:
        return np.where(reached.any(), reached.idxmax(), np.nan)

    return first(by_chain(table, "breeds_left") == 1), first(by_chain(table, "within_deviation") < 0.01)


def forgetting(tables: Tables, level: float) -> Estimate:
    """WF-6: R^2 of a line through zero for the fits until half of the symbols are lost, against their expected count.

    Each table has equally common symbols, K of them in M rows: expected count M / K.
    """
    curves = [by_chain(table, "support") / family(table)["symbols"] for table in tables.values()]
    x = np.array([rows(table) / family(table)["symbols"] for table in tables.values()])

    def explained(chains: np.ndarray) -> float:
        y = np.array([half_life(curve.iloc[:, chains].mean(axis=1)) for curve in curves])
        slope = (x @ y) / (x @ x)
        return float(1 - ((y - slope * x) ** 2).sum() / ((y - y.mean()) ** 2).sum())

    return over_groups(min(curve.shape[1] for curve in curves), explained, level)


def half_life(survival: pd.Series) -> float:
    """Fits after which a falling curve, indexed by generation, crosses one half, interpolated; nan if it does not."""
    n, alive = survival.index.to_numpy() + 1, survival.to_numpy()
    after = int(np.argmax(alive <= 0.5))
    if after == 0:
        return np.nan
    return float(
        n[after - 1] + (n[after] - n[after - 1]) * (alive[after - 1] - 0.5) / (alive[after - 1] - alive[after])
    )


def inbreeding(tables: Tables, level: float) -> Estimate:
    """INB-1: probability that two draws descend from one real row over F_n = 1 - (1 - 1/M)^n, averaged over n <= 2 M.

    Symbols are equally common, and so numerous that every real row has its own: draws are equal if of one ancestor.
    """
    estimates = []
    for table in tables.values():
        M, same = rows(table), 1 - by_chain(table, "heterozygosity")
        same = same[same.index < 2 * M]
        expected = theory.inbreeding(same.index.to_numpy() + 1, M).mean()
        estimates.append(partial(stats.mean, same.mean(skipna=False) / expected))
    return testing.farthest(estimates, 1, level)


def support_changes(tables: Tables, level: float) -> Estimate:
    """ACC-6: share of chains whose number of symbols is ever another than in the first fit."""
    estimates = []
    for table in tables.values():
        left = by_chain(table, "support")
        estimates.append(partial(stats.proportion, (left != left.iloc[0]).any()))
    return testing.highest(estimates, level)


def _chain(n: int, generations: int, replicates: int, every: int = 1, regime: str = "replace", **more: Any) -> dict:
    settings = {f"family.{key}": value for key, value in more.pop("settings", {}).items()}
    return {
        "family": "discrete",
        "regime": regime,
        "n": n,
        "generations": generations,
        "replicates": replicates,
        "every": every,
        "settings": settings,
        **more,
    }


def _breeds(n: int, replicates: int) -> dict[str, Any]:
    metrics = ["breeds_left", "within_deviation"]
    sizes = {"n": n, "generations": 24 * n, "replicates": replicates, "every": n // 10}
    return {"family": "breeds", **sizes, "metrics": metrics}


ENDS = _chain(10, 200, 43_008, 200, metrics=["share", "support"], settings={"symbols": 5})
SIZES = {M: _chain(M, M // 2, 16_384, max(M // 10, 1), metrics=["heterozygosity"]) for M in (10, 20, 50)}
EARLY = _chain(50, 100, 6144, 10, metrics=["share"])
COUNTS = {
    c: _chain(1000, 5 * c + 8, 128, metrics=["support"], settings={"symbols": 1000 // c, "zipf": 0})
    for c in (1, 2, 5, 10, 20)
}
KIN = {
    M: _chain(M, 2 * M - 1, 8192, max(M // 10, 1), metrics=["heterozygosity"], settings={"symbols": 10**4, "zipf": 0})
    for M in (5, 10, 20)
}
KEPT = _chain(20, 40, 1024, 4, "accumulate", metrics=["support"])
DISCRETE = f"{NATURE}, section on discrete distributions with exact approximation"
WRIGHT = "Wright 1931, doi:10.1093/genetics/16.2.97"
SURESH = "Suresh et al. 2025, arXiv:2412.17646"

CLAIMS = (
    Claim(
        id="WF-1",
        statement="every discrete chain on its own samples ends with a single symbol",
        source=DISCRETE,
        measured="share of chains with one symbol left by generation 20 M, for M rows per generation",
        band=(0.999, np.inf),
        reason="the claim is probability 1; at 20 M about one chain in 10⁸ still has two symbols",
        runs={"ends": ENDS},
        check=absorbed,
        chapter="discrete",
        figure="discrete-fixation-frequency",
        ends=lambda table: 20 * rows(table),
        definition=(4, 7),
    ),
    Claim(
        id="WF-2",
        statement="the probability that a symbol is the last one left in a chain is its share in the real distribution",
        source=DISCRETE,
        measured="frequency of being the last symbol minus true share, of all symbols the one farthest from 0",
        band=(-0.02, 0.02),
        target=0,
        reason="three standard errors of the commonest symbol over 5,500 chains; at the level of the interval over "
        "all symbols, and for a verdict that does not depend on chance, 43,008 are needed",
        runs={"ends": ENDS},
        check=fixation,
        chapter="discrete",
        figure="discrete-fixation-frequency",
        ends=lambda table: 20 * rows(table),
        definition=(6,),
    ),
    Claim(
        id="WF-3",
        statement="the heterozygosity, the chance that two draws differ, decays as (1 − 1/M)ⁿ over n generations of "
        "M generated rows",
        source=f"{WRIGHT}; Seddik et al. 2024, arXiv:2404.05090",
        measured="simulated over expected heterozygosity up to generation M / 2, of all numbers of rows the one "
        "farthest from 1",
        band=(0.98, 1.02),
        target=1,
        reason="relative error below 2 %",
        runs={f"M = {M}": run for M, run in SIZES.items()},
        check=decay,
        chapter="discrete",
        figure="discrete-heterozygosity-decay",
        ends=lambda table: rows(table) / 2,
        definition=(4,),
    ),
    Claim(
        id="WF-4",
        statement="rare symbols vanish first from a chain on its own samples",
        source=f"{NATURE}; {SURESH}",
        measured="Spearman correlation between how long symbols survive and their true shares",
        band=(0.9, np.inf),
        reason="close to a strict order; 1 is the most. The number of survivors also has to keep the published bounds",
        runs={"early": EARLY},
        check=rank_order,
        chapter="discrete",
        figure="discrete-survival-by-rank",
        ends=lambda table: 2 * rows(table),
        definition=(7,),
    ),
    Claim(
        id="WF-5",
        statement="in the example of the dog breeds, the images of the breed that has taken over are nearly all alike",
        source="Wenger 2024, doi:10.1038/d41586-024-02355-z, the dog breeds of the News and Views on the paper",
        measured="spread within the breed when no other is left, over that at first, median chain, of all numbers of "
        "rows the one farthest from 0.01",
        band=(0.001, 0.1),
        reason="a factor of ten about a hundredth; a reviewer's earlier runs had shown that half of the chains meet "
        "it. Which of the two comes first has no answer: the breed is alone before the spread falls below 10 % in a "
        "fifth of the chains, below 0.3 % in three fifths",
        runs={f"M = {M}": _breeds(M, R) for M, R in ((20, 2048), (50, 2048), (100, 1024))},
        check=alike_when_alone,
        chapter="discrete",
        figure="discrete-dogs",
        ends=lambda table: 5 * rows(table),
        definition=(4, 6),
    ),
    Claim(
        id="WF-6",
        statement="the time until a symbol is lost is proportional to its expected count in the real data",
        source=SURESH,
        measured="R² of a line through zero, for the number of fits until half of the symbols are lost against their "
        "expected count",
        band=(0.95, np.inf),
        reason="a straight line through zero explains it; 1 is the most",
        runs={f"{c} times": run for c, run in COUNTS.items()},
        check=forgetting,
        chapter="discrete",
        figure="discrete-forgetting-time",
        definition=(7,),
    ),
    Claim(
        id="INB-1",
        statement="model collapse follows the formula for inbreeding: the probability that two generated symbols "
        "descend from the same real row is 1 − (1 − 1/M)ⁿ after n generations of M rows",
        source=WRIGHT,
        measured="probability that two draws descend from one real row over 1 − (1 − 1/M)ⁿ, up to 2 M fits",
        band=(0.98, 1.02),
        target=1,
        reason="relative error below 2 %, as for WF-3",
        runs={f"M = {M}": run for M, run in KIN.items()},
        check=inbreeding,
        chapter="discrete",
        figure="discrete-heterozygosity-decay",
        ends=lambda table: 2 * rows(table) - 1,
        definition=(4,),
    ),
    Claim(
        id="ACC-6",
        statement="a discrete distribution that is estimated from all data so far never loses a symbol, and none "
        "that is missing from the data comes back",
        source="derived from the accumulate regime of Gerstgrasser et al. 2024, arXiv:2404.01413",
        measured="share of chains in which the number of symbols ever changes",
        band=(-np.inf, 0.02),
        reason="it never happens; the interval must exclude one chain in fifty",
        runs={"accumulate": KEPT},
        check=support_changes,
        chapter="discrete",
        figure="discrete-support",
        ends=lambda table: 2 * rows(table),
        definition=(7,),
    ),
)
