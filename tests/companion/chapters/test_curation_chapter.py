"""Chapter `curation`: numbers in its sentences against direct computation, and what it refuses."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from model_collapse.companion.chapters import curation as chapter
from model_collapse.companion.studies.curation import STUDY, VERIFIERS, judging, of_numbers
from model_collapse.errors import InputError
from model_collapse.theory import curation as theory


def table(values: tuple[float, ...], metric: str = "accuracy", item: str = "", last: int = 1) -> pd.DataFrame:
    """The same values in every generation, one for each replicate."""
    rows = [
        {"replicate": r, "generation": g, "metric": metric, "item": item, "value": value, "n_train": 100}
        for g in range(last + 1)
        for r, value in enumerate(values)
    ]
    return pd.DataFrame(rows)


def test_the_verifier_that_keeps_everything_breaks_at_one_half(shown: list[Any]) -> None:
    chapter.breakdown({label: table((0.9, 0.9) if "-" in label else (0.2, 0.4)) for label in VERIFIERS})
    (_, points, name, *_), sentence = shown
    assert name == "curation-breakdown" and "breakdown point is 0.50" in sentence
    assert "0.03 beyond it the accuracy is 0.30 [0.00, 1.00]" in sentence, "an accuracy ends at 0 and 1"
    own = points[points["condition"] == "0.9, 0.3"]
    assert own["x"].tolist() == pytest.approx([0.65, 0.72, 0.78, 0.81])
    assert f"{float(theory.breakdown_point(0.7, 0.05)):.1%}" in sentence


def test_kinds_left_in_effect(shown: list[Any]) -> None:
    # exp(ln 4) = 4 kinds.
    rows = {label: table((1.386294, 1.386294), "entropy") for label in ("preference", "half real", "no preference")}
    chapter.preference(rows, "entropy")
    assert "by preference 4.0" in shown[1] and "after 1 rounds" in shown[1]


def test_everything_scored_is_the_oracle_for_the_learned_selector(shown: list[Any]) -> None:
    tables = {label: table((0.5, 0.5), "facts", "true") for label in judging((0.1, 1.0)).conditions}
    tables["oracle 1"] = table((0.8, 0.8), "facts", "true")
    chapter.budget(tables, "truth")
    drawn = shown[0][1].set_index(["condition", "x"])["y"]
    assert drawn["predicted from it", 1.0] == 0.8 == drawn["the scored texts", 1.0]
    assert drawn["at random", 0.1] == drawn["predicted from it", 0.1] == 0.5


def test_the_word_model_has_twice_the_chains_at_both_ends() -> None:
    size = chapter.size("smoke", chains=3)
    runs = judging(size.shares).runs(of_numbers("budget", size))
    assert {label: run.replicates for label, run in runs.items()} == {
        "oracle 0": 6, "oracle 1": 6, "oracle 0.1": 3, "learned 0.1": 3,
    }  # fmt: skip
    assert STUDY.runs(of_numbers("rounds", size), ["radius 0.1"])["radius 0.1"].replicates == 6


@pytest.mark.parametrize("name", ["replicates", "chains", "generations"])
def test_too_little_is_one_line(name: str) -> None:
    with pytest.raises(InputError, match=r"^replicates, chains and generations must be at least 2$"):
        chapter.size("smoke", **{name: 1})
