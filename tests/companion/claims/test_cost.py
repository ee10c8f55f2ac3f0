"""Prices of made-up curves with known answers, and that each check fails where its claim is false."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from model_collapse.analysis import stats
from model_collapse.companion import claims
from model_collapse.companion.claims import cost
from model_collapse.companion.studies.cost import STUDY, WORDS
from model_collapse.companion.studies.cost import curves as sizes_of
from model_collapse.engine.execute import run_all
from model_collapse.engine.plan import plan
from model_collapse.errors import InputError
from model_collapse.theory import cost as theory

SIZES = (100, 200, 400, 800)


def curves(factor: float, spread: float = 0.0, floor: float = 0.0, chains: int = 6) -> dict[int, pd.DataFrame]:
    """Losses 1 - ln(n) / 10 of a power law; generation 1 needs `factor` times the rows and never goes below `floor`."""
    rng, losses = np.random.default_rng(0), {}
    for n in SIZES:
        off = rng.normal(0, spread, (chains, 2)) if spread else np.zeros((chains, 2))
        exact = [1 - np.log(n) / 10, max(1 - np.log(n / factor) / 10, floor)]
        losses[n] = pd.DataFrame(exact + off)
    return losses


@pytest.mark.parametrize("factor", [1.0, 1.7, 3.0, 8.0])
def test_the_price_of_a_power_law_is_its_factor(factor):
    found = cost.price(curves(factor), 100, 1)
    assert (found.value, found.low, found.high) == pytest.approx((factor,) * 3)


def test_generation_0_costs_what_it_costs():
    """The negative control, at every size."""
    for size in SIZES:
        found = cost.price(curves(5.0), size, 0)
        assert (found.value, found.low, found.high) == pytest.approx((1, 1, 1))


def test_what_no_number_of_rows_reaches_has_no_end():
    losses = curves(3.0, spread=1e-3, floor=0.6)
    found = cost.price(losses, 100, 1)
    assert found.value == np.inf == found.high and found.low == 8
    assert cost.said(found) == "no number of rows tried is enough (more than 8 times)"
    # And where the fewest rows are more than enough nothing is known below them.
    found = cost.price(curves(0.3, spread=1e-3), 100, 1)
    assert (found.value, found.low) == (1, 0)


def test_the_interval_of_a_price_has_its_level():
    """500 made-up studies at 95 %: misses at most 4 standard errors above 25 (seeded; error rate 3e-5)."""
    rng, missed = np.random.default_rng(1), 0
    for _ in range(500):
        exact = {n: np.array([1 - np.log(n) / 10, 1 - np.log(n / 3) / 10]) for n in SIZES}
        losses = {n: pd.DataFrame(mean + rng.normal(0, 0.01, (6, 2))) for n, mean in exact.items()}
        # Chains of different sizes are independent here; 300 rows lie between two sizes that were tried.
        found = cost.price(losses, 100, 1)
        missed += not found.low <= 3 <= found.high
    # Interpolating between two independent intervals makes them too long, never too short.
    assert missed < 25 + 4 * np.sqrt(24)


def test_a_single_chain_has_no_interval():
    found = cost.price(curves(2.0, chains=1), 100, 1)
    assert found.value == pytest.approx(2) and np.isnan(found.low) and cost.said(found) == "2 times in one chain"
    endless = cost.price(curves(3.0, floor=0.6, chains=1), 100, 1)
    assert cost.said(endless) == "no number of rows tried is enough"


def test_what_may_be_nothing_at_the_fewest_rows_may_cost_fewer():
    """A loss that is not surely larger at the size itself: its interval has no end among the rows that were tried."""
    losses = {n: pd.DataFrame({0: np.zeros(6), 1: [-2.0, -1, 0, 1, 2, 3]}) - np.log(n / 100) for n in SIZES}
    found = cost.price(losses, 100, 1)
    assert found.value > 1 and found.low == 0


def test_tokens_of_generations_that_are_not_recorded_are_not_left_out(tmp_path):
    run = plan("gaussian", n=4, generations=4, every=2, metrics=["mean"])
    tables, _ = run_all({"a": run}, tmp_path, jobs=1)
    with pytest.raises(InputError, match=r"^--every: tokens are counted over every generation"):
        cost.tokens(tables["a"])


def test_tokens_are_counted_by_hand(tmp_path):
    run = plan("ngram", "accumulate", n=20, generations=2, replicates=1, metrics=["perplexity"], seed=1)
    table = run_all({"a": run}, tmp_path, jobs=1)[0]["a"]
    counted = cost.tokens(table, passes=5)
    assert list(counted["trained"]) == [20 * 320, 60 * 320, 120 * 320]
    assert list(counted["written"]) == [0, 20 * 64, 40 * 64]


SABOTAGE: dict[str, dict[str, Any]] = {
    # Written rows have half the variance: the mean wanders less than the price pays for.
    "COST-1": {"settings": {"family.bias": 0.5}, "replicates": 8192},
    # Real text all the time.
    "COST-2": {"regime": "mix", "settings": {"regime.real_fraction": 1.0}, "replicates": 2},
}


@pytest.mark.parametrize("name", SABOTAGE)
def test_another_regime_is_not_reproduced(name, tmp_path):
    claim, change = claims.named(name), dict(SABOTAGE[name])
    more = change.pop("settings")
    runs = {
        label: plan(**{**own, **change, "settings": {**own["settings"], **more}}, seed=3)
        for label, own in claim.runs.items()
    }
    verdict = claim.judge(run_all(runs, tmp_path, jobs=1)[0])
    assert not verdict.holds, str(verdict)
    assert not np.isnan(verdict.estimate.low)


def test_the_rows_of_the_claim_are_those_of_theory():
    for regime, run in claims.named("COST-1").runs.items():
        share = run["settings"].get("regime.real_fraction", 0.0)
        assert run["n"] == pytest.approx(100 * float(theory.row_price(10, regime, share)), abs=5)


def test_prices_of_a_counting_model(tmp_path):
    """Real text only costs once; replace costs more than one and more from generation to generation."""
    sizes = (50, 200, 800)
    chosen = replace(STUDY, conditions=sizes_of({label: WORDS[label] for label in ("replace", "real only")}, sizes))
    runs = chosen.runs(STUDY.at("laptop", generations=2, seeds=4, seed=2), chosen.conditions)
    found = cost.prices(run_all(runs, tmp_path, jobs=1)[0], {"real only": "control", "replace": "replace"}, 50)
    control, replaced = (found[found["arm"] == arm] for arm in ("control", "replace"))
    assert control[["y", "low", "high"]].to_numpy() == pytest.approx(1)
    assert list(replaced["x"]) == [1, 2] and np.all(replaced["low"] > 1.5)
    assert replaced["y"].is_monotonic_increasing and set(found["most"]) == {16}


def test_a_price_without_bound_lies_inside_a_band_without_end():
    """What no number of rows buys is no evidence against a price of at least 2; few chains leave it open."""
    claim = claims.named("COST-3")
    open_ended = claims.Verdict(claim, stats.Estimate(np.inf, 1.0, np.inf, 4, claims.LEVEL), "small")
    assert open_ended.outcome == "undecided" and "the value lies inside" in str(open_ended)
    assert claims.Verdict(claim, stats.Estimate(np.inf, 8.0, np.inf, 6, claims.LEVEL), "small").holds
