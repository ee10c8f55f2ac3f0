"""One chain over several processes: the same losses and the same tokens as in one, and what it refuses."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
from waiting import until

from model_collapse import cli, distributed, paths, store

CHAIN = (
    "chain lm mix -n 27 -g 1 --seed 3 --set regime.real_fraction=0.4 --set family.block=16 --set family.evaluate=13 "
    "--set family.pretrain_blocks=30 --set family.pretrain_epochs=1 --set family.epochs=2 --set family.batch=5 "
    "--set family.dropout=0.1 --metrics perplexity,training"
).split()
"""Odd numbers of rows, so that shares are unequal; dropout; pre-training; the epoch of least validation loss."""

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"]
LAUNCH = [sys.executable, "-m", "accelerate.commands.launch"]
TWO = "--num_processes 2 --num_machines 1 --mixed_precision bf16 --dynamo_backend no --main_process_port 0 -m".split()
ACCELERATE = [*LAUNCH, "--multi_gpu", *TWO]
SHARDED = [*LAUNCH, "--use_fsdp", "--fsdp_version", "2", *TWO]


@pytest.mark.parametrize("rows", [0, 1, 5, 64])
@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_shares_are_all_the_rows_and_about_equal(rows: int, count: int):
    shares = []
    for rank in range(count):
        share = distributed.Alone()
        share.rank, share.count = rank, count
        shares.append(list(range(rows))[share.part(rows)])
    assert [row for share in shares for row in share] == list(range(rows))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def launched(monkeypatch: pytest.MonkeyPatch, rank: int = 0, count: int = 2) -> None:
    """As a process finds it that a launcher started."""
    for name, value in {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("chain gaussian -n 10", "family gaussian works in one process"),
        ("chain lm -n 8 --set family.batch=1", "more than the 1 rows of a step"),
        ("chain lm -n 8 --jobs 2", "leave --jobs out"),
        ("families", "only `chain` works in several processes"),
        ("chain lm -n none", "-n none"),
    ],
)
def test_what_several_processes_cannot_do_one_of_them_says_in_one_line(
    words: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    launched(monkeypatch)
    assert cli.main(words.split()) == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1
    launched(monkeypatch, rank=1)
    if words == "families":
        assert cli.main(words.split()) == 2
        assert capsys.readouterr().err == ""


def test_too_many_processes_for_the_gpus_of_a_host(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    launched(monkeypatch, count=4)
    monkeypatch.setattr(distributed, "_gpus", lambda: 2)
    assert cli.main("chain lm -n 8".split()) == 2
    assert "4 processes on a host with 2 GPUs" in capsys.readouterr().err


def test_an_fsdp_that_is_not_known_here_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    launched(monkeypatch)
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    monkeypatch.setenv("FSDP_VERSION", "1")
    assert cli.main("chain lm -n 8".split()) == 2
    assert "add --fsdp_version 2" in capsys.readouterr().err


def test_a_variable_that_a_scheduler_leaves_behind_is_no_launcher(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WORLD_SIZE", "8")
    assert distributed.count() == 1 and distributed.leads()


def test_launchers_and_chain_know_the_options_that_the_page_gives_them():
    from accelerate.commands.launch import launch_command_parser
    from torch.distributed.run import get_args_parser

    page = (paths.PACKAGE.parents[1] / "book" / "sweep.md").read_text(encoding="utf-8")
    parsers = {"torchrun": get_args_parser(), "accelerate launch": launch_command_parser()}
    said = re.findall(r"^(torchrun|accelerate launch) (.+)$", page, re.M)
    assert [name for name, _ in said] == ["torchrun", "accelerate launch", "accelerate launch"]
    for name, words in said:
        found = parsers[name].parse_args(shlex.split(words))
        assert found.module and found.training_script == "model_collapse", name
        assert cli._parser().parse_args(found.training_script_args).family == "lm", name
    assert found.use_fsdp and found.fsdp_version == "2"
    options = re.search(r"`torchrun` on each with `([^`]+)`, `([^`]+)` and `([^`]+)`", page)
    assert options and all(option in get_args_parser().format_help() for option in options.groups())


def run(launcher: list[str], out: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*launcher, "model_collapse", *CHAIN, "--out", str(out), *more], capture_output=True, text=True
    )


@pytest.fixture
def alone(once: Callable[..., Path]) -> Path:
    """The chain in one process."""
    return once("distributed-alone", lambda folder: cli.main([*CHAIN, "--out", str(folder / "run.parquet")]))


def same(out: Path, alone: Path) -> None:
    """The same run, the same tokens, and losses that differ by less than 1e-5 nats: gradients are added up in another
    order, so that the last bits of weights may differ, and AdamW makes more of them where a gradient is nearly 0."""
    wanted = alone / "run.parquet"
    assert store.about(out)["run_id"] == store.about(wanted)["run_id"]
    mine, theirs = (store.read(store.written_file(file, "texts")) for file in (out, wanted))
    assert len(mine) > 50
    pd.testing.assert_frame_equal(mine, theirs, check_exact=True)
    mine, theirs = (store.read(file) for file in (out, wanted))
    keys = ["generation", "metric", "item"]
    pd.testing.assert_frame_equal(mine[keys], theirs[keys])
    losses = [np.log(table.value[table.metric == "perplexity"]) for table in (mine, theirs)]
    assert len(losses[0]) > 1
    np.testing.assert_allclose(*losses, rtol=0, atol=1e-5)
    rest = [table.value[table.metric == "training"] for table in (mine, theirs)]
    assert len(rest[0]) > 1
    np.testing.assert_array_equal(*rest)
    assert not any(out.parent.glob("*.state"))


@pytest.mark.parametrize("launcher", [TORCHRUN, ACCELERATE, SHARDED], ids=["torchrun", "accelerate", "sharded"])
def test_two_processes_write_what_one_does(launcher: list[str], tmp_path: Path, alone: Path):
    done = run(launcher, tmp_path / "run.parquet")
    assert done.returncode == 0, done.stderr
    same(tmp_path / "run.parquet", alone)
    assert done.stderr.count("2 of 2 generations") == 1  # one of them tells


PARTS = """
import json, sys, warnings
import numpy as np
import toy_models
from model_collapse import distributed, hardware
from model_collapse.data import Data, Rows
from model_collapse.families.lm import Lm, model, training

