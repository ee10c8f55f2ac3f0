"""Runs leave as one file and come back bit for bit; nothing else that looks like one is taken in."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model_collapse import cli, store
from model_collapse.engine.execute import execute, run_all
from model_collapse.engine.plan import plan
from model_collapse.engine.spec import Run
from model_collapse.errors import InputError
from model_collapse.store import archive


@pytest.fixture(scope="module")
def plans() -> dict[str, Run]:
    return {
        "numbers": plan("gaussian", n=10, generations=3, seed=1),
        "text": plan("ngram", n=20, generations=1, seed=1),
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, plans: dict[str, Run]) -> Path:
    """A folder with a run of numbers under a name of its own, one with texts, and an unfinished one."""
    folder = tmp_path_factory.mktemp("made")
    execute(plans["numbers"], folder / "mine.parquet")
    execute(plans["text"], folder / "text.parquet")
    (folder / "cut.parquet.state").mkdir()
    return folder


@pytest.fixture
def packed(made: Path, tmp_path: Path) -> Path:
    archive.pack([made], tmp_path / "runs.zip")
    return tmp_path / "runs.zip"


@pytest.fixture
def there(tmp_path: Path) -> Path:
    (tmp_path / "there").mkdir()
    return tmp_path / "there"


def test_round_trip_is_shown_without_computing(
    packed: Path, made: Path, there: Path, plans: dict[str, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert archive.unpack(packed, there) == sorted(one.run_id for one in plans.values())
    for name, one in (("mine", plans["numbers"]), ("text", plans["text"])):
        assert (there / f"{one.run_id}.parquet").read_bytes() == (made / f"{name}.parquet").read_bytes()
    monkeypatch.setattr(
        "model_collapse.engine.execute._complete", lambda units, *_: pytest.fail("computed") if units else None
    )
    tables, texts = run_all(plans, there)
    assert set(tables) == {"numbers", "text"} and set(texts) == {"text"}
    assert archive.foreign(there, [one.run_id for one in plans.values()]) == []


def test_the_file_depends_on_the_results_alone(packed: Path, made: Path, tmp_path: Path) -> None:
    archive.pack([made / "text.parquet", made / "mine.parquet"], tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == packed.read_bytes()
    manifest = json.loads(zipfile.ZipFile(packed).read("manifest.json"))
    assert len(manifest["files"]) == 3
    for about in manifest["runs"].values():
        assert {"commit", "dirty", "versions", "created_at", "schema", "run_id", "run"} <= set(about)


def test_the_same_runs_again_are_left_alone(packed: Path, there: Path) -> None:
    archive.unpack(packed, there)
    before = {file: file.stat().st_mtime_ns for file in there.iterdir()}
    archive.unpack(packed, there)
    assert {file: file.stat().st_mtime_ns for file in there.iterdir()} == before


def test_the_same_numbers_computed_here_are_kept(packed: Path, there: Path, plans: dict[str, Run]) -> None:
    """Another time and another number of seconds are no other result."""
    run_all(plans, there)
    mine = there / f"{plans['numbers'].run_id}.parquet"
    content = pq.read_table(mine)
    slower = content.set_column(content.schema.get_field_index("seconds"), "seconds", pa.array([9.0] * len(content)))
    pq.write_table(slower, mine)
    before = mine.read_bytes()
    archive.unpack(packed, there)
    assert mine.read_bytes() == before


def test_other_numbers_under_the_same_name_are_refused(packed: Path, there: Path, plans: dict[str, Run]) -> None:
    mine = there / f"{plans['numbers'].run_id}.parquet"
    run_all({"numbers": plans["numbers"]}, there)
    content = pq.read_table(mine)
    other = content.set_column(content.schema.get_field_index("value"), "value", pa.array([0.5] * len(content)))
    pq.write_table(other, mine)
    with pytest.raises(InputError, match=r"is there with other numbers than in .*runs\.zip; move it away first$"):
        archive.unpack(packed, there)
    assert list(there.iterdir()) == [mine], "nothing else was written"


def rewritten(packed: Path, change: Callable[[dict[str, bytes]], None], compression: int = zipfile.ZIP_STORED) -> Path:
    """The zip with other members."""
    with zipfile.ZipFile(packed) as source:
        members = {name: source.read(name) for name in source.namelist()}
    change(members)
    with zipfile.ZipFile(packed, "w", compression) as target:
        for name, content in members.items():
            target.writestr(name, content)
    return packed


def manifest(members: dict[str, bytes], **changes: object) -> None:
    members["manifest.json"] = json.dumps(json.loads(members["manifest.json"]) | changes).encode()


def renamed(members: dict[str, bytes], name: str) -> None:
    """The first run's table under that name, in the manifest too."""
    about = json.loads(members["manifest.json"])
    first = next(iter(about["files"]))
    about["files"][name] = about["files"].pop(first)
    members[name] = members.pop(first)
    members["manifest.json"] = json.dumps(about).encode()


