"""Gaussian mixtures: the paper's experiment, the floor at which fits stop shrinking, and what more rows change."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from model_collapse import theory
from model_collapse.analysis import figures, stats
from model_collapse.analysis.stats import Estimate
from model_collapse.companion.book import compare
from model_collapse.companion.book.estimates import below
from model_collapse.companion.book.fits import after, changed, trusted
from model_collapse.companion.book.notebook import say, show
from model_collapse.companion.claims import rows
from model_collapse.companion.studies.mixtures import KEPT, Size
from model_collapse.errors import InputError

Tables = Mapping[str, pd.DataFrame]

AXES: Mapping[str, str] = {
    "l2": "squared L2 distance to generation 0",
    "component_sd": "component sd",
    "pooled_sd": "sd of the whole mixture",
}
"""Metric -> what it is."""

DISTANCE, WIDTHS = 536.3, (0.0100, 0.0112)
"""Of the one chain that the authors' notebook keeps, at its last generation."""


def check(size: Size) -> None:
    """InputError unless the chapter's figures can be drawn from chains of this size."""
    if int(size.n or 0) < 20 or size.generations < 50 or size.seeds < 8:
        raise InputError("n must be at least 20, generations at least 50, replicates at least 8")
    if len(size.sizes) < 2 or min(size.sizes) < 20:
        raise InputError("sizes must be two or more, 20 or more each")


def blob(table: pd.DataFrame) -> None:
    """Mixtures that were fitted to one normal distribution ({eq}`mixtures-distribution`)."""
    N, last, chains = rows(table), stats.last_of(table), table["replicate"].nunique()
    shown = min(16, chains)
    show(
        figures.ellipses(table, _seen(table), [1, shown], [[0.0, 0.0]]),
        stats.pick(table, "component"),
        "mixtures-blob",
        f"Fitted mixtures, {{eq}}`mixtures-distribution`, to one blob with N = {N}: every component as its ellipse "
        f"of two standard deviations. Above: one chain, a colour per component; below: {shown} chains, a colour each. "
        "Dashed: the real distribution.",
        "Panels by generation. At first the two ellipses of a chain lie across each other and fill the dashed "
        "circle. They get smaller and move apart from those of other chains; after 2000 generations each is hardly "
        "more than a dot.",
    )
    say(
        f"A component of the first mixture has a standard deviation of {_middle(table, 'component_sd', 0):.2f} in the "
        f"median chain; at generation {last} it is {_middle(table, 'component_sd', last):.3f} (95 % intervals over "
        f"{chains} chains). Which component is called the first is arbitrary and may change from one fit to the next. "
        "So colours in the upper row need not follow one component."
    )


def clusters(table: pd.DataFrame) -> None:
    """Mixtures that were fitted to two clusters ({eq}`mixtures-distribution`)."""
    last, chains = stats.last_of(table), table["replicate"].nunique()
    show(
        figures.ellipses(table, _seen(table), [1, min(16, chains)], [[-2.0, 0.0], [2.0, 0.0]]),
        stats.pick(table, "component"),
        "mixtures-clusters",
        f"The same with two clusters as real data, N = {rows(table)}.",
        "Panels by generation. At first one ellipse lies on each of the two dashed circles. Later the ellipses "
        "shrink and wander away from the circles until they are dots.",
    )
    say(
        f"With two clusters the median component starts at {_middle(table, 'component_sd', 0):.2f} and ends at "
        f"{_middle(table, 'component_sd', last):.3f} (95 % intervals, {chains} chains). The model has exactly the "
        "form of the real distribution, one component for each cluster. That does not save it."
    )


def collapse(tables: Tables) -> None:
    """Distance to generation 0 ({eq}`mixtures-l2`) and standard deviations, beside the authors' one chain."""
    own = tables["blob"]
    ends = {"l2": [(2049, DISTANCE)], "component_sd": [(2049, width) for width in WIDTHS]}
    marks = ends if _as_published(own) else {}
    crosses = "Crosses: the end of the one chain that the authors' notebook keeps. " if marks else ""
    show(
        figures.medians(tables, {metric: (label, "log") for metric, label in AXES.items()}, chains=True, marks=marks),
        _described(tables),
        "mixtures-collapse",
        f"Median chain with its 95 % band and single chains (thin), N = {rows(own)}. {crosses}"
        "{eq}`mixtures-l2` gives the distance.",
        "Three panels with logarithmic vertical axes. The distance rises by more than three orders of magnitude. The "
        "components' standard deviation falls from about one to a few hundredths, the pooled one follows later and "
        "scatters most.",
    )
    said = [
        f"At generation {g} the median distance is {_middle(own, 'l2', g):.2g} and the median pooled sd "
        f"{_middle(own, 'pooled_sd', g):.2g}."
        for g in _seen(own)[1:]
    ]
    if _as_published(own):
        far, narrow = (stats.per_replicate(own, metric, 2000) for metric in ("l2", "component_sd"))
        higher = int((far >= DISTANCE).sum())
        said.append(
            f"The authors' single chain ends at {DISTANCE} with components of {WIDTHS[0]:.4f} and {WIDTHS[1]:.4f}. Of "
            f"our {len(far)} chains {higher} {'ends' if higher == 1 else 'end'} higher than that and "
            f"{int((narrow <= np.mean(WIDTHS)).sum())} narrower. They range from {far.min():.3g} to {far.max():.3g} "
            f"and from {narrow.min():.2g} to {narrow.max():.2g}. A single run of a process whose outcomes differ by a "
            f"factor of {far.max() / far.min():.0f} says little about the size of the effect."
        )
    said.append("The distance is to generation 0, not to the real distribution. Beyond 1 it measures little but width.")
    say(" ".join(said))


