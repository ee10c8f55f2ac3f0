"""Intervals: what they cover, and what they are taken over."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats as reference

from model_collapse import stats


def test_mean_is_students() -> None:
    x = np.array([1.0, 2.0, 4.0, 7.0])
    low, high = reference.t.interval(0.9, 3, loc=x.mean(), scale=reference.sem(x))
    estimate = stats.mean(x, 0.9)
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx((3.5, low, high))
    assert f"{estimate:.1f}" == f"3.5 [{low:.1f}, {high:.1f}]"
    assert f"{stats.mean([3.0]):.1f}" == "3.0 [no interval]"
    assert np.isnan(stats.mean([3.0]).low) and stats.mean([3.0]).value == 3.0


@pytest.mark.parametrize("estimator, truth", [(stats.mean, 1.0), (stats.median, np.log(2))])
def test_intervals_cover_as_often_as_they_say(estimator, truth) -> None:
    """Exponential values, n = 60: coverage of the nominal 95 % within [.91, .985].

    2000 repetitions have a standard error of .005; t intervals of skewed values cover a little less than they say.
    """
    x = np.random.default_rng(3).standard_exponential((2000, 60))
    hits = [e.low <= truth <= e.high for e in map(estimator, x)]
    assert 0.91 < np.mean(hits) < 0.985


def test_median_without_enough_values_has_no_interval() -> None:
    assert np.isnan(stats.median([1.0, 2.0, 3.0]).low)
    assert stats.median(np.arange(101.0)).value == 50


def test_paired_pairs_by_replicate() -> None:
    a = pd.Series([5.0, 1.0, 3.0], index=[2, 0, 1])
    b = pd.Series([0.5, 2.0, 9.0], index=[0, 1, 7])
    assert stats.paired(a, b).value == pytest.approx(((1 - 0.5) + (3 - 2)) / 2)
    assert stats.paired(a, b).n == 2


def table() -> pd.DataFrame:
    rows = [
        {"metric": metric, "item": item, "generation": g, "replicate": r, "value": 100 * g + r + (metric == "b")}
        for metric in ("a", "b")
        for item in ("", "x")
        for g in (0, 1)
        for r in (1, 0)
    ]
    return pd.DataFrame(rows).astype({"metric": "category", "item": "category"})


def test_picking() -> None:
    rows = stats.per_replicate(table(), "b", 1, "x")
    assert rows.to_dict() == {0: 101, 1: 102}
    curve = stats.by_generation(stats.pick(table(), "a", item=""))
    assert curve[["generation", "mean", "replicates"]].to_numpy().tolist() == [[0, 0.5, 2], [1, 100.5, 2]]
