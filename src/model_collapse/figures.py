"""Figures: pure functions of tidy tables. Nothing here runs a chain or reads a file, and nothing needs torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from importlib.resources import as_file, files
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse

from model_collapse import stats

Curves = Mapping[str, Callable[[np.ndarray], np.ndarray]]
"""Closed forms by label; each takes an array of generations g and has counted n = g + 1 fits. Bounds come as a pair."""


@contextmanager
def style() -> Iterator[None]:
    """The book's look: colour-blind-safe palette, one place."""
    with as_file(files("model_collapse") / "style.mplstyle") as sheet, plt.style.context(sheet):
        yield


def styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Draw in the book's style, and leave no figure open behind."""

    @wraps(draw)
    def wrapped(*args: Any, **options: Any) -> Figure:
        with style():
            figure = draw(*args, **options)
            plt.close(figure)
            return figure

    return wrapped


def band(ax: Axes, table: pd.DataFrame, label: str, **line: Any) -> None:
    """Mean over replicates by generation, with its 95 % interval as a band."""
    curve = stats.by_generation(table)
    (drawn,) = ax.plot(curve["generation"], curve["mean"], label=label, **line)
    ax.fill_between(curve["generation"], curve["low"], curve["high"], color=drawn.get_color(), alpha=0.25, lw=0)


@styled
def against_theory(
    panels: Mapping[str, Mapping[str, pd.DataFrame]],
    theory: Mapping[str, Curves],
    *,
    ylabel: str,
    yscale: str = "linear",
    xscale: str = "linear",
    limits: Mapping[str, Sequence[float]] | None = None,
) -> Figure:
    """Simulated means with 95 % bands over replicates, closed forms dashed on top.

    panels  {title: {label: rows of one metric}}
    theory  {title: {label: closed form}}, drawn in the colour of the simulation of the same label
    limits  {title: horizontal lines}
    """
    figure, axes = plt.subplots(
        1, len(panels), figsize=(6 if len(panels) == 1 else 3.7 * len(panels), 3.4), sharey=True, squeeze=False
    )
    for ax, (title, arms) in zip(axes[0], panels.items(), strict=True):
        colours = dict(zip(arms, sns.color_palette(n_colors=len(arms)), strict=True))
        for label, rows in arms.items():
            band(ax, rows, label, color=colours[label])
            if curve := theory.get(title, {}).get(label):
                g = np.unique(rows["generation"])
                ax.plot(g, np.atleast_2d(curve(g)).T, ls=(0, (4, 3)), color="black", lw=1.1)
        for level in (limits or {}).get(title, ()):
            ax.axhline(level, color="0.4", lw=0.8, ls=":")
        ax.set(title=title, xlabel="generation", yscale=yscale, xscale=xscale)
        ax.legend()
    axes[0][0].set_ylabel(ylabel)
    return figure


@styled
def fans(
    panels: Mapping[str, pd.DataFrame],
    quantiles: Mapping[str, Callable[[float, np.ndarray], np.ndarray]],
    means: Mapping[str, Callable[[np.ndarray], np.ndarray]],
    *,
    ylabel: str,
    bottom: float,
) -> Figure:
    """How one metric is spread over chains: median, middle half, middle 90 %, and the mean, on a logarithmic axis.

    panels     {title: rows of one metric}
    quantiles  {title: closed form (p, g) of the p-quantile}, dashed;  means  {title: closed form of the mean}, dotted
    bottom     lowest value shown
    """
    figure, axes = plt.subplots(1, len(panels), figsize=(3.7 * len(panels), 3.6), sharey=True, squeeze=False)
    blue, red = sns.color_palette(n_colors=2)
    for ax, (title, rows) in zip(axes[0], panels.items(), strict=True):
        quantile = rows.groupby("generation")["value"].quantile(np.array([0.05, 0.25, 0.5, 0.75, 0.95]))
        # A logarithmic axis cannot show 0: clipped below its end, out of sight.
        drawn = quantile.unstack().clip(lower=bottom / 10)
        g = drawn.index.to_numpy()
        ax.fill_between(g, drawn[0.05], drawn[0.95], color=blue, alpha=0.18, lw=0, label="middle 90 % of chains")
        ax.fill_between(g, drawn[0.25], drawn[0.75], color=blue, alpha=0.3, lw=0, label="middle half")
        ax.plot(g, drawn[0.5], color=blue, label="median")
        ax.plot(g, rows.groupby("generation")["value"].mean(), color=red, label="mean")
        for p in (0.05, 0.5, 0.95):
            ax.plot(g, quantiles[title](p, g), ls=(0, (4, 3)), color="black", lw=1.1)
        ax.plot(g, means[title](g), ls=":", color="black", lw=1.4)
        ax.set(title=title, xlabel="generation", yscale="log")
    axes[0][0].set_ylabel(ylabel)
    axes[0][0].set_ylim(bottom=bottom)
    axes[0][0].legend(loc="upper right")
    return figure


