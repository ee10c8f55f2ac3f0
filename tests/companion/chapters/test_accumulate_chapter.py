"""Chapter "Keep the old data": what it says is what a table holds, and what leaves a closed form stops it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from model_collapse.companion.chapters import accumulate
from model_collapse.companion.studies.accumulate import STUDY, labels, long
from model_collapse.engine.execute import run_all
from model_collapse.errors import InputError

Tables = dict[str, pd.DataFrame]


@pytest.fixture(scope="module")
def regression(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tables, Tables]:
    """Tables for the same inputs in every generation, and for new ones."""
    size = STUDY.at("smoke", generations=10, seeds=512)
    folder = Path(tmp_path_factory.mktemp("runs"))
    same, new = (run_all(STUDY.runs(labels(size, given)), folder)[0] for given in ("original", "fresh"))
    return same, new


def test_errors_are_in_units_of_one_fit(regression: tuple[Tables, Tables], shown: list[Any]) -> None:
    accumulate.regression_error(*regression)
    (_, listed, name, *_), sentence = shown
    assert name == "accumulate-regression-error"
    found = regression[0]["accumulate"].query("metric == 'test_error' and generation == 10")["value"].mean()
    one = 10 / (111 - 10 - 1)
    assert f"{found / one:.3g} when all data are read" in sentence
    assert f"exact: {np.sum(1 / np.arange(1, 12) ** 2):.4g}, below" in sentence and "(exact: 11)" in sentence
    kept = listed.query("panel == 'the same inputs again' and condition == 'accumulate' and generation == 10")
    assert kept["mean"].item() == pytest.approx(found / one)


def test_an_error_that_leaves_its_closed_form_is_not_shown_in_silence(
    regression: tuple[Tables, Tables], shown: list[Any]
) -> None:
    same, new = regression
    worse = same["replace"].assign(value=same["replace"]["value"] * 1.5)
    with pytest.raises(AssertionError, match="closed forms"):
        accumulate.regression_error({**same, "replace": worse}, new)


def test_a_condition_of_your_own_has_its_own_closed_form(tmp_path: Path) -> None:
    own = STUDY.vary("replace", n=31)
    size = STUDY.at("smoke", generations=4, seeds=64)
    table = run_all(own.runs(size, ["replace, n=31"]), tmp_path)[0]["replace, n=31"]
    errors = accumulate._errors(table).query("generation == 0")["value"]
    form = accumulate._growth(table, "original")
    assert form is not None and list(form(np.array([0, 4]))) == pytest.approx([1, 5])
    raw = table.query("metric == 'test_error' and generation == 0")["value"]
    assert errors.mean() == pytest.approx(raw.mean() / (10 / 20))


def test_some_twenty_generations_are_measured() -> None:
    size = STUDY.at("paper")
    assert STUDY.arguments(size)["replace"]["every"] == 4
    assert {run["every"] for run in STUDY.arguments(long(size, 5)).values()} == {5 * 99}


@pytest.mark.parametrize("changes", [{"generations": 9}, {"seeds": 199}])
def test_sizes_that_it_cannot_show_are_refused(changes: dict[str, int]) -> None:
    with pytest.raises(InputError, match=r"^this chapter is written for generations >= 10 and replicates >= 200$"):
        accumulate.checked(replace(STUDY.at("smoke"), **changes))
