"""`model-collapse sweep`: plan, status and collect, refusals, and every command of the page."""

from __future__ import annotations

import errno
import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
import toy_sweep
from toy_sweep import written

from model_collapse import cli, paths, store
from model_collapse.companion.sweep import drive, executors, tasks, work
from model_collapse.companion.sweep.status import status
from model_collapse.companion.sweep.tasks import Block

SMALL = "family: gaussian\nn: 10\ngenerations: 1\nreplicates: 300\nconditions: {A: {}, B: {n: 20}}\n"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(drive, "POLL", 0.01)


def test_plan_prints_commands_that_make_the_same_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """The commands themselves are run by `toy_sweep.chains`."""
    sweep = written(tmp_path)
    assert cli.main(["sweep", "plan", "toy.yaml"]) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    assert lines[0::2] == [f"{label}: 2 tasks" for label in sweep.runs]
    assert [line.strip() for line in lines[1::2]] == list(sweep.commands.values())
    assert re.fullmatch(r"6 runs, 12 tasks, about \S+ core hours of this machine, up to \S+ MB of disk", last)
    assert not sweep.folder.exists()


def test_status_and_collect_while_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    """Asked in the middle of the third of four tasks, of run B's second."""
    sweep = written(tmp_path, SMALL)
    assert cli.main(["sweep", "collect", "toy.yaml", "--out", "all.parquet"]) == 2
    assert "no run is finished yet" in capsys.readouterr().err
    work.set_up(sweep.folder)
    of_a, of_b = ([each for each in tasks.all_blocks(sweep) if each.run == run] for run in sweep.runs.values())
    for block in (*of_a, of_b[0]):
        assert work.attempt(block).state == "done"
    real = Block.compute

    def compute(self: Block, inside: Path) -> list[Path]:
        # Run A is complete but for its tables, as where a process was killed; `collect` puts them together.
        assert cli.main(["sweep", "collect", "toy.yaml", "--out", "all.parquet"]) == 0
        assert capsys.readouterr().out == "1 run in all.parquet; without B\n"
        assert cli.main(["sweep", "status", "toy.yaml", "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert (found["runs"], found["tasks"]) == ({"done": 1, "all": 2}, {"done": 3, "all": 4})
        assert found["generations"] == {"done": 6, "all": 8} and found["failed"] == []
        (running,) = found["running"]
        assert running["run"] == "B" and running["task"] == self.name and running["pid"] == os.getpid()
        assert running["of"] == 2 and running["since"] and found["seconds_left"] is not None
        return real(self, inside)

    with monkeypatch.context() as patch:
        patch.setattr(Block, "compute", compute)
        assert work.attempt(of_b[1]).state == "done"
    assert cli.main(["sweep", "status", "toy.yaml"]) == 0
    counts, hint = capsys.readouterr().out.splitlines()
    assert counts == "1 of 2 runs, 4 of 4 tasks, 8 of 8 generations done"
    assert hint == "tables are not put together yet: sweep run or sweep collect does it"
    assert cli.main(["sweep", "collect", "toy.yaml", "--out", "all.parquet"]) == 0
    assert capsys.readouterr().out == "2 runs in all.parquet\n"
    assert status(sweep)["runs"] == {"done": 2, "all": 2}


def test_a_collected_table_has_the_rows_of_all_runs(tmp_path: Path, once: Callable[..., Path]):
    wanted = once("sweep-toy", lambda folder: toy_sweep.chains(written(folder), folder))
    sweep = written(tmp_path)
    sweep.folder.mkdir()
    for file in wanted.glob("*.parquet*"):
        os.link(file, sweep.folder / file.name)
    assert cli.main(["sweep", "collect", "toy.yaml", "--out", "all.parquet"]) == 0
    table = store.read(tmp_path / "all.parquet")
    assert list(table.columns) == ["run", *store.COLUMNS]
    for label, run in sweep.runs.items():
        mine = table[table["run"] == label].drop(columns="run").reset_index(drop=True)
        theirs = store.read(wanted / sweep.table(run).name)
        pd.testing.assert_frame_equal(mine.astype(theirs.dtypes), theirs, check_categorical=False)
    texts = store.read(store.written_file(tmp_path / "all.parquet", "texts"))
    assert set(texts["run"]) == {label for label in sweep.runs if "words" in label}
    assert set(table.attrs["runs"]) == set(sweep.runs)


def _flip(file: Path) -> None:
    """Another last byte of the last column's values, as a bad disk makes it."""
    group = pq.read_metadata(file).row_group(0)
    last = group.column(group.num_columns - 1)
    content = bytearray(file.read_bytes())
    start = last.dictionary_page_offset or last.data_page_offset
    content[start + last.total_compressed_size - 1] ^= 0xFF
    file.write_bytes(bytes(content))


DAMAGE: dict[str, Callable[[Path, Path], object]] = {
    "a byte": lambda table, other: _flip(table),
    "cut short": lambda table, other: table.write_bytes(table.read_bytes()[:-100]),
    "empty": lambda table, other: table.write_bytes(b""),
    "another run's": lambda table, other: table.write_bytes(other.read_bytes()),
    "no texts": lambda table, other: store.written_file(table, "texts").unlink(),
    "a byte of the texts": lambda table, other: _flip(store.written_file(table, "texts")),
}
WORDS = "family: ngram\nn: 4\ngenerations: 1\nsettings: {family.evaluate: 4}\nconditions: {A: {}, B: {n: 8}}\n"


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_table_is_left_out_and_computed_again(how: str, tmp_path: Path, capsys):
    sweep = written(tmp_path, WORDS)
    assert cli.main(["sweep", "run", "toy.yaml", "--jobs", "1"]) == 0
    table, other = (sweep.table(run) for run in sweep.runs.values())
    good = store.read(table).drop(columns="seconds")
    DAMAGE[how](table, other)
    capsys.readouterr()
    assert cli.main(["sweep", "collect", "toy.yaml", "--out", "all.parquet"]) == 0
    out, err = capsys.readouterr()
    assert out == "1 run in all.parquet; without A\n"
    assert err.startswith("A: left out: ") and err.endswith("; sweep run computes it again\n")
    assert cli.main(["sweep", "run", "toy.yaml", "--jobs", "1"]) == 0
    assert f"put aside as {table.name}.damaged" in capsys.readouterr().err
    pd.testing.assert_frame_equal(store.read(table).drop(columns="seconds"), good)
    assert cli.main(["sweep", "collect", "toy.yaml", "--out", "all.parquet"]) == 0
    assert capsys.readouterr().out == "2 runs in all.parquet\n"


def test_collect_replaces_only_what_it_wrote(tmp_path: Path, capsys):
    sweep = written(tmp_path, WORDS)
    assert cli.main(["sweep", "run", "toy.yaml", "--jobs", "1"]) == 0
    (tmp_path / "notes.parquet").write_text("my own")
    run = next(iter(sweep.runs.values()))
    kept = {file: file.read_bytes() for file in (*sweep.folder.iterdir(), *tmp_path.iterdir()) if file.is_file()}
    capsys.readouterr()
    for out, said in {
        "toy.yaml": "a table is a .parquet file",
        "all.csv": "a table is a .parquet file",
        "notes.parquet": "is there, and is no table of a sweep",
        str(sweep.table(run)): "lies among the sweep's own files",
        str(sweep.folder / "all.parquet"): "lies among the sweep's own files",
    }.items():
        assert cli.main(["sweep", "collect", "toy.yaml", "--out", out]) == 2
        assert said in capsys.readouterr().err
    assert {file: file.read_bytes() for file in kept} == kept
    # Of an earlier sweep no texts are left beside the table of one that wrote none.
    assert cli.main(["sweep", "collect", "toy.yaml", "--out", "all.parquet"]) == 0
    assert store.written_file(tmp_path / "all.parquet", "texts").exists()
    (tmp_path / "numbers.yaml").write_text(SMALL)
    assert cli.main(["sweep", "run", "numbers.yaml", "--jobs", "1"]) == 0
    assert cli.main(["sweep", "collect", "numbers.yaml", "--out", "all.parquet"]) == 0
    assert not store.written_file(tmp_path / "all.parquet", "texts").exists()


def test_one_mistake_of_many_runs_is_one_line_and_leaves_nothing(tmp_path: Path, capsys):
    mixed = "conditions: {B: {regime: mix, settings: {regime.real_fraction: 0.1}}}\n"
    sweep = written(tmp_path, f"family: gaussian\nn: 5\ngenerations: 1\nseeds: [1, 2, 3]\n{mixed}")
    assert cli.main(["sweep", "run", "toy.yaml", "--jobs", "1"]) == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "failed:" in line]
    assert line.startswith("failed: B, seed 1, ") and " and 2 more on " in line
    assert not list(sweep.folder.glob("*.state"))


def test_a_reader_that_has_seen_enough_gets_no_traceback(tmp_path: Path):
    written(tmp_path, SMALL)
    code = "import sys; from model_collapse import cli; sys.exit(cli.main(['sweep', 'status', 'toy.yaml', '--json']))"
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run([sys.executable, "-c", code], stdout=writing, stderr=subprocess.PIPE, cwd=tmp_path)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (141, b"")


REFUSED = {
    "no verb": ([], 2, "VERB"),
    "an unknown verb": (["start", "toy.yaml"], 2, "sweep start: it is plan, run, status, collect"),
    "nothing": (["run"], 2, "name a FILE, or a study"),
    "both": (["run", "toy.yaml", "--study", "gaussian", "--size", "smoke"], 2, "name a FILE, or a study"),
    "a study without a size": (["run", "--study", "gaussian"], 2, "name a FILE, or a study"),
    "an unknown study": (["run", "--study", "gausian", "--size", "smoke"], 2, "study gausian: known are"),
    "no such file": (["run", "none.yaml"], 2, "none.yaml: no such file"),
    "an unknown executor": (["run", "toy.yaml", "--executor", "dask"], 2, "--executor dask: it is local, ray, slurm"),
    "no jobs": (["run", "toy.yaml", "--jobs", "0"], 2, "--jobs 0"),
    "an address for local": (["run", "toy.yaml", "--address", "a:1"], 2, "--address: goes with --executor ray"),
    "an empty address for local": (["run", "toy.yaml", "--address", ""], 2, "--address: goes with --executor ray"),
    "gpus for local": (["run", "toy.yaml", "--gpus", "1"], 2, "--gpus: goes with --executor ray"),
    "gpus below 0": (["run", "toy.yaml", "--executor", "ray", "--gpus", "-1"], 2, "--gpus -1: must be a number"),
    "no heartbeat": (["run", "toy.yaml", "--heartbeat", "0"], 2, "--heartbeat 0: must be a number of at least 0.01"),
    "sbatch for local": (["run", "toy.yaml", "--sbatch=--time=1"], 2, "--sbatch: goes with --executor slurm"),
    "a share beyond all": (["run", "toy.yaml", "--task", "4/4"], 2, "--task 4/4: write I/K"),
    "a share that is none": (["run", "toy.yaml", "--task", "x"], 2, "--task x: write I/K"),
    "a share for Slurm": (["run", "toy.yaml", "--task", "0/2", "--executor", "slurm"], 2, "--task: is what the jobs"),
    "an option of another verb": (["plan", "toy.yaml", "--jobs", "2"], 2, "--jobs: not an option of sweep plan"),
    "collect to nowhere": (["collect", "toy.yaml"], 2, "needs --out"),
    "collect into no folder": (["collect", "toy.yaml", "--out", "no/all.parquet"], 2, "folder that exists"),
    "a folder that is a file": (["run", "toy.yaml", "--folder", "toy.yaml"], 2, "toy.yaml: must be a folder"),
    "a folder without a name": (["run", "toy.yaml", "--folder", ""], 2, "--folder needs a name"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_one_line_and_nothing_is_started(case: str, tmp_path: Path, capsys):
    written(tmp_path, SMALL)
    arguments, status, said = REFUSED[case]
    assert cli.main(["sweep", *arguments]) == status
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("model-collapse: ") and err.count("\n") == 1 and said in err
    assert [file.name for file in tmp_path.iterdir()] == ["toy.yaml"]


@pytest.mark.parametrize("executor", executors.names())
def test_a_folder_that_cannot_be_written_is_one_line_and_nothing_is_started(
    executor: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """Also one that was set up before it could not; a disk that is full is said as everywhere."""
    sweep = written(tmp_path, SMALL)
    work.set_up(sweep.folder)
    before = sorted(sweep.folder.iterdir())

    cases = {
        errno.EROFS: (2, f"--folder {sweep.folder}: cannot be written (Read-only file system)"),
        errno.ENOSPC: (3, "no space left for"),
    }
    for code, (wanted, said) in cases.items():

        def refused(self: Path, *_: object, code: int = code, **__: object) -> int:
            raise OSError(code, os.strerror(code), str(self))

        monkeypatch.setattr(Path, "write_text", refused)
        assert cli.main(["sweep", "run", "toy.yaml", "--executor", executor]) == wanted
        err = capsys.readouterr().err
        assert said in err and err.count("\n") == 1
    assert sorted(sweep.folder.iterdir()) == before


PAGE = (paths.PACKAGE.parents[1] / "book" / "sweep.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(bash|yaml)\n(.*?)^```", PAGE, re.M | re.S)
LINES = [line for kind, block in BLOCKS if kind == "bash" for line in block.splitlines()]
COMMANDS = [line for line in LINES if not line.startswith(("torchrun", "accelerate"))]
"""Those of launchers are in test_distributed.py."""


def test_every_command_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    """In the page's order; where Ray is not there its command says so."""
    first, *_ = (block for kind, block in BLOCKS if kind == "yaml")
    (tmp_path / "grid.yaml").write_text(first)
    monkeypatch.setenv("PATH", str(tmp_path))  # without sbatch, which executors/test_slurm.py has
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    assert len(COMMANDS) == 10
    for line in COMMANDS:
        name, *words = shlex.split(line)
        assert name == "model-collapse"
        wanted = 3 if "ray" in words else 0  # at an address where nothing answers, or without Ray
        assert cli.main(words) == wanted, line
    assert len(store.read(tmp_path / "all.parquet")["run"].unique()) == 8
    out = capsys.readouterr().out
    assert "8 runs, 16 tasks, about " in out and "8 of 8 runs, 16 of 16 tasks" in out


def test_files_of_the_page_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    _, second = (block for kind, block in BLOCKS if kind == "yaml")
    lighter = second.replace("wikitext-2-raw", "embedded").replace("opt-125m", "tiny").replace("pretrained", "scratch")
    sweep = written(tmp_path, lighter.replace(", family.start: scratch", ""))
    assert len(sweep.runs) == 10 and sweep.runs["B, seed 5"].regime_args["real_fraction"] == 0.1


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed (the extra `cluster`)")
def test_commands_of_ray_on_the_page_have_such_options(capfd: pytest.CaptureFixture[str]):
    from ray.scripts.scripts import start

    known = {option for parameter in start.params for option in parameter.opts}
    said = re.findall(r"^ray start (.+)$", PAGE, re.M)
    assert len(said) == 2
    for line in said:
        assert {word.partition("=")[0] for word in line.split()} <= known
    assert sys.modules["ray"] is not None
