"""Chapter "Three sources of error": what it says is what the tables hold, and what leaves theory stops it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from model_collapse import theory
from model_collapse.companion.chapters import error_sources
from model_collapse.companion.studies.error_sources import CONDITIONS, ENDLESS, STUDY, estimators
from model_collapse.errors import InputError

RNG = np.random.default_rng(5)
SIZE = STUDY.at("smoke", n=50, noise=0.1, generations=6, seeds=100)


def table(label: str, more: float = 0) -> pd.DataFrame:
    """Distances of 100 chains about those that the three terms give, by hand: 2 (1 - c), the finite sample, n tau^2."""
    M = ENDLESS if CONDITIONS[label].n else 50
    truth: Any = "bimodal" if label in ("expressivity only", "all three") else "normal"
    noise = 0.1 if label in ("approximation only", "all three") else 0.0
    n = np.arange(1, 8)
    parts = theory.w2_sources(n, M, truth=truth)
    means = parts["expressivity"] + parts["statistical"] + n * noise**2 + more
    spread = RNG.normal(0, 1e-6, (100, 1))
    values = means + spread - spread.mean()
    chain, generation = np.indices(values.shape).reshape(2, -1)
    settings = json.dumps({"truth": truth, "noise": noise, "estimator": "mle"})
    columns = {"replicate": chain, "generation": generation, "value": values.ravel()}
    return pd.DataFrame(columns).assign(metric="w2_squared", item="", n_train=M, family_args=settings)


def test_each_source_alone_and_all_together_are_said(shown: list[Any]) -> None:
    tables = {label: table(label) for label in CONDITIONS}
    error_sources.stacked(tables, SIZE)
    (_, listed, name, *_), sentence = shown
    assert name == "error-sources-stacked" and set(listed["condition"]) == set(CONDITIONS)
    alone = [tables[label].query("generation == 6")["value"].mean() for label in error_sources.ALONE]
    assert alone[2] == pytest.approx(7 * 0.1**2, rel=1e-3)
    assert f"{alone[0]:.3f} [" in sentence and f"in sum {sum(alone):.3f}." in sentence


def test_a_source_that_leaves_its_term_is_an_error(shown: list[Any]) -> None:
    tables = {label: table(label, more=1e-5 * (label == "approximation only")) for label in CONDITIONS}
    with pytest.raises(AssertionError, match="source of error"):
        error_sources.stacked(tables, SIZE)


def test_the_table_of_remedies_is_the_closed_form(shown: list[Any]) -> None:
    error_sources.remedies(SIZE)
    rows = dict(line.strip("| ").split(" | ") for line in shown[0].splitlines()[2:])
    assert len(rows) == 5
    assert rows["ten times the rows"] == f"{sum(theory.w2_sources(7, 500, truth='bimodal', noise=0.1).values()):.3f}"
    assert float(rows["nothing"]) - float(rows["a third of the training error"]) == pytest.approx(
        7 * 0.01 * 8 / 9, abs=1e-3
    )


def test_the_control_is_compared_with_all_three(shown: list[Any]) -> None:
    error_sources.control({label: table(label) for label in CONDITIONS}, SIZE)
    assert "theory for 10,000,000 rows 1e-06" in shown[0]


def test_what_is_run_follows_the_size() -> None:
    runs = estimators(STUDY, STUDY.at("smoke", n=300, noise=0.2))
    assert {name: (run.n, run.generations) for name, run in runs.items()} == {"mle": (30, 180), "unbiased": (30, 14)}
    assert {run.family_args["noise"] for run in runs.values()} == {0.4}


@pytest.mark.parametrize("changes", [{"n": 1}, {"noise": 0.0}, {"noise": 1.1}, {"generations": 4}, {"seeds": 99}])
def test_sizes_that_it_cannot_show_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"^rows must be 2 or more, noise above 0 and at most 1, generations at least"):
        error_sources.check(STUDY.at("smoke", **changes))
