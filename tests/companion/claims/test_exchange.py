"""Each check of claims/exchange.py can fail: on runs that are not what they are called, and on altered tables.

Seeded. A claim that is true passes with probability 1 - 1e-4; what is wrong here is wrong by far more than the width of
an interval.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

from model_collapse.analysis import stats
from model_collapse.companion import records
from model_collapse.companion.claims import Tables, named
from model_collapse.companion.claims.exchange import best, concepts, draws_that_differ
from model_collapse.companion.studies import other_ai
from model_collapse.engine import spec
from model_collapse.engine.execute import execute
from model_collapse.engine.plan import plan
from model_collapse.theory import exchange as theory
from model_collapse.theory import zipf_law


@cache
def official(claim: str) -> Tables:
    return {label: execute(plan(**arguments, seed=3))[0] for label, arguments in named(claim).runs.items()}


def run(claim: str, label: str, **changes: Any) -> Tables:
    """The claim's runs, one of them with other arguments; None takes one out."""
    arguments = {k: v for k, v in ({**named(claim).runs[label], **changes}).items() if v is not None}
    return {**official(claim), label: execute(plan(**arguments, seed=4))[0]}


def holds(claim: str, tables: Tables) -> bool:
    found = named(claim).judge(tables)
    assert found.estimate.level == named(claim).level
    return found.holds


@pytest.mark.parametrize("claim", ["XM-1", "XM-3"])
def test_the_official_runs_hold(claim):
    assert holds(claim, official(claim))


@pytest.mark.parametrize(
    "changes",
    [{"reads": "own", "share": None}, {"reads": "ring", "share": 1.0}, {"real": "own"}],
    ids=["no exchange", "swapped", "nothing lacking"],
)
def test_what_helps_and_makes_alike_is_told_from_what_does_not(changes):
    """Two models that swap all data learn what they lacked and forget what they knew, and do not grow alike."""
    assert not holds("XM-1", run("XM-1", "exchange", **changes))


def test_a_chain_that_has_lost_all_that_both_knew_does_not_unsettle_the_others():
    tables = official("XM-1")
    own = tables["own"]
    common = own["item"].astype(str).isin([f"model 1/{rank}" for rank in range(3, 21, 3)])
    lost = common & (own["metric"] == "share") & (own["replicate"] == 0) & (own["generation"] == 20)
    assert lost.sum() == 6
    assert holds("XM-1", tables | {"own": own.assign(value=own["value"].mask(lost, 0.0))})


def test_an_exchange_with_oneself_keeps_no_more_than_oneself():
    """Nor does one in which all data are swapped: two chains that have changed their names."""
    assert not holds("XM-3", run("XM-3", "exchange", reads="own"))
    assert not holds("XM-3", run("XM-3", "exchange", reads="ring", share=1.0))


def test_more_than_real_data_is_no_exchange():
    many = run("XM-3", "real", regime="replace", settings=named("XM-3").runs["self"]["settings"])
    assert not holds("XM-3", many)


# XM-2 --------------------------------------------------------------------------------------------------------------


def curves(levels: Mapping[str, list[float]], spread: float = 0.01, seeds: int = 8) -> Tables:
    """Tables of perplexity with such a cross-entropy in each generation; of M models each, M 1 without exchange."""
    rng = np.random.default_rng(0)
    tables = {}
    for arm, nats in levels.items():
        m = int(arm.removeprefix("M"))
        made = [
            {
                "replicate": r,
                "generation": g,
                "metric": "perplexity",
                "item": f"model {k + 1}" if m > 1 else "",
                "value": v,
            }
            for r in range(seeds)
            for k in range(m)
            for g, v in enumerate(np.exp(np.array(nats) + spread * rng.standard_normal(len(nats))))
        ]
        tables[arm] = pd.DataFrame(made).assign(family="lm", family_args="{}", corpus="embedded", n_train=8)
    return tables


RISING = {"M1": np.linspace(1, 4, 10), "M2": np.linspace(1.5, 3.5, 10), "M4": np.linspace(2, 3, 10)}


def test_an_optimum_that_grows_is_found():
    tables = curves(RISING)
    assert best(tables) == sorted(best(tables)) and best(tables)[0] == 1 and best(tables)[-1] == 4
    verdict = named("XM-2").judge(tables)
    assert verdict.verdict == "reproduced_small", str(verdict)


