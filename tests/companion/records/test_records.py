"""Recorded runs: what is written is read back, whatever is wrong is one line, and a study that was cut goes on."""

import json
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model_collapse import cli, corpora, paths, store
from model_collapse.companion import records, studies
from model_collapse.companion.book import notebook
from model_collapse.companion.records import manifest
from model_collapse.companion.records import run as recording
from model_collapse.companion.studies.language_model import TINY, Size
from model_collapse.companion.studies.study import Record
from model_collapse.engine import spec
from model_collapse.engine.execute import run_all
from model_collapse.engine.plan import plan
from model_collapse.errors import ExternalError, InputError
from model_collapse.families.lm import Lm

ROOT = Path(__file__).resolve().parents[3]
LARGEST = 300_000
"""Bytes of a committed table."""

ARMS = {"A": {}, "fewer": {"family.order": 1}}


@pytest.fixture(scope="module")
def runs():
    return {
        arm: plan("ngram", n=24, generations=2, replicates=2, settings={"family.vocabulary": 300, **settings})
        for arm, settings in ARMS.items()
    }


@pytest.fixture(scope="module")
def studied(runs, tmp_path_factory):
    return run_all(runs, tmp_path_factory.mktemp("study"), jobs=1)


@pytest.fixture
def written(runs, studied, tmp_path):
    records.write("small-one", runs, *studied, tmp_path, bins=("A",), seconds=1.5)
    return tmp_path


def test_what_is_written_is_read_back(runs, studied, written):
    tables, texts = studied
    found = records.read("small-one", written)
    assert records.names(written) == ["small-one"]
    for arm, run in runs.items():
        expected = tables[arm]
        bins = expected["item"].astype(str).str.startswith("bin ")
        if arm != "A":
            expected = expected[~bins]
        pd.testing.assert_frame_equal(_plain(found.tables[arm]), _plain(expected))
        assert list(found.tables[arm].columns) == store.COLUMNS
        kept = texts[arm].query("replicate == 0 and row < 8")
        pd.testing.assert_frame_equal(_plain(found.written[arm]), _plain(kept))
        full = {"content": run.content, "source": run.source, "lock": run.lock}
        assert found.about["arms"][arm] == {"run_id": run.run_id, "run": spec.describe(run), "hashes": full}
    assert found.about["seconds"] == 1.5
    assert found.label.startswith("ngram, invented corpus, 24 blocks, 2 seeds, generations 0-2, CPU (")
    assert found.label.endswith(found.about["created_at"][:10])


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    text = frame.select_dtypes(exclude="number").columns
    return frame.astype(dict.fromkeys(text, str)).reset_index(drop=True)


def _cut_short(folder: Path) -> None:
    file = folder / "small-one.parquet"
    file.write_bytes(file.read_bytes()[:-1])


def _gone(folder: Path) -> None:
    (folder / "small-one.texts.parquet").unlink()


def _of_another_arm(folder: Path) -> None:
    file = folder / "small-one.json"
    about = json.loads(file.read_text())
    about["arms"]["A"]["run_id"] = "0" * 16
    file.write_text(json.dumps(about))


def _no_manifest(folder: Path) -> None:
    (folder / "small-one.json").write_text('{"results": []}')


def _no_json(folder: Path) -> None:
    (folder / "small-one.json").write_text("{")


def _changed(folder: Path, **changes: object) -> None:
    """The manifest with other entries."""
    file = folder / "small-one.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def _file(name: str) -> Callable[[Path], None]:
    def harm(folder: Path) -> None:
        about = json.loads((folder / "small-one.json").read_text())
        _changed(folder, files=about["files"] | {name: ""})

    return harm


def _link(folder: Path) -> None:
    file = folder / "small-one.parquet"
    file.rename(folder.parent / "elsewhere.parquet")
    file.symlink_to(folder.parent / "elsewhere.parquet")


