"""The claim about copies of copies: its verdict, and that devices and chains whose errors do not grow do not get it."""

from __future__ import annotations

import pytest

from model_collapse.companion.claims import named, runs_of
from model_collapse.engine.execute import run_all
from model_collapse.engine.plan import plan

CLAIM = named("SC-1")
RUN = {"n": 60, "replicates": 6, "corpus": "digits", "metrics": ["psnr"], "seed": 1}
EXACT = {"family.blur": 0, "family.noise": 0, "family.levels": 256}


def test_it_is_reproduced_from_fresh_runs(tmp_path):
    """Error rate 1e-4; the seed is fixed, so a failure is a change of code."""
    tables, _ = run_all(runs_of(CLAIM, 1), tmp_path, jobs=1)
    verdict = CLAIM.judge(tables)
    assert verdict.holds, str(verdict)


@pytest.mark.parametrize(
    ("given", "device"),
    [
        ("original", {}),
        ("training", {**EXACT, "family.jpeg": 50}),
        ("training", {"family.noise": 0, "family.levels": 16}),
    ],
    ids=["copies of the original", "JPEG", "blur and rounding without noise"],
)
def test_it_is_refused_where_the_error_stops_growing(given, device, tmp_path):
    run = plan("scanner", generations=19, given=given, settings=device, **RUN)
    tables, _ = run_all({"copies of copies": run}, tmp_path, jobs=1)
    verdict = CLAIM.judge(tables)
    assert not verdict.holds and verdict.estimate.low <= 0, str(verdict)


def test_too_few_chains_settle_nothing(tmp_path):
    run = plan("scanner", generations=3, given="training", **RUN | {"replicates": 1})
    tables, _ = run_all({"copies of copies": run}, tmp_path, jobs=1)
    assert not CLAIM.judge(tables).holds
