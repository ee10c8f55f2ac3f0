"""Chapter "What to do about it": what it says is what tables hold, and its runs are those of the claims."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from model_collapse.companion.chapters import remedies
from model_collapse.companion.chapters.remedies import Kind
from model_collapse.companion.claims import planned
from model_collapse.companion.claims.remedies import SIZES, of_family
from model_collapse.companion.records import effects
from model_collapse.companion.records.effects import REMEDIES, Effect
from model_collapse.companion.studies.remedies import KINDS, STUDY, kinds, symbols
from model_collapse.errors import InputError


def risks(*last: float) -> pd.DataFrame:
    """Excess risk 1 in generation 0, and so much in generation 3, by chain."""
    rows = [(r, g, value) for r, end in enumerate(last) for g, value in ((0, 1.0), (3, end))]
    return pd.DataFrame(rows, columns=["replicate", "generation", "value"]).assign(metric="test_error", item="")


def test_what_is_avoided_is_one_minus_a_ratio_of_damages(shown: list[Any]) -> None:
    found = Kind(
        "regression",
        "regression",
        {"replace": risks(4.9, 5.0, 5.1), "accumulate": risks(1.9, 2.0, 2.1), "real only": risks(1.0, 1.0, 1.0)},
        "excess risk",
    )
    remedies.damage_avoided([found], STUDY.at("smoke"))
    line = next(line for line in shown[0].splitlines() if line.startswith("| regression"))
    assert "| 4 | 4 [" in line and "| not run | 75% [" in line and "| 100% [" in line
    # Theory for four fits: 1 - (1/4 + 1/9 + 1/16) / 3.
    assert f"accumulate {1 - (1 / 4 + 1 / 9 + 1 / 16) / 3:.0%}" in shown[0]


def test_no_sure_damage_is_said_and_a_control_that_loses_is_an_error(shown: list[Any]) -> None:
    unsure = {"replace": risks(0.5, 1.5, 2.0), "accumulate": risks(1.9, 2.0, 2.1), "real only": risks(1.0, 1.0, 1.0)}
    remedies.damage_avoided([Kind("kernel density", "regression", unsure, "")], STUDY.at("smoke"))
    assert shown[0].count("unclear |") == 2
    worse = {**unsure, "replace": risks(4.9, 5.0, 5.1), "real only": risks(2.0, 2.0, 2.0)}
    with pytest.raises(AssertionError, match="the control must lose nothing"):
        remedies.damage_avoided([Kind("regression", "regression", worse, "")], STUDY.at("smoke"))


def test_a_record_without_the_baseline_is_left_out() -> None:
    table = risks(2.0, 3.0)
    found = remedies.together({"gaussian": {"replace": table}}, {"accumulate": table}, {})
    assert [kind.title for kind in found] == ["Gaussian"]
    named = remedies.together({}, {"sampled": table, "control": table, "zero-shot": table}, {})
    assert [(kind.title, list(kind.tables)) for kind in named] == [("tiny OPT, this run", ["replace", "real only"])]


def test_the_other_damage_is_not_in_the_figure(monkeypatch: pytest.MonkeyPatch, shown: list[Any]) -> None:
    half = stats_of(0.4, 0.5, 0.6)
    every = [Effect(remedy, half, half, half, None, 1.0, 0.5) for remedy in REMEDIES if remedy.record != "minorities"]
    monkeypatch.setattr(effects, "measured", lambda: (every, []))
    found, _ = remedies.effects_of_remedies()
    assert found == every and "provenance" not in set(shown[0][1]["run"]) and "50%" in shown[1]


def stats_of(low: float, value: float, high: float) -> Any:
    return remedies.Estimate(value, low, high, 3)


def test_families_run_what_the_claims_run() -> None:
    size = STUDY.at("laptop")
    regimes = {"replace": "replace", "subsample": "subsample", "accumulate": "accumulate"}
    for family, own in kinds(size).items():
        shared = {"n": own.n, "replicates": own.seeds, "every": own.every}
        asked = {label: of_family(family, regime, own.generations, **shared) for label, regime in regimes.items()}
        expected = {label: run.run_id for label, run in planned(asked, own.seed).items()}
        assert {label: run.run_id for label, run in KINDS.runs(own, regimes).items()} == expected
        assert own.n == SIZES[family]["n"]


def test_symbols_are_those_of_acc_6() -> None:
    from model_collapse.companion.claims import named

    size = symbols(STUDY.at("laptop"))
    claimed = planned(named("ACC-6").runs, 1)["accumulate"]
    assert KINDS.runs(size, ["accumulate"])["accumulate"].run_id == claimed.run_id
    assert np.isclose(KINDS.runs(size)["10 % new real rows"].regime_args["real_fraction"], 0.1)


@pytest.mark.parametrize("changes", [{"chains": 0.0}, {"seeds": 1}, {"blocks": 19}])
def test_sizes_that_it_cannot_show_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"^chains must be above 0, seeds 0 or at least 2, and blocks at least 20$"):
        remedies.checked(STUDY.at("smoke", **changes))


def test_the_sentence_counts_what_the_panels_show(shown: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remedies, "_closed_forms", lambda kinds: {})
    table = risks(5.0, 5.0).assign(n_train=60)
    kept = {"replace": table, "accumulate": risks(1.5, 1.5), "real only": risks(1.0, 1.0)}
    bad = {**kept, "accumulate": risks(6.0, 6.0)}
    titles = ("Gaussian", "regression", "kernel density", "word pairs")
    remedies.families([Kind(title, "regression", bad if title == "Gaussian" else kept, "risk") for title in titles])
    assert shown[1].startswith("Replace ends worst in 3 of 4 panels.") and shown[1].endswith(
        "In 3, accumulate ends closer to the control than to replace."
    )
