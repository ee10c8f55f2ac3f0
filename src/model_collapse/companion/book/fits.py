"""Closed forms, which count fits, over the generations of a table: generation g has been fitted n = g + 1 times."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from model_collapse.analysis import stats
from model_collapse.companion.book import compare
from model_collapse.companion.claims import rows

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
    picked = stats.pick(table, metric)
    return picked.assign(value=change(picked["value"]).astype(float))


def trusted(panels: compare.Panels, forms: Mapping[str, Mapping[str, Form]]) -> float:
    """Largest distance of a mean over chains from its closed form up to M / 2 fits, in standard errors.

    Later the mean is carried by too few chains. AssertionError if it is `FAR` or more.
    """
    early = {
        title: {label: table[table["generation"] < rows(table) / 2] for label, table in own.items()}
        for title, own in panels.items()
    }
    found = compare.farthest(early, forms)
    assert found < FAR, f"a mean over chains is {found:.1f} standard errors from its closed form"
    return found
