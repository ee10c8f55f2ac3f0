"""The checks of GM-1 and GM-2 can fail: each is put to tables that are not what it claims.

Their runs from fresh seeds are in test_claims.py; here the tables are small or made by hand.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from model_collapse.companion.claims import LEVEL, named
from model_collapse.engine.execute import execute
from model_collapse.engine.plan import plan

rng = np.random.default_rng(1)


def table(values: dict[tuple[str, int], float], chains: int = 64, spread: float = 0.5, n: int = 1000) -> pd.DataFrame:
    """Log-normal values about these medians, by metric and generation."""
    rows = [
        {"metric": metric, "item": "", "generation": g, "replicate": r, "n_train": n, "value": value}
        for (metric, g), middle in values.items()
        for r, value in enumerate(middle * np.exp(spread * rng.standard_normal(chains)))
    ]
    return pd.DataFrame(rows)


TRUE = {("l2", 50): 0.03, ("component_sd", 2000): 0.025, ("l2", 2000): 120.0}


def test_gm_1_is_the_smallest_margin():
    verdict = named("GM-1").judge({"made": table(TRUE, spread=0)})
    assert verdict.holds and verdict.estimate.value == pytest.approx(0.1 / 0.03)
    assert verdict.estimate.low == verdict.estimate.high == verdict.estimate.value
    both = named("GM-1").judge({"made": table(TRUE, spread=0), "other": table(TRUE | {("l2", 2000): 60.0}, spread=0)})
    assert both.estimate.value == pytest.approx(2) and both.estimate.level >= LEVEL


@pytest.mark.parametrize("wrong", [{("l2", 50): 0.3}, {("component_sd", 2000): 0.3}, {("l2", 2000): 10.0}])
def test_gm_1_fails_if_one_bound_is_broken(wrong):
    assert not named("GM-1").judge({"made": table(TRUE | wrong)}).holds


def test_gm_1_needs_enough_chains_for_an_interval():
    assert not named("GM-1").judge({"made": table(TRUE, chains=8)}).holds


@pytest.mark.parametrize("real", [0.5, 1.0])
def test_gm_1_is_not_reproduced_with_real_data(real):
    """Half of the data real, and the control that sees nothing else: no needle after 2000 generations of 50 rows."""
    settings = {"family.components": 1, "regime.real_fraction": real}
    found, _ = execute(plan("gmm", "mix", n=50, generations=2000, replicates=30, every=50, settings=settings, seed=1))
    verdict = named("GM-1").judge({"mix": found})
    assert not verdict.holds and verdict.estimate.high < 1


def sizes(middles: dict[int, float], chains: int = 24) -> dict[str, pd.DataFrame]:
    return {str(n): table({("l2", 350): middle}, chains, n=n) for n, middle in middles.items()}


def test_gm_2_is_the_least_fall_in_whatever_order_the_tables_come():
    tables = sizes({5000: 0.04, 500: 4.0, 1500: 0.4}, chains=400)
    verdict = named("GM-2").judge(tables)
    assert verdict.holds and verdict.estimate.low < np.log(10) < verdict.estimate.high


@pytest.mark.parametrize(
    "middles", [{500: 0.5, 1500: 0.5, 5000: 0.05}, {500: 0.1, 1500: 1.0, 5000: 0.01}, {500: 1.0, 1500: 0.9, 5000: 0.8}]
)
def test_gm_2_fails_if_one_step_does_not_clearly_fall(middles):
    assert not named("GM-2").judge(sizes(middles)).holds


def test_gm_2_is_not_reproduced_where_nothing_but_the_label_differs():
    """Three runs of one size, called by three: what is claimed is about rows."""
    tables = {}
    for i, n in enumerate((100, 300, 900)):
        found, _ = execute(plan("gmm", n=100, generations=20, replicates=24, every=20, metrics=["l2"], seed=i))
        tables[str(n)] = found.assign(n_train=n)
    assert not named("GM-2").judge(tables).holds
