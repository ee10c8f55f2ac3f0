"""Curves over generations, simulated and by closed form."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import ticker
from matplotlib.figure import Figure

from model_collapse.analysis import stats
from model_collapse.analysis.figures.look import band, colours, named, styled, tiled

Curves = Mapping[str, Callable[[np.ndarray], np.ndarray]]
"""Closed forms by label; each takes an array of generations g and has counted n = g + 1 fits. Bounds come as a pair."""


ROOM = 4
"""Labels of a legend within a panel, at most."""


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
    theory  {title: {label: closed form}}, for the simulation of the same label
    limits  {title: horizontal lines}

    Several panels have their legends below, one for all of them if their labels are the same; and so has a single panel
    with more labels than find room beside its curves.
    """
    most = max(map(len, panels.values()))
    inside = len(panels) == 1 and most <= ROOM
    together = not inside and len({tuple(arms) for arms in panels.values()}) == 1
    below = 0.0 if inside else 0.2 * -(-most // 2) if len(panels) == 1 else 0.5 if together else 0.2 * most
    axes = tiled(len(panels), width=3.7, height=3.4, below=below, sharey=True)
    for ax, (title, arms) in zip(axes, panels.items(), strict=True):
        chosen = colours(arms)
        for label, rows in arms.items():
            band(ax, rows, label, color=chosen[label])
            if curve := theory.get(title, {}).get(label):
                g = np.unique(rows["generation"])
                ax.plot(g, np.atleast_2d(curve(g)).T, ls=(0, (4, 3)), color="black", lw=1.1)
        for level in (limits or {}).get(title, ()):
            ax.axhline(level, color="0.4", lw=0.8, ls=":")
        ax.set(title=title, xlabel="generation", yscale=yscale, xscale=xscale)
        if xscale == "linear":
            locator = ax.xaxis.get_major_locator()
            assert isinstance(locator, ticker.MaxNLocator)
            locator.set_params(integer=True)
        if inside:
            ax.legend()
        elif not together:
            # Below: the curves may lie anywhere.
            ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2))
    figure = named(axes, ylabel)
    if together:
        ncols = 2 if len(panels) == 1 else 3
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=ncols)
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
    figure, axes = plt.subplots(1, len(panels), figsize=(3.7 * len(panels), 3.8), sharey=True, squeeze=False)
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
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
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
    axes = tiled(len(panels), height=2.7, below=0.3, sharey=True)
    for ax, (title, rows) in zip(axes, panels.items(), strict=True):
        curve = stats.by_generation(rows)
        g = curve["generation"].to_numpy()
        names = parts[title]
        ax.stackplot(g, *(part(g) for part in names.values()), labels=list(names), alpha=0.55, lw=0)
        bars = [curve["mean"] - curve["low"], curve["high"] - curve["mean"]]
        ax.errorbar(g, curve["mean"], yerr=bars, fmt="o", color="black", ms=3, lw=1, label="simulated")
        ax.set(title=title, xlabel="generation")
    axes[0].set_ylim(bottom=0)
    figure = named(axes, ylabel)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
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
    axes = tiled(len(metrics), height=2.9, below=0.3 * (len(metrics) > 1))
    for ax, (metric, (ylabel, yscale)) in zip(axes, metrics.items(), strict=True):
        for (label, colour), table in zip(colours(arms).items(), arms.values(), strict=True):
            rows = stats.pick(table, metric)
            rows = rows[rows["value"] > 0] if yscale == "log" else rows
            if chains:
                for _, chain in rows.groupby("replicate"):
                    ax.plot(chain["generation"], chain["value"], color=colour, lw=0.5, alpha=0.25)
            curve = {g: stats.median(group["value"]) for g, group in rows.groupby("generation")}
            at = np.array(list(curve))
            ax.plot(at, [e.value for e in curve.values()], color=colour, label=label)
            low, high = [e.low for e in curve.values()], [e.high for e in curve.values()]
            ax.fill_between(at, low, high, color=colour, alpha=0.25, lw=0)
        if found := (marks or {}).get(metric):
            ax.plot(*zip(*found, strict=True), "x", color="black", ms=6, mew=1.6, label="published", zorder=4)
        ax.set(xlabel="generation", ylabel=ylabel, yscale=yscale)
    figure = axes[0].get_figure(root=True)
    assert figure is not None
    if len(axes) == 1:
        axes[0].legend()
    else:
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure
