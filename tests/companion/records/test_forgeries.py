"""Forged records: whatever somebody changes of one, `model-collapse record --add` refuses it in one line.

The forger of these tests knows how records are made: unless a case says otherwise, after every change the files,
checksums, hashes of values, run_ids and the signature are made anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from model_collapse import cli, store
from model_collapse.companion import records, studies
from model_collapse.companion.records import check, identity, manifest, run, signature
from model_collapse.companion.studies.study import Condition, Record, Size, Study
from model_collapse.families.lm.pinned import PINNED

SMALL = Size(
    corpus="embedded",
    n=24,
    generations=2,
    seeds=2,
    settings={"family.vocabulary": 300, "family.evaluate": 4, "family.block": 16},
    metrics=("perplexity", "distinct_2", "entropy"),
    record=Record("small"),
)
STUDY = Study(
    "toy",
    {"small": SMALL},
    {
        "A": Condition("A"),
        "B": Condition("B", "mix", {"regime.real_fraction": 0.25}),
        "control": Condition("control", "mix", {"regime.real_fraction": 1.0}),
    },
    "ngram",
)


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    """The study is one of this package's."""
    find = studies.find
    monkeypatch.setattr(studies, "find", lambda name: STUDY if name == "toy" else find(name))


@pytest.fixture(scope="module")
def genuine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the record."""
    folder = tmp_path_factory.mktemp("genuine")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(studies, "find", lambda name: STUDY)
        assert run.run(STUDY, "small", folder, tmp_path_factory.mktemp("work"), jobs=1) is not None
    return folder


@dataclass
class Forger:
    """A record as it is read, to be changed, and written as if it had been made so.

    careful  names what is made anew: ids, checksums, values, signature
    """

    about: dict[str, Any]
    tables: dict[str, pd.DataFrame]
    texts: dict[str, pd.DataFrame]
    careful: set[str] = field(default_factory=lambda: {"ids", "checksums", "values", "signature"})

    @classmethod
    def of(cls, folder: Path) -> Forger:
        """With plain columns instead of encoded ones."""
        about = json.loads((folder / "small.json").read_text())
        arms = {described["run_id"]: arm for arm, described in about["arms"].items()}
        found: list[dict[str, pd.DataFrame]] = []
        for file in ("small.parquet", "small.texts.parquet"):
            frame = store.read(folder / file)
            frame = frame.astype({name: str for name in frame if not pd.api.types.is_numeric_dtype(frame[name])})
            found.append({arm: frame[frame["run_id"] == key].reset_index(drop=True) for key, arm in arms.items()})
        return cls(about, *found)

    def run(self, arm: str) -> dict[str, Any]:
        """The settings of an arm."""
        return self.about["arms"][arm]["run"]

    def set(self, arm: str, **changes: Any) -> None:
        """Other settings of an arm, in the manifest and in whatever column repeats them; __ stands for a dot."""
        described, table = self.run(arm), self.tables[arm]
        described |= {key.replace("__", "."): value for key, value in changes.items()}
        for column, value in changes.items():
            if column in table:
                table[column] = value
        own = {key.partition(".")[2]: value for key, value in described.items() if key.startswith("family.")}
        table["family_args"] = json.dumps(own, sort_keys=True)
        own = {key.partition(".")[2]: value for key, value in described.items() if key.startswith("regime.")}
        table["regime_args"] = json.dumps(own, sort_keys=True)

    def write(self, folder: Path) -> None:
        """The record, made anew as far as the forger is careful."""
        about = self.about
        for arm, described in about["arms"].items() if "ids" in self.careful else ():
            described["run_id"] = next(identity._run_ids(described["run"], described["hashes"]))
            for tables in (self.tables, self.texts):
                if arm in tables:
                    tables[arm]["run_id"] = described["run_id"]
        provenance = {key: about[key] for key in ("commit", "dirty", "versions", "created_at", "schema")}
        for file, tables in (("small.parquet", self.tables), ("small.texts.parquet", self.texts)):
            whole = pd.concat([tables[arm] for arm in about["arms"] if arm in tables], ignore_index=True)
            store.write_table(folder / file, pa.Table.from_pandas(whole, preserve_index=False), provenance)
            if "checksums" in self.careful:
                about["files"][file] = store.checksum(folder / file)
            if "values" in self.careful:
                about["values"][file] = signature.of_values(whole)
        if "signature" in self.careful:
            about["signature"] = signature.of_manifest(about)
        (folder / "small.json").write_text(json.dumps(about))

    def derive(self) -> None:
        """What follows from settings and tables, as the package makes it."""
        runs = {arm: described["run"] for arm, described in self.about["arms"].items()}
        self.about |= manifest.derived(runs, self.tables, self.about)


def _where(table: pd.DataFrame, **places: Any) -> pd.Series:
    """The rows of a replicate, a generation or a metric."""
    rows = pd.Series(True, table.index)
    for column, value in places.items():
        rows &= table[column] == value
    return rows


def _every_arm(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Callable[[Forger], None]:
    def forge(forger: Forger) -> None:
        forger.tables = {arm: change(table) for arm, table in forger.tables.items()}

    return forge


def _larger(forger: Forger) -> None:
    """A run of the paper's size, by its manifest and by n_train in every row."""
    for arm in forger.tables:
        forger.set(arm, n=37_000)
        forger.tables[arm]["n_train"] = 37_000
    forger.derive()


