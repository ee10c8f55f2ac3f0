"""Filter surprise: which rows are kept, and who of equals."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from model_collapse.data import Data, Rows
from model_collapse.filters.surprise import Surprise

SCORED: Any = SimpleNamespace(
    family=SimpleNamespace(score=lambda model, rows: rows.x), first=SimpleNamespace(model=None)
)
"""A first model to which every row is as surprising as its numbers are large."""


def kept(x: np.ndarray, seed: int, **settings: Any) -> np.ndarray:
    data = Data.of(Rows(np.asarray(x, float), stacked=True), born=1, author=1)
    return Surprise(**settings)(data, np.random.default_rng(seed), SCORED)


@pytest.mark.parametrize(
    ("keep", "expected"), [("low", [True, False, True, False]), ("high", [False, True, False, True])]
)
def test_the_least_or_most_surprising_rows_are_kept(keep, expected):
    x = np.array([[1.0, 9], [7, 2], [3, 8], [4, 1]])
    found = kept(x, 0, keep=keep)
    np.testing.assert_array_equal(found[:, 0], expected)
    np.testing.assert_array_equal(found[:, 1], np.logical_not(expected))


@pytest.mark.parametrize("keep", ["low", "high"])
def test_of_equally_surprising_rows_each_is_kept_as_often(keep):
    """Rows 1 to 4 of 6 are equal and two of them are kept: each in half of 4,000 chains, four standard errors."""
    x = np.repeat([[0.0], [5], [5], [5], [5], [9]], 4_000, axis=1)
    found = kept(x, 1, keep=keep)
    assert (found.sum(axis=0) == 3).all() and found[0 if keep == "low" else 5].all()
    assert np.abs(found[1:5].mean(axis=1) - 0.5).max() < 4 * 0.5 / np.sqrt(4_000)
