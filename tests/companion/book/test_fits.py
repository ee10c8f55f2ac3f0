"""Closed forms over generations, and how near means over chains have to be to them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from model_collapse.companion.book.fits import after, changed, constant, trusted


def rows(values: np.ndarray, M: int) -> pd.DataFrame:
    """Rows of one metric, (chains, generations)."""
    chain, generation = np.indices(values.shape).reshape(2, -1)
    columns = {"replicate": chain, "generation": generation, "value": values.ravel()}
    return pd.DataFrame(columns).assign(metric="variance", item="", n_train=M)


def test_a_generation_has_been_fitted_once_more_than_it_counts() -> None:
    g = np.array([0, 1, 9])
    assert after(lambda n, M: n * M, 10)(g).tolist() == [10, 20, 100]
    assert constant(3)(g).tolist() == [3, 3, 3]


def test_only_one_metric_is_changed() -> None:
    table = pd.concat([rows(np.array([[2.0, 3.0]]), 4), rows(np.array([[7.0, 8.0]]), 4).assign(metric="mean")])
    assert changed(table, "variance", lambda values: values**2)["value"].tolist() == [4, 9]
    events = changed(table, "mean", lambda values: values > 7)["value"]
    assert events.tolist() == [0, 1] and events.dtype == float


def test_means_are_trusted_up_to_half_of_the_rows() -> None:
    noise = np.array([[-1.0], [1.0]] * 50)
    values = noise + np.array([0.0, 0.0, 0.2, 50.0])
    one = noise.std(ddof=1) / 10
    found = trusted({"": {"a": rows(values, 6)}}, {"": {"a": constant(0)}})
    assert found == pytest.approx(0.2 / one), "generation 3 is fit 4, beyond 6 / 2"
    with pytest.raises(AssertionError, match="standard errors"):
        trusted({"": {"a": rows(values, 8)}}, {"": {"a": constant(0)}})
