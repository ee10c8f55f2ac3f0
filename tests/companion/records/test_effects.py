"""The share of damage avoided, by hand and from the recorded runs that lie in the repository."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from model_collapse.companion import records
from model_collapse.companion.book.chapter import find
from model_collapse.companion.records import effects
from model_collapse.companion.records.effects import LOSS, REMEDIES, Measure, Remedy


def table(
    values: dict[int, list[float]], metric: str = "perplexity", rows: int = 10, real: float = 0.0
) -> pd.DataFrame:
    """One value per replicate, by generation."""
    return pd.DataFrame(
        [
            {
                "metric": metric,
                "item": "",
                "generation": g,
                "replicate": r,
                "value": value,
                "n_train": rows,
                "share_real": real if g else 1.0,
            }
            for g, chain in values.items()
            for r, value in enumerate(chain)
        ]
    )


PLAIN = Measure("points", "perplexity")


def test_the_share_avoided_is_counted_by_hand():
    """Damages 10 and 20 without, 2 and 5 with: 1 - 7 / 30."""
    without = table({0: [1.0, 1.0], 1: [7.0, 9.0], 2: [11.0, 21.0]})
    with_it = table({0: [1.0, 1.0], 1: [2.0, 2.0], 2: [3.0, 6.0]})
    assert effects.avoided(with_it, without, PLAIN).value == pytest.approx(1 - 7 / 30)
    # In logarithms, and for a metric that falls.
    logs = effects.avoided(with_it, without, LOSS)
    assert logs.value == pytest.approx(1 - np.log(18) / np.log(11 * 21))
    lost = replace(PLAIN, falls=True)
    fewer = [t.assign(value=-t["value"]) for t in (with_it, without)]
    assert effects.avoided(fewer[0], fewer[1], lost).value == pytest.approx(1 - 7 / 30)


def test_the_interval_holds_the_truth_and_its_ends_are_in_order():
    """Six seeds that share their noise: the share avoided is 3/4."""
    rng = np.random.default_rng(0)
    damage = 8 + rng.normal(0, 0.5, 6)
    without = table({0: [1.0] * 6, 3: list(1 + damage)})
    with_it = table({0: [1.0] * 6, 3: list(1 + damage / 4 + rng.normal(0, 0.1, 6))})
    found = effects.avoided(with_it, without, PLAIN)
    assert found.low < 0.75 < found.high and found.high - found.low < 0.1 and found.n == 6


def test_where_nothing_is_lost_there_is_nothing_to_avoid():
    flat = table({0: [1.0, 2.0, 3.0], 1: [1.1, 1.9, 3.1]})
    assert np.isnan(effects.avoided(flat, flat, PLAIN).low)


def test_cost_and_tails_are_those_of_the_training_sets():
    def arm(rows: int, real: float, rare: list[float]) -> pd.DataFrame:
        loss = table({0: [1.0] * 3, 1: [2.0, 2.5, 3.0]}, rows=rows, real=real)
        return pd.concat([loss, table({0: [1.0] * 3, 1: rare}, "rare_coverage", rows, real).assign(item="rare")])

    remedy = Remedy("r", "toy", "one", "two", PLAIN, effects.RARE, "does", "leaves", "remedies")
    found = effects.effect(remedy, arm(30, 0.5, [0.5, 0.6, 0.7]), arm(10, 0.0, [0.2, 0.3, 0.4]))
    assert found.rows == 3 and found.real == 0.5
    assert found.tails is not None
    assert [round(part.value, 9) for part in found.tails] == [0.3, 0.6, 0.3]
    (line,) = [line for line in effects.listing([found]).splitlines() if "**r**" in line]
    assert "30% to 60%: 30 [30, 30] points of rare words" in line and "times 3, 50% real" in line
    assert line.count("|") == effects.listing([]).splitlines()[0].count("|")
    assert effects.frame([found])["avoided"][0] == found.avoided.value


def test_what_is_not_recorded_yet_is_one_line():
    absent = replace(REMEDIES[0], record="of-tomorrow", chapter="curation")
    other_arm = replace(REMEDIES[0], arm="no-such-arm")
    unmeasured = replace(REMEDIES[0], loss=Measure("smell", "smell"))
    found, missing = effects.measured([absent, absent, other_arm, unmeasured, REMEDIES[0]])
    assert [effect.remedy for effect in found] == [REMEDIES[0]]
    assert [name in line for name, line in zip(("of-tomorrow", "no-such-arm", "smell"), missing, strict=True)] == [
        True
    ] * 3


def test_every_remedy_names_a_chapter_and_arms_of_a_run_that_is_there():
    """A remedy of a recorded run that does not lie here is not looked at."""
    there = [remedy for remedy in REMEDIES if remedy.record in records.names()]
    assert {remedy.chapter for remedy in there} <= {chapter.slug for chapter in find()}
    assert {"wikitext", "digits-vae", "digits-diffusion"} <= {remedy.record for remedy in there}
    found, missing = effects.measured(there)
    assert len(found) == len(there) and not missing
    assert len({(remedy.name, remedy.record) for remedy in REMEDIES}) == len(REMEDIES)


def test_the_controls_avoid_it_all():
    """Real data only: the interval is within a tenth of everything."""
    controls = [remedy for remedy in REMEDIES if remedy.arm == "control"]
    found, _ = effects.measured(controls)
    assert len(found) >= 2
    for effect in found:
        assert 0.9 < effect.avoided.low <= effect.avoided.high < 1.1


def test_what_an_arm_is_called_says_nothing_of_what_it_is(monkeypatch):
    """A record whose arms are exchanged, as if nobody had refused it."""
    kept = records.read("curation")
    arms = kept.about["arms"]
    turned = {**arms, "curated": arms["lot"], "lot": arms["curated"]}
    forged = records.Recorded(kept.name, {**kept.about, "arms": turned}, kept.tables, kept.written)
    monkeypatch.setattr(records, "read", lambda name: forged)
    chosen = [remedy for remedy in REMEDIES if remedy.record == "curation" and remedy.arm == "curated"]
    found, missing = effects.measured(chosen)
    assert chosen and not found
    assert all("its arm curated has filters" in line for line in missing), missing
