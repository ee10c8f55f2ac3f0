"""Studies: what each runs is what it ran before, wrong names are one line, and every condition has its command."""

from __future__ import annotations

import hashlib
import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from model_collapse import cli, families, filters, regimes, registry
from model_collapse.companion import studies
from model_collapse.companion.claims import known
from model_collapse.companion.studies.study import Condition, Size, Study, command
from model_collapse.errors import InputError

FILE = Path(__file__).with_name("studies.json")
"""Study and size -> hash of what is run. After a deliberate change: python tests/companion/studies/test_studies.py"""

TEXT = studies.find("language_model")


def hashes() -> dict[str, str]:
    """Of the arguments of `plan` of every condition at every size, seeds included."""
    found = {}
    for name in studies.names():
        study = studies.find(name)
        for size, about in study.sizes.items():
            said = {"seed": about.seed, "runs": study.arguments(size)}
            found[f"{name} {size}"] = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:12]
    return found


def test_every_study_runs_what_it_ran_before() -> None:
    before, now = json.loads(FILE.read_text(encoding="utf-8")), hashes()
    assert {place for place in {*before, *now} if before.get(place) != now.get(place)} == set()


def test_studies_are_found_by_their_files() -> None:
    for name in studies.names():
        study = studies.find(name)
        assert study.name == name
        for label in {*study.conditions, *(label for size in study.sizes.values() for label in size.own)}:
            assert study.condition(label).title
    with pytest.raises(InputError, match=r"^study nobody: known are accumulate, "):
        studies.find("nobody")


def test_every_condition_of_every_size_has_settings_that_are_allowed() -> None:
    """Also where the text, images or weights are not at hand."""
    built = 0
    for name in studies.names():
        study = studies.find(name)
        for size in study.sizes:
            for label, run in study.arguments(size).items():
                if (name, label) == ("vae", "pretty"):
                    continue  # a setting of diffusion models alone
                owned: dict[str, dict[str, Any]] = {}
                for key, value in run["settings"].items():
                    owner, _, setting = key.partition(".")
                    owned.setdefault(owner, {})[setting] = value
                registry.build(families, run["family"], owned.pop("family", {}))
                registry.build(regimes, run["regime"], owned.pop("regime", {}))
                for each in run["filter"]:
                    registry.build(filters, each, owned.pop(each, {}))
                if "first" in run:
                    registry.build(regimes, run["first"], owned.pop("first", {}))
                assert not owned, (name, size, label)
                built += 1
    assert built > 500


def test_a_size_takes_what_is_changed() -> None:
    laptop = TEXT.at("laptop")
    assert TEXT.at("laptop", n=None, seed=None) == laptop, "None means: as the size says"
    changed = TEXT.at("laptop", n=0, seeds=2)
    assert (changed.n, changed.seeds, changed.generations) == (0, 2, 9)
    assert TEXT.at(changed, seeds=4).n == 0
    with pytest.raises(InputError, match=r"^size huge: study language_model has smoke, laptop, "):
        TEXT.at("huge")
    with pytest.raises(InputError, match=r"^m: not a part of a size; those of study language_model have n, "):
        TEXT.at("laptop", m=3)
    with pytest.raises(InputError, match=r"^condition C: study language_model has A, B, control, "):
        TEXT.runs("smoke", ["A", "C"])


def test_a_condition_may_have_a_size_of_its_own() -> None:
    grid = TEXT.arguments("laptop", ["A", "A10"])
    assert (grid["A"]["generations"], grid["A10"]["generations"]) == (9, 3)
    short = TEXT.arguments(TEXT.at("laptop", generations=2), ["A", "A10"])
    assert {each["generations"] for each in short.values()} == {2}, "never more than the size has"


def test_models_share_the_rows() -> None:
    other = studies.find("other_ai")
    assert {label: run["n"] for label, run in other.arguments("recorded", ["M1", "M4", "first"]).items()} == {
        "M1": 192, "M4": 48, "first": 96,
    }  # fmt: skip
    with pytest.raises(InputError, match="n must be at least 16, a row for every model of condition M16"):
        other.runs(other.at("smoke", n=8), ["M16"])


