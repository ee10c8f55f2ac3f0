"""Points with intervals about closed forms."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import cycle

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib import ticker
from matplotlib.figure import Figure

from model_collapse.analysis.figures.curves import Curves
from model_collapse.analysis.figures.look import bars, colours, plain_ticks, styled


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
    ax.errorbar(table["x"], table["y"], yerr=bars(table), fmt="o", ms=4, lw=1.2, label="simulated")
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
    """Several conditions of points with intervals (columns x, y, low, high) on logarithmic axes, closed forms dashed.

    lines   {label: closed form of x}, drawn over the x of the condition of the same label
    limits  horizontal lines
    """
    figure, ax = plt.subplots()
    for (label, table), colour in zip(arms.items(), colours(arms).values(), strict=True):
        ax.errorbar(table["x"], table["y"], yerr=bars(table), fmt="o", ms=4, lw=1.2, color=colour, label=label)
        if line := lines.get(label):
            x = np.geomspace(table["x"].min(), table["x"].max(), 100)
            ax.plot(x, line(x), ls=(0, (4, 3)), color=colour, lw=1.1)
    for level in limits:
        ax.axhline(level, color="0.4", lw=0.8, ls=":")
    ax.set(xscale="log", yscale="log", xlabel=xlabel, ylabel=ylabel)
    ax.legend()
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
    marks: Mapping[str, float] | None = None,
) -> Figure:
    """Points with intervals (columns x, y, low, high), one colour and marker per condition, closed forms of x dashed.

    panels  {title: {label: points}}
    theory  {title: {label: closed form}}, drawn over the points of the same label
    scale   of the horizontal axis; a logarithmic one is labelled at the points
    marks   {label: x}, a dotted vertical line in the colour of that condition
    """
    wide = 6 if len(panels) == 1 else 3.7 * len(panels)
    figure, axes = plt.subplots(1, len(panels), figsize=(wide, 3.4), sharey=True, squeeze=False)
    for ax, (title, arms) in zip(axes[0], panels.items(), strict=True):
        chosen = colours(arms).values()
        for colour, marker, (label, table) in zip(chosen, "osD^vP*"[: len(arms)], arms.items(), strict=True):
            ax.errorbar(table["x"], table["y"], yerr=bars(table), fmt=marker, ms=4.5, lw=1.2, color=colour, label=label)
            if curve := theory.get(title, {}).get(label):
                ends = table["x"].min(), table["x"].max()
                x = np.geomspace(*ends, 200) if scale == "log" else np.linspace(*ends, 200)
                ax.plot(x, curve(x), ls=(0, (4, 3)), color=colour, lw=1.1)
            if marks and label in marks:
                ax.axvline(marks[label], color=colour, lw=0.9, ls=":")
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


@styled
def roc(panels: Mapping[str, Mapping[str, pd.DataFrame]], *, least: float = 1e-3) -> Figure:
    """Receiver operating characteristics (columns false_alarms, found), one line per label, chance dotted.

    panels  {title: {label: curve}}
    least   where the logarithmic axis of false alarms begins; fewer are drawn there
    """
    wide = 5 if len(panels) == 1 else 3.8 * len(panels)
    figure, axes = plt.subplots(1, len(panels), figsize=(wide, 4.6), sharey=True, squeeze=False)
    for ax, (title, curves) in zip(axes[0], panels.items(), strict=True):
        looks = zip(curves.items(), cycle(("-", (0, (4, 2)), (0, (1, 1)))))
        for (label, curve), dash in looks:
            ax.plot(np.maximum(curve["false_alarms"], least), curve["found"], label=label, ls=dash)
        chance = np.geomspace(least, 1, 100)
        ax.plot(chance, chance, color="0.5", lw=0.8, ls=":")
        ax.set(title=title, xlabel="real texts accused", xscale="log", ylim=(-0.02, 1.02))
        # Below: the curves may lie anywhere.
        ax.legend(fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.2))
    axes[0][0].set_ylabel("generated texts found")
    return figure
