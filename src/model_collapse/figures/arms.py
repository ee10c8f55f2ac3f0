"""Arms of one experiment beside each other, metric by metric or item by item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from model_collapse import stats
from model_collapse.figures.look import band, plain_ticks, styled, whole_ticks


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
    whole_ticks(ax, max(table["generation"].max() for table in arms.values()))
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


def bins(table: pd.DataFrame, metric: str, generation: int | None) -> pd.DataFrame:
    """Histogram items as columns low (log10), share (mean over replicates); all generations together if None."""
    rows = stats.pick(table, metric, generation).astype({"item": str})
    rows = rows[rows["item"].str.startswith("bin ")]
    share = rows.groupby(rows["item"].str.removeprefix("bin ").astype(float))["value"].mean().sort_index()
    return pd.DataFrame({"low": share.index.to_numpy(), "share": share.to_numpy()})


def _edges(shares: pd.DataFrame) -> np.ndarray:
    low = shares["low"].to_numpy()
    return np.append(low, 2 * low[-1] - low[-2])


@styled
def by_item(arms: Mapping[str, pd.DataFrame], metric: str, items: Sequence[str], *, ylabel: str) -> Figure:
    """One panel per item of a metric (a band of rarity, say), one line per arm, by generation."""
    figure, axes = plt.subplots(1, len(items), figsize=(2.6 * len(items), 3.1), sharey=True, squeeze=False)
    for ax, item in zip(axes[0], items, strict=True):
        for label, table in arms.items():
            band(ax, stats.pick(table, metric, item=item), label, marker="o", ms=3)
        whole_ticks(ax, max(table["generation"].max() for table in arms.values()))
        ax.set(title=item, xlabel="generation")
    axes[0][0].set_ylabel(ylabel)
    axes[0][-1].legend()
    return figure
