"""Single chains: what their models have become."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse

from model_collapse.analysis import stats
from model_collapse.analysis.figures.look import named, styled, tiled


@styled
def fitted_densities(table: pd.DataFrame, generations: Sequence[int], chains: int = 12) -> Figure:
    """The normal distributions that chains have fitted, each scaled to height 1, by generation; truth dashed."""
    axes = tiled(len(generations), width=3.3, height=2.4)
    z = np.linspace(-4, 4, 201)
    for ax, g in zip(axes, generations, strict=True):
        centre = stats.per_replicate(table, "mean", g)
        spread = np.sqrt(stats.per_replicate(table, "variance", g))
        for chain in centre.index[:chains]:
            ax.plot(centre[chain] + spread[chain] * z, np.exp(-(z**2) / 2), lw=1)
        ax.plot(z, np.exp(-(z**2) / 2), color="black", ls="--", lw=1.2)
        ax.set(title=f"generation {g}", yticks=[], xlim=(-4, 4), xlabel="x")
    return named(axes, "scaled to height 1")


@styled
def shares_of_chains(table: pd.DataFrame, chains: int = 4) -> Figure:
    """Shares of symbols (items of the metric `share`) stacked over generations, one panel per chain."""
    rows = stats.pick(table, "share").astype({"item": str}).astype({"item": int})
    axes = tiled(chains, width=3.3, height=2.5, sharey=True)
    for ax, chain in zip(axes, sorted(rows["replicate"].unique())[:chains], strict=True):
        wide = rows[rows["replicate"] == chain].pivot(index="generation", columns="item", values="value")
        ax.stackplot(wide.index, wide.T, colors=sns.color_palette("viridis", wide.shape[1]), lw=0)
        ax.set(title=f"chain {chain + 1}", xlabel="generation", ylim=(0, 1), xlim=(0, wide.index.max()))
    return named(axes, "share, commonest below")


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
            for r, (_, fit) in enumerate(fitted.head(chains).iterrows()):
                for k in range(fitted.shape[1] // 6):
                    x, y, xx, xy, yy = (fit[f"{k + 1} {name}"] for name in ("x", "y", "xx", "xy", "yy"))
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
