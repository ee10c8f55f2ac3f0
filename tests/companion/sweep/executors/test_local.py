"""Processes of this machine: the same bits, also where one of them is killed."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import toy_sweep
from toy_sweep import killed, killing, same, tidy, written
from waiting import until

from model_collapse import cli, paths
from model_collapse.companion.sweep import lease, tasks
from model_collapse.companion.sweep.drive import TRIES

SMALL = "family: gaussian\nn: 10\ngenerations: 1\nreplicates: 300\nseeds: [1, 2]\n"
"""Two runs of two tasks."""


@pytest.fixture
def alone(once: Callable[..., Path]) -> Path:
    """What plain chains make of SMALL."""
    return once("sweep-small", lambda folder: toy_sweep.chains(written(folder, SMALL), folder))


@pytest.mark.parametrize("at", ["/lease-0001", "/made/", ".state/block-0001.done"])
def test_a_worker_that_is_killed_costs_its_task_alone(at: str, tmp_path: Path, alone: Path):
    """Just before a lease is made, before a result is ready, and before it is published: ends by itself with 0."""
    sweep = written(tmp_path, SMALL)
    env = killing(tmp_path, at)
    done = toy_sweep.command("run", str(tmp_path / "toy.yaml"), "--jobs", "2", env=env)
    assert done.returncode == 0, done.stderr
    assert killed(tmp_path) == 1
    same(sweep, alone)
    tidy(sweep)


def test_a_worker_that_is_killed_whenever_it_works_on_a_task_fails_it(tmp_path: Path):
    sweep = written(tmp_path, SMALL.replace("300", "1"))
    name = tasks.all_blocks(sweep)[0].name
    env = killing(tmp_path, f"/{name}/", times=100)
    done = toy_sweep.command("run", str(tmp_path / "toy.yaml"), "--jobs", "2", env=env)
    assert done.returncode == 1
    (said,) = (line for line in done.stderr.splitlines() if line.startswith("failed: "))
    assert name in said and "ended from outside" in said
    assert sweep.table(sweep.runs["seed 2"]).exists()


@pytest.mark.parametrize("at", ["/lease-0001", "/made/", ".state/block-0001.done"])
def test_a_disk_that_is_full_for_a_while_costs_nothing(at: str, tmp_path: Path, alone: Path):
    """Before a lease is made, before a result is ready, and before it is published: tried again, and ends with 0."""
    sweep = written(tmp_path, SMALL)
    env = killing(tmp_path, at, times=3, by="full disk")
    done = toy_sweep.command("run", str(tmp_path / "toy.yaml"), "--jobs", "2", env=env)
    assert done.returncode == 0, done.stderr
    assert killed(tmp_path) == 3
    same(sweep, alone)
    tidy(sweep)


def test_a_disk_that_stays_full_fails_every_task_and_the_same_command_goes_on(tmp_path: Path, alone: Path):
    sweep = written(tmp_path, SMALL)
    env = killing(tmp_path, "/made/", times=1000, by="full disk")
    done = toy_sweep.command("run", str(tmp_path / "toy.yaml"), "--jobs", "1", env=env)
    assert done.returncode == 1
    said = [line for line in done.stderr.splitlines() if line.startswith("failed: ")]
    assert len(said) == 4 and all("no space left for " in line for line in said)
    assert killed(tmp_path) == 4 * TRIES
    done = toy_sweep.command("run", str(tmp_path / "toy.yaml"), "--jobs", "1")
    assert done.returncode == 0, done.stderr
    same(sweep, alone)
    tidy(sweep)


def test_the_driver_is_killed_or_asked_to_end_and_the_same_command_goes_on(tmp_path: Path, alone: Path):
    sweep = written(tmp_path, SMALL)
    asked = toy_sweep.started("run", str(tmp_path / "toy.yaml"), "--jobs", "2")
    held = [task.folder for task in tasks.all_blocks(sweep)]
    for number in (signal.SIGTERM, signal.SIGKILL):
        with subprocess.Popen(asked, stderr=subprocess.PIPE, start_new_session=True) as driver:
            until(lambda: any(lease.current(folder) for folder in held) or sweep.table(sweep.runs["seed 1"]).exists())
            os.kill(driver.pid, number)
            _, said = driver.communicate()
            assert driver.returncode in (0, -signal.SIGKILL if number == signal.SIGKILL else 130), said
    done = toy_sweep.command("run", str(tmp_path / "toy.yaml"), "--jobs", "2")
    assert done.returncode == 0, done.stderr
    same(sweep, alone)
    tidy(sweep)


WAITING = """
import os, sys, time
held = os.environ["HELD"]
def watch(event, given):
    if event == "os.rename" and "/made/" in str(given[1]) and not os.path.exists(f"{held}/go"):
        open(f"{held}/waits", "w").close()
        while not os.path.exists(f"{held}/go"):
            time.sleep(0.01)
sys.addaudithook(watch)
"""


def test_a_process_that_was_frozen_wakes_up_to_find_its_task_done(tmp_path: Path, alone: Path):
    """SIGSTOP while it is about to publish, and SIGCONT when others have done everything."""
    sweep = written(tmp_path, SMALL)
    file = str(tmp_path / "toy.yaml")
    (tmp_path / "sitecustomize.py").write_text(WAITING)
    path = os.pathsep.join([str(tmp_path), str(paths.PACKAGE.parent)])
    env = {**os.environ, "PYTHONPATH": path, "HELD": str(tmp_path)}
    asked = toy_sweep.started("run", file, "--jobs", "1", "--heartbeat", "0.05")
    with subprocess.Popen(asked, env=env, stderr=subprocess.PIPE) as frozen:
        until((tmp_path / "waits").exists, lambda: frozen.poll() is None)
        frozen.send_signal(signal.SIGSTOP)
        assert cli.main(["sweep", "run", file, "--jobs", "1"]) == 0
        tables = {each: each.read_bytes() for each in sweep.folder.glob("*.parquet")}
        (tmp_path / "go").touch()
        frozen.send_signal(signal.SIGCONT)
        _, said = frozen.communicate()
        assert frozen.returncode == 0, said
    assert tables == {each: each.read_bytes() for each in sweep.folder.glob("*.parquet")}
    same(sweep, alone)
    tidy(sweep)
