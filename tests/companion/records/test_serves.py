"""Which claims recorded runs serve: by settings, arm for arm; sizes may be others, conditions may not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import pytest

from model_collapse.companion import claims, records, studies
from model_collapse.companion.book import notebook
from model_collapse.companion.records import serves, settings
from model_collapse.companion.studies.study import Study
from model_collapse.companion.verify import evidence
from model_collapse.engine import spec
from model_collapse.engine.execute import execute
from model_collapse.engine.plan import plan

TEXT: Study[Any] = studies.find("language_model")
CLAIM = TEXT.arguments("verify", ("A", "B"))
LARGER = TEXT.arguments("verify-gpu", ("A", "B"))
"""As a claim has them: from scratch, a base for every seed; and of the paper's size."""


def arms(size: str = "laptop", labels: tuple[str, ...] = ("A", "B", "control")) -> dict[str, dict[str, Any]]:
    """Settings of a study's arms, as a manifest has them."""
    return {label: settings.asked({**each, "seed": 3}) for label, each in TEXT.arguments(size, labels).items()}


@pytest.mark.parametrize("study", ["gaussian", "ngram", "language_model"])
def test_settings_are_those_that_plan_makes(study: str) -> None:
    """Without a corpus and without weights."""
    found = studies.find(study)
    seed = found.at("smoke").seed
    for label, run in found.runs("smoke").items():
        asked = settings.asked({**found.arguments("smoke", [label])[label], "seed": seed})
        described = spec.describe(run)
        assert settings.different(described, asked) == {}, label
        assert set(described) - set(asked) <= {*settings.UNSAID, "exchange"}


OWN_BASE = {"smoke", "laptop", "verify", "verify-control", "recorded", "toy"}
"""Sizes at which every seed has a base of its own; at all others epochs are counted, as published."""

FROM_SCRATCH = {"cpu", "gpu", "gpu-all"}
"""And those of the others whose weights are drawn here."""


@pytest.mark.parametrize("size", TEXT.sizes)
def test_another_size_of_the_same_arms_serves(size: str) -> None:
    """And a size at which texts end and the base may be kept does not serve what was published, nor the other way."""
    mine, others = (CLAIM, LARGER) if size in OWN_BASE else (LARGER, CLAIM)
    if size in FROM_SCRATCH:
        assert serves.unlike(mine, arms(size)) == "its arm A has family.start scratch instead of pretrained"
    else:
        assert serves.unlike(mine, arms(size)) == ""
    said = serves.unlike(others, arms(size))
    assert "family.own_base" in said and "family.checkpoint" in said


def _changed(arm: str, **changes: Any) -> dict[str, dict[str, Any]]:
    found = arms()
    found[arm] |= {key.replace("__", "."): value for key, value in changes.items()}
    return found


def _swapped() -> dict[str, dict[str, Any]]:
    found = arms()
    return found | {"A": found["B"], "B": found["A"]}


def _control_as_b() -> dict[str, dict[str, Any]]:
    found = arms()
    return found | {"B": found["control"]}


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (_swapped(), "its arm A has family.epochs 10 instead of 5, regime mix instead of replace"),
        (_control_as_b(), "its arm B has family.epochs 5 instead of 10, regime.real_fraction 1.0 instead of 0.1"),
        (_changed("B", regime__real_fraction=0.5), "its arm B has regime.real_fraction 0.5 instead of 0.1"),
        (_changed("A", family__decoding="sample"), "its arm A has family.decoding sample instead of beam"),
        (_changed("A", family__epochs=1), "its arm A has family.epochs 1 instead of 5"),
        (_changed("A", family__checkpoint="last"), "its arm A has family.checkpoint last instead of any"),
        (_changed("A", given="training"), "its arm A has given training instead of original"),
        (_changed("B", filters=[["surprise", {"keep": "low"}]]), "its arm B has filters"),
        (_changed("A", family="ngram"), "its arm A has family ngram instead of lm"),
        (_changed("A", family__lr=1.0), "its arms A and B do not compare family.lr as the claim does"),
        (_changed("B", n=9), "its arms A and B do not compare n as the claim does"),
        (_changed("B", corpus="wikitext-2-v1"), "its arms A and B do not compare corpus as the claim does"),
        (arms(labels=("A",)), "it has no arm B"),
    ],
)
def test_another_condition_does_not(found: Mapping[str, settings.Flat], said: str) -> None:
    assert serves.unlike(CLAIM, found).startswith(said)


