"""What a verdict says in words, how it follows from an interval, and how several are corrected together."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
from scipy import stats as reference

from model_collapse.analysis import stats, testing
from model_collapse.analysis.stats import Estimate
from model_collapse.companion import claims
from model_collapse.companion.claims import Claim, Verdict, together

EFFECT = Claim(
    id="X-1",
    statement="something is larger",
    source="nobody",
    measured="difference",
    band=(0.0, np.inf),
    reason="larger",
    runs={"a": {}},
    check=lambda tables, level: stats.mean(tables["a"]["value"], level),
    chapter="gaussian",
    scale="small",
    margin=0.1,
)


def said(value: float, low: float, high: float, claim: Claim = EFFECT, n: int = 6) -> Verdict:
    return Verdict(claim, Estimate(value, low, high, n, claim.level), "small")


@pytest.mark.parametrize(
    ("interval", "outcome", "verdict"),
    [
        ((0.5, 0.2, 0.8), "supported", "reproduced_small"),
        ((0.5, 0.01, 0.99), "supported", "reproduced_small"),
        ((0.05, 0.01, 0.09), "equivalent", "not_reproduced"),
        ((0.0, -0.09, 0.09), "equivalent", "not_reproduced"),
        ((-0.05, -0.09, -0.01), "equivalent", "not_reproduced"),
        ((-0.5, -0.8, -0.2), "contradicted", "not_reproduced"),
        ((0.05, -0.01, 0.11), "undecided", "undecided"),
        ((0.5, -0.2, 1.2), "undecided", "undecided"),
        ((-0.5, -1.2, 0.2), "undecided", "undecided"),
        ((0.5, np.nan, np.nan), "undecided", "undecided"),
    ],
)
def test_the_outcome_follows_from_the_interval(interval, outcome, verdict):
    found = said(*interval)
    assert found.outcome == outcome and found.verdict == verdict
    assert found.words == f"{outcome} at small scale" and found.holds is (outcome == "supported")
    assert "not reproduced" not in str(found) and f": {outcome} at small scale" in str(found)
    assert replace(found, coverage="full").words == outcome


def test_without_a_margin_nothing_is_equivalent():
    free = replace(EFFECT, margin=None)
    assert said(0.05, 0.01, 0.09, free).outcome == "supported"
    assert said(0.0, -0.09, 0.09, free).outcome == "undecided"


def test_of_a_ratio_no_effect_is_one():
    ratio = replace(EFFECT, band=(1.3, np.inf), no_effect=1.0, margin=0.1)
    assert said(1.0, 0.95, 1.08, ratio).outcome == "equivalent"
    assert said(1.2, 1.11, 1.25, ratio).outcome == "contradicted"


def test_one_part_that_surely_lies_outside_contradicts_a_claim_about_all():
    claim = replace(EFFECT, band=(0.9, 1.1), scale="simulation", margin=None)
    parts = [partial(stats.mean, np.linspace(c - 0.01, c + 0.01, 50)) for c in (1.0, 1.3)]
    found = Verdict(claim, testing.farthest(parts, 1, 0.9999))
    assert found.outcome == "contradicted" and found.estimate.low < 1.1 and "of a part lies outside" in found.why
    assert Verdict(claim, testing.farthest(parts[:1], 1, 0.9999)).outcome == "supported"


def test_what_is_undecided_says_about_how_many_seeds_would_decide():
    x = np.array([0.1, 0.9, 0.4, -0.6, 1.2, -0.2])
    found = Verdict(replace(EFFECT, margin=None), stats.mean(x, 0.95), "small")
    seeds = testing.enough(found.estimate, 0)
    assert found.why == (
        f"the value lies inside, its interval reaches out; about {seeds:.0f} seeds would decide, if the value stays"
    )
    # As many with the same mean and spread do decide.
    more = np.tile(x, int(np.ceil(seeds / 6)) + 1)
    assert Verdict(replace(EFFECT, margin=None), stats.mean(more, 0.95), "small").outcome == "supported"
    assert "more than 1,000 seeds" in said(0.11, -2, 2.2, replace(EFFECT, margin=None)).why
    # Near no effect it is the margin that has to be shown: half of 1.0 has to shrink to 0.099.
    near = said(0.001, -1, 1.002)
    assert f"about {testing.enough(near.estimate, 0.1):.0f} seeds" in near.why


def table(values: np.ndarray) -> pd.DataFrame:
    made = pd.DataFrame({"replicate": range(len(values)), "generation": 0, "metric": "m", "item": "", "value": values})
    return made.assign(family="x", family_args="{}", corpus="embedded", n_train=1)


def judged(values: np.ndarray, claim: Claim = EFFECT) -> Verdict:
    return claim.judge({"a": table(values)})


def test_the_p_of_a_verdict_is_that_of_its_own_test():
    rng = np.random.default_rng(2)
    up, down = rng.normal(1, 1, 6), rng.normal(-1, 1, 6)
    assert judged(up).p == pytest.approx(reference.ttest_1samp(up, 0, alternative="greater").pvalue, abs=1e-9)
    assert judged(down).p == pytest.approx(reference.ttest_1samp(down, 0, alternative="less").pvalue, abs=1e-9)
    close = rng.normal(0, 0.05, 20)
    one = max(reference.ttest_1samp(close, 0.1, alternative="less").pvalue,
              reference.ttest_1samp(close, -0.1, alternative="greater").pvalue)  # fmt: skip
    assert judged(close).outcome == "equivalent" and judged(close).p == pytest.approx(one, abs=1e-9)


def test_a_verdict_alone_uses_the_level_of_its_kind_and_p_agrees_with_it():
    rng = np.random.default_rng(4)
    for claim in (replace(EFFECT, margin=None), replace(EFFECT, margin=None, primary="a study")):
        assert (claim.kind, claim.level) in {("secondary", 0.95), ("primary", 0.99)}
        alpha = (1 - claim.level) / 2
        for shift in np.linspace(0, 3, 25):
            found = judged(rng.normal(shift, 1, 6), claim)
            assert (found.outcome in ("supported", "contradicted")) is (found.p is not None and found.p < alpha)
    theory = replace(EFFECT, scale="simulation")
    assert (
        theory.kind == "theory"
        and theory.level == claims.LEVEL
        and judged(np.ones(6) + rng.normal(size=6), theory).p is None
    )


def with_p(p: float, primary: str = "") -> Verdict:
    claim = replace(EFFECT, margin=None, primary=primary)
    values = np.array([-1.0, 0.0, 1.0, 2.0])
    t = reference.t.isf(p, 3)
    x = values - values.mean() + t * values.std(ddof=1) / 2
    found = judged(x, claim)
    assert found.p == pytest.approx(p, abs=1e-9)
    return found


def test_secondary_claims_are_corrected_by_benjamini_and_hochberg():
    alone = [with_p(p) for p in (0.02, 0.001, 0.2, 0.024)]
    assert [one.outcome for one in alone] == ["supported", "supported", "undecided", "supported"]
    found = together(alone)
    assert [one.p_adjusted for one in found] == pytest.approx([0.032, 0.004, 0.2, 0.032])
    assert [one.outcome for one in found] == ["undecided", "supported", "undecided", "undecided"]
    assert found[0].why == "supported alone, not among the 4 claims that were judged together"
    assert [one.p for one in found] == [one.p for one in alone]


def test_primary_endpoints_are_corrected_by_holm_within_their_study():
    alone = [with_p(0.002, "a"), with_p(0.004, "a"), with_p(0.004, "b"), with_p(0.02)]
    found = together(alone)
    assert [one.p_adjusted for one in found] == pytest.approx([0.004, 0.004, 0.004, 0.02])
    assert [one.outcome for one in found] == ["supported"] * 4
    three = together([with_p(0.002, "a"), with_p(0.004, "a"), with_p(0.3, "a")])
    assert [one.p_adjusted for one in three] == pytest.approx([0.006, 0.008, 0.3])
    assert [one.outcome for one in three] == ["undecided"] * 3


@pytest.mark.parametrize("primary", ["", "a"])
def test_an_experiment_without_an_interval_was_asked_all_the_same(primary: str):
    open_ = judged(np.ones(1), replace(EFFECT, margin=None, primary=primary))
    assert open_.p is None and open_.outcome == "undecided"
    found = together([with_p(0.004, primary), open_])
    assert [one.p_adjusted for one in found] == [pytest.approx(0.008), None]
    assert found[0].among == 2


def test_the_number_of_seeds_that_would_decide_is_that_of_the_nearer_end():
    """Of a value beyond one end of a band, that end; the other is farther off and would be shown with fewer."""
    narrow = replace(EFFECT, band=(1.0, 4.0), margin=None)
    found = judged(np.array([0.2, 1.6, 0.1, 1.7, 0.9, 0.3]), narrow)
    assert found.outcome == "undecided" and found.answer == "contradicted"
    nearer, farther = (testing.enough(found.estimate, end) for end in (1.0, 4.0))
    assert nearer > farther and f"about {nearer:.0f} seeds would decide" in found.why


def test_exact_theory_and_what_was_not_run_are_not_corrected():
    theory = Verdict(replace(EFFECT, scale="simulation"), Estimate(1.0, 0.5, 1.5, 9, 0.9999))
    nothing = EFFECT.judge({})
    assert together([theory, nothing]) == [theory, nothing] and nothing.outcome == "not_run"
    assert together([theory, with_p(0.01), nothing])[1].p_adjusted == pytest.approx(0.01)


def test_a_study_has_three_primary_endpoints_at_most():
    named = [claim.primary for claim in claims.known().values() if claim.primary]
    assert all(named.count(study) <= 3 for study in named)


def test_every_statement_stands_alone():
    """A sentence, not the second half of the one before."""
    for claim in claims.known().values():
        assert not claim.statement.startswith(("and ", "but ", "or ", "so ")), claim.id
