"""Exact theory is decided by adding chains, at a stated error; files that know nothing of that are read as well."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_collapse.analysis import stats, testing
from model_collapse.analysis.stats import Estimate
from model_collapse.companion import claims, verify
from model_collapse.companion.claims import Claim, Tables
from model_collapse.companion.verify import baseline

ROOT = Path(__file__).parents[3]
CHAINS = 64


def first_mean(tables: Tables, level: float) -> Estimate:
    """Mean of sqrt(M) mu after one fit, a standard normal variable."""
    (table,) = tables.values()
    values = stats.per_replicate(table, "mean", 0) * np.sqrt(20)
    assert values.index.is_unique
    return testing.farthest([partial(stats.mean, values)], 0, level)


def toy(band: tuple[float, float], **more: Any) -> Claim:
    run = {"family": "gaussian", "n": 20, "generations": 0, "replicates": CHAINS, "metrics": ["mean"]}
    return Claim("X-1", "so", "nobody", "mean", band, "why", {"a": run}, first_mean, "gaussian", **more)


def verified(claim: Claim, folder: Path, monkeypatch: pytest.MonkeyPatch, seed: int = 1) -> dict[str, Any]:
    monkeypatch.setattr(claims, "known", lambda: {"X-1": claim})
    (entry,) = verify.verify(["X-1"], seed=seed, jobs=1, folder=folder)["claims"]
    return entry


def half(looks: int) -> float:
    """Half the interval of that many looks, about: z sd / sqrt(n) with sd 1."""
    return testing.scipy.stats.norm.ppf((1 + verify.spent(looks)) / 2) / np.sqrt(looks * CHAINS)


def test_one_look_is_enough_where_it_decides(tmp_path, monkeypatch):
    for band, outcome in (((-2.0, 2.0), "supported"), ((1.0, 2.0), "contradicted")):
        entry = verified(toy(band), tmp_path, monkeypatch)
        assert (entry["outcome"], entry["looks"]) == (outcome, 1)
        assert entry["level"] == verify.spent(1) == 0.99995 and not any(tmp_path.iterdir())


def test_chains_are_added_until_it_is_decided_and_all_are_kept(tmp_path, monkeypatch):
    """A band that an interval of one look cannot lie in, and one of three can."""
    wide = (half(3) + half(2)) / 2 + 0.1
    entry = verified(toy((-wide, wide)), tmp_path, monkeypatch)
    assert entry["outcome"] == "supported" and 1 < entry["looks"] <= verify.LOOKS
    width = entry["high"] - entry["low"]
    assert width == pytest.approx(2 * half(entry["looks"]), rel=0.15) and entry["level"] == verify.spent(entry["looks"])
    again = verified(toy((-wide, wide)), tmp_path, monkeypatch)
    assert {k: v for k, v in again.items() if k != "seconds"} == {k: v for k, v in entry.items() if k != "seconds"}


def test_it_ends_after_the_last_look_and_what_more_chains_do_not_help_is_not_run_again(tmp_path, monkeypatch):
    entry = verified(toy((-0.01, 0.01)), tmp_path, monkeypatch)
    assert (entry["outcome"], entry["verdict"], entry["looks"]) == ("undecided", "undecided", verify.LOOKS)
    entry = verified(toy((-0.01, 0.01), ends=lambda table: 5), tmp_path, monkeypatch)
    assert entry["outcome"] == "undecided" and entry["low"] is None and entry["looks"] == 1


def test_experiments_have_the_chains_that_were_planned(tmp_path, monkeypatch):
    entry = verified(toy((0.4, 2.0), scale="small"), tmp_path, monkeypatch)
    assert entry["looks"] == 1 and entry["kind"] == "secondary" and entry["level"] == 0.95
    assert 0 < entry["p"] == entry["p_adjusted"] <= 1


def test_the_errors_of_all_looks_sum_to_less_than_that_of_one():
    errors = [1 - verify.spent(look) for look in range(1, verify.LOOKS + 1)]
    assert sum(errors) < 1 - claims.LEVEL and errors == sorted(errors, reverse=True)
    seeds = {verify.fresh_seed(seed, look) for seed in range(50) for look in range(1, verify.LOOKS)} | set(range(50))
    assert len(seeds) == 50 * verify.LOOKS


def old(verdict: str, why: str) -> dict[str, Any]:
    """An entry as it was written before November 2026."""
    about = {"id": "X-1", "scale": "simulation", "verdict": verdict, "why": why}
    return about | {"estimate": 1.0, "low": 0.5, "high": 1.5, "seconds": 1.0}


@pytest.mark.parametrize(
    ("verdict", "why", "outcome"),
    [
        ("reproduced", "", "supported"),
        ("reproduced_small", "", "supported"),
        ("not_run", "not run here", "not_run"),
        ("not_reproduced", "the whole interval lies outside", "contradicted"),
        ("not_reproduced", "the value lies inside, its interval is too wide", "undecided"),
        ("not_reproduced", "these runs do not settle it", "undecided"),
    ],
)
def test_old_entries_get_the_new_words(verdict, why, outcome, tmp_path):
    file = tmp_path / "old.json"
    file.write_text(json.dumps({"seed": 1, "made": {}, "claims": [old(verdict, why)]}))
    (entry,) = baseline.read(file)["claims"]
    assert entry["outcome"] == outcome and entry["verdict"] == verdict
    assert entry["at_small_scale"] is (verdict == "reproduced_small")


def test_the_recorded_verification_is_read():
    found = baseline.read(ROOT / "records" / "verify-simulation.json")
    assert {entry["outcome"] for entry in found["claims"]} == {"supported", "not_run"}


def test_what_is_undecided_now_and_stood_before_fell():
    """A claim that stood and is not run any more is missed as well."""
    earlier = {"simulation": {"scale": "simulation", "claims": [old("reproduced", "")]}}
    fell = {"reproduced": [], "undecided": ["X-1"], "not_reproduced": ["X-1"], "not_run": ["X-1"]}
    for verdict, names in fell.items():
        now = {"scale": "simulation", "claims": [old(verdict, "")]}
        assert verify.regressions(now, earlier) == names