def altered(members: dict[str, bytes]) -> None:
    name = next(name for name in members if name.endswith(".parquet"))
    members[name] = members[name][:-9] + b"x" + members[name][-8:]


ODD = {
    "up": (lambda m: renamed(m, "../0123456789abcdef.parquet"), r"'\.\./0123456789abcdef\.parquet' is not the name"),
    "absolute": (lambda m: renamed(m, "/tmp/0123456789abcdef.parquet"), r"is not the name of a run's file"),
    "other name": (lambda m: renamed(m, "notes.txt"), r"'notes\.txt' is not the name of a run's file"),
    "other run": (lambda m: renamed(m, "0123456789abcdef.parquet"), r"holds another run than its name says"),
    "extra": (lambda m: m.update({"0123456789abcdef.parquet": b""}), r"its files are not those of its manifest"),
    "missing": (lambda m: m.pop(next(n for n in m if "texts" in n)), r"its files are not those of its manifest"),
    "altered": (altered, r"is damaged \(its checksum differs\)"),
    "schema": (lambda m: manifest(m, schema="2"), r"tables of schema 2; this version reads schema 1$"),
    "kind": (lambda m: manifest(m, kind="x"), r"a zip file, but not written by `model-collapse pack`$"),
    "list": (lambda m: manifest(m, files=[]), r"a zip file, but not written by `model-collapse pack`$"),
    "foreign": (lambda m: m.pop("manifest.json"), r"a zip file, but not written by `model-collapse pack`$"),
}


@pytest.mark.parametrize("case", ODD)
def test_what_is_odd_is_refused_and_nothing_written(packed: Path, there: Path, case: str) -> None:
    change, line = ODD[case]
    rewritten(packed, change)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=line) as said:
        archive.unpack(packed, there)
    assert list(there.iterdir()) == [] and "\n" not in str(said.value)
    assert not (there.parent / "0123456789abcdef.parquet").exists()


def test_compressed_truncated_and_flipped_files_are_refused(packed: Path, there: Path) -> None:
    whole = packed.read_bytes()
    rewritten(packed, lambda members: None, zipfile.ZIP_DEFLATED)
    with pytest.raises(InputError, match="compressed, so not written by"):
        archive.unpack(packed, there)
    for length in (0, 10, len(whole) // 2, len(whole) - 1):
        packed.write_bytes(whole[:length])
        with pytest.raises(InputError, match="not a readable zip file"):
            archive.unpack(packed, there)
    with zipfile.ZipFile(io.BytesIO(whole)) as source:
        contents = [source.read(name) for name in source.namelist() if name != "manifest.json"]
    for place in (whole.index(content) + len(content) * i // 10 for content in contents for i in range(10)):
        packed.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        with pytest.raises(InputError) as said:
            archive.unpack(packed, there)
        assert "\n" not in str(said.value)
    assert list(there.iterdir()) == []


def test_a_table_of_another_schema_is_refused(made: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.parquet"
    store.write_table(other, pq.read_table(made / "mine.parquet"), store.about(made / "mine.parquet") | {"schema": "0"})
    with pytest.raises(InputError, match=r"^other\.parquet: schema 0; this version reads schema 1$"):
        archive.pack([other], tmp_path / "runs.zip")
    assert not (tmp_path / "runs.zip").exists()


def test_the_commands(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MODEL_COLLAPSE_RUNS", str(tmp_path / "runs"))
    out = str(tmp_path / "x.zip")
    assert cli.main(["pack", str(made), "--out", out]) == 0
    assert cli.main(["unpack", out]) == 0
    packed, unpacked = capsys.readouterr().out.splitlines()
    assert packed.startswith(f"2 runs in {out}, 0.0") and unpacked == f"2 runs in {tmp_path / 'runs'}"
    monkeypatch.setattr(store, "source_hash", lambda: "0" * 64)
    assert cli.main(["unpack", out]) == 0
    assert "2 runs of them made by another version of the package" in capsys.readouterr().out
    bad = [
        (["pack", str(tmp_path), "--out", out], "no finished runs there"),
        (["pack", str(made / "none.parquet"), "--out", out], "no such file"),
        (["pack", str(made), "--out", str(tmp_path / "no" / "x.zip")], "--out: the folder"),
        (["unpack", str(tmp_path / "none.zip")], "no such file"),
        (["unpack", str(tmp_path)], "is a folder"),
        (["unpack", out, "--to", str(tmp_path / "no")], "--to: the folder"),
    ]
    for arguments, line in bad:
        assert cli.main(arguments) == 2
        (said,) = capsys.readouterr().err.splitlines()
        assert line in said
