"""`model-collapse record`: what it keeps of runs and chapters, what it takes in from elsewhere, and the RO-Crate."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import yaml
from rocrate.rocrate import ROCrate
from toy_chapters import chapter

from model_collapse import cli, store
from model_collapse.companion import records
from model_collapse.companion.book import recording, runner
from model_collapse.companion.book.chapter import find
from model_collapse.companion.records import crate, create, transfer
from model_collapse.companion.verify import evidence
from model_collapse.engine import spec, usage
from model_collapse.engine.execute import execute, execute_all
from model_collapse.engine.plan import plan
from model_collapse.errors import InputError
from model_collapse.store import archive

ROOT = Path(__file__).parents[3]
COMMITTED = ROOT / "records"
TEXT = ("run_id", "family", "family_args", "regime", "regime_args", "corpus", "metric", "item", "device")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    for regime in ("replace", "accumulate"):
        execute(plan("ngram", regime, n=20, generations=2, replicates=2, seed=3), folder / f"{regime}.parquet")
    execute(plan("gaussian", n=10, generations=2), folder / "numbers.parquet")
    return folder


@pytest.fixture(scope="module")
def made(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "sent"
    texts = [str(runs / f"{regime}.parquet") for regime in ("replace", "accumulate")]
    assert cli.main(["record", *texts, "--name", "theirs", "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def sent(made: Path, tmp_path: Path) -> Path:
    """A folder with one record, as somebody else sends it."""
    return Path(shutil.copytree(made, tmp_path / "sent"))


@pytest.fixture
def here(tmp_path: Path) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    return folder


def test_files_of_chains_become_a_record(runs: Path, sent: Path):
    made = records.read("theirs", sent)
    assert list(made.tables) == ["replace", "accumulate"] and set(made.written) == set(made.tables)
    for arm, table in made.tables.items():
        original = store.read(runs / f"{arm}.parquet")
        original = original[~original["item"].astype(str).str.startswith("bin ")].reset_index(drop=True)
        assert not archive.other_numbers(*(frame.astype(dict.fromkeys(TEXT, str)) for frame in (table, original)))
        assert table["seconds"].equals(original["seconds"])
    about, own = made.about, [store.about(runs / f"{arm}.parquet") for arm in made.tables]
    assert about["seconds"] == pytest.approx(sum(one["sessions"][0]["seconds"] for one in own), abs=0.11)
    assert about["started_at"] == own[0]["sessions"][0]["started_at"]
    assert about["peak_memory_gb"] == max(one["sessions"][0]["peak_memory_gb"] for one in own) > 0
    assert about["commit"] == store.commit()[0] and about["dirty"] == store.commit()[1]
    assert about["disk_mb"] > 0 and about["dtype"] == "fp64" and about["code"] and about["command"] is None
    assert {len(total) for total in (*about["inputs"].values(), *about["files"].values())} == {64}
    assert not made.older


def test_what_a_file_does_not_know_is_null(runs: Path, tmp_path: Path):
    """A run of the time before sessions were noted."""
    old = tmp_path / "old.parquet"
    about = store.about(runs / "numbers.parquet")
    for key in ("sessions", "machine", "dtype", "content", "disk_mb"):
        del about[key]
    frame = store.read(runs / "numbers.parquet")
    store.write_table(old, pa.Table.from_pandas(frame, preserve_index=False), about)
    made = create.of_files("old", {"a": old}, tmp_path, {}).about
    unknown = ("seconds", "started_at", "ended_at", "peak_memory_gb", "machine", "dtype", "disk_mb", "command")
    assert {key: made[key] for key in unknown} == dict.fromkeys(unknown)


def refused(capsys: pytest.CaptureFixture[str], arguments: list[str], *said: str, status: int = 2) -> None:
    assert cli.main(arguments) == status
    (line,) = capsys.readouterr().err.splitlines()
    assert all(part in line for part in said), line


def test_what_is_no_run_is_one_line(runs: Path, sent: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = ["--out", str(tmp_path / "out")]
    empty = tmp_path / "empty"
    empty.mkdir()
    capsys.readouterr()
    refused(capsys, ["record", "nothing", *out], "nothing: neither a chapter nor a file; chapters: ", "gaussian")
    refused(capsys, ["record", str(empty), *out], "no finished runs there")
    refused(capsys, ["record", str(sent / "theirs.parquet"), *out], "not a table of a run")
    refused(capsys, ["record", str(runs / "numbers.parquet"), "--name", "No", *out], "lower-case letters")
    refused(capsys, ["record", str(runs), str(runs / "numbers.parquet"), *out], "two files of one name")
    other = tmp_path / "other.parquet"
    shutil.copy(runs / "numbers.parquet", other)
    refused(capsys, ["record", str(other), str(runs / "numbers.parquet"), *out], "two arms are the same run")
    refused(capsys, ["record", str(other), "--out", str(tmp_path / "a" / "b")], "--out: the folder")
    about = store.about(other)
    frame = pa.Table.from_pandas(store.read(other), preserve_index=False)
    store.write_table(other, frame, about | {"run_id": "0" * 16, "run": about["run"] | {"source": "0" * 12}})
    refused(capsys, ["record", str(other), str(runs / "numbers.parquet"), *out], "several versions of this package")
    store.write_table(other, frame, about | {"run": about["run"] | {"family.preset": "/home/me/weights"}})
    refused(capsys, ["record", str(other), *out], "family.preset is /home/me/weights, a place on its machine")
    assert not list((tmp_path / "out").glob("*")), "nothing was written"


# Chapters -----------------------------------------------------------------------------------------------------------

STUDY = """from model_collapse.companion.book.notebook import runs_folder
from model_collapse.engine.execute import run_all
from model_collapse.engine.plan import plan
for label, n in {"few": 10, "many": 20}.items():
    runs = {label: plan("gaussian", n=n, generations=1), (1, "x"): plan("gaussian", n=5, generations=1)}
    run_all(runs, runs_folder())
