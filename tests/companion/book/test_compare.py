"""Simulations beside closed forms."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from model_collapse.companion.book import compare
from model_collapse.companion.book.compare import Panels
from model_collapse.companion.book.estimates import points


@pytest.fixture
def panels() -> Panels:
    """Two chains, 1 and 3 in generation 1, with mean 2 and standard error 1; alike in generation 0."""
    values = [(0, 0, 5.0), (1, 0, 5.0), (0, 1, 1.0), (1, 1, 3.0)]
    rows = pd.DataFrame(values, columns=["replicate", "generation", "value"]).assign(metric="m", item="")
    return {"panel": {"a": rows, "b": rows.assign(value=rows["value"] + 10)}}


def test_the_farthest_mean_is_in_standard_errors(panels: Panels) -> None:
    assert compare.farthest(panels, {"panel": {"a": lambda g: 4.0 * g}}) == pytest.approx(2)
    assert compare.farthest(panels, {"panel": {"a": lambda g: 2.0 * g, "b": lambda g: 9.0 * g}}) == pytest.approx(3)


def test_listed_has_every_curve(panels: Panels) -> None:
    found = compare.listed(panels).set_index(["panel", "condition", "generation"])["mean"]
    assert found["panel", "a", 1] == 2 and found["panel", "b", 1] == 12 and len(found) == 4


def test_ends_are_means_at_a_generation(panels: Panels) -> None:
    ends = compare.ends(panels["panel"], 1)
    assert {label: found.value for label, found in ends.items()} == {"a": 2, "b": 12}
    table = points(ends)
    assert list(table.columns) == ["x", "y", "low", "high"] and list(table["y"]) == [2, 12]


def test_points_are_off_by_their_intervals() -> None:
    table = pd.DataFrame({"y": [1.0, 2.0], "low": [1 - 1.96, 2 - 0.98], "high": [1 + 1.96, 2 + 0.98]})
    assert compare.off(table, np.array([1.0, 3.0])) == pytest.approx(2)
