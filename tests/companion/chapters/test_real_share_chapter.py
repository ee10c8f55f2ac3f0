"""Chapter "How much real data is enough?": what it says is what a table holds, and what leaves theory stops it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from model_collapse.companion.chapters import real_share
from model_collapse.companion.studies.real_share import STUDY, ill, thousand, words
from model_collapse.engine.execute import run_all
from model_collapse.errors import InputError


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pd.DataFrame]:
    """Four generations of 64 chains with one real row in a thousand, and with none."""
    size = replace(thousand(STUDY.at("smoke")), generations=4, every=1, seeds=64)
    return run_all(STUDY.runs(size, ["none", "0.1 %"]), Path(tmp_path_factory.mktemp("runs")))[0]


def test_the_sentence_has_the_mean_and_the_recursion(tables: dict[str, pd.DataFrame], shown: list[Any]) -> None:
    real_share.few_real_rows(tables)
    (_, listed, name, *_), sentence = shown
    assert name == "real-share-small"
    for label, g in (("none", 0.0), ("0.1 %", 0.001)):
        last = tables[label].query("generation == 4 and metric == 'variance'")["value"]
        drift = 1 / 1000
        for _ in range(4):
            drift = g / 1000 + (1 - g) / 1000 * (1 - drift) + (1 - g) ** 2 * drift
        assert f"{label} {np.mean(last):.3f} ({1 - drift:.3f})" in sentence
    below = listed.query("condition == 'none' and generation == 4")
    assert below["mean"].item() == pytest.approx(tables["none"].query("generation == 4")["value"].mean())


def test_a_variance_that_leaves_its_closed_form_is_an_error(tables: dict[str, pd.DataFrame], shown: list[Any]) -> None:
    moved = tables["0.1 %"].assign(value=tables["0.1 %"]["value"] + 0.2)
    with pytest.raises(AssertionError, match=r"0\.1 %"):
        real_share.few_real_rows({**tables, "0.1 %": moved})


def test_single_rows_are_a_share_of_the_training_set() -> None:
    size = STUDY.at("smoke", n=40)
    assert STUDY.arguments(words(size), ["1 new row"])["1 new row"]["settings"]["regime.real_fraction"] == 1 / 40
    healing = STUDY.arguments(ill(size))
    assert {healing[label]["settings"]["regime.until"] for label in ("heal with 1 row", "heal with 10 %")} == {40}
    assert healing["heal with 1 row"]["settings"]["regime.real_fraction"] == 1 / 40
    assert healing["heal with 10 %"]["settings"]["regime.real_fraction"] == 0.1


@pytest.mark.parametrize("changes", [{"n": 19}, {"generations": 99}])
def test_sizes_that_it_cannot_show_are_refused(changes: dict[str, int]) -> None:
    with pytest.raises(InputError, match=r"^this chapter is written for rows >= 20 and generations >= 100$"):
        real_share.checked(STUDY.at("smoke", **changes))