@styled
def stacked(
    panels: Mapping[str, pd.DataFrame],
    parts: Mapping[str, Mapping[str, Callable[[np.ndarray], np.ndarray]]],
    *,
    ylabel: str,
) -> Figure:
    """What a mean is made of: closed forms of its parts stacked as areas, simulated totals as points with intervals.

    panels  {title: rows of one metric};  parts  {title: {label: closed form of g}}, from the bottom up
    """
    figure, axes = plt.subplots(
        1, len(panels), figsize=(6 if len(panels) == 1 else 2.6 * len(panels), 3.2), sharey=True, squeeze=False
    )
    for ax, (title, rows) in zip(axes[0], panels.items(), strict=True):
        curve = stats.by_generation(rows)
        g = curve["generation"].to_numpy()
        names = parts[title]
        ax.stackplot(g, *(part(g) for part in names.values()), labels=list(names), alpha=0.55, lw=0)
        bars = [curve["mean"] - curve["low"], curve["high"] - curve["mean"]]
        ax.errorbar(g, curve["mean"], yerr=bars, fmt="o", color="black", ms=3, lw=1, label="simulated")
        ax.set(title=title, xlabel="generation")
    axes[0][0].set_ylabel(ylabel)
    axes[0][0].set_ylim(bottom=0)
    axes[0][0].legend(loc="upper left")
    return figure


@styled
def fitted_densities(table: pd.DataFrame, generations: Sequence[int], chains: int = 12) -> Figure:
    """The normal laws that chains have fitted, each over its own peak, one panel per generation; truth dashed."""
    figure, axes = plt.subplots(1, len(generations), figsize=(2.2 * len(generations), 2.4), squeeze=False)
    z = np.linspace(-4, 4, 201)
    for ax, g in zip(axes[0], generations, strict=True):
        centre = stats.per_replicate(table, "mean", g)
        spread = np.sqrt(stats.per_replicate(table, "variance", g))
        for chain in centre.index[:chains]:
            ax.plot(centre[chain] + spread[chain] * z, np.exp(-(z**2) / 2), lw=1)
        ax.plot(z, np.exp(-(z**2) / 2), color="black", ls="--", lw=1.2)
        ax.set(title=f"generation {g}", yticks=[], xlim=(-4, 4), xlabel="x")
    axes[0][0].set_ylabel("density over its peak")
    return figure


@styled
def by_arm(
    arms: Mapping[str, pd.DataFrame],
    metric: str,
    *,
    item: str = "",
    ylabel: str,
    title: str = "",
    chains: bool = True,
    yscale: str = "linear",
) -> Figure:
    """One metric by generation: a thick line per arm for the mean over seeds, thin ones for the seeds themselves."""
    figure, ax = plt.subplots()
    for colour, (label, table) in zip(sns.color_palette(n_colors=len(arms)), arms.items(), strict=True):
        rows = stats.pick(table, metric, item=item)
        if chains:
            for _, chain in rows.groupby("replicate"):
                ax.plot(chain["generation"], chain["value"], color=colour, lw=0.7, alpha=0.5)
        means = rows.groupby("generation")["value"].mean()
        ax.plot(means.index, means, color=colour, marker="o", ms=4, label=label)
    _whole_ticks(ax, max(table["generation"].max() for table in arms.values()))
    ax.set(xlabel="generation", ylabel=ylabel, title=title, yscale=yscale)
    ax.legend()
    return figure