def floor(tables: Mapping[float, pd.DataFrame], blobs: Tables) -> None:
    """Mean variance of a single component ({eq}`mixtures-floor`), by what is added to it."""
    N, last, single = rows(blobs["blob"]), stats.last_of(blobs["blob"]), rows(next(iter(tables.values())))
    title, names = f"one component, N = {single}", {rho: f"$\\rho$ = {rho:g}" for rho in tables}
    variance = {title: {names[rho]: changed(t, "component_sd", lambda sd: sd**2) for rho, t in tables.items()}}
    forms = {title: {names[rho]: after(theory.regularised_variance, single, rho) for rho in tables}}
    worst = trusted(variance, forms)
    show(
        figures.against_theory(variance, forms, ylabel="mean variance", yscale="log"),
        compare.listed(variance),
        "mixtures-floor",
        "Mean variance of the fitted component by generation, with 95 % bands over chains; dashed: "
        "{eq}`mixtures-floor`.",
        "Three curves that start together at one. The larger the regularisation, the sooner a curve bends and levels "
        "off; with the smallest it continues to fall.",
    )
    ends = {label: _middle(table, "component_sd", last) for label, table in blobs.items()}
    say(
        f"Up to N/2 fits the simulated mean is within {worst:.1f} standard errors of the closed form. (Beyond N fits "
        "a few chains carry the mean, as in the Gaussian chapter.) If each of two components keeps half of the rows, "
        "{eq}`mixtures-floor` puts the floor of the mixtures above at a standard deviation of $\\sqrt{N \\rho / "
        f"2}}$ = {np.sqrt(N / 2 * 1e-6):.3f}. At generation {last} the median component of the blob has "
        f"{ends['blob']:.3f}, that of the clusters {ends['clusters']:.3f}. Components exchange rows and need not "
        "share them evenly, so the floor is an order of magnitude."
    )


def by_rows(tables: Tables) -> None:
    """Distance to generation 0 ({eq}`mixtures-l2`) by rows per generation."""
    first = next(iter(tables.values()))
    last, chains = stats.last_of(first), first["replicate"].nunique()
    show(
        figures.medians(tables, {"l2": (AXES["l2"], "log")}),
        _described(tables),
        "mixtures-rows",
        "Squared L2 distance to generation 0, {eq}`mixtures-l2`: medians over chains with 95 % bands, by rows per "
        "generation.",
        "One rising curve per size on a logarithmic axis; the more rows, the lower the curve.",
    )
    ends = ", ".join(f"{_middle(table, 'l2', last):.2g} with {label}" for label, table in tables.items())
    say(f"At generation {last} the median distance is {ends} (95 % intervals over {chains} chains).")


def kept(tables: Tables) -> None:
    """Distance and standard deviations where data are replaced, accumulate, or stay real."""
    replace, _, control = (tables[label] for label in KEPT)
    last = stats.last_of(replace)
    ends = {label: stats.per_replicate(tables[label], "component_sd", last) for label in KEPT}
    lost = stats.paired(ends["replace"], ends["control: real data only"], 0.9999)
    assert lost.high < 0, "replacing data costs no width"
    show(
        figures.medians(tables, {metric: (label, "linear") for metric, label in AXES.items()}),
        _described(tables),
        "mixtures-control",
        f"Medians over {replace['replicate'].nunique()} chains with 95 % bands, N = {rows(replace)} rows generated per "
        "generation.",
        "Three panels by generation. With replace the distance rises and both standard deviations fall. With "
        "accumulate they stay near where they began, and the control does not move on average.",
    )
    said = []
    for label in KEPT:
        change = stats.paired(ends[label], stats.per_replicate(tables[label], "component_sd", 0), 0.9999)
        said.append(
            f"{label}: distance {_middle(tables[label], 'l2', last):.2g}, change of the component sd {change:.2f}"
        )
    earlier = int(max(g for g in _generations(control) if g <= last / 2))
    say(
        f"Generation {last} (median distances with 95 % intervals, mean changes with 99.99 % intervals): "
        f"{'; '.join(said)}. Compared with the control, replacing changes the component sd by {lost:.2f}. The "
        "control's distance is not quite zero although its data never change: *k*-means starts anew every time, the "
        "likelihood of two components on one blob is nearly flat, and EM stops at another place. That is the error "
        f"of the algorithm alone; it is {_middle(control, 'l2', earlier):.2g} at generation {earlier}."
    )


def judged(tables: Tables, sizes: Tables) -> dict[str, Tables]:
    """The claims that these tables can settle: GM-1 and GM-2 need the paper's rows and generations."""
    found: dict[str, Tables] = {"GM-1": {"blob": tables["blob"]}} if _as_published(tables["blob"]) else {}
    if len(sizes) == 3 and all(table["generation"].max() == 350 for table in sizes.values()):
        found["GM-2"] = sizes
    return found


def _as_published(table: pd.DataFrame) -> bool:
    return bool(rows(table) == 1000 and table["generation"].max() >= 2000)


def _generations(table: pd.DataFrame) -> list[int]:
    return [int(g) for g in np.unique(table["generation"])]


def _seen(table: pd.DataFrame) -> list[int]:
    """Four of the generations that the paper shows."""
    return [g for g in (0, 50, 350, 2000) if g in _generations(table)]


def _middle(table: pd.DataFrame, metric: str, generation: int) -> Estimate:
    return stats.median(stats.per_replicate(table, metric, generation))


def _described(tables: Tables) -> pd.DataFrame:
    """Quantiles over chains by label, metric and generation."""
    own = below(tables)
    own = own[own["metric"].isin(list(AXES))].astype({"metric": str})
    return own.groupby(["condition", "metric", "generation"])["value"].describe().reset_index()