def test_a_condition_of_your_own() -> None:
    mine = TEXT.vary("A", epochs=20)
    run, base = mine.runs("smoke", ["A, epochs=20", "A"]).values()
    assert run.family_args == {**base.family_args, "epochs": 20} and run.regime_args == base.regime_args
    assert replace(run, family_args=base.family_args).run_id == base.run_id
    assert mine.condition("A, epochs=20").title == "A: only generated text, epochs=20"
    assert "A, epochs=20" not in TEXT.conditions
    twice = mine.vary("A, epochs=20", given="training", lr=1e-4)
    assert twice.runs("smoke", ["A, epochs=20, given=training, lr=0.0001"])

    mixed = TEXT.vary("B", real_fraction=0.5).runs("smoke", ["B, real_fraction=0.5"])["B, real_fraction=0.5"]
    assert mixed.regime_args == {"real_fraction": 0.5} and mixed.family_args["epochs"] == 10
    other = TEXT.vary("B", regime="accumulate").runs("smoke", ["B, regime=accumulate"])["B, regime=accumulate"]
    assert other.regime_args == {}, "the share of real rows was the other regime's"
    fewer = TEXT.vary("curated", candidates=2).runs("smoke", "curated, candidates=2")["curated, candidates=2"]
    assert dict(fewer.filters)["curate"]["candidates"] == 2
    with pytest.raises(InputError, match=r"^epoch: no setting of this condition; allowed are family preset, .*epochs"):
        TEXT.vary("A", epoch=20)
    with pytest.raises(InputError, match=r"^condition Z: study "):
        TEXT.vary("Z", epochs=20)


def of_command(said: str) -> Any:
    """The run of a `model-collapse chain` command."""
    program, *words = shlex.split(said)
    assert program == "model-collapse"
    return cli._planned(cli._parser().parse_args(words))


PLACES = [
    *((name, "smoke") for name in ("language_model", "ngram", "vae", "diffusion", "curation", "provenance")),
    *((name, "laptop") for name in ("language_model", "other_ai", "copies", "remedies", "minorities")),
    *((name, "recorded") for name in ("curation", "cost", "how_much", "minorities", "other_ai")),
    *(("other_ai", size) for size in ("symbols", "split", "means", "movers")),
    ("minorities", "weighed"),
    *(
        (name, size)
        for name, size in (
            ("minorities", "selected"),
            ("cost", "tails"),
            ("provenance", "adoption"),
            ("how_much", "learners"),
        )
    ),
    *(("curation", size) for size in ("labels", "selectors", "rounds", "preference", "budget")),
    ("language_model", "verify"),
]


@pytest.mark.parametrize(("name", "size"), PLACES, ids=" ".join)
def test_the_table_has_the_command_of_every_condition(name: str, size: str) -> None:
    study = studies.find(name)
    if name == "vae":  # a setting of diffusion models alone
        study = replace(study, conditions={k: v for k, v in study.conditions.items() if k != "pretty"})
    runs, table = study.runs(size), study.table(size)
    assert list(table.columns) == ["condition", "title", "differs", "command"]
    assert list(table["condition"]) == list(runs)
    for row in table.itertuples():
        assert of_command(row.command).run_id == runs[row.condition].run_id, row.command


def test_the_table_says_what_differs() -> None:
    said = TEXT.table("laptop", ["A", "B", "A10"]).set_index("condition")["differs"]
    assert said["A"] == ""
    assert said["B"] == "regime=mix, family.epochs=10, regime.real_fraction=0.1"
    published = "family.steps=0, family.checkpoint=best, family.end=forbidden"
    assert said["A10"] == f"{published}, family.epochs=10, generations=3, metrics=perplexity"


def test_settings_that_a_size_gives_one_condition_are_named_one_by_one() -> None:
    """And only those that are not the size's own."""
    laptop = TEXT.at("laptop")
    settings = {**laptop.settings, "family.block": 201}
    size = replace(laptop, own={"A": {"settings": settings, "generations": 3}})
    assert TEXT.differs("A", size) == "family.block=201, generations=3"


def test_the_command_of_a_claim_is_its_run() -> None:
    for name in ("GA-1", "XM-1", "VER-2"):
        for arguments in known()[name].runs.values():
            from model_collapse.engine.plan import plan

            assert of_command(command({**arguments, "seed": 3})).run_id == plan(**arguments, seed=3).run_id


def test_chapter_claim_and_record_ask_the_same_study() -> None:
    claim = known()["SH-2"]
    assert dict(claim.runs) == TEXT.arguments("verify", claim.runs)
    assert dict(claim.larger) == TEXT.arguments("verify-gpu", claim.larger)
    assert studies.find("cost").arguments("verify")["sampled, 96"] == TEXT.arguments("verify", ["sampled"])["sampled"]


def test_sizes_may_have_fields_of_a_chapter() -> None:
    """A study in a few lines: conditions, sizes, what follows from a number."""
    study = Study(
        "toy",
        {"smoke": Size(n=10, generations=2, seeds=2)},
        {"base": Condition("as it is"), "twice": Condition("twice the rows", n=20)},
        "gaussian",
        complete=lambda size: replace(size, every=int(size.n or 0)),
    )
    runs = study.runs("smoke")
    assert {label: run.n for label, run in runs.items()} == {"base": 10, "twice": 20}
    assert {run.every for run in runs.values()} == {10} and runs["base"].replicates == 2


if __name__ == "__main__":
    FILE.write_text(json.dumps(hashes(), indent=1) + "\n", encoding="utf-8")
