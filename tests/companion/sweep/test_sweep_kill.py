"""A sweep that is killed, and started again by the same command, loses nothing.

Kills are placed by what the program does, not by time: it ends itself with SIGKILL just before its k-th change of the
sweep's folder, for every k, or for k drawn at random. Between two such changes nothing that is kept can differ.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import toy_sweep
from toy_kills import ENVIRONMENT
from toy_runs import added
from toy_sweep import STRIDE, STRIDE_METRICS, STRIDES, same, tidy, written

ONE = "family: stride\ngenerations: 1\n"
"""A pre-trained model, a block and a table: every kind of task once."""

# One process that imports everything; each attempt is a fork of it that runs the whole command.
ATTEMPTS = """
import json, os, signal, sys
import numpy as np
import toy_kills
from model_collapse import families, metrics
from model_collapse.companion.sweep import collect, command, drive
from model_collapse.companion.sweep.executors import local
folder, *given = json.loads(sys.argv[1])
families.__path__.append(f"{folder}/model_collapse.families")
metrics.__path__.append(f"{folder}/model_collapse.metrics")
import model_collapse.families.stride
drive.POLL = 0.01

def started(number, moment):
    if (child := os.fork()) == 0:
        place = f"{folder}/{number}"
        arguments = ["sweep", "run", f"{folder}/toy.yaml", "--jobs", "1", "--folder", place]
        toy_kills.attempt(arguments, place, f"{folder}/touched-{number}", moment)
    return child

def run(number, *moments):
    "How commands ended that were started at a time on one folder."
    return [os.waitpid(child, 0)[1] for child in [started(number, moment) for moment in moments]]

assert run("calm", -1) == [0]
with open(f"{folder}/touched-calm") as file:
    touched = int(file.read())
"""

EVERY = """
part, parts = given
killed = list(range(1, touched + 1))[part::parts]
for moment in killed:
    assert run(moment, moment) == [signal.SIGKILL]
    assert run(moment, -1) == [0]
print(json.dumps([touched, killed]))
"""

RANDOM = """
kills, rng = given[0], np.random.default_rng(given)
landed, folders = 0, 0
while landed < kills:
    folders += 1
    ends = []
    while landed < kills and 0 not in ends:
        # Early moments hit the same task again and again, late ones let something be finished between kills.
        latest = (8, touched // 8, touched // 2)[landed % 3]
        ends = run(folders, *rng.integers(1, latest + 1, 2).tolist())
        assert set(ends) <= {0, signal.SIGKILL}, ends
        landed += ends.count(signal.SIGKILL)
    assert run(folders, -1) == [0]
print(json.dumps(list(range(1, folders + 1))))
"""


@pytest.fixture
def attempts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """attempts(text, script, ...): what a script prints that kills the sweep with this text, in many folders."""

    def made(text: str, script: str, *given: int) -> Any:
        (tmp_path / "chains").mkdir()
        toy_sweep.chains(written(tmp_path, text), tmp_path / "chains")
        asked = [sys.executable, "-c", ATTEMPTS + script, json.dumps([str(tmp_path), *given])]
        done = subprocess.run(asked, env=ENVIRONMENT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    with added("stride", STRIDE, STRIDE_METRICS, tmp_path, monkeypatch):
        yield made


def nothing_is_lost(text: str, folders: Iterable[int], place: Path) -> None:
    """In each of these folders lie the bits of plain chains, and nothing else."""
    for number in folders:
        sweep = written(place, text + f"folder: '{number}'\n")
        same(sweep, place / "chains")
        tidy(sweep)


@pytest.mark.parametrize("parts", [32, 1])
def test_killed_at_every_change_of_its_folder(parts: int, attempts: Callable[..., Any], tmp_path: Path):
    every, killed = attempts(ONE, EVERY, 7 % parts, parts)
    assert every > 60 and len(killed) == len(range(7 % parts, every, parts))
    nothing_is_lost(ONE, killed, tmp_path)


@pytest.mark.parametrize("kills", [20, 200])
def test_two_that_work_on_one_folder_are_killed_at_random_moments(
    kills: int, attempts: Callable[..., Any], tmp_path: Path
):
    """Each at a change of its own, again and again until everything is done; then the next folder."""
    folders = attempts(STRIDES, RANDOM, kills)
    assert folders
    nothing_is_lost(STRIDES, folders, tmp_path)