@styled
def histograms(table: pd.DataFrame, metric: str, generations: Sequence[int], *, xlabel: str) -> Figure:
    """Items "bin L" of `metric` (share of rows with log10 value in [L, next L)), one step line per generation."""
    figure, ax = plt.subplots()
    colours = sns.color_palette("viridis", len(generations))
    for colour, g in zip(colours, generations, strict=True):
        shares = bins(table, metric, g)
        ax.stairs(shares["share"], 10 ** _edges(shares), color=colour, lw=1.6, label=f"generation {g}")
    ax.set(xscale="log", xlabel=xlabel, ylabel="share of blocks")
    every = bins(table, metric, None)
    filled = np.flatnonzero(every["share"] > 0)
    edges = 10 ** _edges(every)
    ax.set_xlim(edges[max(filled[0] - 1, 0)], edges[min(filled[-1] + 2, len(every))])
    plain_ticks(ax.xaxis)
    ax.legend()
    return figure


def _edges(shares: pd.DataFrame) -> np.ndarray:
    low = shares["low"].to_numpy()
    return np.append(low, 2 * low[-1] - low[-2])


def plain_ticks(axis: Axis) -> None:
    """Label a logarithmic axis with the numbers themselves: 2, 5, 30."""
    axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(ticker.LogLocator(subs=(2, 3, 5)))
    axis.set_minor_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))


def bins(table: pd.DataFrame, metric: str, generation: int | None) -> pd.DataFrame:
    """Histogram items as columns low (log10), share (mean over replicates); all generations together if None."""
    rows = stats.pick(table, metric, generation).astype({"item": str})
    rows = rows[rows["item"].str.startswith("bin ")]
    share = rows.groupby(rows["item"].str.removeprefix("bin ").astype(float))["value"].mean().sort_index()
    return pd.DataFrame({"low": share.index.to_numpy(), "share": share.to_numpy()})


@styled
def by_item(arms: Mapping[str, pd.DataFrame], metric: str, items: Sequence[str], *, ylabel: str) -> Figure:
    """One panel per item of a metric (a band of rarity, say), one line per arm, by generation."""
    figure, axes = plt.subplots(1, len(items), figsize=(2.6 * len(items), 3.1), sharey=True, squeeze=False)
    for ax, item in zip(axes[0], items, strict=True):
        for label, table in arms.items():
            band(ax, stats.pick(table, metric, item=item), label, marker="o", ms=3)
        _whole_ticks(ax, max(table["generation"].max() for table in arms.values()))
        ax.set(title=item, xlabel="generation")
    axes[0][0].set_ylabel(ylabel)
    axes[0][-1].legend()
    return figure


def _whole_ticks(ax: Axes, last: int) -> None:
    """Generations are whole numbers."""
    ax.set_xticks(np.unique(np.linspace(0, last, min(last, 10) + 1).round().astype(int)))


@styled
def shares_of_chains(table: pd.DataFrame, chains: int = 4) -> Figure:
    """Shares of symbols (items of the metric `share`) stacked over generations, one panel per chain."""
    rows = stats.pick(table, "share").astype({"item": str}).astype({"item": int})
    figure, axes = plt.subplots(1, chains, figsize=(2.2 * chains, 2.6), sharey=True, squeeze=False)
    for ax, chain in zip(axes[0], sorted(rows["replicate"].unique())[:chains], strict=True):
        wide = rows[rows["replicate"] == chain].pivot(index="generation", columns="item", values="value")
        ax.stackplot(wide.index, wide.T, colors=sns.color_palette("viridis", wide.shape[1]), lw=0)
        ax.set(title=f"chain {chain + 1}", xlabel="generation", ylim=(0, 1), xlim=(0, wide.index.max()))
    axes[0][0].set_ylabel("share, commonest below")
    return figure