def _byte(folder: Path) -> None:
    file = folder / "small-one.texts.parquet"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def _table(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Callable[[Path], None]:
    """Another table, with its checksum in the manifest: what only the numbers themselves can tell."""

    def harm(folder: Path) -> None:
        file = folder / "small-one.parquet"
        table = pa.Table.from_pandas(change(store.read(file)), preserve_index=False)
        store.write_table(file, table, store.about(file))
        about = json.loads((folder / "small-one.json").read_text())
        _changed(folder, files=about["files"] | {file.name: store.checksum(file)})

    return harm


def _without_a_generation(table: pd.DataFrame) -> pd.DataFrame:
    return table[~((table["generation"] == 1) & (table["replicate"] == 1))]


def _with_a_hole(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(value=table["value"].where(table.index != 3))


def _foreign(folder: Path) -> None:
    file = folder / "small-one.parquet"
    pq.write_table(pa.table({"x": [1]}), file)
    manifest = folder / "small-one.json"
    about = json.loads(manifest.read_text())
    about["files"][file.name] = store.checksum(file)
    manifest.write_text(json.dumps(about))


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (_cut_short, "small-one.parquet is damaged"),
        (_gone, "small-one.texts.parquet is missing"),
        (_of_another_arm, "has settings that are not those of run 0000000000000000"),
        (_no_manifest, "no manifest of a recorded run"),
        (_no_json, "no manifest of a recorded run"),
        (_foreign, "not written by model-collapse"),
        (_byte, "small-one.texts.parquet is damaged"),
        (_link, "small-one.parquet is missing"),
        (_file("../outside.parquet"), "'../outside.parquet' is not the name"),
        (_file("/tmp/outside.parquet"), "'/tmp/outside.parquet' is not the name"),
        (_file("small-one.pkl"), "'small-one.pkl' is not the name"),
        (lambda folder: (folder / "small-one.json").unlink(), "small-one.json is missing"),
        (lambda folder: (folder / "small-one.parquet").unlink(), "small-one.parquet is missing"),
        (lambda folder: _changed(folder, name="other"), "no manifest of a recorded run"),
        (lambda folder: _changed(folder, schema="9"), "schema 9; this version of the package reads up to"),
        (lambda folder: _changed(folder, format=4), "format 4, tables of schema 1; this version"),
        (lambda folder: _changed(folder, format=2), "its manifest is of an earlier format, 2"),
        (lambda folder: _changed(folder, format="x"), "no manifest of a recorded run"),
        (_table(_without_a_generation), "lacks a generation of some replicate"),
        (_table(lambda table: table.assign(value=table["value"].astype(str))), "else than numbers as value"),
        (_table(_with_a_hole), "no finite number, and its manifest does not say so"),
        (_table(lambda table: table.assign(seed=9)), "another seed in its table"),
        (_table(lambda table: table[table["run_id"] == table["run_id"].iloc[0]]), "arm fewer has no rows"),
        (_table(lambda table: table.drop(columns="item")), "its columns are others"),
    ],
)
def test_whatever_is_wrong_is_one_line(written, harm, said):
    harm(written)
    with pytest.raises(InputError, match=said) as error:
        records.read("small-one", written)
    assert "\n" not in str(error.value)


def test_every_field_is_there_and_what_is_unknown_is_null(written):
    about = json.loads((written / "small-one.json").read_text())
    assert list(about) == list(manifest.FIELDS)
    assert {key for key, value in about.items() if value is None} == {"command", "started_at", "ended_at"} | {
        *("sessions", "peak_memory_gb", "disk_mb", "study", "reached")
    }
    assert about["dtype"] == "fp64" and about["device"] == "cpu" and about["complete"] is True
    assert about["inputs"] == {"embedded": corpora.load("embedded").fingerprint}
    for field in manifest.FIELDS:
        (written / "small-one.json").write_text(json.dumps({k: v for k, v in about.items() if k != field}))
        # Without a format it is one of the first.
        with pytest.raises(InputError, match=r"small-one\.json (lacks|is damaged)|earlier format, 1"):
            records.read("small-one", written)


def test_rates_are_those_of_the_rows(studied, written):
    turns = [table.drop_duplicates(["replicate", "generation"]) for table in studied[0].values()]
    seconds, rows = (sum(turn[column].sum() for turn in turns) for column in ("seconds", "n_train"))
    about = records.read("small-one", written).about
    assert about["rows_per_second"] == pytest.approx(rows / seconds, rel=0.01)
    # Read once and written once, in blocks of as many tokens.
    block = about["arms"]["A"]["run"]["family.block"]
    assert about["tokens_per_second"] == pytest.approx(2 * 24 * block * len(turns[0]) * 2 / seconds, rel=0.01)


@pytest.mark.parametrize("name", ["another", "../small-one", ""])
def test_an_unknown_name_lists_the_known(written, name):
    with pytest.raises(InputError, match="there are small-one"):
        records.read(name, written)


def test_arms_that_are_one_run_are_refused(runs, studied, tmp_path):
    tables, _ = studied
    with pytest.raises(InputError, match="two arms are the same run"):
        records.write("twice", {"A": runs["A"], "B": runs["A"]}, {"A": tables["A"], "B": tables["A"]}, {}, tmp_path)


def test_without_a_checkout(monkeypatch):
    monkeypatch.setattr(paths, "project", lambda: None)
    with pytest.raises(ExternalError, match="repository"):
        records.names()


def test_what_lies_in_the_repository_is_whole_and_small():
    for name in records.names():
        assert records.read(name).tables
        assert records.read(name).about["format"] == manifest.FORMAT
    for file in (ROOT / "records").glob("*.parquet"):
        assert file.stat().st_size < LARGEST, file.name
        assert file.name.partition(".")[0] in records.names()


