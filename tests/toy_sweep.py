"""A toy sweep, what a plain chain makes of it, and processes that are killed at an event."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pandas as pd

from model_collapse import cli, paths, store
from model_collapse.companion.sweep.file import Source, Sweep, read

TOY = """
family: gaussian
replicates: 300
generations: 2
sizes:
  small: {n: 10}
  large: {n: 20, generations: 3}
conditions:
  A: {}
  B: {regime: accumulate, settings: {family.sampling: draw}}
  words: {family: ngram, replicates: 2, metrics: [perplexity]}
"""
"""Six runs of twelve tasks: blocks of 256 Gaussian chains, and chains of word models one by one."""


STRIDE = '''
"""A toy that keeps checkpoints and starts from a shared beginning."""
from dataclasses import dataclass
from model_collapse.data import Rows
from toy_runs import Toy

MADE = []

@dataclass(frozen=True)
class Stride(Toy):
    """A mean that walks."""
    start: float = 0.0
    metrics = ("reached",)

    def base_settings(self):
        return {"start": self.start}

    def base(self, source, rng):
        MADE.append("base")
        return self.start + rng.standard_normal(1)

    def fit(self, data, rng, *, start=None, validation=None):
        MADE.append("fit")
        return start + data.rows.x.mean(keepdims=True) + rng.standard_normal(1)

    def sample(self, model, n, rng, *, given=None):
        return Rows(model + rng.standard_normal(n))
'''
STRIDE_METRICS = """
def reached(m):
    return float(m.model.item())
"""
STRIDES = """
family: stride
generations: 2
replicates: 2
conditions:
  A: {}
  B: {regime: accumulate}
"""
"""Two runs of two chains each, which start from one pre-trained model and are kept generation by generation."""


def written(folder: Path, text: str = TOY) -> Sweep:
    """The sweep of a file with this text, in a folder."""
    file = folder / "toy.yaml"
    file.write_text(text, encoding="utf-8")
    return read(Source(str(file)))


def chains(sweep: Sweep, folder: Path) -> None:
    """Make the table of every run by the plain command that `sweep plan` prints."""
    for label, command in sweep.commands.items():
        words = shlex.split(command)[1:]
        assert cli.main([*words, "--jobs", "1", "--out", str(folder / sweep.table(sweep.runs[label]).name)]) == 0


def same(sweep: Sweep, folder: Path) -> None:
    """All tables, and what was written, equal those in `folder` bit for bit, but for the wall clock."""
    for run in sweep.runs.values():
        table = sweep.table(run)
        wanted = folder / table.name
        files = [
            (table, wanted),
            *((store.written_file(table, kind), store.written_file(wanted, kind)) for kind in store.WRITTEN),
        ]
        for mine, theirs in files:
            assert mine.exists() == theirs.exists(), mine
            if mine.exists():
                one, other = (store.read(file).drop(columns="seconds", errors="ignore") for file in (mine, theirs))
                pd.testing.assert_frame_equal(one, other, check_exact=True)


def tidy(sweep: Sweep) -> None:
    """Nothing is left but tables, what belongs to them, and what names the folder."""
    left = {path.name for path in sweep.folder.iterdir() if not path.name.endswith(".parquet")}
    assert left <= {"folder-id", "tasks", "bases", "log", "sweep.sbatch"}, left
    assert list((sweep.folder / "tasks").iterdir()) == []


def command(
    *words: str, python: str = sys.executable, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """`model-collapse sweep ...` in a process of its own."""
    return subprocess.run(started(*words, python=python), env=env, capture_output=True, text=True)


def started(*words: str, python: str = sys.executable) -> list[str]:
    return [python, "-m", "model_collapse", "sweep", *words]


KILLER = """
import errno, os, signal, sys
end, folder, times = os.environ["KILLED_AT"], os.environ["KILLED_FOLDER"], int(os.environ["KILLED_TIMES"])
full = os.environ.get("KILLED_BY") == "full disk"
def watch(event, given):
    if event == "os.rename" and (str(given[0]) + ">" + str(given[1])).find(end) >= 0:
        for turn in range(times):
            try:
                os.close(os.open(f"{folder}/killed-{turn}", os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                continue
            if full:
                raise OSError(errno.ENOSPC, "No space left on device", str(given[1]))
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(watch)
"""


def killing(folder: Path, at: str, times: int = 1, by: str = "kill") -> dict[str, str]:
    """An environment in which the first processes that are about to rename so are killed before they do.

    at     a part of OLD>NEW, the paths of the rename
    times  how many of them
    by     "kill", or "full disk": the rename fails for want of room, and the process goes on
    """
    place = folder / "killer"
    place.mkdir()
    (place / "sitecustomize.py").write_text(KILLER)
    path = os.pathsep.join([str(place), str(paths.PACKAGE.parent)])
    asked = {"KILLED_AT": at, "KILLED_FOLDER": str(place), "KILLED_TIMES": str(times), "KILLED_BY": by}
    return {**os.environ, "PYTHONPATH": path, **asked}


def killed(folder: Path) -> int:
    """How many processes were."""
    return len(list((folder / "killer").glob("killed-*")))
