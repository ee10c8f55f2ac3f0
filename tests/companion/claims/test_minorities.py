"""Claims about minorities: verdicts of those about text, and that other regimes and roles do not get them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from model_collapse import theory
from model_collapse.companion.claims import minorities, named
from model_collapse.companion.studies.minorities import STUDY
from model_collapse.engine.execute import run_all
from model_collapse.engine.plan import plan

TEN = {"family.symbols": 10, "family.zipf": 1.5}
SHARE = {"n": 50, "generations": 15, "every": 15, "metrics": ["share"], "seed": 1}


def losses(rise: dict[str, float], noise: float = 0.02, chains: int = 8) -> pd.DataFrame:
    """A table of `group_loss` that rises so much from generation 0 to 4, with noise of its own in every chain."""
    rng = np.random.default_rng(0)
    rows = [
        {"replicate": r, "generation": g, "metric": "group_loss", "item": item, "value": 1 + g / 4 * (up + e)}
        for r in range(chains)
        for item, up in rise.items()
        for e in [noise * rng.standard_normal()]
        for g in (0, 4)
    ]
    return pd.DataFrame(rows).assign(family="ngram", corpus="embedded", n_train=100, family_args="{}")


HARD = losses({"people/coast": 0.5, "people/island": 1.0})
EVEN = losses({"people/coast": 0.5, "people/island": 0.5})
SPARED = losses({"people/coast": 0.5, "people/island": 0.6})


def test_the_minority_is_the_rarest_tenth():
    assert minorities.first_rare(theory.zipf_law(10, 1.5)) == 6
    assert minorities.first_rare(np.array([0.8, 0.1, 0.1])) == 2
    assert minorities.first_rare(np.array([0.7, 0.3])) == 2


def test_errors_and_variety_of_groups_by_hand():
    shares = np.zeros(10)
    shares[[0, 7, 8]] = 0.5, 0.25, 0.25
    rows = [
        {"replicate": 0, "generation": 0, "metric": "share", "item": str(i + 1), "value": p}
        for i, p in enumerate(shares)
    ]
    table = pd.DataFrame(rows).assign(family_args='{"symbols": 10, "zipf": 1.5}')
    q = theory.zipf_law(10, 1.5)
    assert minorities.group_share(table).loc[0, 0] == pytest.approx(0.5)
    assert minorities.group_error(table, True).loc[0, 0] == pytest.approx((q[6] + q[9]) / q[6:].sum())
    assert minorities.group_error(table, False).loc[0, 0] == pytest.approx(1 - q[0] / q[:6].sum())
    true = 1 - (q[6:] ** 2).sum() / q[6:].sum() ** 2
    assert minorities.variety_inside(table).loc[0, 0] == pytest.approx(0.5 / true)


@pytest.mark.parametrize(
    ("regime", "settings"),
    [("accumulate", {}), ("mix", {"family.sampling": "draw", "regime.real_fraction": 0.2})],
    ids=["accumulate", "a fifth real"],
)
def test_fair_1_is_refused_where_real_rows_stay(regime, settings, tmp_path):
    run = plan("discrete", regime, replicates=4000, settings={**TEN, **settings}, **SHARE)
    tables, _ = run_all({"groups": run}, tmp_path, jobs=1)
    verdict = named("FAIR-1").judge(tables)
    assert not verdict.holds and not np.isnan(verdict.estimate.value), str(verdict)


def test_fair_2_is_refused_without_weights_and_where_groups_come_back(tmp_path):
    own = {**TEN, "family.sampling": "draw"}
    common = {**SHARE, "generations": 20, "every": 5, "replicates": 2000}
    runs = {"replace": plan("discrete", settings=own, **common)}
    runs["reweigh"] = plan("discrete", "replace", settings=own, **{**common, "seed": 2})
    runs["fresh"] = plan("discrete", "fresh", settings={**own, "regime.real_fraction": 0.2}, **common)
    tables, _ = run_all(runs, tmp_path, jobs=1)
    claim = named("FAIR-2")
    assert not claim.judge({"replace": tables["replace"], "reweigh": tables["reweigh"]}).holds
    back = claim.judge({"replace": tables["replace"], "reweigh": tables["fresh"]})
    assert np.isnan(back.estimate.low), "a group that comes back settles nothing"


def test_fair_1b_asks_for_more_on_the_minority():
    claim = named("FAIR-1b")
    assert claim.judge({"replace": HARD}).verdict == "reproduced_small"
    assert not claim.judge({"replace": EVEN}).holds
    swapped = HARD.replace({"item": {"people/coast": "people/island", "people/island": "people/coast"}})
    assert claim.judge({"replace": swapped}).estimate.high < 0
    assert not claim.judge({"replace": HARD.query("replicate < 1")}).holds


def test_fair_2b_asks_for_less_with_weights():
    claim = named("FAIR-2b")
    assert claim.judge({"replace": HARD, "reweigh": SPARED}).verdict == "reproduced_small"
    assert claim.judge({"replace": SPARED, "reweigh": HARD}).estimate.high < 0
    assert not claim.judge({"replace": HARD, "reweigh": HARD}).holds


def test_the_error_by_group_reaches_the_claims(tmp_path):
    runs = STUDY.runs(STUDY.at("laptop", n=24, generations=2, every=1, seeds=2))
    tables, _ = run_all(runs, tmp_path, jobs=1)
    assert minorities.rise(tables["replace"], minorities.PEOPLE["minority"]).min() > 0
    assert minorities.rise(tables["control"], minorities.PEOPLE["minority"]).abs().max() == 0
