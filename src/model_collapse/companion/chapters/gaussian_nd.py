"""The Gaussian chain in many dimensions: its place and width, its volume, its distance to the truth, few rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from model_collapse import theory
from model_collapse.analysis import figures, stats
from model_collapse.companion.book import compare
from model_collapse.companion.book.estimates import points
from model_collapse.companion.book.fits import FAR, Form, after, constant, trusted
from model_collapse.companion.book.notebook import say, show
from model_collapse.companion.claims import family, rows
from model_collapse.companion.studies.gaussian import ESTIMATORS
from model_collapse.companion.studies.gaussian_nd import FITS, STUDY, Size
from model_collapse.errors import InputError
from model_collapse.theory import Estimator, mixed

Chains = Mapping[tuple[Estimator, int], pd.DataFrame]
"""(estimator, d) -> table."""

TITLES: Mapping[Estimator, str] = {name: STUDY.condition(name).title for name in ESTIMATORS}

ClosedForm = Callable[[ArrayLike, ArrayLike, int, Estimator], np.ndarray]
"""Of fits n, rows M, dimensions d and the estimator."""


def check(size: Size) -> None:
    """InputError unless the chapter's figures can be drawn for these rows and dimensions."""
    if min(size.dims, default=0) < 1 or 2 * max(size.dims) > int(size.n or 0) or size.seeds < 100:
        raise InputError(
            "this chapter needs rows of at least twice the largest of dims, and replicates of at least 100"
        )


def moments(chains: Chains) -> None:
    """How near the mean of the first coordinate and the mean variance are to {eq}`gaussian-nd-moments`; no figure."""
    M = rows(next(iter(chains.values())))
    place = trusted(_panels(chains, "mean", square=True), _forms(chains, _drift))
    width = trusted(_panels(chains, "variance"), _forms(chains, _variance))
    say(
        f"For all dimensions, both estimators and up to M/2 = {M // 2} fits, the squared drift of the first "
        f"coordinate is within {place:.1f} standard errors of $n/M$ (unbiased) and $1 - (1 - 1/M)^n$ (maximum "
        f"likelihood). The trace of the covariance over $d$ is within {width:.1f} standard errors of "
        "{eq}`gaussian-nd-moments`. These are averages over chains, and over directions."
    )


def volume(chains: Chains) -> None:
    """Mean log-determinant over d ({eq}`gaussian-nd-det`), by dimension."""
    M, most = rows(next(iter(chains.values()))), max(d for _, d in chains)
    panels, forms = _panels(chains, "log_det", per_dimension=True), _forms(chains, _log_det)
    z = compare.farthest(panels, forms)
    assert z < FAR, "the log-determinant left its closed form"
    show(
        figures.against_theory(panels, forms, ylabel="mean of ln det over d"),
        compare.listed(panels),
        "gaussian-nd-log-det",
        f"Log-determinant over dimension with M = {M} rows, with 95 % bands over chains; dashed: "
        "{eq}`gaussian-nd-det` over d.",
        "Two panels of straight falling lines, one for each dimension. The more dimensions, the steeper the fall, "
        "although the determinant is divided by the dimension.",
    )
    one, many = (-float(_log_det(1, M, d, "unbiased")) * M for d in (1, most))
    say(
        f"At any number of fits the simulated mean is within {z:.1f} standard errors of the closed form: the "
        f"logarithm has light tails. A direction loses {one:.2f}/M of its log-variance per fit when it is alone, and "
        f"{many:.2f}/M on average when it is one of {most} (unbiased, M = {M}). The determinant says how much volume "
        "is left, not in which directions."
    )


