"""A real cluster of two nodes on the loopback interface: the same bits, also where a node with its workers dies.

Where Ray is not installed only what the command says about that is tested.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import toy_sweep
from toy_sweep import same, tidy, written
from waiting import until

from model_collapse import cli
from model_collapse.companion.sweep import tasks
from model_collapse.companion.sweep.executors import Options
from model_collapse.companion.sweep.executors import ray as executor

THERE = importlib.util.find_spec("ray") is not None
needed = pytest.mark.skipif(not THERE, reason="Ray is not installed (the extra `cluster`)")

SMALL = "family: gaussian\nn: 10\ngenerations: 1\nreplicates: 300\nseeds: [1, 2]\n"

CLUSTER = """
import json, sys
sys.modules.setdefault("rfc3987_syntax", None)
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
other = cluster.add_node(num_cpus=1)
cluster.wait_for_nodes()
def processes(node):
    return [each.process.pid for kind in node.all_processes.values() for each in kind]
print(json.dumps([cluster.address, processes(other)]), flush=True)
sys.stdin.readline()
cluster.shutdown()
"""


WAITING = """
import os, sys, time
held = os.environ["HELD"]
def watch(event, given):
    if event == "os.rename" and "/made/" in str(given[1]) and os.path.exists(f"{held}/wait"):
        open(f"{held}/{os.getpid()}.waits", "w").close()
        while os.path.exists(f"{held}/wait"):
            time.sleep(0.05)
sys.addaudithook(watch)
"""
"""Whoever publishes a result waits, as long as there is a file that says so."""


@dataclass(frozen=True)
class Cluster:
    """Where its head answers, the processes of the node that is not the head, and where its workers are made wait."""

    address: str
    other: list[int]
    held: Path


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two nodes on the loopback interface. On a machine that is too busy Ray does not start, and is asked again."""
    folder = tmp_path_factory.mktemp("cluster")
    (folder / "sitecustomize.py").write_text(WAITING)
    path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    env = {**os.environ, "HELD": str(folder), "PYTHONPATH": path}
    for last in (False,) * 9 + (True,):
        with subprocess.Popen(
            [sys.executable, "-c", CLUSTER], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None and process.stdin is not None
            said = next((line for line in process.stdout if line.startswith(b"[")), b"")
            assert said or not last, "no cluster could be started"
            if said:
                try:
                    yield Cluster(*json.loads(said), folder)
                finally:
                    process.stdin.close()
                return


def family(pid: int) -> list[int]:
    """A process with all that it started and they did."""
    found = []
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = place.read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found += family(int(place.parent.name))
    return [pid, *found]


@needed
def test_two_nodes_make_the_same_bits(cluster: Cluster, tmp_path: Path, once: Callable[..., Path]):
    """Numbers and words, twelve tasks."""
    wanted = once("sweep-toy", lambda folder: toy_sweep.chains(written(folder), folder))
    sweep = written(tmp_path)
    asked = ("run", str(tmp_path / "toy.yaml"), "--executor", "ray", "--address", cluster.address)
    done = toy_sweep.command(*asked)
    assert done.returncode == 0, done.stderr
    assert len(tasks.all_blocks(sweep)) == 12
    same(sweep, wanted)
    tidy(sweep)


@needed
def test_a_node_that_dies_with_its_workers_costs_only_its_tasks(cluster: Cluster, tmp_path: Path):
    """SIGKILL for a raylet and its workers while one of them is about to publish; the sweep ends by itself."""
    sweep = written(tmp_path, SMALL)
    (tmp_path / "chains").mkdir()
    toy_sweep.chains(sweep, tmp_path / "chains")
    (cluster.held / "wait").touch()
    asked = ("run", str(tmp_path / "toy.yaml"), "--executor", "ray", "--address", cluster.address)
    with subprocess.Popen(toy_sweep.started(*asked), stderr=subprocess.PIPE) as driver:
        until(lambda: len(list(cluster.held.glob("*.waits"))) == 2, lambda: driver.poll() is None)
        doomed = {each for pid in cluster.other for each in family(pid)}
        assert len(doomed & {int(file.stem) for file in cluster.held.glob("*.waits")}) == 1
        for pid in doomed:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        (cluster.held / "wait").unlink()
        _, said = driver.communicate()
        assert driver.returncode == 0, said.decode()
    same(sweep, tmp_path / "chains")
    tidy(sweep)


@needed
@pytest.mark.parametrize(
    ("address", "status", "said"),
    [("nowhere", 2, "write HOST:PORT"), ("127.0.0.1:1", 3, "no Ray cluster answers there")],
)
def test_an_address_where_nothing_answers_is_one_line(address, status, said, tmp_path, capsys):
    written(tmp_path, SMALL)
    assert cli.main(["sweep", "run", str(tmp_path / "toy.yaml"), "--executor", "ray", "--address", address]) == status
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1


def test_what_no_node_has_is_said():
    """With a stand-in for Ray, of two nodes of which one is gone."""
    nodes = [{"Alive": True, "Resources": {"CPU": 2.0}}, {"Alive": False, "Resources": {"CPU": 8.0, "GPU": 1.0}}]
    fake: Any = SimpleNamespace(nodes=lambda: nodes)
    one, four = (SimpleNamespace(run=SimpleNamespace(family_args=given)) for given in ({}, {"threads": 4}))
    asked: list[tuple[list[Any], Options, str]] = [
        ([one], Options(), ""),
        ([one, four], Options(), "4 processors (family.threads)"),
        ([one], Options(gpus=0.25), "0.25 GPUs"),
    ]
    for some, options, said in asked:
        assert executor._lacking(fake, some, options) == said


def test_without_ray_one_line_says_how_to_get_it(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    written(tmp_path, SMALL)
    assert cli.main(["sweep", "run", str(tmp_path / "toy.yaml"), "--executor", "ray"]) == 3
    err = capsys.readouterr().err
    assert "pip install 'model-collapse[cluster]'" in err and err.count("\n") == 1
