"""Phase diagrams: a number over a plane of two settings, with the contours of a closed form drawn over it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import CenteredNorm, LogNorm, Normalize
from matplotlib.figure import Figure

from model_collapse.figures.look import styled

TICKS = 7
"""Labels on an axis, at most."""


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
    scale   linear or log; or signed: two colours, which meet in white at 0
    """
    values = np.concatenate([table["value"] for table in panels.values()])
    norm = {
        "linear": lambda: Normalize(np.nanmin(values), np.nanmax(values)),
        "log": lambda: LogNorm(np.nanmin(values), np.nanmax(values)),
        "signed": lambda: CenteredNorm(0, np.nanmax(np.abs(values))),
    }[scale]()
    size = 2.9 * len(panels) + 1.1, 3.4
    figure, axes = plt.subplots(1, len(panels), figsize=size, squeeze=False)
    for ax, (title, table) in zip(axes[0], panels.items(), strict=True):
        wide = _wide(table)
        drawn = ax.pcolormesh(wide.to_numpy(), norm=norm, cmap="PuOr_r" if scale == "signed" else "viridis")
        if theory and title in theory and min(wide.shape) > 1:
            closed = _wide(theory[title]).reindex_like(wide)
            x, y = (np.arange(count) + 0.5 for count in wide.shape[::-1])
            lines = ax.contour(x, y, closed, levels=levels, colors="black", linewidths=1.2)
            ax.clabel(lines, fmt=lambda level: f"{level:g}", fontsize=8)
        for axis, names in ((ax.xaxis, wide.columns), (ax.yaxis, wide.index)):
            shown = np.unique(np.linspace(0, len(names) - 1, min(len(names), TICKS)).round().astype(int))
            axis.set_ticks(shown + 0.5, [f"{names[i]:g}" for i in shown])
        ax.set(title=title, xlabel=xlabel)
        ax.grid(False)
    axes[0][0].set_ylabel(ylabel)
    figure.colorbar(drawn, ax=list(axes[0]), label=label, shrink=0.9)
    return figure


def _wide(table: pd.DataFrame) -> pd.DataFrame:
    return table.pivot(index="y", columns="x", values="value")