@styled
def points(
    table: pd.DataFrame,
    line: Callable[[np.ndarray], np.ndarray],
    *,
    xlabel: str,
    ylabel: str,
    scale: str = "linear",
) -> Figure:
    """Points with intervals (columns x, y, low, high) about a dashed closed form of x."""
    figure, ax = plt.subplots()
    bars = np.array([table["y"] - table["low"], table["high"] - table["y"]]).clip(0)
    ax.errorbar(table["x"], table["y"], yerr=bars, fmt="o", ms=4, lw=1.2, label="simulated")
    ends = table["x"].min(), table["x"].max()
    x = np.geomspace(*ends, 200) if scale == "log" else np.linspace(0, ends[1], 200)
    ax.plot(x, line(x), ls=(0, (4, 3)), color="black", lw=1.1, label="theory")
    ax.set(xlabel=xlabel, ylabel=ylabel, xscale=scale, yscale=scale)
    if scale == "log":
        plain_ticks(ax.xaxis)
        plain_ticks(ax.yaxis)
    ax.legend()
    return figure


@styled
def laws(
    arms: Mapping[str, pd.DataFrame],
    lines: Mapping[str, Callable[[np.ndarray], np.ndarray]],
    *,
    xlabel: str,
    ylabel: str,
    limits: Sequence[float] = (),
) -> Figure:
    """Several arms of points with intervals (columns x, y, low, high) on logarithmic axes, closed forms dashed.

    lines   {label: closed form of x}, drawn over the x of the arm of the same label
    limits  horizontal lines
    """
    figure, ax = plt.subplots()
    for (label, table), colour in zip(arms.items(), sns.color_palette(n_colors=len(arms)), strict=True):
        bars = np.array([table["y"] - table["low"], table["high"] - table["y"]]).clip(0)
        ax.errorbar(table["x"], table["y"], yerr=bars, fmt="o", ms=4, lw=1.2, color=colour, label=label)
        if line := lines.get(label):
            x = np.geomspace(table["x"].min(), table["x"].max(), 100)
            ax.plot(x, line(x), ls=(0, (4, 3)), color=colour, lw=1.1)
    for level in limits:
        ax.axhline(level, color="0.4", lw=0.8, ls=":")
    ax.set(xscale="log", yscale="log", xlabel=xlabel, ylabel=ylabel)
    ax.legend()
    return figure


@styled
def medians(
    arms: Mapping[str, pd.DataFrame],
    metrics: Mapping[str, tuple[str, str]],
    *,
    chains: bool = False,
    marks: Mapping[str, Sequence[tuple[float, float]]] | None = None,
) -> Figure:
    """Median over chains by generation with its distribution-free 95 % interval as a band, one panel per metric.

    metrics  {metric: (label of its axis, "linear" or "log")}; on a logarithmic axis values of 0 are left out
    chains   thin lines for the single chains besides
    marks    {metric: published values as (generation, value)}, drawn as crosses
    """
    figure, axes = plt.subplots(1, len(metrics), figsize=(6 if len(metrics) == 1 else 3.4 * len(metrics), 3.3))
    for ax, (metric, (ylabel, yscale)) in zip(np.atleast_1d(axes), metrics.items(), strict=True):
        for colour, (label, table) in zip(sns.color_palette(n_colors=len(arms)), arms.items(), strict=True):
            rows = stats.pick(table, metric)
            rows = rows[rows["value"] > 0] if yscale == "log" else rows
            if chains:
                for _, chain in rows.groupby("replicate"):
                    ax.plot(chain["generation"], chain["value"], color=colour, lw=0.5, alpha=0.25)
            curve = {g: stats.median(group["value"]) for g, group in rows.groupby("generation")}
            ax.plot(list(curve), [e.value for e in curve.values()], color=colour, label=label)
            low, high = ([getattr(e, end) for e in curve.values()] for end in ("low", "high"))
            ax.fill_between(list(curve), low, high, color=colour, alpha=0.25, lw=0)
        if found := (marks or {}).get(metric):
            ax.plot(*zip(*found, strict=True), "x", color="black", ms=6, mew=1.6, label="published", zorder=4)
        ax.set(xlabel="generation", ylabel=ylabel, yscale=yscale)
    np.atleast_1d(axes)[0].legend()
    return figure