def distance(chains: Chains) -> None:
    """Mean squared Wasserstein distance over d, between the bounds of {eq}`gaussian-nd-bounds`."""
    M, dims = rows(next(iter(chains.values()))), [d for e, d in chains if e == "mle"]
    shown, names = dict.fromkeys([dims[0], dims[-1]]), {"mle": "maximum likelihood", "unbiased": "unbiased"}
    panels: dict[str, dict[str, pd.DataFrame]] = {f"d = {d}": {} for d in shown}
    forms: dict[str, dict[str, Form]] = {f"d = {d}": {} for d in shown}
    for estimator in ESTIMATORS:
        for d in shown:
            distances = stats.pick(chains[estimator, d], "w2_squared")
            panels[f"d = {d}"][names[estimator]] = distances.assign(value=distances["value"] / d)
            forms[f"d = {d}"][names[estimator]] = after(_bounds, M, d, estimator)
    show(
        figures.against_theory(
            panels, forms, ylabel="mean squared W2 distance over d", limits={title: [2.0] for title in panels}
        ),
        compare.listed(_panels(chains, "w2_squared")),
        "gaussian-nd-w2",
        f"Squared Wasserstein distance over dimension with M = {M} rows, with 95 % bands over chains; dashed: the "
        "bounds that follow from {eq}`gaussian-nd-bounds`, equal and exact for d = 1; dotted: 2, which maximum "
        "likelihood never passes.",
        "Two panels, the smallest and the largest dimension. In each, the unbiased curve rises on and the one of "
        "maximum likelihood levels off below two. In the larger dimension both lie between two dashed lines that are "
        "far apart.",
    )
    slack = max(_beyond(stats.pick(table, "w2_squared"), M, d, e) for (e, d), table in chains.items())
    assert slack < FAR, "the distance left its bounds"
    say(
        f"Up to M/2 fits no simulated mean, in any dimension, is outside its bounds by more than {max(slack, 0):.1f} "
        "standard errors."
    )


def first_order(tables: Mapping[int, pd.DataFrame]) -> None:
    """M times the distance after five fits to very many rows ({eq}`gaussian-nd-first`), by dimension."""
    M, most = rows(next(iter(tables.values()))), max(tables)
    cost = points(
        {d: stats.mean(M * stats.per_replicate(table, "w2_squared", FITS - 1)) for d, table in tables.items()}
    )
    off = float(np.max(np.abs(cost["y"] / theory.w2_squared_first_order(FITS, 1, cost["x"]) - 1)))
    chains = tables[most]["replicate"].nunique()
    assert off < 0.05 + 3 / np.sqrt(chains), "the distance left its first order"
    show(
        figures.points(
            cost,
            lambda d: theory.w2_squared_first_order(FITS, 1, d),
            xlabel="dimensions d",
            ylabel=f"M times the distance after {FITS} fits",
            scale="log",
        ),
        cost,
        "gaussian-nd-first-order",
        f"M times the mean squared distance after {FITS} fits with M = {M} rows, with 95 % intervals; dashed: "
        "{eq}`gaussian-nd-first`.",
        "Points with small error bars on a dashed curve that bends upwards, both axes logarithmic: from linear to "
        "quadratic in the dimension.",
    )
    say(
        f"With {M} rows the distance follows {{eq}}`gaussian-nd-first` within {off:.1%}. In d = {most} dimensions "
        f"{(most + 1) / (most + 5):.0%} of the distance is in the shape; in one dimension it is a third. This is the "
        "first order, for n d small against M."
    )


def few_rows(tables: Mapping[int, pd.DataFrame]) -> None:
    """Log-determinant where rows are few ({eq}`gaussian-nd-det`); with M <= d every fit is singular."""
    d = int(family(next(iter(tables.values())))["dim"])
    title, enough = f"d = {d}, unbiased", {M: table for M, table in tables.items() if d < M}
    logs = {f"M = {M}": stats.pick(table, "log_det") for M, table in enough.items()}
    flat = {M: float(np.isneginf(stats.per_replicate(table, "log_det", 0)).mean()) for M, table in tables.items()}
    assert all(share == (d >= M) for M, share in flat.items())
    width = {
        M: stats.mean(stats.per_replicate(table, "variance", 0), level=0.9999)
        for M, table in tables.items()
        if M not in enough
    }
    assert all(found.low < 1 < found.high for found in width.values())
    thin = " and ".join(f"M = {M}" for M in width)
    show(
        figures.against_theory(
            {title: logs},
            {title: {f"M = {M}": after(mixed.expected_log_det, M, d, "unbiased") for M in enough}},
            ylabel="mean of ln det",
        ),
        compare.listed({title: logs}),
        "gaussian-nd-few-rows",
        f"Log-determinant in d = {d} dimensions with few rows, with 95 % bands over chains; dashed: "
        f"{{eq}}`gaussian-nd-det`. With {thin} it is minus infinity from generation 0 on.",
        "Three falling straight lines; with one row more than dimensions the fall is steepest by far.",
    )
    say(
        f"With {thin} all chains are flat at generation 0; with more rows none is. The variance does not show it: its "
        f"mean over directions is {' and '.join(f'{found}' for found in width.values())} (99.99 % intervals; theory "
        "1). Real models are often fitted with more parameters than rows. Something else than the data (a prior, "
        "early stopping) then fills the missing directions."
    )


