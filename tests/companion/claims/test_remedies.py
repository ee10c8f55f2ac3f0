"""The checks on remedies, and that they fail where the claim is false."""

from __future__ import annotations

import numpy as np
import pytest

from model_collapse.companion import claims, records
from model_collapse.companion.claims import remedies
from model_collapse.companion.claims.language import to_common_end
from model_collapse.engine.execute import run_all
from model_collapse.engine.plan import plan


def test_another_remedy_is_not_reproduced(tmp_path):
    """Accumulate swapped for replace in one family of two: nothing is avoided there."""
    runs = {
        f"{family} {regime}": plan(
            **remedies.of_family(family, "replace" if family == "discrete" else regime, replicates=256), seed=seed
        )
        for family in ("gaussian", "discrete")
        for seed, regime in enumerate(("accumulate", "replace"))
    }
    verdict = claims.named("REM-1").judge(run_all(runs, tmp_path, jobs=1)[0])
    assert not verdict.holds and verdict.estimate.low > 0.5


def test_one_family_without_interval_leaves_none(tmp_path):
    """A baseline that loses nothing settles nothing, however well the others do."""
    runs = {
        f"{family} {regime}": plan(**remedies.of_family(family, regime, 9, replicates=chains), seed=1)
        for family, chains in (("gaussian", 256), ("regression", 2))
        for regime in ("accumulate", "replace")
    }
    verdict = claims.named("REM-1").judge(run_all(runs, tmp_path, jobs=1)[0])
    assert not verdict.holds and np.isnan(verdict.estimate.low)


@pytest.mark.parametrize(("first", "last"), [("accumulate", "sampled"), ("sampled", "accumulate")])
def test_the_order_of_regimes_is_that_of_the_damage(first, last):
    """REM-3 on the recorded run: with the ends swapped the two differences change their signs."""
    tables = dict(records.read("wikitext").tables)
    swapped = tables | {"accumulate": tables[first], "sampled": tables[last]}
    found = claims.named("REM-3").judge(swapped)
    compared = to_common_end(swapped, *(labels := ("subsample", "accumulate", "sampled")))
    damages = {arm: remedies.LOSS.damage(table).mean() for arm, table in zip(labels, compared, strict=True)}
    expected = min(damages["subsample"] - damages["accumulate"], damages["sampled"] - damages["subsample"])
    assert found.estimate.value == pytest.approx(expected)


@pytest.mark.parametrize(
    ("claim", "short"), [("REM-3", "accumulate"), ("REM-3", "sampled"), ("DEC-1", "A"), ("DEC-1", "sampled")]
)
def test_conditions_are_compared_at_their_last_common_generation(claim, short):
    """One condition ends sooner than the others: the estimate is that of all of them cut there."""
    tables = {label: records.read("wikitext").tables[label] for label in claims.named(claim).runs}
    cut = {label: table[table["generation"] <= 2] for label, table in tables.items()}
    whole, all_cut = (claims.named(claim).check(each, 0.95) for each in (tables, cut))
    one_cut = claims.named(claim).check(tables | {short: cut[short]}, 0.95)
    if claim == "REM-3":
        assert one_cut == all_cut
    assert one_cut != whole


def test_every_family_of_the_claims_has_its_measure():
    for name in ("REM-1", "REM-2"):
        for label, run in claims.named(name).runs.items():
            measure = remedies.MEASURES[label.split()[0]]
            assert label.split()[0] == run["family"] and measure.metric in run["metrics"]