ROWS = Data.real(Rows(np.random.default_rng(0).integers(3, toy_models.VOCABULARY, (13, 9)).astype(np.int32)))

def kept():
    "Of the numbers that are trained, the share that this process has."
    step = training._Step(toy_models.module("llama"), Lm(), 0.0, distributed.here())
    return sum(step.team.own(weight).numel() for weight in step.moved) / sum(weight.numel() for weight in step.moved)

def trained(kind, more):
    module = toy_models.module(kind)
    start = model.LmModel(model.plain(module.config), model.unbuild(module))
    settings, rng = Lm(block=9, pretrain="none", batch=5, dropout=0.0, **more), np.random.default_rng(1)
    start = distributed.everywhere(training.train, start, ROWS, rng, settings, epochs=2, lr=1e-3, validation=ROWS)
    return start.weights

if not distributed.leads():
    distributed.follow()
    sys.exit()
cases = [(kind, more) for kind in toy_models.KINDS for more in ({}, {"chunk": 2}, {"lora": 2})]
alone = [trained(*case) for case in cases]
with distributed.leading():
    print(json.dumps(["share", distributed.everywhere(kept)]))
    for case, one in zip(cases, alone):
        parts = trained(*case)
        farthest = max(float((weight - parts[name]).abs().max()) for name, weight in one.items())
        print(json.dumps([str(case), farthest]))
"""


def test_weights_in_parts_are_trained_as_whole_ones(tmp_path: Path):
    """All architectures, chunks and adapters: no layer changes in place what another returned, which FSDP would not
    see. Every process has half of the numbers, and the epoch of least validation loss is put together again."""
    file = tmp_path / "parts.py"
    file.write_text(PARTS)
    named = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2"}
    named["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), str(paths.PACKAGE.parent)])
    done = subprocess.run([*TORCHRUN[:-1], str(file)], env=os.environ | named, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (_, share), *farthest = map(json.loads, done.stdout.splitlines())
    assert abs(share - 0.5) < 0.01
    assert len(farthest) == 21 and max(each for _, each in farthest) < 2e-4, farthest


def follower(launcher: int) -> psutil.Process:
    """The process that the launcher started as its second."""
    (found,) = (each for each in psutil.Process(launcher).children() if each.environ().get("RANK") == "1")
    return found


def test_a_process_that_is_killed_ends_all_and_the_same_command_goes_on(tmp_path: Path, alone: Path):
    out = tmp_path / "run.parquet"
    state = tmp_path / "run.parquet.state"
    asked = [*TORCHRUN, "model_collapse", *CHAIN, "--out", str(out)]
    with subprocess.Popen(asked, stderr=subprocess.PIPE) as launcher:
        until(lambda: any(state.glob("block-0000/model-0000*")) or any(state.glob("model-*")) or out.exists())
        follower(launcher.pid).kill()
        launcher.communicate()
        assert launcher.returncode != 0 and not out.exists()
    done = run(TORCHRUN, out, "--resume")
    assert done.returncode == 0, done.stderr
    same(out, alone)


def test_a_training_that_diverges_is_one_line(tmp_path: Path):
    done = run(TORCHRUN, tmp_path / "run.parquet", "--set", "family.lr=1e30")
    assert done.returncode != 0
    assert sum(line.startswith("model-collapse: ") for line in done.stderr.splitlines()) == 1
    assert "training diverged" in done.stderr and not any(tmp_path.glob("*.state"))
