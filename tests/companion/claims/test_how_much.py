"""The claim about what synthetic data are worth: its verdict, when it is refused, and the planes of phase diagrams."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from model_collapse.analysis import stats
from model_collapse.companion.claims import named
from model_collapse.companion.claims.how_much import amounts, by_share, closed_form, effects, harmful_from, loss
from model_collapse.companion.studies.how_much import STUDY, beside
from model_collapse.engine.execute import run_all
from model_collapse.engine.plan import plan

CLAIM = named("MIX-4")


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pd.DataFrame]:
    runs = beside((32, 128, 1024), (0, 256)).runs(STUDY.at("verify", n=1024))
    return run_all(runs, tmp_path_factory.mktemp("worth"), jobs=1)[0]


def test_it_is_reproduced_by_small_runs(tables):
    """Error rate 1e-4; the seed is fixed, so a failure is a change of code."""
    verdict = CLAIM.judge(tables)
    assert verdict.verdict == "reproduced_small", str(verdict)
    assert verdict.estimate.level == CLAIM.level == 0.95


def test_it_is_refused_where_the_sign_does_not_change(tables):
    """All few: synthetic blocks help everywhere. All many: nowhere. And the arms with their roles exchanged."""
    of = {amounts(table): table for table in tables.values()}
    few = {str(k): of[k] for k in of if k[0] < 1024}
    many = {"real": of[1024, 0], "both": of[1024, 256]}
    assert not CLAIM.judge(few).holds
    assert not CLAIM.judge(many).holds
    swapped = {
        label: table.assign(regime_args=table["regime_args"].astype(str).str.replace('"real": 32', '"real": 4096'))
        for label, table in tables.items()
    }
    assert not CLAIM.judge(swapped).holds


def test_too_few_chains_settle_nothing(tables):
    """One chain has no interval; two, at the level of a primary endpoint, are not enough."""
    one, two = ({label: t[t["replicate"] < n] for label, t in tables.items()} for n in (1, 2))
    assert CLAIM.judge(one).outcome == CLAIM.judge(two, 0.99).outcome == "undecided"


def test_effects_are_paired_with_the_same_real_rows(tables):
    of = {amounts(table): table for table in tables.values()}
    found = effects(tables)
    assert set(found) == {(32, 256), (128, 256), (1024, 256)}
    for (k, m), estimate in found.items():
        assert estimate.value == pytest.approx((loss(of[k, m]) - loss(of[k, 0])).mean())
    assert found[32, 256].high < found[128, 256].low < found[128, 256].high < 0 < found[1024, 256].low


def test_planes_have_a_column_for_every_share_and_a_row_for_every_generation(tmp_path):
    runs = {
        str(g): plan("gaussian", "mix", n=10, generations=2, replicates=5, seed=1, metrics=["mean"],
                     settings={"family.sampling": "draw", "regime.real_fraction": g})
        for g in (1.0, 0.3)
    }  # fmt: skip
    tables, _ = run_all(runs, tmp_path, jobs=1)
    plane = by_share(tables.values(), lambda table: table.groupby("generation")["value"].mean())
    assert plane[["x", "y"]].to_numpy().tolist() == [[0, 0], [0, 1], [0, 2], [0.7, 0], [0.7, 1], [0.7, 2]]
    assert plane["value"][5] == pytest.approx(stats.per_replicate(tables["0.3"], "mean", 2).mean())
    exact = closed_form(plane, lambda real, n: 100 * real + n)
    assert exact.sort_values(["x", "y"])["value"].tolist() == pytest.approx([101, 102, 103, 31, 32, 33])


def test_the_share_from_which_on_it_harms_is_interpolated():
    plane = pd.DataFrame({"x": [0, 0.5, 1.0] * 2, "y": [0] * 3 + [1] * 3, "value": [0, 0, 0, 1, 2, 4]})
    assert harmful_from(plane, 1, 3) == pytest.approx(0.75)
    assert harmful_from(plane, 1, 1) == 0
    assert np.isnan(harmful_from(plane, 0, 1))
