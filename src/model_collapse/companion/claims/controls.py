"""Negative controls, one per chapter: chains that must not collapse, judged by a check that their sibling fails.

A control reads real data only, has endless rows, or an oracle beside it; or it reads generated data, and what is
measured stays on average all the same. Where a closed form is known, its target is that of one fit to real rows, so
that a fault of the fit shows as well as one of the loop. That no effect was seen is no evidence, so each control is a
test of equivalence: the whole interval has to lie between two bounds that were fixed before any run, at least twice as
far apart as the interval is wide, so that a control that is in order fails once in 10,000 or less.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import scipy

from model_collapse import theory
from model_collapse.analysis import stats, testing
from model_collapse.analysis.stats import Estimate
from model_collapse.companion.claims import Claim, Tables, chains, family, rows
from model_collapse.companion.claims.discrete import distribution
from model_collapse.companion.claims.remedies import MEASURES, of_family
from model_collapse.companion.claims.scaling import losses
from model_collapse.companion.claims.scaling import slope as log_slope
from model_collapse.theory import regression, scaling

Check = Callable[[Tables, float], Estimate]

REAL: Mapping[str, Any] = {"regime.real_fraction": 1.0}
"""Of regime `fresh`: every row is real and new; of `mix`: the same real rows every time."""


def one_fit(table: pd.DataFrame, metric: str, item: str = "") -> float | None:
    """Expectation of a metric after one fit to M real rows; None where no closed form is known.

    gaussian    variance (M - 1) / M (mle) or 1 (unbiased); mean square of the mean 1 / M; ln det by Bartlett's
                decomposition, sum over j = 1 .. d of psi((M - j) / 2) + ln(2 / c); W2^2 in one dimension CF-G5
    discrete    heterozygosity (1 - 1 / M) H; symbols left sum 1 - (1 - p)^M; the share of a symbol p
    regression  sigma^2 d / (T - d - 1)
    kde         variance 1 - 1 / M + h^2
    gmm         the variance of the whole mixture, which after any step of EM is that of its rows: 1 - 1 / M. The width
                of components that lie far apart is 1
    """
    kind, M, settings = str(table["family"].iloc[0]), rows(table), family(table)
    if kind == "gaussian":
        d, unbiased = settings["dim"], settings["estimator"] == "unbiased"
        c = M - 1 if unbiased else M
        if metric == "w2_squared":
            return float(theory.expected_w2_squared(1, M, settings["estimator"])) if d == 1 else None
        log_det = float(np.sum(scipy.special.digamma((M - np.arange(1, d + 1)) / 2) + np.log(2 / c)))
        return {"variance": (M - 1) / c, "mean": 1 / M, "log_det": log_det}[metric]
    if kind == "discrete":
        p = distribution(table)
        if metric == "share":
            return float(p[int(item) - 1])
        known = {"heterozygosity": (1 - 1 / M) * (1 - p @ p), "support": -np.expm1(M * np.log1p(-p)).sum()}
        return float(known[metric])
    if kind == "regression" and metric == "test_error":
        return float(regression.first_error(M, settings["dim"], settings["noise"]))
    if kind == "kde" and metric == "variance":
        return 1 - 1 / M + settings["bandwidth"] ** 2
    if kind == "gmm" and settings["source"] == "blob" and metric == "pooled_sd":
        return 1 - 1 / M
    return 1.0 if kind == "gmm" and settings["source"] == "clusters" and metric == "component_sd" else None


SQUARED = {"mean", "pooled_sd"}
"""Metrics whose squares are compared."""


def _measured(table: pd.DataFrame, metric: str, item: str = "") -> pd.Series:
    """A metric at the last generation by chain, as `one_fit` gives its expectation."""
    values = stats.per_replicate(stats.over_models(table), metric, stats.last_of(table), item)
    return values**2 if metric in SQUARED else values


def as_one_fit(*measures: str | tuple[str, str]) -> Check:
    """A check: what metrics are at the last generation over their expectation after one fit, all tables.

    measures  metrics, or metrics with items; of each table those that it has
    """
    named = [(measure, "") if isinstance(measure, str) else measure for measure in measures]

    def check(tables: Tables, level: float) -> Estimate:
        parts = []
        for table in tables.values():
            there = set(table["metric"].astype(str))
            for metric, item in named:
                if metric in there and (expected := one_fit(table, metric, item)) is not None:
                    parts.append(partial(stats.mean, _measured(table, metric, item) / expected))
        return testing.farthest(parts, 1, level)

    return check


def kept(*measures: str | tuple[str, str], since: int = 0, average: bool = False) -> Check:
    """A check: how many times as large a metric is at the last generation as at generation `since`, chain by chain,
    geometric mean.

    measures  metrics, or metrics with items; the one that is farthest from 1 counts, of all tables
    average   in place of the last generation the mean of all after `since`, for networks, whose training is noisy
    """
    named = [(measure, "") if isinstance(measure, str) else measure for measure in measures]

    def check(tables: Tables, level: float) -> Estimate:
        found = []
        for table in tables.values():
            for metric, item in named:
                values = chains(table, metric, item)
                later = values.loc[:, since + 1 :]
                end = later.mean(axis=1, skipna=False) if average else later.iloc[:, -1]
                found.append(partial(stats.times, end, values[since]))
        return testing.farthest(found, 1, level)

    return check


def by_family(tables: Tables, level: float) -> Estimate:
    """What is damaged in each family, over its expectation after one fit, or where that is not known over what it was
    at generation 0."""
    parts: list[testing.Procedure] = []
    for table in tables.values():
        there, damaged = set(table["metric"].astype(str)), MEASURES[str(table["family"].iloc[0])].metric
        metric = damaged if damaged in there else min(there)
        item = {"share": "1"}.get(metric, "")
        expected = one_fit(table, metric, item) if metric not in UNKNOWN else None
        if expected is None:
            values = chains(table, metric, item)
            parts.append(partial(stats.ratio, values.iloc[:, -1], values[0]))
        else:
            parts.append(partial(stats.mean, _measured(table, metric, item) / expected))
    return testing.farthest(parts, 1, level)


UNKNOWN = {"kl_density", "perplexity"}
"""Metrics without a closed form."""


def moved(metric: str) -> Check:
    """A check: a metric at the last generation less that at generation 0, paired."""

    def check(tables: Tables, level: float) -> Estimate:
        values = [chains(table, metric) for table in tables.values()]
        return testing.farthest([partial(stats.paired, v.iloc[:, -1], v[0]) for v in values], 0, level)

    return check


def at_the_end(measure: Callable[[pd.DataFrame], pd.Series], target: float) -> Check:
    """A check: mean over chains of a measure of a table, the one farthest from `target`."""

    def check(tables: Tables, level: float) -> Estimate:
        return testing.farthest([partial(stats.mean, measure(table)) for table in tables.values()], target, level)

    return check


def last(metric: str) -> Callable[[pd.DataFrame], pd.Series]:
    """A measure of a table: a metric at its last generation, by chain."""
    return lambda table: stats.per_replicate(table, metric, stats.last_of(table))


def _volume(tables: Tables, level: float) -> Estimate:
    """ln det less its expectation after one fit, or the variance over it less 1, what a table has; all tables."""
    parts: list[testing.Procedure] = []
    for table in tables.values():
        for metric in {"log_det", "variance"} & set(table["metric"].astype(str)):
            expected = one_fit(table, metric) or 0.0
            values = _measured(table, metric)
            parts.append(partial(stats.mean, values - expected if metric == "log_det" else values / expected - 1))
    return testing.farthest(parts, 0, level)


def _drift(tables: Tables, level: float) -> Estimate:
    """Mean square of the fitted mean less that of one fit, 1 / M, in units of the largest 1 / M; all tables."""
    unit = min(map(rows, tables.values()))
    parts = [partial(stats.mean, unit * (_measured(t, "mean") - (one_fit(t, "mean") or 0.0))) for t in tables.values()]
    return testing.farthest(parts, 0, level)


def _scales(tables: Tables, level: float) -> Estimate:
    """Slope of ln lost mass against ln T at the last generation, less that of real rows, -(beta - 1) / beta."""
    own = list(tables.values())
    beta = float(family(own[0])["zipf"])
    found = partial(log_slope, np.array([rows(t) for t in own]), [losses(t) for t in own])
    return testing.less(found, -float(scaling.loss_exponent(beta)))(level)


def fresh(kind: str, n: int, generations: int, metrics: list[str], replicates: int, **settings: Any) -> dict[str, Any]:
    """Arguments of `plan` for new real rows only, recorded at the first and the last generation."""
    sizes = {"n": n, "generations": generations, "every": generations, "replicates": replicates, "metrics": metrics}
    return {"family": kind, "regime": "fresh", **sizes, "settings": {**REAL, **settings}}


def written(
    kind: str, n: int, generations: int, metrics: list[str], replicates: int, **settings: Any
) -> dict[str, Any]:
    """Arguments of `plan` for rows that the generation before wrote, and nothing else; recorded as `fresh`."""
    return fresh(kind, n, generations, metrics, replicates) | {"regime": "replace", "settings": settings}


def control(chapter: str, what: str, ends: float, **claim: Any) -> Claim:
    """The control of a chapter."""
    name = f"NC-{chapter.replace('_', '-')}"
    return Claim(id=name, source=f"control: {what}", chapter=chapter, ends=lambda table: ends, **claim)


NEW, SAME, ENDLESS = "new real rows in every generation", "the same real rows in every generation", "unlimited rows"

UNBIASED: Mapping[str, Any] = {"family.estimator": "unbiased"}
"""Whose mean variance stays 1 however often it reads its own rows."""

NOISELESS: Mapping[str, Any] = {"family.written_noise": 0.0}
"""Labels are written without noise: the next fit is the one before, with the error of one fit."""

CLAIMS = (
    control(
        "gaussian",
        f"{NEW}; rows that an unbiased model generated; and {ENDLESS} that are replaced",
        5,
        statement="chains of Gaussian fits keep the variance of one fit if they are fitted to new real rows or to "
        "unlimited generated rows, and keep it on average if unbiased estimates are fitted to the samples of the "
        "model before",
        measured="mean variance at the last generation over that of one fit, the one farthest from 1",
        band=(0.98, 1.02),
        reason="2 %; ten fits to 30 replaced rows leave 71 % of the variance, and a wrong divisor in one fit changes "
        "it by 3 %",
        runs={
            "real": fresh("gaussian", 30, 9, ["variance"], 16_384),
            "unbiased": written("gaussian", 30, 5, ["variance"], 65_536, **UNBIASED),
            "endless": written("gaussian", 10**9, 49, ["variance"], 256),
        },
        check=as_one_fit("variance"),
        figure="gaussian-accumulate",
    ),
    control(
        "discrete",
        f"{NEW}; the share of a symbol, which is kept on average; and {ENDLESS} that are replaced",
        5,
        statement="discrete distributions keep the heterozygosity and the symbols of one fit if they are estimated "
        "from real rows or from unlimited generated ones, and the share of the commonest symbol is kept on average "
        "in either case and with replaced rows",
        measured="heterozygosity, number of symbols or share of the commonest symbol at the last generation over "
        "that of one fit, the one farthest from 1",
        band=(0.97, 1.03),
        reason="3 %; 50 replaced sets of 100 rows leave 61 % of the heterozygosity",
        runs={
            "real": fresh("discrete", 100, 49, ["heterozygosity", "support"], 2048),
            "written": written("discrete", 100, 19, ["share"], 32_768, **{"family.symbols": 5}),
            "endless": written("discrete", 10**9, 49, ["heterozygosity", "support"], 64),
        },
        check=as_one_fit("heterozygosity", "support", ("share", "1")),
        figure="discrete-support",
    ),
    control(
        "gaussian_nd",
        f"{NEW}, and rows that an unbiased model generated",
        5,
        statement="Gaussian fits in several dimensions keep the determinant of their covariance on new real rows, "
        "and their mean variance if unbiased estimates are fitted to the samples of the model before",
        measured="mean of ln det less that of one fit, or mean variance over that of one fit less 1, the one "
        "farthest from 0",
        band=(-0.05, 0.05),
        reason="0.05 nats; theory has −13 for 49 more fits to 100 replaced rows in 5 dimensions, and a wrong divisor "
        "changes each by 0.05",
        runs={
            "real": fresh("gaussian", 100, 49, ["log_det"], 4096, **{"family.dim": 5}),
            "unbiased": written("gaussian", 100, 9, ["variance"], 4096, **{"family.dim": 5, **UNBIASED}),
        },
        check=_volume,
        figure="gaussian-nd-control",
    ),
    control(
        "error_sources",
        f"{ENDLESS} of a true normal distribution, perfect training",
        5,
        statement="without statistical, expressivity and training errors a chain of models stays where it began",
        measured="mean squared W₂ distance to the truth at the last generation",
        band=(0.0, 1e-3),
        reason="a hundredth of the smallest distance that one source of error alone causes in 20 fits here",
        runs={"none": written("gaussian", 10**7, 19, ["w2_squared"], 512)},
        check=at_the_end(last("w2_squared"), 0),
        figure="error-sources-stacked",
    ),
    control(
        "mixtures",
        f"{NEW}, and very many rows that are replaced",
        3,
        statement="Gaussian mixtures keep the variance of one fit on new real rows, and the width of their "
        "components if each generation is replaced by very many generated rows",
        measured="variance of the mixture over that of one fit, or sd of the components over the true one, at the "
        "last generation, the one farther from 1",
        band=(0.96, 1.04),
        reason="4 %; replaced sets of a hundred rows lose half or more, and components after one step of EM are off "
        "by more",
        runs={
            "real": fresh("gmm", 100, 40, ["pooled_sd"], 512),
            "many": written("gmm", 4000, 3, ["component_sd"], 32, **{"family.source": "clusters"}),
        },
        check=as_one_fit("pooled_sd", "component_sd"),
        figure="mixtures-control",
    ),
    control(
        "accumulate",
        f"{NEW}; labels that were generated without noise; kernels whose bandwidth makes up for the number of rows",
        4,
        statement="linear regression keeps the error of one fit when it trains on new real rows or on labels of the "
        "model before without noise, and kernel density estimates of bandwidth 1/√M keep their variance on their own "
        "samples",
        measured="excess risk or variance at the last generation over that of one fit, the one farthest from 1",
        band=(0.95, 1.05),
        reason="5 %; with replaced noisy labels the risk of regression is as many times as large as there were fits, "
        "and kernel density estimates of bandwidth 0 lose a seventh of their variance",
        runs={
            "real": of_family("regression", "fresh", every=9, replicates=16_384, settings=dict(REAL)),
            "noiseless": of_family("regression", "replace", every=9, replicates=16_384, settings=dict(NOISELESS)),
            "kernels": of_family(
                "kde",
                "replace",
                every=9,
                n=64,
                replicates=8192,
                settings={"family.bandwidth": 0.125},
                metrics=["variance"],
            ),
        },
        check=as_one_fit("test_error", "variance"),
        figure="accumulate-regression-error",
    ),
    control(
        "real_share",
        f"only new real rows, and {ENDLESS} of which a tenth is real",
        5,
        statement="the drift of a Gaussian mean is that of one fit if all rows are new and real, and there is none "
        "with unlimited rows",
        measured="mean square of the fitted mean at the last generation less that of one fit, in units of that of "
        "one fit to the fewest rows",
        band=(-0.1, 0.1),
        reason="10 % of the value of one fit; with a tenth of real rows the drift comes to five times as much",
        runs={
            "real": fresh("gaussian", 20, 40, ["mean"], 16_384, **{"family.variance": "known"}),
            "endless": fresh(
                "gaussian", 10**9, 40, ["mean"], 256, **{"family.variance": "known", "regime.real_fraction": 0.1}
            ),
        },
        check=_drift,
        figure="real-share-drift",
    ),
    control(
        "scaling",
        "half of the rows new and real, the other half generated by models with truncated tails",
        3,
        statement="if half of the training rows are real, the power law of the error in the number of rows "
        "continues, even after several generations of models with truncated tails",
        measured="slope of ln lost probability mass against the ln of the number of rows T at the last generation, "
        "less −(β − 1) / β",
        band=(-0.05, 0.05),
        reason="a seventh of the exponent of 1/3, as T = 1000 is not large yet; a plateau would be off by 1/3",
        runs={
            f"T = {T}": fresh(
                "discrete",
                T,
                5,
                ["lost_mass"],
                64,
                **{
                    "family.zipf": 1.5,
                    "family.symbols": 10**5,
                    "family.top_k": 20,
                    "regime.real_fraction": 0.5,
                },
            )
            for T in (1000, 8000, 64_000)
        },
        check=_scales,
        figure="scaling-clean-share",
    ),
)
