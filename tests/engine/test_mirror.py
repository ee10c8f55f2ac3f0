"""Runs saved to a second place, here a folder for the Drive: what came over whole comes back, and nothing else does."""

from __future__ import annotations

import errno
import os
import shutil
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from waiting import until

from model_collapse import paths, store
from model_collapse.engine import mirror
from model_collapse.engine.execute import execute, run_all
from model_collapse.engine.layout import state_folder
from model_collapse.engine.plan import plan
from model_collapse.engine.spec import Run
from model_collapse.families.lm import Lm

LAST = 2


@pytest.fixture
def drive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("MODEL_COLLAPSE_MIRROR", str(tmp_path / "drive"))
    monkeypatch.setenv("MODEL_COLLAPSE_JOBS", "1")
    (tmp_path / "here").mkdir()
    yield tmp_path / "drive"


def chain() -> Run:
    settings = {"family.pretrain_blocks": 32, "family.pretrain_epochs": 1, "family.epochs": 1, "family.evaluate": 8}
    return plan("lm", n=8, generations=LAST, seed=3, settings=settings)


def without_base() -> None:
    """The pre-trained model of `chain` is lost, and no other test's."""
    (base,) = mirror._bases(Path(), chain())
    shutil.rmtree(base, ignore_errors=True)


def new_machine(tmp_path: Path) -> Path:
    """Everything but the Drive is lost."""
    shutil.rmtree(tmp_path / "here")
    without_base()
    (tmp_path / "here").mkdir()
    return tmp_path / "here"


def cut(monkeypatch: pytest.MonkeyPatch, folder: Path, planned: Run, fits: int) -> None:
    """A session that ends without a word in the fit after so many."""
    fit, done = Lm.fit, []

    def ending(self: Lm, *args: object, **named: object) -> object:
        if len(done) == fits:
            raise KeyboardInterrupt
        done.append(1)
        return fit(self, *args, **named)  # type: ignore[arg-type]

    with monkeypatch.context() as inside, pytest.raises(KeyboardInterrupt):
        inside.setattr(Lm, "fit", ending)
        run_all({"a": planned}, folder)


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Notes every pre-training and every fit from now on."""
    did: list[str] = []
    for name in ("base", "fit"):
        work = getattr(Lm, name)
        monkeypatch.setattr(Lm, name, lambda *args, _n=name, _w=work, **named: (did.append(_n), _w(*args, **named))[1])
    return did


def test_a_cut_session_goes_on_elsewhere(drive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model of pre-training and finished generations come back; the tables are those of an undisturbed run."""
    planned = chain()
    cut(monkeypatch, tmp_path / "here", planned, fits=2)
    out = drive / f"{planned.run_id}.parquet"
    assert sorted(part.name for part in state_folder(out).rglob("generation-*")) == [
        f"generation-000{t}" for t in (0, 1)
    ]
    # What a copy that was cut leaves behind.
    shutil.copytree(
        state_folder(out) / "block-0000/generation-0001", state_folder(out) / "block-0000/.generation-0002.tmp"
    )
    did = counted(monkeypatch)
    tables, texts = run_all({"a": planned}, new_machine(tmp_path))
    assert did == ["fit"], "only the last generation was computed"
    assert out.exists() and store.written_file(out, "texts").exists() and not state_folder(out).exists()
    without_base()
    straight, wrote = execute(planned)
    pd.testing.assert_frame_equal(tables["a"].drop(columns="seconds"), straight.drop(columns="seconds"))
    pd.testing.assert_frame_equal(texts["a"], wrote)

    did.clear()
    again, _ = run_all({"a": planned}, new_machine(tmp_path))
    assert did == [], "a finished run comes back finished"
    pd.testing.assert_frame_equal(again["a"], tables["a"])


def test_damaged_parts_never_count(
    drive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A generation without all of its files is not brought back; one with other bytes is computed again."""
    planned = chain()
    cut(monkeypatch, tmp_path / "here", planned, fits=2)
    block = state_folder(drive / f"{planned.run_id}.parquet") / "block-0000"
    (block / "generation-0000" / "sample.safetensors").unlink()
    rows = block / "generation-0001" / "rows.parquet"
    rows.write_bytes(rows.read_bytes()[:-20])
    did = counted(monkeypatch)
    tables, _ = run_all({"a": planned}, new_machine(tmp_path))
    # The model of generation 0 is whole: it writes again what it wrote.
    assert did == ["fit"] * 2 and "generation-0001: rows.parquet is damaged" in capsys.readouterr().err
    shutil.rmtree(drive)
    straight, _ = run_all({"a": planned}, new_machine(tmp_path))
    pd.testing.assert_frame_equal(tables["a"].drop(columns="seconds"), straight["a"].drop(columns="seconds"))


def test_a_truncated_table_is_replaced(drive: Path, tmp_path: Path) -> None:
    planned = plan("gaussian", n=5, generations=2)
    run_all({"a": planned}, tmp_path / "here")
    saved = drive / f"{planned.run_id}.parquet"
    whole = saved.read_bytes()
    saved.write_bytes(whole[:100])
    run_all({"a": planned}, tmp_path / "here")
    assert saved.read_bytes() == whole


def test_parts_are_saved_while_the_work_goes_on(drive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planned = plan("gaussian", n=5, generations=2)
    out = tmp_path / "here" / f"{planned.run_id}.parquet"
    monkeypatch.setattr(mirror, "EVERY", 0.01)
    with mirror.saved({out: planned}):
        done = state_folder(out) / "block-0000.done"
        store.write_folder(done, lambda inside: (inside / "x").write_text("x") and None, {})
        target = state_folder(drive / out.name) / done.name / "manifest.json"
        until(target.exists)
        assert [part for part in drive.rglob("*") if part.name.startswith(".")] == []


def test_a_part_that_is_put_away_during_its_copy_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part, copytree = tmp_path / "generation-0000", shutil.copytree
    store.write_folder(part, lambda inside: (inside / "x").write_text("x") and None, {})

    def slow(source: Path, target: Path) -> None:
        (source / "x").unlink()
        copytree(source, target)

    monkeypatch.setattr(shutil, "copytree", slow)
    assert not mirror._copy(part, tmp_path / "drive" / "generation-0000")
    assert list((tmp_path / "drive").iterdir()) == []


def test_a_full_drive_costs_no_result(
    drive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(source: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))

    monkeypatch.setattr(shutil, "copyfile", full)
    tables, _ = run_all({"a": plan("gaussian", n=5, generations=2)}, tmp_path / "here")
    assert len(tables["a"])
    (said,) = capsys.readouterr().err.splitlines()
    assert said == f"{drive}: No space left on device; the run goes on, and is saved on this machine only"


def test_where_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MODEL_COLLAPSE_MIRROR", raising=False)
    monkeypatch.setattr(Path, "is_dir", lambda path: str(path) == "/content/drive/MyDrive")
    monkeypatch.delitem(sys.modules, "google.colab", raising=False)
    assert paths.mirror() is None
    monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    assert paths.mirror() == Path("/content/drive/MyDrive/model-collapse/runs")
    monkeypatch.setattr(Path, "is_dir", lambda path: False)
    assert paths.mirror() is None
    monkeypatch.setenv("MODEL_COLLAPSE_MIRROR", str(tmp_path))
    assert paths.mirror() == tmp_path