def test_the_larger_has_to_be_the_larger() -> None:
    runs = {"few": {"family": "ngram", "n": 10}, "many": {"family": "ngram", "n": 20}}
    found = {label: settings.asked({**own, "n": 100 * own["n"]}) for label, own in runs.items()}
    assert serves.unlike(runs, found) == ""
    turned = {"few": found["many"], "many": found["few"]}
    assert serves.unlike(runs, turned) == "its arms few and many do not compare n as the claim does"


def test_a_setting_that_was_not_there_yet_has_its_present_default() -> None:
    found = arms("paper")
    for own in found.values():
        del own["family.checkpoint"]
    assert serves.unlike(LARGER, found) == ""
    changed = {
        label: {**own, "settings": {**own["settings"], "family.checkpoint": "last"}} for label, own in LARGER.items()
    }
    assert serves.unlike(changed, found) == "its arm A has family.checkpoint best instead of last"


def test_what_the_repository_has() -> None:
    """A claim that names a record which does not serve it says so, and is no evidence of it."""
    known, served = claims.known(), evidence.speaks_to(records.read("minorities"))
    assert evidence.named(known["FAIR-1b"]) == {"minorities": "its arm replace has family lm instead of ngram"}
    assert "FAIR-1b" not in served
    table = records.read("minorities").tables["replace"]
    assert evidence.unserved_by(known["FAIR-1b"], {"replace": table}).endswith("family lm instead of ngram")
    assert evidence.unserved_by(known["FAIR-1b"], {"replace": table.assign(value=0.0)}) != "", "a table made of it"
    own = table.copy()
    own.attrs = {}
    assert evidence.unserved_by(known["FAIR-1b"], {"replace": own}).endswith("family lm instead of ngram")


def test_a_chapters_own_run_may_be_of_some_of_the_conditions_and_of_no_others() -> None:
    """Numbers of rows may be others; a control that reads the same real rows is not one that reads new ones."""
    claim = claims.known()["NC-gaussian"]
    own = {label: dict(each) | {"n": 2 * each["n"], "replicates": 2} for label, each in claim.runs.items()}

    def tables(**changes: Any) -> dict[str, pd.DataFrame]:
        made = {}
        for label, arguments in own.items():
            made[label] = pd.DataFrame({"value": [0.0]})
            made[label].attrs = {"run": settings.asked(arguments | (changes if label == "real" else {}))}
        return made

    assert evidence.unserved_by(claim, tables()) == ""
    assert evidence.unserved_by(claim, {"real": tables()["real"]}) == "", "a part"
    mixed = tables(regime="mix", settings={"regime.real_fraction": 1.0})
    assert "regime mix instead of fresh" in evidence.unserved_by(claim, mixed)
    mixed["real"].attrs["record"] = "somewhere"
    assert "regime mix" in evidence.unserved_by(claim, mixed)


def test_a_chapter_may_have_another_grid_of_numbers_and_no_other_conditions() -> None:
    """MIX-2 compares weights of real rows; a page has other weights. Another regime is no weight."""
    claim = claims.known()["MIX-2"]
    one = next(iter(claim.runs.values()))

    def table(**changes: Any) -> pd.DataFrame:
        made = pd.DataFrame({"value": [0.0]})
        made.attrs = {"run": settings.asked(one | {"settings": {**one["settings"], **changes}})}
        return made

    weights = {f"w = {w}": table(**{"regime.real_weight": w}) for w in (0.11, 0.22)}
    assert evidence.unserved_by(claim, weights) == ""
    other = weights | {"w": table(**{"family.estimator": "unbiased", "regime.real_weight": 0.3})}
    assert evidence.unserved_by(claim, other) == "its arm w has family.estimator unbiased instead of mle"
    assert evidence.unserved_by(claim, {}).startswith("it has no arm")


def test_a_verdict_on_a_part_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(notebook, "say", said.append)
    claim = claims.known()["NC-gaussian"]
    table = execute(plan(**claim.runs["real"] | {"replicates": 300}, seed=1))[0]
    notebook.verdicts({"NC-gaussian": {"real": table}})
    notebook.verdicts({"NC-gaussian": {"more rows": table}})
    assert f" in 1 of its {len(claim.runs)} conditions**" in said[0] and " in the conditions of this page**" in said[1]


def test_a_page_says_that_a_record_does_not_serve_a_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(notebook, "say", said.append)
    tables = {"replace": records.read("minorities").tables["replace"]}
    notebook.verdicts({"FAIR-1b": tables}, of="recorded run `minorities`")
    why = "its arm replace has family lm instead of ngram"
    assert said == [f"**Claims not served, recorded run `minorities`:** FAIR-1b ({why})."]
