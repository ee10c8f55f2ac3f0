"""Three sources of error: each alone, all together, and what helps against which."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from model_collapse import theory
from model_collapse.analysis import figures, stats
from model_collapse.companion.book import compare
from model_collapse.companion.book.estimates import markdown
from model_collapse.companion.book.fits import FAR, Form
from model_collapse.companion.book.notebook import say, show
from model_collapse.companion.claims import family, rows
from model_collapse.companion.studies.error_sources import Size
from model_collapse.errors import InputError
from model_collapse.theory import Estimator, Truth

SOURCES = ("expressivity", "statistical", "approximation")
"""From the bottom up, as they are stacked."""

ALONE = ("statistical only", "expressivity only", "approximation only")
"""Conditions with one source each."""


def check(size: Size) -> None:
    """InputError unless the chapter's figures can be drawn from chains of this size."""
    if int(size.n or 0) < 2 or not 0 < size.noise <= 1 or size.generations < 5 or size.seeds < 100:
        raise InputError(
            "rows must be 2 or more, noise above 0 and at most 1, generations at least 5, replicates at least 100"
        )


def stacked(tables: Mapping[str, pd.DataFrame], size: Size) -> None:
    """Distance to the truth by source ({eq}`error-sources-sum`), for every condition but the one without errors."""
    shown = [label for label in tables if label != "none"]
    last = size.generations
    show(
        figures.stacked(
            {label: tables[label] for label in shown},
            {label: _parts(tables[label]) for label in shown},
            ylabel="mean squared W2 distance",
        ),
        compare.listed({"distance": tables}),
        "error-sources-stacked",
        f"Distance to the truth with one source of error each and with all three (M = {size.n} rows or endless data, "
        f"τ = {size.noise} or 0, two peaks or one; maximum likelihood). Areas: the terms of "
        "{eq}`error-sources-sum`; points: simulated means with 95 % intervals.",
        "Panels of stacked areas with points on their upper edge. Statistical error rises almost linearly from zero, "
        "expressivity error is a flat block, approximation error rises linearly, and with all three sources they lie "
        "on top of each other.",
    )
    gap = max(stats.deviation(table, _total(table)) for table in tables.values())
    assert gap < FAR, "a source of error left its closed form"
    ends = {label: stats.mean(stats.per_replicate(table, "w2_squared", last)) for label, table in tables.items()}
    statistical, expressivity, approximation = (ends[label] for label in ALONE)
    together = sum(ends[label].value for label in ALONE)
    say(
        f"At every generation the simulated means are within {gap:.1f} standard errors of {{eq}}`error-sources-sum`. "
        f"At generation {last} the distance is {statistical:.3f} with finite samples alone, {expressivity.value:.3f} "
        f"with two peaks alone, and {approximation:.3f} with noise alone (95 % intervals), in sum {together:.3f}. "
        f"With all three at once it is {ends['all three']:.3f}. The small difference is in the statistical term, "
        "which contains c. The sum is exact because noise moves only the mean, and because a normal distribution can "
        "express normal rows."
    )


def once() -> None:
    """The expressivity error of the first fit, and the least that any normal distribution has."""
    overlap = theory.overlap("bimodal")
    say(
        f"The overlap of this truth is c = {overlap:.3f}. So the first fit is at a squared distance of "
        f"{2 * (1 - overlap):.3f} from it, and so are all later ones. No normal distribution comes nearer than "
        f"{1 - overlap**2:.3f}. To get there, a model would have to know that its variance should be wrong."
    )


def estimators(tables: Mapping[Estimator, pd.DataFrame]) -> None:
    """All three sources with few rows and much noise, by estimator ({eq}`error-sources-sum`)."""
    names = {"mle": "maximum likelihood", "unbiased": "unbiased"}
    own = {names[estimator]: table for estimator, table in tables.items()}
    mle = tables["mle"]
    few, noise, n = rows(mle), float(family(mle)["noise"]), stats.last_of(mle) + 1
    reached = stats.mean(stats.per_replicate(mle, "w2_squared", n - 1), level=0.9999)
    parts = {name: float(form(np.array([n - 1]))[0]) for name, form in _parts(mle).items()}
    z = max(stats.deviation(table, _total(table)) for table in tables.values())
    assert z < FAR and reached.low < sum(parts.values()) < reached.high, "the three sources left their closed form"
    show(
        figures.stacked(own, {name: _parts(table) for name, table in own.items()}, ylabel="mean squared W2 distance"),
        compare.listed({"distance": own}),
        "error-sources-estimators",
        f"All three sources with M = {few} rows and τ = {noise:g}: maximum likelihood far beyond M fits, unbiased up "
        "to M / 2, where means over chains can be trusted. Areas: {eq}`error-sources-sum`; points: simulated means "
        "with 95 % intervals.",
        "Two panels of stacked areas with points on their upper edge. Left: the statistical area rises and levels "
        "off below two while the approximation area continues to grow. Right: a short stretch in which all rise.",
    )
    say(
        f"The simulated means are within {z:.1f} standard errors of the closed form. After {n} maximum-likelihood "
        f"fits the mean squared distance is {reached} (99.99 % interval). By the closed form, expressivity contributes "
        f"{parts['expressivity']:.2f} to it, finite samples {parts['statistical']:.2f}, and noise "
        f"{parts['approximation']:.2f}. In gradient descent the training error depends on the model, so errors of "
        "successive generations are not independent: they can add up faster, or partly cancel."
    )


def remedies(size: Size) -> None:
    """Expected distance at the last generation with each cause made smaller ({eq}`error-sources-sum`), as a table."""
    M, tau, last = int(size.n or 0), size.noise, size.generations
    cases: Mapping[str, tuple[int, Truth, float]] = {
        "nothing": (M, "bimodal", tau),
        "ten times the rows": (10 * M, "bimodal", tau),
        "a family with two peaks": (M, "normal", tau),
        "a third of the training error": (M, "bimodal", tau / 3),
        "all of these": (10 * M, "normal", tau / 3),
    }
    lines = []
    for name, (n, truth, noise) in cases.items():
        distance = sum(float(part) for part in theory.w2_sources(last + 1, n, truth=truth, noise=noise).values())
        lines.append((name, f"{distance:.3f}"))
    say(markdown(("what is changed", f"$\\mathbb E[W_2^2]$ at generation {last}"), lines))


def control(tables: Mapping[str, pd.DataFrame], size: Size) -> None:
    """The distance where there is no source of error, beside its closed form."""
    none, last = tables["none"], size.generations
    found = stats.mean(stats.per_replicate(none, "w2_squared", last), level=0.9999)
    expected = float(_total(none)(np.array([last]))[0])
    assert found.low < expected < found.high and found.high < 1e-4, "the control left its closed form"
    ratio = stats.per_replicate(tables["all three"], "w2_squared", last).mean() / found.value
    say(
        f"At generation {last} the control's mean squared distance is {found:.2g} (99.99 % interval; theory for "
        f"{rows(none):,} rows {expected:.2g}). With all three sources it is about {round(ratio, -3):,.0f} times larger."
    )


def _parts(table: pd.DataFrame) -> dict[str, Form]:
    """The three terms of a table's settings, as curves over generations."""
    return {source: _part(table, source) for source in SOURCES}


def _part(table: pd.DataFrame, source: str) -> Form:
    own, M = family(table), rows(table)
    return lambda g: theory.w2_sources(g + 1, M, own["estimator"], truth=own["truth"], noise=own["noise"])[source]


def _total(table: pd.DataFrame) -> Form:
    parts = _parts(table)
    return lambda g: np.sum([form(g) for form in parts.values()], axis=0)