run_all({"few": plan("gaussian", n=11, generations=1)}, runs_folder())"""


def test_the_runs_of_a_chapter_become_a_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("MODEL_COLLAPSE_RUNS", str(tmp_path / "runs"))
    chapter(tmp_path, "01_toy_one", [STUDY])
    found = find(tmp_path)
    monkeypatch.setattr(recording.chapter, "find", lambda: found)
    out = ["--profile", "smoke", "--out", str(tmp_path / "out")]
    refused(capsys, ["record", "toy_one", *out], "chapter toy_one has not been run; run: model-collapse run toy_one")
    assert runner.run((), "smoke", root=tmp_path) == 0
    capsys.readouterr()
    assert cli.main(["record", "toy_one", *out]) == 0, capsys.readouterr().err
    made = records.read("toy-one", tmp_path / "out")
    other = plan("gaussian", n=11, generations=1).run_id
    sizes = {arm: int(table["n_train"].iloc[0]) for arm, table in made.tables.items()}
    assert sizes == {"few": 10, "many": 20, "1, x": 5, f"few {other[:6]}": 11}
    assert made.about["command"] == "model-collapse run toy_one --profile smoke"
    capsys.readouterr()
    next((tmp_path / "runs").glob("*.parquet")).unlink()
    refused(capsys, ["record", "toy_one", *out], "is gone; run: model-collapse run toy_one --profile smoke --force")


# From elsewhere -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("packed", [True, False], ids=["zip", "folder"])
def test_a_record_made_elsewhere_is_taken_in(
    runs: Path, sent: Path, here: Path, packed: bool, capsys: pytest.CaptureFixture[str]
):
    place = sent
    if packed:
        place = sent.with_suffix(".zip")
        names = [str(runs / f"{regime}.parquet") for regime in ("replace", "accumulate")]
        assert cli.main(["record", *names, "--name", "theirs", "--out", str(place)]) == 0
    capsys.readouterr()
    for _ in range(2):
        assert cli.main(["record", "--add", str(place), "--out", str(here)]) == 0
        (line,) = capsys.readouterr().out.splitlines()
        label = records.read("theirs", sent).label
        assert line == f"theirs: {label}; device cpu; claims it serves: none"
    for arm, table in records.read("theirs", here).tables.items():
        assert table.equals(records.read("theirs", sent).tables[arm])
    assert ROCrate(here).get("#made-theirs")


def test_the_claims_of_a_committed_record_are_found():
    images = {"VA-1", "VA-1b", "VA-1c", "VA-2"}
    assert images | {"FR-1", "NC-vae"} == set(evidence.speaks_to(records.read("digits-vae")))
    assert images == set(evidence.speaks_to(records.read("mnist")))


def _edit(file: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def harm(folder: Path) -> None:
        (folder / file).write_bytes(change((folder / file).read_bytes()))

    return harm


def _said(**changes: object) -> Callable[[Path], None]:
    def harm(folder: Path) -> None:
        records.put(json.loads((folder / "theirs.json").read_bytes()) | changes, folder)

    return harm


def _linked(folder: Path) -> None:
    (folder / "theirs.texts.parquet").rename(folder.parent / "texts")
    (folder / "theirs.texts.parquet").symlink_to(folder.parent / "texts")


HARMS = {
    "altered": (_edit("theirs.parquet", lambda content: content[:-1]), "theirs.parquet is damaged"),
    "missing": (lambda folder: (folder / "theirs.texts.parquet").unlink(), "theirs.texts.parquet is missing"),
    "no manifest": (lambda folder: (folder / "theirs.json").unlink(), "no record in it"),
    "no JSON": (_edit("theirs.json", lambda content: content[:-9]), "theirs.json is damaged"),
    "pickle": (lambda folder: (folder / "x.pkl").write_bytes(b"1"), "'x.pkl' is not the name of a file of a record"),
    "stray": (lambda folder: (folder / "y.parquet").write_bytes(b"1"), "y.parquet belongs to no record in it"),
    "link": (_linked, "theirs.texts.parquet is a link or a folder"),
    "folder": (lambda folder: (folder / "more").mkdir(), "more is a link or a folder"),
    "large": (lambda folder: (folder / "big.parquet").write_bytes(bytes(2**24 + 1)), "has 16777217 bytes"),
    "long manifest": (_edit("theirs.json", lambda content: content + b" " * 2**20), "theirs.json is damaged"),
    "schema": (_said(schema="2"), "schema 2; this version of the package reads up to"),
    "newer": (_said(format=9), "format 9, tables of schema 1; this version"),
    "earlier": (_said(format=1), "its manifest is of an earlier format"),
    "place": (_said(command="python /home/me/run.py '/home/me/x'"), "names /home/me/x, a place on its machine"),
    "unknown nan": (_said(not_finite={"perplexity": 1}), "no finite number, and its manifest does not say so"),
}


# A zip of files has no links and no folders of its own.
CASES = [(case, packed) for case in HARMS for packed in (True, False) if not (packed and case in ("link", "folder"))]


@pytest.mark.parametrize(("case", "packed"), CASES)
def test_whatever_is_wrong_is_one_line_and_nothing_is_written(
    sent: Path, here: Path, case: str, packed: bool, capsys: pytest.CaptureFixture[str]
):
    harm, said = HARMS[case]
    harm(sent)
    place = sent
    if packed:
        place = sent.with_suffix(".zip")
        with zipfile.ZipFile(place, "w") as archive:
            for file in sorted(sent.iterdir()):
                archive.write(file, file.name)
    capsys.readouterr()
    refused(capsys, ["record", "--add", str(place), "--out", str(here)], said)
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("name", ["../theirs.json", "/tmp/theirs.json", "a/theirs.json", "theirs.JSON"])
def test_names_that_lead_elsewhere_are_refused(sent: Path, here: Path, name: str):
    place = sent.with_suffix(".zip")
    with zipfile.ZipFile(place, "w") as archive:
        archive.write(sent / "theirs.json", name)
    with pytest.raises(InputError, match="is not the name of a file of a record"):
        transfer.add(place, here)
    assert list(here.iterdir()) == [] and not (here.parent / "theirs.json").exists()


@pytest.mark.parametrize("length", [0, 10, -1])
def test_a_cut_zip_is_refused(sent: Path, here: Path, length: int):
    place = sent.with_suffix(".zip")
    transfer.pack("theirs", sent, place)
    place.write_bytes(place.read_bytes()[:length])
    with pytest.raises(InputError, match="not a readable zip file"):
        transfer.add(place, here)


def test_a_record_with_other_numbers_is_not_overwritten(runs: Path, sent: Path, here: Path):
    recording.make([str(runs / "numbers.parquet")], "laptop", "theirs", here)
    before = {file: file.read_bytes() for file in here.iterdir()}
    with pytest.raises(InputError, match=r"theirs\.json is there with other numbers; use another --name"):
        transfer.add(sent, here)
    with pytest.raises(InputError, match="is there with other numbers"):
        recording.make([str(runs / "replace.parquet")], "laptop", "theirs", here)
    assert {file: file.read_bytes() for file in here.iterdir()} == before


def test_nothing_is_added_to_what_is_damaged(runs: Path, sent: Path, here: Path):
    recording.make([str(runs / "numbers.parquet")], "laptop", "mine", here)
    (here / "mine.json").write_text("{")
    before = {file: file.read_bytes() for file in here.iterdir()}
    with pytest.raises(InputError, match=r"recorded run mine: mine\.json is damaged"):
        transfer.add(sent, here)
    assert {file: file.read_bytes() for file in here.iterdir()} == before


# The crate ----------------------------------------------------------------------------------------------------------


def test_the_committed_crate_is_that_of_the_manifests_and_the_library_reads_it():
    """If this fails: `model-collapse record` without arguments writes it anew."""
    assert (COMMITTED / crate.FILE).read_text(encoding="utf-8") == crate.text(COMMITTED)
    read = ROCrate(COMMITTED)
    names = records.names()
    assert len(names) >= 12
    actions = {action.id: action for action in read.get_by_type("CreateAction")}
    assert set(actions) == {f"#made-{name}" for name in names}
    for name in names:
        about, action = records.read(name).about, actions[f"#made-{name}"]
        assert {file.id for file in action["result"]} == {*about["files"], f"{name}.json"}
        for file in action["result"]:
            assert file["sha256"] == store.checksum(COMMITTED / file.id)
            assert int(file["contentSize"]) == (COMMITTED / file.id).stat().st_size
        used = action["object"] if isinstance(action["object"], list) else [action["object"]]
        assert {one["name"]: one["sha256"] for one in used} == about["inputs"]
        assert action["instrument"]["identifier"].startswith(about["commit"])
        assert (action["startTime"], action["endTime"]) == (about["started_at"], about["ended_at"])


def test_the_crate_names_licence_and_authors_as_the_citation_does_and_no_place():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited["authors"][0]["name"] == crate.AUTHOR and crate.LICENCE.endswith(f"/{cited['license']}")
    told = crate.text(COMMITTED)
    assert {line.split("//")[1].split("/")[0] for line in told.split('"') if "://" in line} == {
        "w3id.org",
        "spdx.org",
        "schema.org",
    }
    assert not [word for word in told.split('"') if word.startswith(("/", "file:"))]


def test_every_word_of_the_crate_is_defined():
    """A reader of JSON-LD drops what the context does not know; this is what that of RO-Crate 1.1 knows of ours."""
    known = set(
        "about author conformsTo contentSize datePublished description encodingFormat endTime hasPart "
        "identifier instrument license name object publisher result softwareRequirements startTime version".split()
    )
    metadata = json.loads(crate.text(COMMITTED))
    (_, own) = metadata["@context"]
    used = {key for entity in metadata["@graph"] for key in entity if not key.startswith("@")}
    assert used <= known | set(own) and "sha256" in used & set(own)


def test_the_command_alone_renews_the_crate(sent: Path, capsys: pytest.CaptureFixture[str]):
    kept = (sent / crate.FILE).read_text(encoding="utf-8")
    (sent / crate.FILE).unlink()
    assert cli.main(["record", "--out", str(sent)]) == 0
    assert (sent / crate.FILE).read_text(encoding="utf-8") == kept
    capsys.readouterr()
    refused(capsys, ["record", "--add", str(sent), "--name", "other"], "--add: takes records as they are")


# Sessions -----------------------------------------------------------------------------------------------------------


def test_sessions_of_a_run_that_was_cut_add_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    out, planned = tmp_path / "c.parquet", plan("gaussian", n=10, generations=2)

    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("model_collapse.engine.execute.gather", cut)
        with pytest.raises(KeyboardInterrupt):
            execute(planned, out)
    (first,) = usage.of(out)
    table, _ = execute(planned, out)
    assert usage.of(out)[0] == first and len(usage.of(out)) == 2
    straight, _ = execute(planned, tmp_path / "straight.parquet")
    pd.testing.assert_frame_equal(table.drop(columns="seconds"), straight.drop(columns="seconds"))
    about = store.about(out)
    assert about["run_id"] == planned.run_id and about["run"] == spec.describe(planned)
    total = usage.spent([{**first, "seconds": 1.25}, {**first, "seconds": 2.0, "peak_memory_gb": 99.0}])
    assert total == {**first, "seconds": np.round(3.25, 1), "peak_memory_gb": 99.0}


def test_a_session_that_left_no_note_is_not_made_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Killed before it could note anything, or brought from another machine."""
    out, planned = tmp_path / "c.parquet", plan("gaussian", n=10, generations=2)
    with monkeypatch.context() as patch:
        patch.setattr("model_collapse.engine.execute.gather", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        patch.setattr(usage.Clock, "note", lambda clock: None)
        with pytest.raises(KeyboardInterrupt):
            execute(planned, out)
    execute(planned, out)
    assert usage.of(out)[0] == usage.UNKNOWN and len(usage.of(out)) == 2
    assert usage.spent(usage.of(out)) == usage.UNKNOWN


def test_a_session_of_many_runs_counts_once(tmp_path: Path):
    runs = {tmp_path / f"{n}.parquet": plan("gaussian", n=n, generations=1) for n in (5, 6)}
    execute_all(runs)
    noted = [usage.of(out) for out in runs]
    assert noted[0] == noted[1] == usage.together(noted) and len(noted[0]) == 1


# Texts that are gone ------------------------------------------------------------------------------------------------


def test_a_finished_run_whose_texts_are_gone_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    ask = ["chain", "ngram", "-n", "8", "-g", "1", "--out", "c.parquet"]
    assert cli.main(ask) == 0 and (tmp_path / "c.parquet.texts.md").exists()
    (tmp_path / "c.parquet.texts.parquet").unlink()
    capsys.readouterr()
    assert cli.main(ask) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("model-collapse: ")]
    assert lines == [
        "model-collapse: c.parquet.texts.parquet is gone; remove c.parquet and run the same command to get both"
    ]
    (tmp_path / "c.parquet").unlink()
    assert cli.main(ask) == 0 and (tmp_path / "c.parquet.texts.parquet").exists()
    assert "is gone" not in capsys.readouterr().err