def _larger_in_the_manifest_and_not_the_table(forger: Forger) -> None:
    forger.set("A", n=37_000)
    forger.derive()


def _swapped(forger: Forger) -> None:
    arms = forger.about["arms"]
    arms["A"], arms["B"] = arms["B"], arms["A"]
    for tables in (forger.tables, forger.texts):
        tables["A"], tables["B"] = tables["B"], tables["A"]


def _numbers_of_another_arm(forger: Forger) -> None:
    """B is the control under B's name and settings."""
    mine, theirs = forger.tables["B"], forger.tables["control"]
    forger.tables["B"] = theirs.assign(run_id=mine["run_id"][0], regime_args=mine["regime_args"][0])


def _numbers_of_another_arm_with_the_right_share(forger: Forger) -> None:
    forger.tables["B"]["value"] = forger.tables["control"]["value"]


def _first_twice(table: pd.DataFrame) -> pd.DataFrame:
    table.loc[_where(table, replicate=1), "value"] = table.loc[_where(table, replicate=0), "value"].to_numpy()
    return table


def _renumbered(forger: Forger) -> None:
    forger.tables["B"]["replicate"] = 1 - forger.tables["B"]["replicate"]


def _renumbered_in_order(forger: Forger) -> None:
    """Only what the manifest says of the values tells."""
    _renumbered(forger)
    forger.tables["B"] = forger.tables["B"].sort_values("replicate", kind="stable")
    forger.careful -= {"values"}


def _not_a_number(table: pd.DataFrame) -> pd.DataFrame:
    table.loc[3, "value"] = float("nan")
    return table


def _lower(forger: Forger) -> None:
    forger.tables["A"].loc[_where(forger.tables["A"], metric="perplexity", generation=2), "value"] *= 0.5


def _careless(forge: Callable[[Forger], None], *left: str) -> Callable[[Forger], None]:
    """The same by somebody who does not make these anew."""

    def careless(forger: Forger) -> None:
        forge(forger)
        forger.careful -= set(left)

    return careless


def _without_an_arm(forger: Forger) -> None:
    for tables in (forger.about["arms"], forger.tables, forger.texts):
        del tables["control"]
    forger.derive()


def _another_text(forger: Forger) -> None:
    for described in forger.about["arms"].values():
        described["hashes"]["content"] = "ab" * 32
        described["run"]["content"] = "ab" * 6


def _another_text_in_the_inputs_too(forger: Forger) -> None:
    _another_text(forger)
    forger.about["inputs"]["embedded"] = "ab" * 32


def _another_corpus(forger: Forger) -> None:
    for arm in forger.tables:
        forger.set(arm, corpus="wikitext-2-raw")
    forger.about["inputs"] = {"wikitext-2-raw": forger.about["inputs"]["embedded"]}
    forger.derive()


