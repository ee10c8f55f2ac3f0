"""Chapter "Scaling laws": what it says is what tables hold, and sizes give the runs that are meant."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from model_collapse.companion.chapters import scaling
from model_collapse.companion.studies.scaling import CLEAN, CUT, STUDY, Size, clean, cut
from model_collapse.errors import InputError


@pytest.fixture
def size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Size:
    """100 facts and up to 400 rows, eight chains; runs lie in a folder of their own."""
    monkeypatch.setenv("MODEL_COLLAPSE_RUNS", str(tmp_path))
    return replace(STUDY.at("smoke"), n=400, symbols=100, seeds=8, wide=2)


def lost(table: pd.DataFrame) -> float:
    return float(table[table["generation"] == table["generation"].max()]["value"].mean())


def test_errors_are_over_the_plateau_of_the_cut(size: Size, shown: list[Any]) -> None:
    tables = scaling.by_rows(STUDY, size, ["k = 10", "nothing cut"], cut)
    assert all(list(own) == [100, 400] for own in tables.values())
    scaling.tail_cut(tables)
    (_, listed, name, *_), sentence = shown
    p = 1 / np.arange(1, 101) ** 1.5
    plateau = p[10:].sum() / p.sum()
    assert name == "scaling-tail-cut" and f"{lost(tables['k = 10'][400]) / plateau:.3f} (k = 10)" in sentence
    point = listed.query("condition == 'nothing cut' and x == 100")["y"].item()
    assert point == pytest.approx(lost(tables["nothing cut"][100]))


def test_data_without_a_tail_that_go_below_their_plateau_are_an_error(size: Size, shown: list[Any]) -> None:
    tables = scaling.by_rows(STUDY, replace(size, seeds=2048), CLEAN, clean)
    scaling.clean_share(tables)
    better = {T: table.assign(value=table["value"] / 3) for T, table in tables["0% real"].items()}
    with pytest.raises(AssertionError, match="below their plateau"):
        scaling.clean_share({**tables, "0% real": better})


def test_slopes_are_those_of_the_first_and_the_last_point(size: Size, shown: list[Any]) -> None:
    own = scaling.real_data(size)
    first, last = (lost(own[2.0][T]) for T in (100, 6400))
    assert f"{np.log(last / first) / np.log(64):.3f} for β = 2 (theory -0.500;" in shown[1]


def test_sizes_say_rows_generations_and_exponents() -> None:
    found = STUDY.arguments(cut(STUDY.at("laptop"), 1000), CUT)["k = 50"]
    expected = {"family.symbols": 100_000, "family.zipf": 1.5, "family.top_k": 50}
    assert (found["n"], found["generations"], found["replicates"], found["settings"]) == (1000, 1, 32, expected)


@pytest.mark.parametrize("changes", [{"n": 9_999}, {"symbols": 9_999}])
def test_sizes_that_it_cannot_show_are_refused(changes: dict[str, int]) -> None:
    with pytest.raises(InputError, match=r"^this chapter is written for rows >= 10,000 and symbols >= 10,000$"):
        scaling.checked(STUDY.at("smoke", **changes))
