"""Conditions of one experiment beside each other, metric by metric or item by item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from model_collapse.analysis import stats
from model_collapse.analysis.figures.look import (
    REGIMES,
    band,
    colours,
    named,
    plain_ticks,
    styled,
    tiled,
    whole_ticks,
)

Metrics = Mapping[str, tuple[str, str]]
"""Metric and item by the title they get."""


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
    """One metric by generation: a thick line per condition for the mean over seeds, thin ones for the seeds themselves.

    A condition that ends with generation 0 while others go on (a model before fine-tuning) is a dotted line across.
    """
    figure, ax = plt.subplots(figsize=(6, 3.4 + 0.2 * -(-len(arms) // 2)))
    for (label, colour), table in zip(colours(arms).items(), arms.values(), strict=True):
        rows = stats.pick(table, metric, item=item)
        if _ends_at_once(table, arms):
            ax.axhline(rows["value"].mean(), color=colour, ls=":", label=label)
            continue
        if chains:
            for _, chain in rows.groupby("replicate"):
                ax.plot(chain["generation"], chain["value"], color=colour, lw=0.7, alpha=0.5)
        means = rows.groupby("generation")["value"].mean()
        ax.plot(means.index, means, color=colour, marker="o", ms=4, label=label)
    whole_ticks(ax, max(table["generation"].max() for table in arms.values()))
    ax.set(xlabel="generation", ylabel=ylabel, title=title, yscale=yscale)
    if yscale == "log":
        plain_ticks(ax.yaxis)
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def _ends_at_once(table: pd.DataFrame, arms: Mapping[str, pd.DataFrame]) -> bool:
    """Whether a condition has generation 0 alone, and others have more."""
    return bool(table["generation"].max() == 0 < max(other["generation"].max() for other in arms.values()))


def _by_generation(ax: Axes, rows: pd.DataFrame, label: str, level: bool, **look: Any) -> None:
    """Means with bands, or a dotted line across at the mean."""
    if level:
        ax.axhline(rows["value"].mean(), label=label, **(look | {"ls": ":"}))
    else:
        band(ax, rows, label, marker="o", ms=3, **look)


@styled
def histograms(
    table: pd.DataFrame,
    metric: str,
    generations: Sequence[int],
    *,
    xlabel: str,
    ylabel: str = "share of blocks",
    yscale: str = "linear",
    log: bool = True,
) -> Figure:
    """Items "bin L" of `metric` (share of rows with value in [L, next L)), one step line per generation.

    log  whether L is log10 of the value, and the axis logarithmic
    """
    figure, ax = plt.subplots()
    colours = sns.color_palette("viridis", len(generations))
    for colour, g in zip(colours, generations, strict=True):
        shares = bins(table, metric, g)
        ax.stairs(shares["share"], _edges(shares, log), color=colour, lw=1.6, label=f"generation {g}")
    ax.set(xscale="log" if log else "linear", yscale=yscale, xlabel=xlabel, ylabel=ylabel)
    every = bins(table, metric, None)
    filled = np.flatnonzero(every["share"] > 0)
    edges = _edges(every, log)
    ax.set_xlim(edges[max(filled[0] - 1, 0)], edges[min(filled[-1] + 2, len(every))])
    if log:
        plain_ticks(ax.xaxis)
    ax.legend()
    return figure


def bins(table: pd.DataFrame, metric: str, generation: int | None) -> pd.DataFrame:
    """Histogram items as columns low (a bin's left end), share (mean over replicates); all generations if None."""
    rows = stats.pick(table, metric, generation).astype({"item": str})
    rows = rows[rows["item"].str.startswith("bin ")]
    share = rows.groupby(rows["item"].str.removeprefix("bin ").astype(float))["value"].mean().sort_index()
    return pd.DataFrame({"low": share.index.to_numpy(), "share": share.to_numpy()})


def _edges(shares: pd.DataFrame, log: bool) -> np.ndarray:
    low = shares["low"].to_numpy()
    ends = np.append(low, 2 * low[-1] - low[-2])
    return 10**ends if log else ends


@styled
def by_item(arms: Mapping[str, pd.DataFrame], metric: str, items: Sequence[str], *, ylabel: str) -> Figure:
    """One panel per item of a metric (a band of rarity, say), one line per condition, by generation."""
    axes = tiled(len(items), sharey=True)
    for ax, item in zip(axes, items, strict=True):
        for (label, colour), table in zip(colours(arms).items(), arms.values(), strict=True):
            _by_generation(ax, stats.pick(table, metric, item=item), label, _ends_at_once(table, arms), color=colour)
        whole_ticks(ax, max(table["generation"].max() for table in arms.values()))
        ax.set(title=item, xlabel="generation")
    return _labelled(axes, ylabel, 3)


@styled
def side_by_side(
    arms: Mapping[str, pd.DataFrame],
    panels: Metrics,
    *,
    yscale: str = "linear",
    shared: bool = False,
) -> Figure:
    """Means with 95 % bands by generation, one panel per metric or item, one line per condition, legend below.

    A condition that ends with generation 0 while others go on is a dotted line across, as in `by_arm`.

    panels  {title: (metric, item)}
    shared  whether the panels have one vertical axis
    """
    axes = tiled(len(panels), height=2.9, below=0.3 + 0.2 * -(-len(arms) // 3), sharey=shared)
    for ax, (title, (metric, item)) in zip(axes, panels.items(), strict=True):
        for place, ((label, colour), table) in enumerate(zip(colours(arms).items(), arms.values(), strict=True)):
            # More than the palette has: the further ones are dashed.
            dash = "-" if place < len(REGIMES) else (0, (4, 2))
            rows, level = stats.pick(table, metric, item=item), _ends_at_once(table, arms)
            _by_generation(ax, rows, label, level, color=colour, ls=dash)
        whole_ticks(ax, max(table["generation"].max() for table in arms.values()))
        ax.set(title=title, xlabel="generation", yscale=yscale)
        if yscale == "log":
            plain_ticks(ax.yaxis)
    return _labelled(axes, "", 3)


@styled
def relative(arms: Mapping[str, pd.DataFrame], metrics: Metrics) -> Figure:
    """One panel per condition, one line per metric: change relative to generation 0, by seed, with 95 % bands."""
    axes = tiled(len(arms), height=2.9, below=0.4, sharey=True)
    for ax, (label, table) in zip(axes, arms.items(), strict=True):
        for marker, (title, (metric, item)) in zip(cycle("os^DvP*X"), metrics.items()):
            band(ax, stats.relative(table, metric, item), title, marker=marker, ms=3.5)
        whole_ticks(ax, table["generation"].max())
        ax.axhline(0, color="0.4", lw=0.8, ls=":")
        ax.set(title=label, xlabel="generation")
        ax.yaxis.set_major_formatter(ticker.PercentFormatter(1, decimals=0))
    return _labelled(axes, "change since generation 0", 4)


def _labelled(axes: Sequence[Axes], ylabel: str, ncols: int) -> Figure:
    """The figure of these panels, with a name for the vertical axis of each row and one legend below all."""
    figure = named(axes, ylabel)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=ncols)
    return figure


@styled
def paths(
    arms: Mapping[str, pd.DataFrame], x: tuple[str, str], y: tuple[str, str], *, xlabel: str, ylabel: str
) -> Figure:
    """Paths of conditions in the plane of two metrics (means over seeds), from a ring to the number of a generation."""
    figure, ax = plt.subplots()
    for (label, colour), table in zip(colours(arms).items(), arms.values(), strict=True):
        along, up = (stats.by_generation(stats.pick(table, metric, item=item))["mean"] for metric, item in (x, y))
        ax.plot(along, up, marker="o", ms=3, color=colour, label=label)
        ax.plot(along[:1], up[:1], "o", ms=10, mfc="none", color=colour)
        last = along.iloc[-1], up.iloc[-1]
        ax.annotate(f"{table['generation'].max()}", last, (4, 4), textcoords="offset points", color=colour)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.legend()
    return figure
