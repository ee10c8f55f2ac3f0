"""The claim about n-gram models: its verdict, and that other regimes and orders do not get it."""

from __future__ import annotations

import pytest

from model_collapse.companion.claims import named, runs_of
from model_collapse.engine.execute import run_all
from model_collapse.engine.plan import plan

CLAIM = named("WF-7")
RUN = {"n": 100, "generations": 3, "metrics": ["vocabulary"], "settings": {"family.order": 1}}


def test_it_is_reproduced_from_fresh_runs(tmp_path):
    """Error rate 1e-4; the seed is fixed, so a failure is a change of code."""
    tables, _ = run_all(runs_of(CLAIM, 1), tmp_path, jobs=1)
    verdict = CLAIM.judge(tables)
    assert verdict.holds, str(verdict)


@pytest.mark.parametrize(
    ("regime", "changed"),
    [("accumulate", {}), ("mix", {"regime.real_fraction": 0.5})],
    ids=["accumulate", "half real"],
)
def test_it_is_refused_where_words_are_not_lost_as_fast(regime, changed, tmp_path):
    run = plan("ngram", regime, replicates=40, seed=1, **RUN | {"settings": RUN["settings"] | changed})
    tables, _ = run_all({"unigrams": run}, tmp_path, jobs=1)
    assert not CLAIM.judge(tables).holds


def test_too_few_chains_settle_nothing(tmp_path):
    tables, _ = run_all({"unigrams": plan("ngram", replicates=2, seed=1, **RUN)}, tmp_path, jobs=1)
    assert not CLAIM.judge(tables).holds
