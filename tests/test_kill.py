"""A language model chain, killed at random moments and started again by the same command, loses nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd

from model_collapse import store

KILLS = 50

CHAIN = """chain opt mix -n 24 -g 5 --seed 5 --replicates 2 --jobs 1 --resume --set regime.real_fraction=0.25
--set family.epochs=2
--set family.pretrain_epochs=2 --set family.pretrain_blocks=160 --set family.evaluate=16""".split()

# One process imports torch; each attempt is a fork of it that runs the whole command and is killed with SIGKILL.
ATTEMPTS = """
import json, os, signal, sys, time, warnings
import numpy as np
from model_collapse.families.opt import decoding, scoring, training
from model_collapse import cli, paths
arguments, out, cache, kills = json.loads(sys.argv[1])
moments, landed, attempts = np.random.default_rng(7), {"pretraining": 0, "generations": 0}, 0
warnings.simplefilter("ignore", DeprecationWarning)
while sum(landed.values()) < kills and attempts < 3 * kills:
    attempts += 1
    target = f"{out}/0.parquet"
    if os.path.exists(target):
        break
    child = os.fork()
    if child == 0:
        os.environ["MODEL_COLLAPSE_CACHE"] = cache
        sys.stderr = open(os.devnull, "w")
        os._exit(cli.main([*arguments, "--out", target]))
    # Short waits hit pre-training more than once, long ones let something be finished between kills.
    deadline = time.monotonic() + float(moments.uniform(0.05, 5.0 if attempts % 3 == 0 else 1.5))
    while time.monotonic() < deadline and not os.path.exists(target):
        time.sleep(0.005)
    bases = f"{cache}/bases"
    before = not os.path.isdir(bases) or all(name.startswith(".") for name in os.listdir(bases))
    os.kill(child, signal.SIGKILL)
    if os.waitpid(child, 0)[1] == signal.SIGKILL:
        landed["pretraining" if before else "generations"] += 1
print(json.dumps(landed))
"""


def finish(out: Path, cache: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "model_collapse.cli", *CHAIN, "--out", str(out)],
        env={"MODEL_COLLAPSE_CACHE": str(cache), "PATH": "", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def tables(out: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    return store.read(out).drop(columns="seconds"), store.read(store.written_file(out, "texts"))


def test_killed_at_random_moments(tmp_path: Path) -> None:
    """Tables and texts equal those of an undisturbed run, bit for bit; kills hit pre-training and generations."""
    (tmp_path / "calm").mkdir()
    (tmp_path / "killed").mkdir()
    finish(tmp_path / "calm" / "run.parquet", tmp_path / "calm-cache")
    wanted = tables(tmp_path / "calm" / "run.parquet")
    landed = {"pretraining": 0, "generations": 0}
    round_ = 0
    while sum(landed.values()) < KILLS:
        # A chain that came to its end under fire is checked, and the next one starts from nothing.
        folder, cache = tmp_path / "killed" / str(round_), tmp_path / f"cache-{round_}"
        folder.mkdir()
        job = json.dumps([CHAIN, str(folder), str(cache), KILLS - sum(landed.values())])
        said = subprocess.run([sys.executable, "-c", ATTEMPTS, job], capture_output=True, text=True)
        assert said.returncode == 0, said.stderr
        for phase, count in json.loads(said.stdout.splitlines()[-1]).items():
            landed[phase] += count
        finish(folder / "0.parquet", cache)
        for mine, theirs in zip(tables(folder / "0.parquet"), wanted, strict=True):
            pd.testing.assert_frame_equal(mine, theirs, check_exact=True)
        assert not list(folder.glob("*.state")) and not list(folder.glob(".*")), "something was left behind"
        round_ += 1
    assert landed["pretraining"] >= 2 and landed["generations"] >= 5, landed