def test_in_a_chapter(written, monkeypatch):
    said: list[str] = []
    monkeypatch.setattr(notebook, "say", said.append)
    monkeypatch.setattr(paths, "records", lambda: written)
    found = notebook.recorded("small-one")
    assert found is not None and found.label in said[-1] and "earlier code" not in said[-1]
    assert notebook.recorded("gpu") is None and said[-1].endswith("not run yet.")
    monkeypatch.setattr(paths, "records", lambda: None)
    assert notebook.recorded("small-one") is None and "not here" in said[-1]
    monkeypatch.setattr(paths, "records", lambda: written)


@pytest.mark.parametrize("harm", [_cut_short, _gone, _no_json, lambda folder: (folder / "small-one.json").unlink()])
def test_a_damaged_record_is_a_line_in_a_chapter_and_no_book(written, monkeypatch, harm):
    said: list[str] = []
    monkeypatch.setattr(notebook, "say", said.append)
    monkeypatch.setattr(paths, "records", lambda: written)
    monkeypatch.delenv("MODEL_COLLAPSE_RUNNER", raising=False)
    monkeypatch.setenv("MODEL_COLLAPSE_JOBS", "2")  # a user's choice, and no sign of the runner
    harm(written)
    assert notebook.recorded("small-one") is None
    monkeypatch.setenv("MODEL_COLLAPSE_RUNNER", "1")
    with pytest.raises(InputError, match="small-one"):
        notebook.recorded("small-one")
    assert len(set(said)) == 1 and said[0].startswith("*Recorded run* `small-one`: not shown (")


# A study ------------------------------------------------------------------------------------------------------------


def _reached(*last: int) -> pd.DataFrame:
    """A table in which replicate r has generations 0 to last[r]."""
    rows = [(r, t) for r, g in enumerate(last) for t in range(g + 1)]
    return pd.DataFrame(rows, columns=["replicate", "generation"])


@pytest.mark.parametrize(
    ("arms", "last", "replicates", "complete"),
    [
        ([(9, 9), (9, 9)], 9, 2, True),
        ([(9, 9), (9, 3)], 9, 1, False),
        ([(9, 5), (4, 4)], 4, 2, False),
        ([(9, 9), (4, -1)], 4, 1, False),
        ([(9, 9), (-1, -1)], None, 0, False),
    ],
)
def test_rectangle(arms, last, replicates, complete):
    tables = {str(i): _reached(*reached) for i, reached in enumerate(arms)}
    cut, whole = recording.rectangle(tables, dict.fromkeys(tables, 9), 2)
    assert whole == complete and bool(cut) == (last is not None)
    for table in cut.values():
        assert len(table) == (last + 1) * replicates
        assert table["generation"].max() == last and table["replicate"].nunique() == replicates


