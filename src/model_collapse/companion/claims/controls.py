"""Negative controls, one per chapter: chains that must not collapse, judged by a check that their sibling fails.

A control reads real data only, has endless rows, or an oracle beside it. That no effect was seen is no evidence, so
each control is a test of equivalence: the whole interval has to lie between two bounds that were fixed before any run,
at least twice as far apart as the interval is wide, so that a control that is in order fails once in 10,000 or less.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from model_collapse.analysis import stats
from model_collapse.analysis.stats import Estimate
from model_collapse.companion.claims import LEVEL, Claim, Tables, chains, family, farthest, level, rows
from model_collapse.companion.claims.remedies import MEASURES, SIZES, of_family
from model_collapse.companion.claims.scaling import losses
from model_collapse.companion.claims.scaling import slope as log_slope
from model_collapse.theory import scaling

Check = Callable[[Tables], Estimate]

REAL: Mapping[str, Any] = {"regime.real_fraction": 1.0}
"""Of regime `fresh`: every row is real and new; of `mix`: the same real rows every time."""


def kept(*measures: str | tuple[str, str], since: int = 0, average: bool = False) -> Check:
    """A check: what a metric is at the last generation over what it was at generation `since`, mean over mean, paired.

    measures  metrics, or metrics with items; the one that is farthest from 1 counts, of all tables
    average   in place of the last generation the mean of all after `since`, for networks, whose training is noisy
    """
    named = [(measure, "") if isinstance(measure, str) else measure for measure in measures]

    def check(tables: Tables) -> Estimate:
        found = []
        for table in tables.values():
            for metric, item in named:
                values = chains(table, metric, item)
                later = values.loc[:, since + 1 :]
                end = later.mean(axis=1, skipna=False) if average else later.iloc[:, -1]
                found.append(stats.ratio(end, values[since], level(len(tables) * len(named))))
        return farthest(found, 1)

    return check


def by_family(tables: Tables) -> Estimate:
    """What is damaged in each family by what is generally measured of it (`remedies.MEASURES`); as `kept`."""
    sure = level(len(tables))
    found = []
    for table in tables.values():
        values = chains(table, MEASURES[str(table["family"].iloc[0])].metric)
        found.append(stats.ratio(values.iloc[:, -1], values[0], sure))
    return farthest(found, 1)


def moved(metric: str) -> Check:
    """A check: a metric at the last generation less that at generation 0, paired."""

    def check(tables: Tables) -> Estimate:
        values = [chains(table, metric) for table in tables.values()]
        return farthest([stats.paired(v.iloc[:, -1], v[0], level(len(values))) for v in values], 0)

    return check


def at_the_end(measure: Callable[[pd.DataFrame], pd.Series], target: float) -> Check:
    """A check: mean over chains of a measure of a table, the one farthest from `target`."""

    def check(tables: Tables) -> Estimate:
        return farthest([stats.mean(measure(table), level(len(tables))) for table in tables.values()], target)

    return check


def last(metric: str) -> Callable[[pd.DataFrame], pd.Series]:
    """A measure of a table: a metric at its last generation, by chain."""
    return lambda table: stats.per_replicate(table, metric, int(table["generation"].max()))


def _drift(table: pd.DataFrame) -> pd.Series:
    """M mu^2 at the last generation: 1 on average for a fit to M real rows of known variance."""
    return rows(table) * last("mean")(table) ** 2


def _scales(tables: Tables) -> Estimate:
    """Slope of ln lost mass against ln T at the last generation, less that of real rows, -(beta - 1) / beta."""
    own = list(tables.values())
    beta = float(family(own[0])["zipf"])
    found = log_slope(np.array([rows(t) for t in own]), [losses(t) for t in own], LEVEL)
    target = -float(scaling.loss_exponent(beta))
    return replace(found, value=found.value - target, low=found.low - target, high=found.high - target)


def fresh(kind: str, n: int, generations: int, metrics: list[str], replicates: int, **settings: Any) -> dict[str, Any]:
    """Arguments of `plan` for new real rows only, recorded at the first and the last generation."""
    sizes = {"n": n, "generations": generations, "every": generations, "replicates": replicates, "metrics": metrics}
    return {"family": kind, "regime": "fresh", **sizes, "settings": {**REAL, **settings}}


def control(chapter: str, what: str, ends: float, **claim: Any) -> Claim:
    """The control of a chapter."""
    name = f"NC-{chapter.replace('_', '-')}"
    return Claim(id=name, source=f"control: {what}", chapter=chapter, ends=lambda table: ends, **claim)


NEW, SAME, ENDLESS = "new real rows in every generation", "the same real rows in every generation", "endless rows"

CLAIMS = (
    control(
        "gaussian",
        f"{NEW}, and {ENDLESS} that are replaced",
        5,
        statement="normal laws fitted to real rows keep their variance, and so do those fitted to endless written ones",
        measured="mean variance at the last generation over that at generation 0, the farthest from 1",
        band=(0.95, 1.05),
        reason="5 %; 50 fits to 30 replaced rows leave 18 % of the variance",
        runs={
            "real": fresh("gaussian", 30, 49, ["variance"], 4096),
            "endless": fresh("gaussian", 10**9, 49, ["variance"], 256) | {"regime": "replace", "settings": {}},
        },
        check=kept("variance"),
        figure="gaussian-accumulate",
    ),
    control(
        "discrete",
        f"{NEW}, and {ENDLESS} that are replaced",
        5,
        statement="chains of symbols that read real rows, or endless written ones, lose no diversity",
        measured="heterozygosity and number of symbols at the last generation over generation 0, the farthest from 1",
        band=(0.97, 1.03),
        reason="3 %; 50 replaced sets of 100 rows leave 61 % of the heterozygosity",
        runs={
            "real": fresh("discrete", 100, 49, ["heterozygosity", "support"], 2048),
            "endless": fresh("discrete", 10**9, 49, ["heterozygosity", "support"], 64)
            | {"regime": "replace", "settings": {}},
        },
        check=kept("heterozygosity", "support"),
        figure="discrete-support",
    ),
    control(
        "gaussian_nd",
        NEW,
        5,
        statement="normal laws in many dimensions that are fitted to real rows keep their volume",
        measured="mean of ln det at the last generation less that at generation 0",
        band=(-0.2, 0.2),
        reason="0.2 nats; theory has -13 for 49 more fits to 100 replaced rows in 5 dimensions",
        runs={"real": fresh("gaussian", 100, 49, ["log_det"], 2048, **{"family.dim": 5})},
        check=moved("log_det"),
        figure="gaussian-nd-control",
    ),
    control(
        "error_sources",
        f"{ENDLESS} of a normal truth, perfect training",
        5,
        statement="with none of the three errors a chain stays where it began",
        measured="mean squared W2 distance to the truth at the last generation",
        band=(0.0, 1e-3),
        reason="a hundredth of the smallest that one source alone makes in 20 fits here",
        runs={
            "none": fresh("gaussian", 10**7, 19, ["w2_squared"], 512) | {"regime": "replace", "settings": {}},
        },
        check=at_the_end(last("w2_squared"), 0),
        figure="error-sources-stacked",
    ),
    control(
        "mixtures",
        NEW,
        20,
        statement="mixtures fitted to real rows keep the width of their components",
        measured="mean sd of the components at the last generation over that at generation 0",
        band=(0.9, 1.1),
        reason="10 %; replaced sets of this size lose half or more",
        runs={"real": fresh("gmm", 100, 40, ["component_sd"], 256)},
        check=kept("component_sd"),
        figure="mixtures-control",
    ),
    control(
        "accumulate",
        NEW,
        5,
        statement="regression and kernel estimates on real rows do not get worse",
        measured="excess risk, or KL divergence, at the last generation over that at generation 0, the farthest from 1",
        band=(0.85, 1.15),
        reason="15 %; replacing makes the risk of regression as many times as large as there were fits",
        runs={
            kind: of_family(
                kind, "fresh", every=9, replicates=4096, settings={**SIZES[kind].get("settings", {}), **REAL}
            )
            for kind in ("regression", "kde")
        },
        check=by_family,
        figure="accumulate-regression-error",
    ),
    control(
        "real_share",
        "a share of one of new real rows",
        5,
        statement="where all rows are real and new the drift of the mean is that of one fit",
        measured="M times the mean square of the fitted mean at the last generation",
        band=(0.9, 1.1),
        reason="10 % about the 1 of one fit; a tenth of real rows lets it come to 5",
        runs={"real": fresh("gaussian", 20, 40, ["mean"], 16_384, **{"family.variance": "known"})},
        check=at_the_end(_drift, 1),
        figure="real-share-drift",
    ),
    control(
        "scaling",
        NEW,
        3,
        statement="on real rows the scaling law goes on, also after several generations of writers who cut their tail",
        measured="slope of ln lost mass against ln T at the last generation, less -(beta - 1) / beta",
        band=(-0.05, 0.05),
        reason="a seventh of the exponent of 1/3, as T = 1000 is not large yet; a plateau would be off by 1/3",
        runs={
            f"T = {T}": fresh(
                "discrete", T, 5, ["lost_mass"], 32, **{"family.zipf": 1.5, "family.symbols": 10**5, "family.top_k": 20}
            )
            for T in (1000, 8000, 64_000)
        },
        check=_scales,
        figure="scaling-clean-share",
    ),
)
