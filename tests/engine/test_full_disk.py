"""A disk that is full from some moment on costs nothing that was finished: one line, and the same command goes on.

The moment is the k-th change of the run's folder, for every k or every seventh; from there on nothing new can be made.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from toy_kills import ENVIRONMENT

from model_collapse import store

CHAINS = {
    "numbers": "chain gaussian -n 5 -g 1 --replicates 300 --jobs 1 --resume",
    "words": "chain ngram -n 8 -g 1 --jobs 1 --resume --set family.block=16 --set family.evaluate=8",
}
"""Two blocks of chains, and a chain that is kept generation by generation, with its texts and its corpus."""

# One process that imports everything; each attempt is a fork of it that runs the whole command.
ATTEMPTS = """
import json, os, sys
import toy_kills
from model_collapse.engine import execute, card
from model_collapse.families import gaussian, ngram
arguments, folder, step = json.loads(sys.argv[1])

def run(number, moment):
    if (child := os.fork()) == 0:
        place = f"{folder}/{number}"
        os.environ["MODEL_COLLAPSE_CACHE"] = f"{place}/cache"
        arguments.extend(["--out", f"{place}/run.parquet"])
        toy_kills.on_a_full_disk(arguments, place, f"{folder}/touched", moment, f"{folder}/said-{number}")
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

os.mkdir(f"{folder}/0")
assert run(0, 10**9) == 0
with open(f"{folder}/touched") as file:
    moments = range(1, int(file.read()) + 1)[::step]
ends = {}
for moment in moments:
    os.mkdir(f"{folder}/{moment}")
    ends[moment] = run(moment, moment)
    os.rename(f"{folder}/said-{moment}", f"{folder}/full-{moment}")
    assert run(moment, 10**9) == 0, (moment, ends)
print(json.dumps(ends))
"""


@pytest.mark.parametrize("step", [7, 1])
@pytest.mark.parametrize("kind", CHAINS)
def test_a_disk_that_is_full_from_some_moment_on(kind: str, step: int, tmp_path: Path):
    asked = [sys.executable, "-c", ATTEMPTS, json.dumps([CHAINS[kind].split(), str(tmp_path), step])]
    done = subprocess.run(asked, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    ends = json.loads(done.stdout.splitlines()[-1])
    # What comes after the table, its data card and what is tidied up, may be missing without a word.
    assert len(ends) > 2 and set(ends.values()) <= {0, 3} and ends["1"] == 3, ends
    wanted = store.read(tmp_path / "0" / "run.parquet").drop(columns="seconds")
    for moment, status in ends.items():
        said = (tmp_path / f"full-{moment}").read_text()
        complaints = [line for line in said.splitlines() if line.startswith("model-collapse: ")]
        assert "Traceback" not in said
        if status:
            (complaint,) = complaints
            assert "no space left" in complaint and "the same command" in complaint, said
        found = store.read(tmp_path / moment / "run.parquet").drop(columns="seconds")
        pd.testing.assert_frame_equal(found, wanted, check_exact=True)
        assert not any((tmp_path / moment).glob("*.state")), moment