def test_a_condition_that_ends_early_does_not_hold_up_the_others():
    ends = {"short": 0, "long": 9}
    cut, whole = recording.rectangle({"short": _reached(0, 0), "long": _reached(9, 9)}, ends, 2)
    assert whole and len(cut["short"]) == 2 and len(cut["long"]) == 20
    cut, whole = recording.rectangle({"short": _reached(0, -1), "long": _reached(5, 5)}, ends, 2)
    assert not whole and len(cut["short"]) == 1 and len(cut["long"]) == 6


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Two folders to pre-train on, and no `datasets` library."""
    articles = corpora.load("embedded").web[:200]
    for folder, part in {"one": articles[:100], "two": articles[100:]}.items():
        (tmp_path / "data" / folder).mkdir(parents=True)
        about = {b"other": b"columns"}
        for split, rows in {"train": part[10:], "validation": part[:10]}.items():
            table = pa.table({"id": np.arange(len(rows)), "text": rows}).replace_schema_metadata(about)
            pq.write_table(table, tmp_path / "data" / folder / f"{split}-00000-of-00001.parquet")
    monkeypatch.setenv("MODEL_COLLAPSE_DATA", str(tmp_path / "data"))
    monkeypatch.setitem(sys.modules, "datasets", None)
    return tmp_path


MODEL = {
    **TINY,
    "family.pretrain_blocks": 16,
    "family.pretrain_epochs": 1,
    "family.own_base": False,
    "family.steps": 0,  # epochs, of which a record counts the tokens
    "family.evaluate": 4,
    "family.block": 16,
}
METRICS = ("perplexity", "written_perplexity")
TEXT = studies.find("language_model")
SMALLEST = Size(
    corpus="embedded",
    n=8,
    generations=1,
    seeds=2,
    settings={**MODEL, "family.precision": "bf16"},
    metrics=METRICS,
    labels=("A", "B", "control"),
    record=Record("toy", bins=("A",), pretrain=("one", "two")),
)


def test_a_study_that_was_cut_is_recorded_and_goes_on(data, monkeypatch):
    out = data / "out"
    out.mkdir()
    fit, calls = Lm.fit, []

    def cut(self, *given, **named):
        calls.append(self)
        # Two generations of A and B each, the first of control: the first replicate of all arms comes first.
        if len(calls) == 6:
            raise recording.TimeUp
        return fit(self, *given, **named)

    monkeypatch.setattr(Lm, "fit", cut)
    part = recording.make(TEXT, SMALLEST, {"command": "a command"}, out, data / "work", None, jobs=1)
    monkeypatch.setattr(Lm, "fit", fit)
    assert part is not None and not part.about["complete"]
    assert {(t["generation"].max(), t["replicate"].max()) for t in part.tables.values()} == {(0, 0)}
    assert part.about["tokens_trained"] == 8 * 16 * (5 + 10 + 5)

    unnamed = replace(SMALLEST, record=replace(SMALLEST.record, name="straight"))
    whole = recording.make(TEXT, SMALLEST, {"command": "a command"}, out, data / "work", None, jobs=1)
    straight = recording.make(TEXT, unnamed, {"command": "a command"}, out, data / "straight", None, jobs=1)
    assert whole.about["complete"] and len(whole.about["sessions"]) == 2
    assert set(whole.about["inputs"]) == {
        "embedded",
        "folder 1",
        *(f"{x}/train-00000-of-00001.parquet" for x in SMALLEST.record.pretrain),
    }
    assert str(data) not in json.dumps(dict(whole.about)), "a record names a folder of the machine"
    timed = ["seconds"]
    for arm, table in whole.tables.items():
        assert set(table["generation"]) == {0, 1} and set(table["replicate"]) == {0, 1}
        other = straight.tables[arm].drop(columns=timed)
        pd.testing.assert_frame_equal(_plain(table.drop(columns=timed)), _plain(other))
        pd.testing.assert_frame_equal(_plain(whole.written[arm]), _plain(straight.written[arm]))
        first = table.query("generation == 0 and replicate == 0").reset_index(drop=True)
        pd.testing.assert_frame_equal(_plain(first), _plain(part.tables[arm]))
        pd.testing.assert_frame_equal(_plain(part.written[arm]), _plain(whole.written[arm].query("generation == 0")))


def test_nothing_finished_is_no_record(data, monkeypatch):
    def cut(self, *given, **named):
        raise recording.TimeUp

    monkeypatch.setattr(Lm, "fit", cut)
    alone = replace(SMALLEST, labels=("A",))
    assert recording.make(TEXT, alone, {"command": "a command"}, data, data / "work", None, jobs=1) is None
    assert not (data / "toy.json").exists()


def test_time_is_up():
    before = signal.getsignal(signal.SIGALRM)
    with pytest.raises(recording.TimeUp), recording._at_most(0.05 / 60):
        signal.pause()
    with recording._at_most(None):
        pass
    assert signal.getsignal(signal.SIGALRM) is before


def test_missing_text_to_pretrain_on_is_one_line(tmp_path, monkeypatch, capsys):
    places = ["--out", str(tmp_path / "out"), "--work", str(tmp_path / "work")]
    monkeypatch.delenv("MODEL_COLLAPSE_DATA", raising=False)
    assert cli.main(["record", "language_model", "--size", "gpu", *places]) == 2
    monkeypatch.setenv("MODEL_COLLAPSE_DATA", str(tmp_path))
    assert cli.main(["record", "language_model", "--size", "cpu", *places]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2 and all(line.startswith("model-collapse: MODEL_COLLAPSE_DATA: ") for line in said)


def test_every_recorded_size_has_a_name_of_its_own_and_says_what_is_run():
    names = {}
    for name in studies.names():
        study_ = studies.find(name)
        for size, about in study_.sizes.items():
            if about.record:
                names.setdefault(about.record.name, []).append((name, size))
                assert set(about.record.bins) <= set(study_.arguments(about))
                assert len(study_.arguments(about)) >= 1
    # Two studies have a size for tests.
    assert {name for name, places in names.items() if len(places) > 1} == {"toy"}
    assert set(records.names()) <= set(names)


def test_sizes_of_training_sets_are_conditions_of_their_own(runs, studied):
    """The study of cost has every condition at every size, and the label says from which to which."""
    cost = studies.find("cost")
    sized = cost.runs("recorded")
    assert len(sized) == 4 * 4 + 1 and "zero-shot" in sized
    assert {run.n for label, run in sized.items() if label.startswith("mixed, ")} == {96, 192, 384, 768}
    assert sized["mixed, 96"].regime_args == {"real_fraction": 0.1} and sized["sampled, 768"].regime == "replace"
    larger = {arm: spec.describe(run) | {"n": 24 * (2 if arm == "A" else 1)} for arm, run in runs.items()}
    assert "24 to 48 blocks" in manifest.label(larger, studied[0], "today")