def _setting(arm: str, **changes: Any) -> Callable[[Forger], None]:
    def forge(forger: Forger) -> None:
        forger.set(arm, **changes)
        forger.derive()

    return forge


def _of_all(**changes: Any) -> Callable[[Forger], None]:
    def forge(forger: Forger) -> None:
        for arm in forger.tables:
            forger.set(arm, **changes)
        forger.derive()

    return forge


def _manifest(**changes: Any) -> Callable[[Forger], None]:
    return lambda forger: forger.about.update(changes)


def _settings_in_the_table_alone(forger: Forger) -> None:
    args = json.loads(forger.tables["A"]["family_args"][0])
    forger.tables["A"]["family_args"] = json.dumps(args | {"order": 9}, sort_keys=True)


def _texts(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Callable[[Forger], None]:
    def forge(forger: Forger) -> None:
        forger.texts["A"] = change(forger.texts["A"])

    return forge


def _other_code(forger: Forger) -> None:
    forger.about["code"]["loop.py"] = "0" * 12


CASES: dict[str, tuple[Callable[[Forger], None], str]] = {
    # One field of the manifest after the other.
    "n": (_careless(lambda f: f.run("A").update(n=37_000), "ids"), "arm A has settings that are not those of run"),
    "n and run_id": (_larger_in_the_manifest_and_not_the_table, "n_train 24 in generation 0, where its settings make"),
    "n, run_id and table": (_larger, "is not the study toy at size small: 3 arms with n 37000 instead of 24"),
    "seed": (_of_all(seed=7), "3 arms with seed 7 instead of 0"),
    "seed in the manifest": (lambda f: f.run("A").update(seed=7), "arm A has another seed in its table"),
    "replicates": (lambda f: f.run("B").update(replicates=5), "arm B has other replicates"),
    "generations": (lambda f: f.run("B").update(generations=9), "arm B lacks a generation of some replicate"),
    "family setting": (_of_all(family__order=1), "3 arms with family.order 1 instead of 2"),
    "family setting in the table": (_settings_in_the_table_alone, "arm A has another family.order in its table"),
    "regime": (lambda f: f.set("A", regime="accumulate"), "has n_train 24 in generation 1, where its settings make 48"),
    "share": (_setting("B", regime__real_fraction=0.5), "has share_real 0.25 in generation 1, where its settings make"),
    "given": (_of_all(given="training"), "3 arms with given training instead of original"),
    "corpus": (_another_corpus, "3 arms with corpus wikitext-2-raw instead of embedded"),
    "text": (_another_text, "arm A read another embedded than its inputs say"),
    "text and inputs": (_another_text_in_the_inputs_too, "arm A read another invented text than this code writes"),
    "hash of the text": (lambda f: f.run("A").update(content="0" * 12), "another content in its settings"),
    "label": (_manifest(label="opt-125m, WikiText-2, 37000 blocks, one H100"), "has another label in its manifest"),
    "device": (_manifest(device="NVIDIA H100"), "has another device in its manifest"),
    "commit": (
        lambda f: f.about.update(commit="0" * 40) or f.careful.clear() or f.careful.update({"signature"}),
        "small.parquet is damaged",
    ),
    "rates": (_manifest(rows_per_second=1e6), "has another rows_per_second"),
    "code": (_other_code, "says that this code made it, and has another hash of loop.py"),
    "command, not signed": (_careless(_manifest(command="make"), "signature"), "its manifest was changed after"),
    "study": (_manifest(study={"name": "toy", "size": 3, "version": "x"}), "names no study in its manifest"),
    # Arms.
    "swapped": (_swapped, "is not the study toy at size small: arm A with regime mix instead of replace"),
    "another arm's rows": (_numbers_of_another_arm, "arm B has share_real 1 in generation 1"),
    "another arm's values": (_numbers_of_another_arm_with_the_right_share, "arms B and control are the same number"),
    "no control": (_without_an_arm, "is not the study toy at size small: arm control is missing"),
    "no rows": (lambda f: f.tables.pop("control"), "arm control has no rows"),
    # Tables.
    "value, no checksum": (_careless(_lower, "checksums"), "small.parquet is damaged"),
    "value, no hash of values": (_careless(_lower, "values"), "small.parquet has other values than its manifest"),
    "value, not signed": (_careless(_lower, "signature"), "its manifest was changed after it was written"),
    "truncated seeds": (_every_arm(lambda t: t[t["replicate"] == 0]), "arm A has other replicates in its table"),
    "truncated generations": (_every_arm(lambda t: t[t["generation"] < 2]), "arm A lacks a generation"),
    "one generation of one seed": (
        _every_arm(lambda t: t[~_where(t, replicate=1, generation=1)]),
        "arm A lacks a generation of some replicate",
    ),
    "truncated and said complete": (
        lambda f: _every_arm(lambda t: t[t["replicate"] == 0])(f) or f.derive() or f.about.update(complete=True),
        "is cut, with fewer generations or replicates than planned",
    ),
    "no metric": (_every_arm(lambda t: t[t["metric"] != "entropy"]), "arm A lacks the metric entropy"),
    "a metric of one generation": (
        _every_arm(lambda t: t[~_where(t, metric="entropy", generation=1)]),
        "arm A lacks entropy test of some generation",
    ),
    "foreign metric": (
        _every_arm(lambda t: t.replace({"metric": {"entropy": "similarity"}})),
        "arm A has a metric that its run does not take: similarity",
    ),
    "duplicated replicates": (_every_arm(_first_twice), "arm A has the same numbers as replicates 0 and 1"),
    "duplicated rows": (_every_arm(lambda t: pd.concat([t, t.tail(1)])), "arm A has a value twice"),
    "reordered seeds": (_renumbered, "arm B has its rows in another order than the loop writes them"),
    "reordered seeds in order": (_renumbered_in_order, "small.parquet has other values than its manifest"),
    "not a number": (_every_arm(_not_a_number), "values that are no finite number"),
    "negative seconds": (_every_arm(lambda t: t.assign(seconds=-1.0)), "arm A has seconds below 0"),
    "two seeds": (
        _every_arm(lambda t: t.assign(seed=[1, *t["seed"].iloc[1:]])),
        "arm A has more than one seed in its table",
    ),
    # Texts.
    "texts after other prompts": (
        _texts(lambda t: t.assign(prompt=[f"{g} {p}" for g, p in zip(t["generation"], t["prompt"], strict=True)])),
        "arm A has texts after other prompts than in its generation 0",
    ),
    "texts of another text": (
        _texts(lambda t: t.assign(prompt=t["row"].map(str))),
        "arm B has other prompts than arm A, which reads the same text",
    ),
    "texts of another replicate": (_texts(lambda t: t.assign(replicate=1)), "arm A has texts of another replicate"),
    "texts of a generation lost": (_texts(lambda t: t[t["generation"] < 2]), "arm A has texts of other generations"),
    "texts left out": (_texts(lambda t: t[~_where(t, generation=1, row=3)]), "arm A lacks texts of some generation"),
    "texts edited": (_careless(_texts(lambda t: t.assign(text="x")), "values"), "small.texts.parquet has other values"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_forged_record_is_refused_in_one_line(
    genuine: Path, tmp_path: Path, case: str, capsys: pytest.CaptureFixture[str]
) -> None:
    forge, said = CASES[case]
    forger = Forger.of(genuine)
    forge(forger)
    sent, here = tmp_path / "sent", tmp_path / "here"
    sent.mkdir()
    here.mkdir()
    forger.write(sent)
    capsys.readouterr()
    assert cli.main(["record", "--add", str(sent), "--out", str(here)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("model-collapse: recorded run small: ") and said in line, line
    assert list(here.iterdir()) == [], "nothing is written"


def _added(forger: Forger, folder: Path, capsys: pytest.CaptureFixture[str]) -> records.Recorded:
    """The record as it is taken in."""
    sent, here = folder / "sent", folder / "here"
    sent.mkdir()
    here.mkdir()
    forger.write(sent)
    capsys.readouterr()
    assert cli.main(["record", "--add", str(sent), "--out", str(here)]) == 0, capsys.readouterr().err
    return records.read("small", here)


def test_what_nobody_changed_is_taken_in(genuine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the forger's own writing, so that it is the change that is refused above and nothing else."""
    found = _added(Forger.of(genuine), tmp_path, capsys)
    assert found.about["complete"] and found.about["reached"] is None and found.otherwise == ""


def test_a_study_that_was_cut_says_so_and_is_taken_in(
    genuine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    forger = Forger.of(genuine)
    for tables in (forger.tables, forger.texts):
        for arm in tables:
            tables[arm] = tables[arm][tables[arm]["generation"] < 2]
    forger.derive()
    found = _added(forger, tmp_path, capsys)
    assert not found.about["complete"] and found.about["reached"] == {"replicates": [0, 1], "generation": 1}
    assert "generations 0-1" in found.label


def test_a_record_of_an_earlier_version_of_its_study_says_what_it_has_otherwise(
    genuine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    conditions = {**STUDY.conditions, "B": Condition("B", "mix", {"regime.real_fraction": 0.5})}
    del conditions["control"]
    later = Study("toy", STUDY.sizes, conditions, "ngram")
    monkeypatch.setattr(studies, "find", lambda name: later)
    found = _added(Forger.of(genuine), tmp_path, capsys)
    said = "arm control is not in it; arm B with regime.real_fraction 0.25 instead of 0.5"
    assert found.otherwise == f"of an earlier version of the study toy: {said}"
    assert found.label.endswith(found.otherwise)


def test_a_size_that_is_gone_is_said_too(
    genuine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(studies, "find", lambda name: Study("toy", {}, STUDY.conditions, "ngram"))
    found = _added(Forger.of(genuine), tmp_path, capsys)
    assert found.label.endswith("of an earlier version of the study toy, which had a size small")


# Parts --------------------------------------------------------------------------------------------------------------


def test_weights_that_have_a_name_have_to_be_those() -> None:
    preset = "smollm2-135m-q4"
    told = {"corpus": "wikitext-2-raw", "source": "", "family.preset": preset, "family.start": "pretrained"}
    right, text = str(PINNED[preset].weights.sha256), "1" * 64
    for weights, said in ((right, ""), ("0" * 64, f"has other weights than those of {preset}")):
        inputs = {"wikitext-2-raw": text, "folder 1": weights}
        assert check._read_in(told, text + weights, {"inputs": inputs}) == said


def test_the_hash_of_values_sees_every_value_and_no_file(genuine: Path, tmp_path: Path) -> None:
    frame = store.read(genuine / "small.parquet")
    whole = signature.of_values(frame)
    plain = frame.astype({name: str for name in frame if not pd.api.types.is_numeric_dtype(frame[name])})
    assert signature.of_values(plain) == whole, "however text is encoded"
    assert signature.of_values(frame.iloc[::-1]) != whole
    absent = [plain.assign(value=sign * np.nan) for sign in (1.0, -1.0)]
    assert signature.of_values(absent[0]) == signature.of_values(absent[1]), "nan has a sign, which says nothing"
    for name in frame.columns:
        other = plain[name].copy()
        other.iloc[0] = other.iloc[0] + 1 if pd.api.types.is_numeric_dtype(other) else other.iloc[0] + "x"
        assert signature.of_values(plain.assign(**{name: other})) != whole, name
    assert signature.of_values(plain.rename(columns={"value": "values"})) != whole
    # Where one text ends and the next begins.
    ends: Iterator[pd.DataFrame] = (pd.DataFrame({"a": pair}) for pair in (["ab", "c"], ["a", "bc"]))
    assert signature.of_values(next(ends)) != signature.of_values(next(ends))


def test_the_signature_is_of_what_is_said_and_not_of_how_it_is_written() -> None:
    about = {"name": "x", "seconds": 1.5, "signature": "old"}
    assert signature.of_manifest(about) == signature.of_manifest({"seconds": 1.5, "name": "x"})
    assert signature.of_manifest(about) != signature.of_manifest({**about, "seconds": 1.6})
