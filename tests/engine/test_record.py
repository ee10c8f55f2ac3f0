"""What a run is, what its table looks like, and that files are written whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import stat
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model_collapse import paths, store
from model_collapse.engine import spec
from model_collapse.engine.merge import merge
from model_collapse.engine.plan import plan
from model_collapse.engine.spec import Run
from model_collapse.errors import ExternalError, InputError

RUN = Run(
    family="gaussian",
    family_args={"dim": 1, "estimator": "mle"},
    regime="mix",
    regime_args={"real_fraction": 0.1},
    n=100,
    generations=9,
    seed=0,
    replicates=1,
    given="original",
    metrics=("mean", "variance"),
    every=1,
    block=256,
)

OTHER = {
    "family": "discrete",
    "family_args": {"dim": 2, "estimator": "mle"},
    "regime": "fresh",
    "regime_args": {"real_fraction": 0.2},
    "n": 101,
    "generations": 10,
    "seed": 1,
    "replicates": 2,
    "given": "fresh",
    "metrics": ("mean",),
    "every": 2,
    "block": 128,
    "filters": (("curate", {"keep": 0.5}),),
    "corpus": "embedded",
    "content": "0f",
    "source": "1f",
    "lock": "2f",
    "exchange": {"models": 2},
}


# Identity ----------------------------------------------------------------------------------------------------------


def test_every_field_enters_the_run_id():
    assert {field.name for field in fields(Run)} == set(OTHER), "a new field needs a line in OTHER"
    ids = [RUN.run_id] + [replace(RUN, **{name: value}).run_id for name, value in OTHER.items()]
    assert len(set(ids)) == len(ids)
    assert all(len(i) == 16 and set(i) <= set("0123456789abcdef") for i in ids)
    assert replace(RUN).run_id == RUN.run_id
    reordered = replace(RUN, family_args={"estimator": "mle", "dim": 1})
    assert reordered.run_id == RUN.run_id, "the order of settings is no setting"


@pytest.mark.parametrize("name", list(OTHER))
def test_a_difference_is_named(name):
    other = replace(RUN, **{name: OTHER[name]})
    said = other.differs(json.loads(json.dumps(spec.describe(RUN))))
    named = {"family_args": "family.dim", "regime_args": "regime.real_fraction", "exchange": "exchange.models"}.get(
        name, name
    )
    assert said.startswith(f"{named} (") and " there, " in said and "\n" not in said
    assert RUN.differs(json.loads(json.dumps(spec.describe(RUN)))) == ""


def test_source_and_lock_enter_a_planned_run(monkeypatch):
    before = plan("gaussian")
    assert (before.source, before.lock) == (store.source_hash(), store.lock_hash())
    for name in ("source_hash", "lock_hash"):
        with monkeypatch.context() as changed:
            changed.setattr(store, name, lambda: "f" * 64)
            after = plan("gaussian")
        assert after.run_id != before.run_id
        assert after.differs(spec.describe(before)).startswith(name.removesuffix("_hash"))


def test_the_source_hash_sees_every_change_of_the_package(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "PACKAGE", tmp_path)
    (tmp_path / "families").mkdir()
    (tmp_path / "loop.py").write_text("a = 1\n")
    seen = [store.source_hash.__wrapped__()]
    assert store.source_hash.__wrapped__() == seen[0]
    (tmp_path / "loop.py").write_text("a = 2\n")
    seen.append(store.source_hash.__wrapped__())
    (tmp_path / "families" / "new.py").write_text("")
    seen.append(store.source_hash.__wrapped__())
    (tmp_path / "families" / "new.py").rename(tmp_path / "new.py")
    seen.append(store.source_hash.__wrapped__())
    assert len(set(seen)) == 4


def test_the_lock_hash_is_of_the_lock_or_of_what_is_installed(tmp_path, monkeypatch):
    lock = tmp_path / "requirements.lock"
    seen = []
    for content in ("numpy==2.0\n", "numpy==2.1\n"):
        lock.write_text(content)
        monkeypatch.setattr(paths, "lock", lambda: lock)
        seen.append(store.lock_hash.__wrapped__())
    monkeypatch.setattr(paths, "lock", lambda: None)
    seen.append(store.lock_hash.__wrapped__())
    monkeypatch.setattr("model_collapse.store.provenance.versions", lambda: {"numpy": "0"})
    seen.append(store.lock_hash.__wrapped__())
    assert len(set(seen)) == 4


# Tables ------------------------------------------------------------------------------------------------------------


def columns(count: int = 3) -> dict[str, pa.Array]:
    def text(value: str) -> pa.Array:
        return pa.array([value] * count).dictionary_encode()

    return {
        "replicate": pa.array(np.arange(count)),
        "generation": pa.array(np.zeros(count, np.int64)),
        "n_train": pa.array(np.full(count, 100)),
        "share_real": pa.array(np.ones(count)),
        "metric": text("mean"),
        "item": text(""),
        "value": pa.array([0.0, -np.inf, np.nan][:count]),
        "seconds": pa.array(np.zeros(count)),
        "device": text("cpu"),
    }


def test_a_table_has_the_published_columns_and_its_text_is_dictionary_encoded(tmp_path):
    out = tmp_path / "table.parquet"
    store.write_table(out, spec.table(RUN, columns()), store.origin() | {"run_id": RUN.run_id})
    schema = pq.read_schema(out)
    published = (
        "run_id family family_args regime regime_args corpus seed replicate generation n_train share_real metric item "
        "value seconds device"
    )
    assert schema.names == published.split()
    for name in "run_id family family_args regime regime_args corpus metric item device".split():
        assert pa.types.is_dictionary(schema.field(name).type), name
        assert pa.types.is_string(schema.field(name).type.value_type), name
    for name in "seed replicate generation n_train".split():
        assert schema.field(name).type == pa.int64(), name
    for name in "share_real value seconds".split():
        assert schema.field(name).type == pa.float64(), name
    frame = store.read(out)
    assert set(frame["run_id"]) == {RUN.run_id}
    assert json.loads(frame["family_args"].iloc[0]) == RUN.family_args
    assert frame["value"].iloc[1] == -np.inf and np.isnan(frame["value"].iloc[2])


def test_file_metadata_say_where_a_table_comes_from(tmp_path):
    out = tmp_path / "table.parquet"
    store.write_table(out, spec.table(RUN, columns()), store.origin() | {"run": spec.describe(RUN)})
    about = store.about(out)
    assert set(about) >= {"commit", "dirty", "versions", "created_at", "schema", "run"}
    assert about["schema"] == store.SCHEMA and {"python", "numpy", "pyarrow"} <= set(about["versions"])
    assert about["run"]["regime.real_fraction"] == 0.1
    assert store.read(out).attrs == about


def test_away_from_a_checkout_there_is_no_commit(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "PACKAGE", tmp_path)
    ask = store.commit.__wrapped__  # the answer for this process is kept
    assert ask() == ("", False)
    monkeypatch.setenv("PATH", "")
    assert ask() == ("", False)


def test_filters_are_recorded_with_the_regime():
    filtered = replace(RUN, filters=(("curate", {"keep": 0.5}),))
    args = json.loads(spec.table(filtered, columns())["regime_args"][0].as_py())
    assert args == {"real_fraction": 0.1, "filters": [["curate", {"keep": 0.5}]]}


@pytest.mark.parametrize("damage", ["missing", "empty", "text", "truncated", "foreign", "folder"])
def test_a_file_that_is_no_table_of_ours_is_refused_in_one_line(damage, tmp_path):
    out = tmp_path / "table.parquet"
    store.write_table(out, spec.table(RUN, columns()), {"run_id": RUN.run_id})
    whole = out.read_bytes()
    out.unlink()
    if damage == "foreign":
        pq.write_table(pa.table({"a": [1]}), out)
    elif damage == "folder":
        out.mkdir()
    elif damage != "missing":
        out.write_bytes({"empty": b"", "text": b"run_id,value\n", "truncated": whole[:-20]}[damage])
    for look in (store.read, store.about):
        with pytest.raises(InputError) as refused:
            look(out)
        assert str(out) in str(refused.value) and "\n" not in str(refused.value)


# Whole or not at all -----------------------------------------------------------------------------------------------


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    out = tmp_path / "file"
    out.write_text("old")
    with pytest.raises(ZeroDivisionError), store.whole_file(out) as temporary:
        temporary.write_text("half of the n")
        assert out.read_text() == "old"
        raise ZeroDivisionError
    assert out.read_text() == "old" and os.listdir(tmp_path) == ["file"]
    with out.open() as reader:
        with store.whole_file(out) as temporary:
            temporary.write_text("new")
        assert reader.read() == "old", "who has it open keeps the old file: it was renamed over, not written into"
    assert out.read_text() == "new" and os.listdir(tmp_path) == ["file"]


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path):
    out = tmp_path / "state" / "folder"

    def half(folder: Path) -> None:
        (folder / "a").write_text("half")
        raise ZeroDivisionError

    def full(folder: Path) -> None:
        (folder / "deep").mkdir()
        (folder / "deep" / "a").write_text("1")

    store.write_folder(out, full, {"note": 5})
    assert store.intact(out)
    with pytest.raises(ZeroDivisionError):
        store.write_folder(out, half, {})
    assert store.intact(out) and (out / "deep" / "a").read_text() == "1"
    assert os.listdir(out.parent) == ["folder"]
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["note"] == 5 and list(manifest["files"]) == ["deep/a"]
    store.write_folder(out, lambda folder: (folder / "b").touch(), {})
    assert sorted(os.listdir(out)) == ["b", "manifest.json"], "what was there before is gone"


@pytest.mark.parametrize("damage", ["flip", "shorten", "remove", "manifest", "no manifest", "foreign manifest"])
def test_damage_is_seen_and_reported(damage, tmp_path, capsys):
    out = tmp_path / "block"
    store.write_folder(out, lambda folder: (folder / "table").write_bytes(bytes(100)), {})
    assert store.intact(out) and capsys.readouterr().err == ""
    file, manifest = out / "table", out / "manifest.json"
    if damage == "flip":
        file.write_bytes(bytes(50) + b"\x01" + bytes(49))
    elif damage == "shorten":
        file.write_bytes(bytes(99))
    elif damage == "remove":
        file.unlink()
    elif damage == "manifest":
        manifest.write_bytes(manifest.read_bytes()[:-9])
    elif damage == "no manifest":
        manifest.unlink()
    else:
        manifest.write_text("[1]")
    assert not store.intact(out)
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and str(out) in said and "damaged; computed again" in said
    assert ("manifest.json" in said) == ("manifest" in damage)


def test_what_is_not_there_is_not_damaged(tmp_path, capsys):
    assert not store.intact(tmp_path / "nothing")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_says_what_to_do(code, tmp_path):
    out = tmp_path / "file"
    out.write_text("old")
    said = r"^no space left .*: free some and run the same command again$"
    with pytest.raises(ExternalError, match=said), store.whole_file(out) as temporary:
        raise OSError(code, os.strerror(code), str(temporary))
    assert out.read_text() == "old"


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS])
def test_a_place_that_cannot_be_written_is_named(code, tmp_path):
    said = r"^--out: cannot write .*file.* \(.+\)$"
    with pytest.raises(InputError, match=said), store.whole_file(tmp_path / "file") as temporary:
        raise OSError(code, os.strerror(code), str(temporary))


def test_a_file_system_that_cannot_sync_a_folder_is_good_enough(tmp_path, monkeypatch):
    """A mounted Drive answers EINVAL to fsync of a folder; any other failure of fsync is real."""
    real = os.fsync

    def sync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", sync)
    with store.whole_file(tmp_path / "file") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "file").read_text() == "new"

    def broken(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(InputError, match="cannot write"), store.whole_file(tmp_path / "other") as temporary:
        temporary.write_text("new")
    assert os.listdir(tmp_path) == ["file"]


def test_what_another_machine_computed_has_no_dtype_of_this_one(tmp_path: Path):
    """`precision=auto` means what the device that computed can do."""
    planned = plan("lm", n=4, metrics=["perplexity"])
    count = 1
    for name, dtype in {"cpu": "fp32", "Tesla T4": None}.items():
        numbers = {key: store.column(np.zeros(count, np.int64)) for key in ("replicate", "generation", "n_train")}
        values = {key: store.column(np.ones(count)) for key in ("share_real", "value", "seconds")}
        labels = {"metric": store.labels(["perplexity"]), "item": store.labels([""]), "device": store.labels([name])}
        folder = tmp_path / "state" / "block-0000.done"
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(spec.table(planned, {**numbers, **values, **labels}), folder / "table.parquet")
        merge(planned, tmp_path / "state", tmp_path / "out.parquet", [])
        assert store.about(tmp_path / "out.parquet")["dtype"] == dtype
