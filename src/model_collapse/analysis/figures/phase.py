"""Phase diagrams: a number over a plane of two settings, with the contours of a closed form drawn over it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize, PowerNorm, SymLogNorm
from matplotlib.figure import Figure

from model_collapse.analysis.figures.look import COLUMNS, named, styled, tiled

TICKS = 7
"""Labels on an axis, at most."""

WRITTEN = 24
"""Cells of a panel in which the value is written, at most."""


@styled
def phase(
    panels: Mapping[str, pd.DataFrame],
    theory: Mapping[str, pd.DataFrame] | None = None,
    levels: Sequence[float] = (),
    *,
    xlabel: str,
    ylabel: str,
    label: str,
    scale: str = "linear",
) -> Figure:
    """A heat map for each panel, all in the same colours; contours of the closed form at `levels`, in black.

    panels  {title: table with columns x, y and value}; the values of x and y are evenly spaced, whatever they are
    theory  {title: such a table}; a panel of one row or column has no contours
    scale   linear, root or log; or signed: two colours, which meet in white at 0, logarithmic from a twentieth on
    """
    values = np.concatenate([table["value"] for table in panels.values()])
    low, high, most = np.nanmin(values), np.nanmax(values), np.nanmax(np.abs(values))
    norm = {
        "linear": lambda: Normalize(low, high),
        "root": lambda: PowerNorm(0.5, low, high),
        "log": lambda: LogNorm(low, high),
        "signed": lambda: SymLogNorm(most / 20, vmin=-most, vmax=most),
    }[scale]()
    axes = tiled(len(panels), width=3.4, height=3.1)
    for place, (ax, (title, table)) in enumerate(zip(axes, panels.items(), strict=True)):
        wide = _wide(table)
        drawn = ax.pcolormesh(wide.to_numpy(), norm=norm, cmap="PuOr_r" if scale == "signed" else "viridis")
        if theory and title in theory and min(wide.shape) > 1:
            closed = _wide(theory[title]).reindex_like(wide)
            x, y = (np.arange(count) + 0.5 for count in wide.shape[::-1])
            lines = ax.contour(x, y, closed, levels=levels, colors="black", linewidths=1.2)
            ax.clabel(lines, fmt=lambda level: f"{level:g}", fontsize=8)
        for axis, names in ((ax.xaxis, wide.columns), (ax.yaxis, wide.index)):
            step = -(-len(names) // TICKS)
            axis.set_ticks(np.arange(0, len(names), step) + 0.5, [f"{name:g}" for name in names[::step]])
        if wide.size <= WRITTEN:
            _write(ax, wide.to_numpy(), norm)
        # A panel below another names the axis for both.
        ax.set(title=title, xlabel=xlabel if place + COLUMNS >= len(panels) else "")
        ax.grid(False)
    figure = named(axes, ylabel)
    ticks = [f * 10.0**e for e in range(-3, 6) for f in (1, 2, 5) if low <= f * 10.0**e <= high]
    bar = figure.colorbar(drawn, ax=axes, label=label, shrink=0.9)
    if scale == "log":
        bar.set_ticks(ticks, labels=[f"{tick:g}" for tick in ticks])
        bar.minorticks_off()
    elif scale == "signed":
        bar.set_ticks([-most, 0, most], labels=[f"{tick:.2g}" for tick in (-most, 0, most)])
        bar.minorticks_off()
    return figure


def _write(ax: Axes, values: np.ndarray, norm: Normalize) -> None:
    """Every value into its cell, white on dark ones."""
    for (i, j), value in np.ndenumerate(values):
        dark = abs(norm(value) - 0.5) > 0.35 if isinstance(norm, SymLogNorm) else norm(value) < 0.5
        ax.text(j + 0.5, i + 0.5, f"{value:.2g}", ha="center", va="center", size=8, color="white" if dark else "black")


def _wide(table: pd.DataFrame) -> pd.DataFrame:
    return table.pivot(index="y", columns="x", values="value")
