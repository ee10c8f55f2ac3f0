"""Conditions whose models all stay at their base are the same number for number, and are a record nevertheless."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from model_collapse.companion import records, studies
from model_collapse.companion.records import run
from model_collapse.companion.studies.study import Condition, Record, Size, Study
from model_collapse.errors import InputError


def _study(**settings: Any) -> Study[Size]:
    """Two conditions that read different rows, of models that learn nothing."""
    size = Size(
        corpus="embedded",
        n=4,
        generations=2,
        seeds=1,
        settings={
            "family.preset": "tiny",
            "family.pretrain_blocks": 16,
            "family.pretrain_epochs": 1,
            "family.vocabulary": 300,
            "family.block": 8,
            "family.evaluate": 4,
            "family.lr": 1e-12,
            "family.steps": 1,
            "family.decoding": "greedy",
            **{f"family.{name}": value for name, value in settings.items()},
        },
        metrics=("perplexity", "distinct_2"),
        record=Record("toy"),
    )
    conditions = {"A": Condition("A"), "B": Condition("B", "mix", {"regime.real_fraction": 0.25})}
    return Study("toy", {"small": size}, conditions, "lm")


@pytest.mark.parametrize("checkpoint", ["any", "last"])
def test_models_that_may_stay_at_their_base_are_told_from_copied_numbers(
    checkpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy = _study(checkpoint=checkpoint)
    monkeypatch.setattr(studies, "find", lambda name: toy)
    out, work = tmp_path / "out", tmp_path / "work"
    if checkpoint == "any":
        made = run.run(toy, "small", out, work, jobs=1)
        assert made is not None and set(made.tables) == {"A", "B"}
        assert (made.tables["A"]["value"].to_numpy() == made.tables["B"]["value"].to_numpy()).all()
        assert set(records.read("toy", out).tables) == {"A", "B"}
    else:
        # The same numbers where the start may not be kept: nothing explains them.
        with pytest.raises(InputError, match="are the same number for number, and read different rows"):
            run.run(toy, "small", out, work, jobs=1)
