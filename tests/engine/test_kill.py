"""A language model chain, killed again and again and started again by the same command, loses nothing.

Kills are placed by what the program does, not by time: it ends itself with SIGKILL just before its k-th change on the
disk, k drawn at random. Between two such changes nothing that is kept can differ.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from toy_kills import ENVIRONMENT

from model_collapse import store

CHAIN = """chain lm mix -n 8 -g 3 --seed 5 --replicates 2 --jobs 1 --resume --set regime.real_fraction=0.25
--set family.block=16 --set family.epochs=1 --set family.evaluate=8
--set family.pretrain_epochs=1 --set family.pretrain_blocks=16 --metrics perplexity""".split()

# One process imports torch and writes the corpus; each attempt is a fork of it that runs the whole command. "touched"
# counts the times that an undisturbed run touches the disk.
ATTEMPTS = """
import json, os, signal, sys, warnings
import numpy as np
import toy_kills
from model_collapse.families.lm import decoding, scoring, training
from model_collapse import corpora
from model_collapse.families.lm import Lm
arguments, folder, kills, touched = json.loads(sys.argv[1])
warnings.simplefilter("ignore", DeprecationWarning)
rng, landed = np.random.default_rng([kills, touched]), {"pretraining": 0, "generations": 0}
target, bases = f"{folder}/run.parquet", f"{folder}/cache/bases"
os.environ["MODEL_COLLAPSE_CACHE"] = f"{folder}/cache"
corpora.load("embedded").source(8, **Lm(block=16, pretrain_blocks=16).reading())
def attempt(moment):
    toy_kills.attempt([*arguments, "--out", target], folder, f"{folder}/touched", moment)

while sum(landed.values()) < kills and not os.path.exists(target):
    # Early moments hit pre-training, late ones let something be finished between kills.
    latest = (8, touched // 8, touched // 3)[sum(landed.values()) % 3]
    if (child := os.fork()) == 0:
        attempt(int(rng.integers(1, latest + 1)))
    if os.waitpid(child, 0)[1] == signal.SIGKILL:
        finished = os.path.isdir(bases) and not all(name.startswith(".") for name in os.listdir(bases))
        landed["generations" if finished else "pretraining"] += 1
if (child := os.fork()) == 0:
    attempt(-1)
os.waitpid(child, 0)
print(json.dumps(landed))
"""


def attempts(folder: Path, kills: int, touched: int) -> dict[str, int]:
    """Kill the chain in `folder` that often, or until it is finished, then run it to its end; where the kills hit."""
    folder.mkdir(exist_ok=True)
    asked = json.dumps([CHAIN, str(folder), kills, touched])
    done = subprocess.run([sys.executable, "-c", ATTEMPTS, asked], env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def tables(out: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    return store.read(out).drop(columns="seconds"), store.read(store.written_file(out, "texts"))


@pytest.mark.parametrize("kills", [6, 50, 200])
def test_killed_at_random_moments(kills: int, tmp_path: Path, once: Callable[..., Path]) -> None:
    """Tables and texts equal those of an undisturbed run, bit for bit; kills hit pre-training and generations."""
    calm = once("undisturbed-chain", lambda folder: attempts(folder, 0, 0))
    wanted, touched = tables(calm / "run.parquet"), int((calm / "touched").read_text())
    landed, turn = {"pretraining": 0, "generations": 0}, 0
    while (left := kills - sum(landed.values())) > 0:
        # A chain that ended before all kills were made is checked, and the next one starts from nothing.
        folder, turn = tmp_path / str(turn), turn + 1
        for phase, count in attempts(folder, left, touched).items():
            landed[phase] += count
        for mine, theirs in zip(tables(folder / "run.parquet"), wanted, strict=True):
            pd.testing.assert_frame_equal(mine, theirs, check_exact=True)
        assert not list(folder.glob("*.state")) and not list(folder.glob(".*")), "something was left behind"
    assert landed["pretraining"] >= min(2, kills // 6) and landed["generations"] >= min(5, kills // 6), landed
