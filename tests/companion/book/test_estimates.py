"""Estimates as points of figures, rows of tables and words."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from toy_page import tidy

from model_collapse.analysis import stats
from model_collapse.analysis.stats import Estimate
from model_collapse.companion.book import estimates


def table(values: dict[tuple[int, int], float]) -> pd.DataFrame:
    """Rows of metric m from {(replicate, generation): value}."""
    rows = [{"replicate": r, "generation": g, "metric": "m", "item": "", "value": v} for (r, g), v in values.items()]
    return pd.DataFrame(rows)


def test_the_mean_is_that_of_the_last_generation_unless_another_is_named() -> None:
    rows = table({(0, 0): 1.0, (1, 0): 3.0, (0, 2): 10.0, (1, 2): 14.0})
    assert estimates.at(rows, "m").value == 12 and estimates.at(rows, "m", 0).value == 2
    # Student's t of one degree of freedom, standard error 2.
    assert estimates.at(rows, "m").high == pytest.approx(12 + 12.706 * 2, rel=1e-4)


def test_an_interval_of_shares_ends_at_0_and_1() -> None:
    cut = estimates.share(stats.mean([1.0, 0.98]))
    assert cut.value == 0.99 and cut.high == 1.0 and 0 < cut.low < 0.98
    assert estimates.share(stats.mean([0.5, 0.0])).low == 0.0
    assert np.isnan(estimates.share(stats.mean([0.4])).low), "one value has no interval"


def test_points_and_planes_have_the_columns_that_figures_read() -> None:
    found = estimates.points({0.5: Estimate(1.0, 0.9, 1.2, 3)})
    assert found.to_dict("records") == [{"x": 0.5, "y": 1.0, "low": 0.9, "high": 1.2}]
    plane = estimates.plane({(1, 2): Estimate(1.0, 0.9, 1.2, 3)})
    assert plane.to_dict("records") == [{"x": 1, "y": 2, "value": 1.0, "low": 0.9, "high": 1.2}]


def test_the_table_below_a_figure_names_its_curves() -> None:
    rows = table({(0, 0): 1.0, (1, 0): 3.0})
    assert estimates.curves({"a": rows, "b": rows})["condition"].tolist() == ["a", "b"]
    twice = estimates.below({("p", "a"): rows}, "panel", "curve")
    assert twice[["panel", "curve"]].to_numpy().tolist() == [["p", "a"]] * 2


def test_tables_and_lists_in_words() -> None:
    assert estimates.markdown(("a", "b"), [("1", "2")]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"
    assert estimates.listed({"x": "1", "y": "2"}) == "x 1; y 2"
    assert estimates.spans([1, 8, 8, 8]) == "1 in generation 0, 8 in generations 1 to 3"
    assert estimates.spans([4]) == "4 in generation 0"


def test_the_interval_of_a_share_ends_at_0_and_1() -> None:
    chains = [[0.9], [0.5]]
    table = tidy({"repeated_3": chains, "perplexity": chains})
    share, number = (estimates.at(table, metric, 0) for metric in ("repeated_3", "perplexity"))
    assert (share.value, share.low, share.high) == (0.7, 0.0, 1.0)
    assert number.low < 0 and number.high > 1


def test_an_end_that_is_next_to_nothing_is_0() -> None:
    found = estimates.rounded(estimates.Estimate(-0.00489, -0.00978, -2.87e-06, 12))
    assert f"{found}" == "-0.00489 [-0.00978, 0]"
    assert np.isnan(estimates.rounded(stats.mean([0.4])).low)
