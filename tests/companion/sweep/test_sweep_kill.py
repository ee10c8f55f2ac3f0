"""A sweep that is killed at every event, and started again by the same command, loses nothing.

Kills are placed by what the program does, not by time: it ends itself with SIGKILL just before its k-th change of the
sweep's folder, for every k. Between two such changes nothing that is kept can differ.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import toy_sweep
from toy_kills import ENVIRONMENT
from toy_runs import added
from toy_sweep import STRIDE, STRIDE_METRICS, same, tidy, written

ONE = "family: stride\ngenerations: 1\n"
"""A pre-trained model, a block and a table: every kind of task once."""

# One process that imports everything; each attempt is a fork of it that runs the whole command.
ATTEMPTS = """
import json, os, signal, sys
import toy_kills
from model_collapse import families, metrics
from model_collapse.companion.sweep import collect, command, drive
from model_collapse.companion.sweep.executors import local
folder, part, parts = json.loads(sys.argv[1])
families.__path__.append(f"{folder}/model_collapse.families")
metrics.__path__.append(f"{folder}/model_collapse.metrics")
import model_collapse.families.stride
drive.POLL = 0.01

def run(number, moment):
    if (child := os.fork()) == 0:
        place = f"{folder}/{number}"
        arguments = ["sweep", "run", f"{folder}/toy.yaml", "--jobs", "1", "--folder", place]
        toy_kills.attempt(arguments, place, f"{folder}/touched", moment)
    return os.waitpid(child, 0)[1]

assert run("calm", -1) == 0
with open(f"{folder}/touched") as file:
    moments = list(range(1, int(file.read()) + 1))
for moment in moments[part::parts]:
    assert run(moment, moment) == signal.SIGKILL
    assert run(moment, -1) == 0
print(json.dumps([len(moments), moments[part::parts]]))
"""


@pytest.mark.parametrize("parts", [32, 1])
def test_killed_at_every_change_of_its_folder(parts: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with added("stride", STRIDE, STRIDE_METRICS, tmp_path, monkeypatch):
        (tmp_path / "chains").mkdir()
        toy_sweep.chains(written(tmp_path, ONE), tmp_path / "chains")
        asked = json.dumps([str(tmp_path), 7 % parts, parts])
        done = subprocess.run([sys.executable, "-c", ATTEMPTS, asked], env=ENVIRONMENT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        every, killed = json.loads(done.stdout.splitlines()[-1])
        assert every > 60 and len(killed) == len(range(7 % parts, every, parts))
        for moment in killed:
            sweep = written(tmp_path, ONE + f"folder: '{moment}'\n")
            same(sweep, tmp_path / "chains")
            tidy(sweep)
