"""Families of models side by side: the same conditions in a panel for each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import ticker
from matplotlib.artist import Artist
from matplotlib.figure import Figure

from model_collapse.analysis.figures.curves import Curves
from model_collapse.analysis.figures.look import band, bars, colours, named, plain_ticks, styled, tiled, whole_ticks


def _looks(labels: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Label -> its colour and marker, the same in all panels of a figure."""
    once = list(dict.fromkeys(labels))
    return dict(zip(once, zip(colours(once).values(), "osD^vP*", strict=False), strict=True))


@styled
def by_family(
    panels: Mapping[str, Mapping[str, pd.DataFrame]],
    theory: Mapping[str, Curves],
    *,
    ylabels: Mapping[str, str],
    columns: int = 3,
) -> Figure:
    """Means with 95 % bands by generation, each panel with its own axis; a condition has one colour in all panels.

    panels   {title: {condition: rows of one metric}}
    theory   {title: {condition: closed form}}, dashed
    ylabels  {title: label of the vertical axis}
    """
    looks = _looks(arm for own in panels.values() for arm in own)
    lines = -(-len(panels) // columns)
    figure, axes = plt.subplots(lines, columns, figsize=(3.2 * columns, 2.7 * lines + 0.4), squeeze=False)
    for ax in axes.flat[len(panels) :]:
        ax.remove()
    drawn = {}
    for ax, (title, own) in zip(axes.flat, panels.items(), strict=False):
        for arm, rows in own.items():
            colour, marker = looks[arm]
            few = rows["generation"].nunique() <= 12
            band(ax, rows, arm, color=colour, **({"marker": marker, "ms": 3.5} if few else {}))
            drawn[arm] = ax.get_lines()[-1]
            if curve := theory.get(title, {}).get(arm):
                g = np.unique(rows["generation"])
                ax.plot(g, curve(g), ls=(0, (4, 3)), color="black", lw=1.1, zorder=3)
        last = int(max(rows["generation"].max() for rows in own.values()))
        if last <= 10:
            whole_ticks(ax, last)
        ax.set(title=title, xlabel="generation", ylabel=ylabels[title])
    figure.legend(drawn.values(), drawn.keys(), loc="outside lower center", ncols=len(drawn))
    return figure


@styled
def prices(panels: Mapping[str, pd.DataFrame], *, theory: Mapping[str, Curves] | None = None) -> Figure:
    """How many times the rows the same loss costs by generation, with intervals, on a logarithmic axis.

    panels  {title: columns arm, x, y, low, high, most}; where y is inf no number of rows tried was enough, and an arrow
            stands at the most that was tried
    theory  {title: {condition: closed form of x}}, dashed
    """
    looks = _looks(arm for table in panels.values() for arm in table["arm"])
    wide = 6.0 if len(panels) == 1 else 3.8 * len(panels)
    figure, axes = plt.subplots(1, len(panels), figsize=(wide, 3.7), squeeze=False)
    drawn = {}
    for ax, (title, table) in zip(axes[0], panels.items(), strict=True):
        here = [arm for arm in looks if arm in set(table["arm"])]
        for place, arm in enumerate(here):
            colour, marker = looks[arm]
            # Side by side, or intervals would lie on each other.
            own = table[table["arm"] == arm]
            own = own.assign(at=own["x"] + 0.08 * (place - (len(here) - 1) / 2))
            found = own[np.isfinite(own["y"])]
            ends = found["low"], found["high"].where(np.isfinite(found["high"]), found["most"])
            lengths = np.array([found["y"] - ends[0], ends[1] - found["y"]]).clip(0)
            drawn[arm] = ax.errorbar(
                found["at"], found["y"], yerr=lengths, fmt=marker, ls="-", ms=4, lw=1.2, color=colour, label=arm
            )
            beyond = own[~np.isfinite(own["y"])]
            ax.plot(beyond["at"], beyond["most"], ls="", marker=r"$\uparrow$", ms=10, color=colour)
            if curve := (theory or {}).get(title, {}).get(arm):
                x = np.unique(own["x"])
                ax.plot(x, curve(x), ls=(0, (4, 3)), color="black", lw=1.1, zorder=3)
        ax.axhline(1, color="0.4", lw=0.8, ls=":")
        whole_ticks(ax, int(table["x"].max()))
        ax.set(title=title, xlabel="generation", yscale="log", xlim=(0.5, table["x"].max() + 0.5))
        plain_ticks(ax.yaxis)
    axes[0][0].set_ylabel("times the rows")
    figure.legend(drawn.values(), drawn.keys(), loc="outside lower center", ncols=min(len(drawn), 3))
    return figure


@styled
def learning_curves(panels: Mapping[str, Mapping[str, pd.DataFrame]], *, xlabel: str, ylabel: str) -> Figure:
    """Loss over what was spent, on a logarithmic axis, one line with intervals per label.

    panels  {title: {label: columns x, y, low, high}}
    """
    axes = tiled(len(panels), height=3.2, below=0.4, sharey=True)
    looks = _looks(label for own in panels.values() for label in own)
    drawn: dict[str, Artist] = {}
    for ax, (title, own) in zip(axes, panels.items(), strict=True):
        for label, table in own.items():
            colour, marker = looks[label]
            ax.errorbar(
                table["x"], table["y"], yerr=bars(table), fmt=marker, ls="-", ms=4, lw=1.4, color=colour, label=label
            )
        handles, names = ax.get_legend_handles_labels()
        drawn.update(zip(names, handles, strict=True))
        ax.set(title=title, xlabel=xlabel, xscale="log")
        ax.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_major_formatter(ticker.EngFormatter(sep=""))
        ax.xaxis.set_minor_formatter(ticker.NullFormatter())
    figure = named(axes, ylabel)
    figure.legend(list(drawn.values()), list(drawn), loc="outside lower center", ncols=min(len(drawn), 3))
    return figure


@styled
def forest(groups: Mapping[str, pd.DataFrame], *, xlabel: str, lines: Sequence[float] = (0, 1)) -> Figure:
    """Estimates with intervals, one below the other (columns label, y, low, high), one colour per group.

    lines  vertical lines to compare with
    """
    count = sum(map(len, groups.values()))
    figure, ax = plt.subplots(figsize=(7, 0.9 + 0.27 * count))
    labels: list[str] = []
    for colour, (title, table) in zip(sns.color_palette(n_colors=len(groups)), groups.items(), strict=True):
        at = len(labels) + np.arange(len(table))
        ax.errorbar(table["y"], at, xerr=np.nan_to_num(bars(table)), fmt="o", ms=4, lw=1.4, color=colour, label=title)
        labels += list(table["label"])
    for line in lines:
        ax.axvline(line, color="0.4", lw=0.8, ls=":")
    ax.set(xlabel=xlabel, ylim=(len(labels) - 0.5, -0.5))
    ax.set_yticks(range(len(labels)), labels)
    ax.xaxis.set_major_formatter(ticker.PercentFormatter(1, decimals=0))
    figure.legend(loc="outside lower center", ncols=len(groups))
    return figure
