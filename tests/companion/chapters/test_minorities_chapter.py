"""Chapter `minorities`: numbers in its sentences against direct computation, and what it refuses."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from model_collapse.companion.chapters import minorities as chapter
from model_collapse.companion.studies.minorities import STUDY, of_numbers
from model_collapse.errors import InputError
from model_collapse.theory import groups

SHARES = np.array([0.6, 0.32, 0.05, 0.03])


@pytest.fixture
def shown(shown: list[Any], monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """As for every chapter, for tables of four symbols with the shares `SHARES`."""
    monkeypatch.setattr(chapter, "distribution", lambda table: SHARES)
    monkeypatch.setattr(chapter.minorities, "distribution", lambda table: SHARES)
    return shown


def table(*chains: tuple[tuple[float, ...], ...], n: int = 50) -> pd.DataFrame:
    """Shares of four symbols by chain and generation."""
    rows = [
        {"replicate": r, "generation": g, "metric": "share", "item": str(k + 1), "value": value, "n_train": n}
        | {"regime_args": json.dumps({"filters": [["curate", {"share": 0.8}]]})}
        for r, chain in enumerate(chains)
        for g, shares in enumerate(chain)
        for k, value in enumerate(shares)
    ]
    return pd.DataFrame(rows).assign(family_args=json.dumps({"symbols": len(SHARES)}))


KEPT = ((0.6, 0.32, 0.05, 0.03), (0.5, 0.34, 0.16, 0.0))
LOST = ((0.6, 0.32, 0.05, 0.03), (0.7, 0.30, 0.0, 0.0))


def test_fair_on_average_and_unfair_in_every_chain(shown: list[Any]) -> None:
    chapter.average(table(KEPT, LOST))
    (_, _, name, *_), sentence = shown
    assert name == "minorities-average" and chapter.minority(table(KEPT)) == pytest.approx(0.08)
    # 0.16 and 0 of 0.08; one chain of two has lost it; 3/8 and all of its mass.
    assert "has 1.000 [" in sentence and "gone in 50.0% [0.0%, 100.0%] of the chains" in sentence
    assert f" {(3 / 8 + 1) / 2:.1%} [" in sentence and "of its true mass is lost, against 0.0% [" in sentence


def test_chains_that_have_the_minority_with_and_without_weights(shown: list[Any]) -> None:
    chapter.weights({50: {"replace": table(LOST, LOST), "reweigh": table(KEPT, LOST)}})
    sentence = shown[1]
    assert "50 rows 0.00 [0.00, 0.00] and 0.50 [0.00, 1.00]" in sentence
    from_here = float(sentence.partition("from about ")[2].partition(" rows")[0])
    halves = [
        [groups.half_life(count / 200, 200, reweighed=reweighed) for reweighed in (False, True)]
        for count in (from_here - 0.2, from_here + 0.2)
    ]
    assert halves[0][0] > halves[0][1] and halves[1][0] < halves[1][1]


def test_which_rows_are_kept(shown: list[Any]) -> None:
    chapter.selected(
        {"likeliest": table(LOST, LOST), "at random": table(KEPT, LOST), "least likely": table(KEPT, KEPT)}
    )
    assert "likeliest 0.0% [0.0%, 0.0%]; at random 8.0% [" in shown[1] and "least likely 16.0% [16.0%" in shown[1]


def test_fewer_rows_have_an_eighth_of_the_chains() -> None:
    size = chapter.size("smoke", chains=80)
    runs = {n: STUDY.runs(of_numbers("weighed", size, n), ["replace"])["replace"] for n in chapter.TRIED}
    assert {n: run.replicates for n, run in runs.items()} == {15: 10, 30: 10, 50: 80}
    assert {n: run.n for n, run in runs.items()} == {15: 15, 30: 30, 50: 50}


@pytest.mark.parametrize("name", ["chains", "seeds", "generations"])
def test_too_little_is_one_line(name: str) -> None:
    with pytest.raises(InputError, match=r"^this chapter needs at least 2 chains, 2 seeds and 2 generations$"):
        chapter.size("smoke", **{name: 1})
