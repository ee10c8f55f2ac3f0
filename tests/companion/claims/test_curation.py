"""Each check of claims/curation.py can fail: on runs that are not what they are called, and on altered tables.

Seeded. A claim that is true passes with probability 1 - 1e-4.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

from model_collapse.companion.claims import Tables, named
from model_collapse.companion.studies import curation
from model_collapse.engine.execute import execute
from model_collapse.engine.plan import plan
from model_collapse.filters.curate import Curate


@cache
def official(claim: str) -> Tables:
    return {label: execute(plan(**arguments, seed=3), jobs=1)[0] for label, arguments in named(claim).runs.items()}


def changed(claim: str, label: str, **arguments: Any) -> Tables:
    """The official tables, one of them of a run with other arguments."""
    run = {**named(claim).runs[label], **arguments}
    return {**official(claim), label: execute(plan(**run, seed=3), jobs=1)[0]}


def settings(claim: str, label: str, **other: Any) -> dict[str, Any]:
    return {**named(claim).runs[label]["settings"], **{name.replace("__", "."): value for name, value in other.items()}}


def test_the_breakdown_point_is_told_from_another():
    """A verifier who keeps wrong labels as often as right ones turns at 1/2, not where this one should."""
    label = "0.9, 0.3 below"
    assert (
        not named("VER-1").judge(changed("VER-1", label, settings=settings("VER-1", label, verifier__wrong=0.9))).holds
    )
    swapped = {**official("VER-1"), label: official("VER-1")["0.9, 0.3 above"]}
    assert not named("VER-1").judge(swapped).holds


def test_a_judge_who_looks_at_labels_is_no_lot():
    tables = official("VER-3")
    assert not named("VER-3").judge({**tables, "certain": tables["checker"]}).holds
    assert not named("VER-3").judge({**tables, "checker": tables["certain"]}).holds


def test_an_unbiased_verifier_does_not_reverse_and_a_wide_one_goes_nowhere():
    label = "radius 0.3"
    for other in ({"verifier__bias": 0.0}, {"verifier__radius": 5.0}):
        assert not named("VER-4").judge(changed("VER-4", label, settings=settings("VER-4", label, **other))).holds


@pytest.mark.parametrize("other", [{"curate__by": "random"}, {"curate__candidates": 3}, {"curate__noise": 0.0}])
def test_another_choice_is_told_from_that_of_the_claim(other):
    wrong = changed("VER-5", "preference", settings=settings("VER-5", "preference", **other))
    assert not named("VER-5").judge(wrong).holds


def truths(values: Mapping[str, list[float]]) -> Tables:
    """Shares of true statements in generation 9, by arm and replicate."""
    rows = {
        arm: [
            {"replicate": r, "generation": 9, "metric": "facts", "item": "true", "value": v}
            for r, v in enumerate(found)
        ]
        for arm, found in values.items()
    }
    about = {"family": "lm", "family_args": "{}", "corpus": "embedded", "n_train": 192}
    return {
        arm: pd.concat([pd.DataFrame(found), pd.DataFrame(found).assign(generation=0, value=0.2)]).assign(**about)
        for arm, found in rows.items()
    }


def test_the_oracle_has_to_be_better_than_chance_between_seeds():
    better = [0.5, 0.51, 0.49, 0.5, 0.52, 0.48]
    lot = [0.2, 0.21, 0.19, 0.22, 0.2, 0.18]
    verdict = named("VER-2").judge(truths({"curated": better, "lot": lot}))
    assert verdict.verdict == "reproduced_small", str(verdict)
    assert not named("VER-2").judge(truths({"curated": lot, "lot": better})).holds
    assert named("VER-2").judge(truths({"curated": better[:1], "lot": lot[:1]})).outcome == "undecided"
    mixed = [0.5, 0.1, 0.5, 0.2, 0.5, 0.1]
    assert named("VER-2").judge(truths({"curated": mixed, "lot": lot})).outcome == "undecided"


def test_arms_of_the_text_experiment_are_known_and_differ_in_the_selector_alone():
    runs = curation.STUDY.runs("recorded")
    assert len({run.run_id for run in runs.values()}) == len(curation.SIZES["recorded"].labels) == 6
    chosen = [dict(run.filters)["curate"] for arm, run in runs.items() if arm not in ("sampled", "zero-shot")]
    assert all((args["candidates"], args["share"]) == (8, 1) for args in chosen)


def test_keep_rates_are_those_of_the_selectors():
    """The oracle keeps all right texts while they are fewer than its share; random selection keeps both alike.

    Binomial, four standard errors twice: fails by chance for one seed in 8,000.
    """
    selectors = {
        "oracle": Curate(share=0.5),
        "random": Curate(by="random", share=0.5),
        "all": Curate(by="random", share=1.0),
    }
    found = curation.keep_rates(selectors, 800, 2).set_index("selector")
    assert found.loc["oracle", "right"].value == 1 and 0 < found.loc["oracle", "wrong"].value < 0.5
    right, wrong = found.loc["random", "right"], found.loc["random", "wrong"]
    assert right.n + wrong.n == 800 and right.n > 30
    assert abs(right.value - 0.5) < 4 * 0.5 / np.sqrt(right.n) and abs(wrong.value - 0.5) < 4 * 0.5 / np.sqrt(wrong.n)
    assert found.loc["all", "breakdown"] == 0.5