@styled
def ellipses(
    table: pd.DataFrame, generations: Sequence[int], rows: Sequence[int], centres: Sequence[Sequence[float]]
) -> Figure:
    """Fitted mixtures of the metric `component`: an ellipse of two standard deviations for every component.

    rows     how many chains each row of panels shows: one chain with a colour per component, several with a colour each
    centres  of the real data, whose own circles of two standard deviations are dashed
    """
    shape = len(rows), len(generations)
    figure, axes = plt.subplots(
        *shape, figsize=(1.6 * shape[1], 1.75 * shape[0]), sharex=True, sharey=True, squeeze=False
    )
    half = 4 + np.abs(np.asarray(centres)).max()
    for column, g in enumerate(generations):
        found = stats.pick(table, "component", g).astype({"item": str})
        fitted = found.pivot(index="replicate", columns="item", values="value")
        for ax, chains in zip(axes[:, column], rows, strict=True):
            for centre in centres:
                ax.add_patch(Ellipse((centre[0], centre[1]), 4, 4, fill=False, ls="--", lw=1))
            colours = sns.color_palette(n_colors=max(chains, fitted.shape[1] // 6))
            face = 0.25 if chains == 1 else 0.08
            for r, (_, law) in enumerate(fitted.head(chains).iterrows()):
                for k in range(fitted.shape[1] // 6):
                    x, y, xx, xy, yy = (law[f"{k + 1} {name}"] for name in ("x", "y", "xx", "xy", "yy"))
                    size, axis = np.linalg.eigh([[xx, xy], [xy, yy]])
                    angle = np.degrees(np.arctan2(axis[1, 1], axis[0, 1]))
                    colour = colours[k if chains == 1 else r]
                    width, height = 4 * np.sqrt(size[1]), 4 * np.sqrt(size[0])
                    ax.add_patch(Ellipse((x, y), width, height, angle=angle, fc=(*colour, face), ec=colour, lw=1.2))
            ax.set(aspect="equal", xlim=(-half, half), ylim=(-half, half), xticks=[], yticks=[])
        axes[0, column].set_title(f"generation {g}")
    for ax, chains in zip(axes[:, 0], rows, strict=True):
        ax.set_ylabel("one chain" if chains == 1 else f"{min(chains, len(fitted))} chains")
    return figure


@styled
def points_by_arm(
    panels: Mapping[str, Mapping[str, pd.DataFrame]],
    theory: Mapping[str, Curves],
    *,
    xlabel: str,
    ylabel: str,
    scale: str = "linear",
    yscale: str = "linear",
) -> Figure:
    """Points with intervals (columns x, y, low, high), one colour and marker per arm, closed forms of x dashed.

    panels  {title: {label: points}}
    theory  {title: {label: closed form}}, drawn over the points of the same label
    scale   of the horizontal axis; a logarithmic one is labelled at the points
    """
    wide = 6 if len(panels) == 1 else 3.7 * len(panels)
    figure, axes = plt.subplots(1, len(panels), figsize=(wide, 3.4), sharey=True, squeeze=False)
    for ax, (title, arms) in zip(axes[0], panels.items(), strict=True):
        colours = sns.color_palette(n_colors=len(arms))
        for colour, marker, (label, table) in zip(colours, "osD^vP*"[: len(arms)], arms.items(), strict=True):
            bars = np.array([table["y"] - table["low"], table["high"] - table["y"]]).clip(0)
            ax.errorbar(table["x"], table["y"], yerr=bars, fmt=marker, ms=4.5, lw=1.2, color=colour, label=label)
            if curve := theory.get(title, {}).get(label):
                ends = table["x"].min(), table["x"].max()
                x = np.geomspace(*ends, 200) if scale == "log" else np.linspace(*ends, 200)
                ax.plot(x, curve(x), ls=(0, (4, 3)), color=colour, lw=1.1)
        ax.set(title=title, xlabel=xlabel, xscale=scale, yscale=yscale)
        if yscale == "log":
            plain_ticks(ax.yaxis)
        if scale == "log":
            ticks = sorted(set().union(*(table["x"] for table in arms.values())))
            ax.set_xticks(ticks, [f"{value:g}" for value in ticks])
            ax.xaxis.set_minor_locator(ticker.NullLocator())
        ax.legend()
    axes[0][0].set_ylabel(ylabel)
    return figure
