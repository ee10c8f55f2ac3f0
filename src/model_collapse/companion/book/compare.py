"""Simulations beside closed forms: the table below a figure, and how far means lie from what theory expects."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from model_collapse.analysis import stats
from model_collapse.analysis.figures import Curves
from model_collapse.analysis.stats import Estimate
from model_collapse.companion.book import estimates

Panels = Mapping[str, Mapping[str, pd.DataFrame]]
"""Title of a panel -> label -> rows of one metric."""


def listed(panels: Panels) -> pd.DataFrame:
    """Means with 95 % intervals of all curves: columns panel, condition, generation, mean, low, high, replicates."""
    rows = {(title, label): own for title, curves in panels.items() for label, own in curves.items()}
    return estimates.curves(rows, "panel", "condition")


def farthest(panels: Panels, theory: Mapping[str, Curves]) -> float:
    """Largest distance of a mean over chains from its closed form, in standard errors.

    Only curves that have a closed form, and only generations in which the chains differ.
    """
    return max(
        stats.deviation(rows[rows.groupby("generation")["value"].transform("std") > 0], expected)
        for title, own in panels.items()
        for label, rows in own.items()
        if (expected := theory.get(title, {}).get(label)) is not None
    )


def ends(curves: Mapping[str, pd.DataFrame], generation: int) -> dict[str, Estimate]:
    """Mean of each curve at one generation."""
    return {label: stats.mean(rows[rows["generation"] == generation]["value"]) for label, rows in curves.items()}


def off(table: pd.DataFrame, expected: pd.Series | np.ndarray) -> float:
    """Largest distance of points with 95 % intervals (columns y, low, high) from theory, in standard errors."""
    return float(np.max(np.abs(table["y"] - expected) / ((table["high"] - table["low"]) / 2 / 1.96)))
