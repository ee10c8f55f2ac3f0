"""Closed forms, which count fits, over the generations of a table: generation g has been fitted n = g + 1 times."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from model_collapse.analysis import stats

Form = Callable[[np.ndarray], np.ndarray]
"""A closed form of generations."""

FAR = 5.0
"""Standard errors. A simulated mean that is farther from its closed form is a fault, and the chapter stops."""


def after(closed_form: Callable[..., ArrayLike], *given: object) -> Form:
    """A closed form (n, *given) of the number of fits as one of generations."""
    return lambda g: np.asarray(closed_form(g + 1, *given))


def constant(value: float) -> Form:
    """The same at every generation."""
    return lambda g: np.full(np.shape(g), float(value))


def changed(table: pd.DataFrame, metric: str, change: Callable[[pd.Series], pd.Series]) -> pd.DataFrame:
    """The rows of one metric with other values: squares, shares of something, events as 0 and 1."""
    rows = stats.pick(table, metric)
    return rows.assign(value=change(rows["value"]).astype(float))
