"""The share of damage avoided, by hand and from the recorded runs that lie in the repository."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

from model_collapse.companion import records, studies
from model_collapse.companion.book.chapter import find
from model_collapse.companion.records import effects, settings
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


read = cache(records.read)
"""Each once: what lies in the repository does not change."""


@pytest.fixture(autouse=True)
def read_once(monkeypatch):
    monkeypatch.setattr(records, "read", read)


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


def test_conditions_are_compared_at_the_last_generation_that_both_have():
    """One that was run for longer has lost more by its end, and a metric that one did not take is no tail."""
    longer = table({0: [1.0] * 3, 1: [3.0, 3.5, 4.0], 2: [90.0, 91.0, 92.0]})
    shorter = table({0: [1.0] * 3, 1: [2.0, 2.25, 2.5]})
    rare = table({0: [1.0] * 3, 1: [0.2, 0.3, 0.4]}, "rare_coverage").assign(item="rare")
    remedy = Remedy("r", "toy", "one", "two", PLAIN, effects.RARE, "does", "leaves", "remedies")
    found = effects.effect(remedy, pd.concat([shorter, rare]), longer)
    assert found.avoided.value == pytest.approx(0.5) and found.without.value == pytest.approx(2.5)
    assert found.tails is None and "not measured" in effects.listing([found])


def test_what_is_not_recorded_yet_is_one_line():
    here = next(remedy for remedy in REMEDIES if remedy.record == "digits-vae")
    absent = replace(here, record="of-tomorrow", chapter="curation")
    other_arm = replace(here, arm="no-such-arm")
    unmeasured = replace(here, loss=Measure("smell", "smell"))
    found, missing = effects.measured([absent, absent, other_arm, unmeasured, here])
    assert [effect.remedy for effect in found] == [here]
    assert [name in line for name, line in zip(("of-tomorrow", "no-such-arm", "smell"), missing, strict=True)] == [
        True
    ] * 3


def now(about: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The settings that the study of a record asks for now, at the size of the record; {} where that is gone."""
    study = studies.find(about["study"]["name"])
    size = study.sizes.get(about["study"]["size"])
    if size is None:
        return {}
    return {label: settings.asked({**own, "seed": size.seed}) for label, own in study.arguments(size).items()}


def stands(remedy: Remedy) -> bool:
    """Whether both arms have their study's settings, but for what is measured and the name of a folder of text."""
    about = read(remedy.record).about
    asked = now(about)
    return all(
        arm in asked
        and set(settings.different(about["arms"][arm]["run"], asked[arm])) <= {"metrics", "family.pretrain"}
        for arm in (remedy.arm, remedy.baseline)
    )


THERE = [remedy for remedy in REMEDIES if remedy.record in records.names()]
"""Remedies of recorded runs that lie here."""


def test_every_remedy_names_a_chapter_and_arms_of_a_run_that_is_there():
    """A remedy of a recorded run that does not lie here is not looked at."""
    assert {remedy.chapter for remedy in THERE} <= {chapter.slug for chapter in find()}
    assert {"wikitext", "digits-vae", "digits-diffusion"} <= {remedy.record for remedy in THERE}
    for remedy in THERE:
        assert {remedy.arm, remedy.baseline} <= set(read(remedy.record).tables), remedy.name
    assert len({(remedy.name, remedy.record) for remedy in REMEDIES}) == len(REMEDIES)


def test_a_row_is_of_a_run_that_its_study_would_make_now_and_every_other_remedy_says_why_it_has_none():
    found, missing = effects.measured(THERE)
    serving = [remedy for remedy in THERE if stands(remedy)]
    assert serving and [effect.remedy for effect in found] == serving
    for remedy in THERE:
        whose = f"Recorded run `{remedy.record}` says nothing of {remedy.chapter}: its arm "
        said = [line for line in missing if line.startswith((f"{whose}{remedy.arm} ", f"{whose}{remedy.baseline} "))]
        assert bool(said) is (remedy not in serving), remedy.name
    assert len(missing) <= len(THERE) - len(serving)


def test_a_run_of_a_size_that_its_study_has_no_more_says_so(monkeypatch):
    kept = read("digits-vae")
    old = records.Recorded(
        kept.name, {**kept.about, "study": {**kept.about["study"], "size": "of-old"}}, kept.tables, kept.written
    )
    monkeypatch.setattr(records, "read", lambda name: old)
    found, missing = effects.measured([remedy for remedy in REMEDIES if remedy.record == "digits-vae"])
    assert missing and not found
    assert all(line.endswith("is of the study vae, which has no size of-old here.") for line in missing), missing


def test_the_controls_avoid_it_all():
    """Real data only: the interval is within a tenth of everything. So it was by earlier versions of a study too."""
    controls = [remedy for remedy in THERE if remedy.arm == "control"]
    assert len(controls) >= 2
    for remedy in controls:
        tables = read(remedy.record).tables
        found = effects.effect(remedy, tables[remedy.arm], tables[remedy.baseline])
        assert 0.9 < found.avoided.low <= found.avoided.high < 1.1, remedy.name


def test_what_an_arm_is_called_says_nothing_of_what_it_is(monkeypatch):
    """A record of the study as it is now, and the same with two arms exchanged, as if nobody had refused it."""
    kept = read("curation")
    arms = {label: {"run": run} for label, run in now(kept.about).items()}
    chosen = [remedy for remedy in REMEDIES if remedy.record == "curation" and remedy.arm == "curated"]

    def measured(arms: Mapping[str, Any]) -> tuple[list[effects.Effect], list[str]]:
        forged = records.Recorded(kept.name, {**kept.about, "arms": arms}, kept.tables, kept.written)
        monkeypatch.setattr(records, "read", lambda name: forged)
        return effects.measured(chosen)

    found, missing = measured(arms)
    assert [effect.remedy for effect in found] == chosen and chosen and not missing
    found, missing = measured({**arms, "curated": arms["lot"], "lot": arms["curated"]})
    assert not found and missing
    assert all("its arm curated has filters" in line for line in missing), missing