@pytest.mark.parametrize(
    "levels",
    [
        {"M1": RISING["M1"], "M2": RISING["M1"] + 0.5, "M4": RISING["M1"] + 1},
        {"M1": RISING["M1"], "M2": RISING["M1"] - 0.5, "M4": RISING["M4"]},
        {**RISING, "M4": np.where(np.arange(10) == 2, 0.5, RISING["M4"])},
        {arm: nats[:5] for arm, nats in RISING.items()},
        {arm: RISING["M1"] for arm in RISING},
    ],
    ids=["one is always best", "several are best at once", "the best number falls", "too short", "all alike"],
)
def test_an_optimum_that_does_not_is_not(levels):
    assert not holds("XM-2", curves(levels))


def test_a_wide_spread_settles_nothing():
    assert not holds("XM-2", curves(RISING, spread=3.0, seeds=3))


def test_the_recorded_run_is_of_the_claims_arms_and_has_a_verdict():
    recorded = records.read("exchange")
    assert set(named("XM-2").runs) < set(other_ai.MANY)
    for arm, run in other_ai.STUDY.runs("recorded", other_ai.MANY).items():
        planned, made = spec.describe(run), recorded.about["arms"][arm]["run"]
        for key in ("family", "regime", "n", "generations", "seed", "given", "corpus", "metrics"):
            assert planned[key] == made[key], key
        assert {k: v for k, v in planned.items() if k.startswith("exchange")} == {
            k: v for k, v in made.items() if k.startswith("exchange")
        }
    tables = {arm: table for arm, table in recorded.tables.items() if arm.startswith("M")}
    found = named("XM-2").judge(tables)
    assert found.coverage == "small" and np.isfinite(found.estimate.low) and best(tables)[0] == 1 < best(tables)[-1]


# Tables ------------------------------------------------------------------------------------------------------------


def test_draws_that_differ_are_those_of_theory():
    """Five standard errors, 10 means: an error rate of 6e-6."""
    arguments = {"n": 30, "generations": 4, "replicates": 2000, "seed": 1, "metrics": ["share"], "models": 2}
    settings = {"family.sampling": "draw", "family.symbols": 6}
    found = draws_that_differ(execute(plan("discrete", settings=settings, reads="all", share=0.3, **arguments))[0])
    for metric, place in (("within", (0, 0)), ("between", (0, 1))):
        rows = stats.pick(found, metric)
        # The mean over two models in the first, of which a chain has one each.
        expected = theory.heterozygosity(np.arange(1, 6), 30, zipf_law(6, 1.0), 2, "all", 0.3)[:, *place]
        assert stats.deviation(rows, lambda g, e=expected: e[g]) < 5


def test_concepts_that_were_lacking_and_those_that_both_knew():
    """Two models of six symbols: ranks 1 and 4 are lacking in the first, 2 and 5 in the second, 3 and 6 in none."""
    shares = {1: [0, 0.4, 0.3, 0.1, 0, 0.2], 2: [0.2, 0, 0.1, 0, 0.4, 0.3]}
    rows = [
        {"replicate": 0, "generation": 0, "metric": "share", "item": f"model {k}/{i + 1}", "value": v}
        for k, values in shares.items()
        for i, v in enumerate(values)
    ]
    found = concepts(pd.DataFrame(rows).assign(family_args='{"symbols": 6}')).set_index("metric")["value"]
    assert found["learned"] == pytest.approx((1 / 2 + 1 / 2) / 2)
    p, q = np.array([0.6, 0.4]), np.array([0.25, 0.75])
    m = (p + q) / 2
    assert found["apart"] == pytest.approx((np.sum(p * np.log(p / m)) + np.sum(q * np.log(q / m))) / 2)


def test_tables_of_several_models_become_those_of_one():
    rows = [
        (1, "model 1/rare", 1.0),
        (1, "model 2/rare", 3.0),
        (1, "model 1", 5.0),
        (1, "model 2", 6.0),
        (1, "a/b", 7.0),
    ]
    table = pd.DataFrame(rows, columns=["replicate", "item", "value"]).assign(generation=0, metric="m")
    told = stats.over_models(table).set_index("item")["value"]
    assert told.to_dict() == {"rare": 2.0, "": 5.5, "a/b": 7.0}
    assert stats.of_model(table, 2).set_index("item")["value"].to_dict() == {"rare": 3.0, "": 6.0}
    pd.testing.assert_frame_equal(stats.over_models(table[4:]).reset_index(drop=True), table[4:].reset_index(drop=True))
