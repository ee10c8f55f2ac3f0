"""Intervals: what they cover, and what they are taken over."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats as reference
from toy_comparisons import Comparisons

from model_collapse.analysis import stats


def test_mean_is_students() -> None:
    x = np.array([1.0, 2.0, 4.0, 7.0])
    low, high = reference.t.interval(0.9, 3, loc=x.mean(), scale=reference.sem(x))
    estimate = stats.mean(x, 0.9)
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx((3.5, low, high))
    assert f"{estimate:.1f}" == f"3.5 [{low:.1f}, {high:.1f}]"
    assert f"{stats.mean([3.0]):.1f}" == "3.0 [no interval]"
    assert f"{stats.Estimate(13, 6.76, np.inf, 2)}" == "13 [6.76, no upper end]"
    assert f"{stats.Estimate(13, -np.inf, 16, 2)}" == "13 [no lower end, 16]"
    assert f"{stats.mean([np.nan, 1.0]):.0%}" == f"{stats.mean([]):.1f}" == "no value"
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


def test_the_ends_of_a_ratio_are_where_students_test_turns() -> None:
    rng = np.random.default_rng(1)
    a, b = pd.Series(rng.normal(2, 0.3, 6)), pd.Series(rng.normal(5, 0.4, 8))
    found = stats.ratio(a, b, 0.99)
    assert found.n == 6 and found.value == pytest.approx(a.mean() / b[:6].mean())
    at = [reference.ttest_1samp(a - end * b[:6], 0).pvalue for end in (found.low, found.high)]
    assert at == pytest.approx([0.01, 0.01])


@pytest.mark.parametrize("b", [[1.0, -1.0, 1.0, -0.5], [-5.0, -5.1, -5.2, -5.1], [1.0, np.nan, 1.1, 1.0], [1.0], []])
def test_a_ratio_to_what_is_not_surely_above_zero_has_no_interval(b) -> None:
    found = stats.ratio(pd.Series([1.0, 1.1, 1.2, 1.1]), pd.Series(b, dtype=float))
    assert np.isnan(found.low) and np.isnan(found.high)


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


def test_relative_compares_each_replicate_with_its_own_start() -> None:
    values = {(0, 0): 2.0, (0, 1): 3.0, (1, 0): 4.0, (1, 1): 2.0}
    rows = [{"metric": "m", "item": "x", "replicate": r, "generation": g, "value": v} for (r, g), v in values.items()]
    rows += [{**row, "item": "y", "value": 7.0} for row in rows] + [{**row, "metric": "k"} for row in rows]
    found = stats.relative(pd.DataFrame(rows), "m", "x").set_index(["replicate", "generation"])["value"]
    assert found.to_dict() == {(0, 0): 0, (0, 1): 0.5, (1, 0): 0, (1, 1): -0.5}


def test_listing_is_by_arm_quantity_and_generation() -> None:
    rows = [
        {"metric": "m", "item": "x", "replicate": r, "generation": g, "value": 10.0 * g + r}
        for g in (0, 1)
        for r in (0, 1, 2)
    ]
    table = pd.DataFrame([*rows, {**rows[0], "item": "y", "value": 99.0}])
    found = stats.listing({"A": table, "B": table.assign(value=-table["value"])}, {"thing": ("m", "x")})
    assert found[["arm", "quantity", "generation", "mean"]].to_numpy().tolist() == [
        ["A", "thing", 0, 1.0], ["A", "thing", 1, 11.0], ["B", "thing", 0, -1.0], ["B", "thing", 1, -11.0]
    ]  # fmt: skip
    expected = stats.mean([0.0, 1.0, 2.0])
    assert (found["low"].iloc[0], found["high"].iloc[0]) == pytest.approx((expected.low, expected.high))


def test_comparisons_of_the_other_tests_fail_when_they_should() -> None:
    """On a wrong mean, on two different distributions, and on one comparison too many; what is right passes."""
    x, y = np.random.default_rng(5).standard_normal((2, 1000))
    compare = Comparisons(12)
    assert 2 * reference.norm.sf(compare.z) == pytest.approx(compare.level) == pytest.approx(1e-3 / 12)
    compare.within("mean", x, 0)
    compare.within("known variance", x, 0, variance=1)
    compare.within("floor", x, 0.3, floor=10)
    compare.within("slack", x, 0.3, slack=0.3)
    compare.within("rounding", np.ones(9), 1 + 1e-13, slack=1e-12)
    compare.same_distribution("distribution", x, y)
    for settings in ({}, {"variance": 1}, {"floor": 0.5}, {"slack": 1e-12}):
        with pytest.raises(AssertionError, match=r"^wrong: mean .*, expected 0.3, s.e. "):
            compare.within("wrong", x, 0.3, **settings)
    with pytest.raises(AssertionError, match=r"^not a number: "):
        compare.within("not a number", np.append(x, np.nan), 0)
    with pytest.raises(AssertionError, match=r"^distributions: p = "):
        compare.same_distribution("distributions", x, 2 * y)
    assert len(compare.made) == 12
    with pytest.raises(AssertionError, match=r"^one more: more than 12 comparisons"):
        compare.within("one more", x, 0)


def test_what_is_not_a_number_is_no_event_and_no_mean():
    assert np.isnan(stats.proportion([1.0, 0.0, np.nan]).value) and stats.proportion([1.0, 0.0]).value == 0.5
    a = pd.Series([1.0, 2.0, np.nan])
    assert np.isnan(stats.log_ratio(a, a.fillna(3)).value) and np.isnan(stats.log_ratio(a.fillna(3), a).low)