def test_a_record_is_never_written_over_its_own_run(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    before = store.checksum(runs / "numbers.parquet")
    assert cli.main(["record", str(runs / "numbers.parquet"), "--out", str(runs)]) == 2
    assert "numbers.parquet there is the run itself; name another folder or --name" in capsys.readouterr().err
    assert store.checksum(runs / "numbers.parquet") == before and not (runs / "numbers.json").exists()
    for arguments in ([], ["--add", str(runs)]):
        assert cli.main(["record", *arguments, "--out", str(tmp_path / "none")]) == 2
        assert capsys.readouterr().err == f"model-collapse: --out {tmp_path / 'none'}: must be a folder that exists\n"


@pytest.mark.parametrize("label", ["two\nlines", "<script>alert(1)</script>", "{include} `x`", "x" * 301])
def test_a_label_that_is_markup_is_refused(sent: Path, tmp_path: Path, label: str):
    """It is shown on pages, and a record may come from anywhere."""
    copy = shutil.copytree(sent, tmp_path / "copy")
    manifest = json.loads((copy / "theirs.json").read_text())
    (copy / "theirs.json").write_text(json.dumps(manifest | {"label": label}))
    with pytest.raises(InputError, match="is damaged, or no manifest"):
        records.read("theirs", copy)


def test_names_of_other_files_are_no_records(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for name in ("verify-small", "alarms", "sabotage", "bench"):
        refused(capsys, ["record", str(runs / "numbers.parquet"), "--name", name, "--out", str(tmp_path)], name)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["vae", "--size", "huge"], "--size huge: recorded sizes of study vae are digits, mnist, mnist-finite, toy"),
        (["gaussian", "--size", "laptop"], "--size laptop: recorded sizes of study gaussian are none"),
        (["nobody", "--size", "toy"], "study nobody: known are accumulate, "),
        (["--size", "toy"], "--size: needs one study beside it: accumulate, "),
        (["vae", "--size", "toy", "--name", "mine"], "--size: needs one study beside it: "),
        (["vae", "--size", "toy", "--minutes", "soon"], "--minutes soon: must be a number above 0"),
        (["vae", "--size", "toy", "--minutes", "0"], "--minutes 0: must be a number above 0"),
        (["vae", "--size", "toy", "--jobs", "0"], "--jobs 0: must be a whole number of at least 1"),
        (["vae", "--minutes", "3"], "--minutes: goes with a study and --size"),
    ],
)
def test_a_study_that_cannot_be_recorded_is_one_line(words, said, tmp_path, capsys):
    places = ["--out", str(tmp_path)] if "--size" in words else []
    assert cli.main(["record", *words, *places]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"model-collapse: {said}")
    assert list(tmp_path.iterdir()) == []


def test_a_study_is_recorded_by_its_command(tmp_path, capsys):
    words = ["record", "how_much", "--size", "toy", "--jobs", "1"]
    assert cli.main([*words, "--out", str(tmp_path / "out"), "--work", str(tmp_path / "work")]) == 0
    assert capsys.readouterr().out.startswith("toy-worth: tiny OPT")
    made = records.read("toy-worth", tmp_path / "out")
    assert made.about["command"] == "model-collapse record how_much --size toy" and made.about["complete"]
    assert set(made.tables) == {"4 real + 0", "4 real + 8", "16 real + 0", "16 real + 8"}
    assert made.about["models_trained"] == 16 and made.about["seconds_per_model"] > 0