def kept(tables: Mapping[str, pd.DataFrame]) -> None:
    """Log-determinant where each fit reads the last one's sample, and where it reads new real rows."""
    replace, control = tables["replace"], tables["control: new real rows"]
    M, d, last = rows(replace), int(family(replace)["dim"]), stats.last_of(replace)
    title = f"d = {d}, M = {M}, maximum likelihood"
    single = float(mixed.expected_log_det(1, M, d))
    end = stats.mean(stats.per_replicate(control, "log_det", last), level=0.9999)
    assert end.low < single < end.high, "the control left the value of one fit"
    show(
        figures.against_theory(
            {title: tables},
            {
                title: {
                    "replace": after(mixed.expected_log_det, M, d),
                    "control: new real rows": constant(single),
                }
            },
            ylabel="mean of ln det",
        ),
        compare.listed({title: tables}),
        "gaussian-nd-control",
        "Log-determinant when each fit reads the last one's sample, and when it reads new real rows; dashed: "
        "{eq}`gaussian-nd-det`, and its value for one fit.",
        "Two lines. Replace falls without end; the control is flat, a little below zero.",
    )
    say(
        f"At generation {last} the control's mean log-determinant is {end:.3f} (99.99 % interval; theory "
        f"{single:.3f}, that of a single fit). When data are replaced it is "
        f"{stats.per_replicate(replace, 'log_det', last).mean():.0f}."
    )


def _drift(n: ArrayLike, M: ArrayLike, d: int, estimator: Estimator) -> np.ndarray:
    """Of one coordinate, whatever the dimension."""
    return theory.mean_drift(n, M, estimator)


def _variance(n: ArrayLike, M: ArrayLike, d: int, estimator: Estimator) -> np.ndarray:
    """Mean over directions, whatever the dimension."""
    return theory.expected_variance(n, M, estimator)


def _log_det(n: ArrayLike, M: ArrayLike, d: int, estimator: Estimator) -> np.ndarray:
    return mixed.expected_log_det(n, M, d, estimator) / d


def _bounds(n: ArrayLike, M: ArrayLike, d: int, estimator: Estimator) -> np.ndarray:
    """Both bounds, over d."""
    return np.array(theory.w2_squared_bounds(n, M, d, estimator)) / d


def _beyond(distances: pd.DataFrame, M: int, d: int, estimator: Estimator) -> float:
    """How far a mean lies outside its bounds, in standard errors, the farthest up to M / 2 fits."""
    means = distances[distances["generation"] < M / 2].groupby("generation")["value"].agg(["mean", "sem"])
    low, high = theory.w2_squared_bounds(means.index.to_numpy() + 1, M, d, estimator)
    outside = np.maximum(np.subtract(low, means["mean"]), np.subtract(means["mean"], high))
    return float((outside / means["sem"]).max())


def _panels(
    chains: Chains, metric: str, *, square: bool = False, per_dimension: bool = False
) -> dict[str, dict[str, pd.DataFrame]]:
    """Rows of a metric by estimator and dimension; or of its squares, or of the metric over d."""
    found: dict[str, dict[str, pd.DataFrame]] = {TITLES[e]: {} for e in ESTIMATORS}
    for (estimator, d), table in chains.items():
        own = stats.pick(table, metric)
        values = own["value"] ** 2 if square else own["value"] / (d if per_dimension else 1)
        found[TITLES[estimator]][f"d = {d}"] = own.assign(value=values)
    return found


def _forms(chains: Chains, closed_form: ClosedForm) -> dict[str, dict[str, Form]]:
    found: dict[str, dict[str, Form]] = {TITLES[e]: {} for e in ESTIMATORS}
    for (estimator, d), table in chains.items():
        found[TITLES[estimator]][f"d = {d}"] = after(closed_form, rows(table), d, estimator)
    return found
