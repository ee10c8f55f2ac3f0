"""A real cluster of two nodes on the loopback interface: the same bits, also where a node with its workers dies.

Where Ray is not installed only what the command says about that is tested.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import toy_sweep
from toy_sweep import same, tidy, written
from waiting import until

from model_collapse import cli
from model_collapse.companion.sweep import lease, tasks
from model_collapse.companion.sweep.executors import Options
from model_collapse.companion.sweep.executors import ray as executor
from model_collapse.companion.sweep.file import Sweep
from model_collapse.errors import ExternalError, InputError

THERE = importlib.util.find_spec("ray") is not None
needed = pytest.mark.skipif(not THERE, reason="Ray is not installed (the extra `cluster`)")

SMALL = "family: gaussian\nn: 10\ngenerations: 1\nreplicates: 300\nseeds: [1, 2]\n"

CLUSTER = """
import json, os, sys
sys.modules.setdefault("rfc3987_syntax", None)
from ray.cluster_utils import Cluster
os.environ["NODE"] = "head"
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
os.environ["NODE"] = "other"
other = cluster.add_node(num_cpus=1)
cluster.wait_for_nodes()
def processes(node):
    return [each.process.pid for kind in node.all_processes.values() for each in kind]
print(json.dumps([cluster.address, processes(cluster.head_node), processes(other)]), flush=True)
sys.stdin.readline()
cluster.shutdown()
"""


WAITING = """
import errno, os, sys, time
held, node = os.environ["HELD"], os.environ.get("NODE")
def watch(event, given):
    if event == "os.rename" and "/made/" in str(given[1]) and os.path.exists(f"{held}/wait"):
        open(f"{held}/{os.getpid()}.waits", "w").close()
        while os.path.exists(f"{held}/wait"):
            time.sleep(0.05)
    if event == "os.rename" and "/lease-" in str(given[1]) and node == "other" and os.path.exists(f"{held}/full"):
        with open(f"{held}/refused", "a") as refused:
            refused.write("x")
            if refused.tell() >= 3:
                os.remove(f"{held}/full")
        raise OSError(errno.ENOSPC, "No space left on device", str(given[1]))
sys.addaudithook(watch)
"""
"""Whoever publishes a result waits, as long as there is a file that says so; and on one node the disk is full, three
times if a file says so."""


@dataclass(frozen=True)
class Cluster:
    """Where its head answers, the processes of its two nodes, and where its workers are made wait."""

    address: str
    head: list[int]
    other: list[int]
    held: Path

    def command(self, folder: Path, *more: str) -> list[str]:
        """To run the sweep of that folder on it."""
        asked = ("run", str(folder / "toy.yaml"), "--executor", "ray", "--address", self.address, *more)
        return toy_sweep.started(*asked)

    def waits(self) -> set[int]:
        """Workers that are about to publish."""
        return {int(file.stem) for file in self.held.glob("*.waits")}


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with started(tmp_path_factory.mktemp("cluster")) as found:
        yield found


@contextmanager
def started(folder: Path, **more: str) -> Iterator[Cluster]:
    """Two nodes on the loopback interface. On a machine that is too busy Ray does not start, and is asked again."""
    (folder / "sitecustomize.py").write_text(WAITING)
    path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    env = {**os.environ, "HELD": str(folder), "PYTHONPATH": path, **more}
    for last in (False,) * 9 + (True,):
        with subprocess.Popen(
            [sys.executable, "-c", CLUSTER], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None and process.stdin is not None
            said = next((line for line in process.stdout if line.startswith(b"[")), b"")
            assert said or not last, "no cluster could be started"
            if said:
                found = Cluster(*json.loads(said), folder)
                try:
                    yield found
                finally:
                    # What a test left stopped could not be asked to end.
                    send(everything(found.other), signal.SIGCONT)
                    process.stdin.close()
                return


def family(pid: int) -> list[int]:
    """A process with all that it started and they did; nobody, if it has ended."""
    try:
        return [pid, *(each.pid for each in psutil.Process(pid).children(recursive=True))]
    except psutil.NoSuchProcess:
        return []


def everything(pids: list[int]) -> set[int]:
    """The processes of a node with its workers."""
    return {each for pid in pids for each in family(pid)}


def send(pids: set[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


@contextmanager
def at_work(cluster: Cluster, folder: Path, *more: str) -> Iterator[subprocess.Popen[bytes]]:
    """The command, while both nodes hold a task until `wait` is taken away."""
    (cluster.held / "wait").touch()
    with subprocess.Popen(cluster.command(folder, *more), stderr=subprocess.PIPE) as driver:
        until(lambda: len(cluster.waits()) == 2, lambda: driver.poll() is None)
        yield driver


def gone(pids: set[int]) -> bool:
    """Whether all of them have ended."""
    return not any(lease._begun(pid) for pid in pids)


@pytest.fixture
def small(tmp_path: Path) -> Sweep:
    """Two runs of two tasks, and in `chains` what plain chains make of them."""
    sweep = written(tmp_path, SMALL)
    (tmp_path / "chains").mkdir()
    toy_sweep.chains(sweep, tmp_path / "chains")
    return sweep


@needed
def test_two_nodes_make_the_same_bits(cluster: Cluster, tmp_path: Path, once: Callable[..., Path]):
    """Numbers and words, twelve tasks."""
    wanted = once("sweep-toy", lambda folder: toy_sweep.chains(written(folder), folder))
    sweep = written(tmp_path)
    done = subprocess.run(cluster.command(tmp_path), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(tasks.all_blocks(sweep)) == 12
    same(sweep, wanted)
    tidy(sweep)


@needed
def test_a_node_that_dies_with_its_workers_costs_only_its_tasks(cluster: Cluster, tmp_path: Path, small: Sweep):
    """SIGKILL for a raylet and its workers while one of them is about to publish; the sweep ends by itself."""
    with at_work(cluster, tmp_path) as driver:
        doomed = everything(cluster.other)
        assert len(doomed & cluster.waits()) == 1
        send(doomed, signal.SIGKILL)
        (cluster.held / "wait").unlink()
        _, said = driver.communicate()
        assert driver.returncode == 0, said.decode()
    same(small, tmp_path / "chains")
    tidy(small)


@needed
def test_the_head_dies_and_the_same_sweep_goes_on_elsewhere(cluster: Cluster, tmp_path: Path, small: Sweep):
    """SIGKILL for the head and its workers while both nodes work: the command ends, and another executor goes on."""
    with at_work(cluster, tmp_path) as driver:
        workers = cluster.waits()
        send(everything(cluster.head), signal.SIGKILL)
        driver.communicate()
        assert driver.returncode not in (0, None)
    # Ray ends the other node's processes when it finds that there is no head any more.
    until(lambda: gone(workers))
    assert not any(small.table(run).exists() for run in small.runs.values())
    done = toy_sweep.command("run", str(tmp_path / "toy.yaml"), "--jobs", "1")
    assert done.returncode == 0, done.stderr
    same(small, tmp_path / "chains")
    tidy(small)


@needed
def test_a_node_that_was_stopped_wakes_up_to_find_its_task_done(cluster: Cluster, tmp_path: Path, small: Sweep):
    """SIGSTOP for a node and its workers for longer than a heartbeat, and SIGCONT when others have done everything."""
    with at_work(cluster, tmp_path, "--heartbeat", "0.1") as driver:
        stopped = everything(cluster.other)
        assert len(stopped & cluster.waits()) == 1
        send(stopped, signal.SIGSTOP)
        (cluster.held / "wait").unlink()
        _, said = driver.communicate()
        assert driver.returncode == 0, said.decode()
    tables = {file: file.read_bytes() for file in small.folder.glob("*.parquet")}
    send(stopped, signal.SIGCONT)
    # Its driver has ended, and so does it.
    until(lambda: gone(stopped & cluster.waits()))
    assert tables == {file: file.read_bytes() for file in small.folder.glob("*.parquet")}
    same(small, tmp_path / "chains")
    tidy(small)


@needed
def test_a_node_whose_disk_is_full_leaves_its_tasks_to_others(cluster: Cluster, tmp_path: Path, small: Sweep):
    (cluster.held / "wait").touch()
    (cluster.held / "full").touch()
    asked = cluster.command(tmp_path, "--heartbeat", "0.1")
    with subprocess.Popen(asked, stderr=subprocess.PIPE) as driver:
        until((cluster.held / "refused").exists, lambda: driver.poll() is None)
        (cluster.held / "wait").unlink()
        _, said = driver.communicate()
        assert driver.returncode == 0, said.decode()
    same(small, tmp_path / "chains")
    tidy(small)


@needed
def test_asked_to_end_it_lets_go(cluster: Cluster, tmp_path: Path, small: Sweep):
    """SIGTERM for the command, while both nodes work: as with the local executor, and the same command goes on."""
    with at_work(cluster, tmp_path) as driver:
        driver.terminate()
        _, said = driver.communicate()
    assert driver.returncode == 130 and b"interrupted; run the same command" in said and b"SIGTERM" not in said, said
    (cluster.held / "wait").unlink()
    done = subprocess.run(cluster.command(tmp_path), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    same(small, tmp_path / "chains")
    tidy(small)


@needed
def test_a_cluster_that_wants_a_token_is_shown_the_one_that_is_there(tmp_path: Path, small: Sweep):
    """Also where nobody set RAY_AUTH_MODE, as after a Ray that this package had started here."""
    names = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
    plain = {name: value for name, value in os.environ.items() if name not in names}
    right, wrong, empty = ({**plain, "HOME": str(tmp_path / name)} for name in ("right", "wrong", "empty"))
    for name in ("right", "wrong"):
        (tmp_path / name / ".ray").mkdir(parents=True)
        (tmp_path / name / ".ray" / "auth_token").write_text(f"{name}-token")
    (tmp_path / "nodes").mkdir()
    with started(tmp_path / "nodes", RAY_AUTH_MODE="token", RAY_AUTH_TOKEN="right-token") as cluster:
        for env in (wrong, empty, {**empty, "RAY_AUTH_MODE": "token"}):
            done = subprocess.run(cluster.command(tmp_path), env=env, capture_output=True, text=True)
            assert done.returncode == 3 and done.stderr.count("\n") == 1, done.stderr
            assert "RAY_AUTH_MODE" in done.stderr and "~/.ray/auth_token" in done.stderr
        done = subprocess.run(cluster.command(tmp_path), env=right, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    same(small, tmp_path / "chains")
    tidy(small)


def refused(folder: Path, capsys: pytest.CaptureFixture[str], address: str, status: int) -> str:
    """The one line with which the command ends at this address."""
    written(folder, SMALL)
    assert cli.main(["sweep", "run", str(folder / "toy.yaml"), "--executor", "ray", "--address", address]) == status
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    return err


@pytest.mark.parametrize("address", ["nowhere", "", "localhost:99999", "localhost:0", "ray://localhost:10001", ":1"])
def test_an_address_that_is_none_is_one_line(address, tmp_path, capsys):
    said = refused(tmp_path, capsys, address, 2)
    assert f"--address {shlex.quote(address)}: write HOST:PORT" in said and "port 1 to 65535" in said


def test_an_address_of_the_environment_is_named_after_it(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    with pytest.raises(InputError, match=r"^RAY_ADDRESS auto: write HOST:PORT"):
        executor._address(Options())
    monkeypatch.setenv("RAY_ADDRESS", "")
    assert executor._address(Options()) is None


@needed
def test_an_address_where_nothing_answers_is_one_line(tmp_path, capsys):
    assert "no Ray cluster answers there" in refused(tmp_path, capsys, "127.0.0.1:1", 3)


@needed
@pytest.mark.parametrize("words", [b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.0 400 Bad Request\r\n\r\n", b"", None])
def test_an_address_where_something_else_answers_is_one_line(words, tmp_path, capsys, monkeypatch):
    """It says something, closes, or says nothing; of that one Ray would be asked for minutes."""
    if words is None:
        monkeypatch.setattr(executor, "ANSWER", 0.1)

    def answer(there: socket.socket) -> None:
        with there.accept()[0] as asking:
            if words is None:
                while asking.recv(100):
                    pass
            else:
                asking.sendall(words)

    with socket.create_server(("127.0.0.1", 0)) as there, ThreadPoolExecutor(1) as thread:
        thread.submit(answer, there)
        said = refused(tmp_path, capsys, f"127.0.0.1:{there.getsockname()[1]}", 3)
    assert "no Ray cluster answers there" in said


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


@pytest.mark.parametrize(
    ("address", "failures", "started"), [(None, 2, True), (None, 3, False), ("10.0.0.1:6379", 1, False)]
)
def test_a_node_of_this_machine_may_be_slow_to_start(address, failures, started, monkeypatch):
    """Ray gives up after 30 seconds. A stand-in for it fails so often; an address is asked once."""
    tries = []

    def init(where, **settings):
        tries.append(where)
        if len(tries) <= failures:
            raise Exception("The current node timed out during startup.")

    stand_in = SimpleNamespace(init=init, shutdown=lambda: None, is_initialized=lambda: False)
    monkeypatch.setitem(sys.modules, "ray", stand_in)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(executor, "_answers", lambda ray, address: None)
    opened = executor.connected(Options(jobs=1, address=address))
    if started:
        with opened as ray:
            assert ray is stand_in
        assert tries == ["local"] * 3
    else:
        with pytest.raises(ExternalError, match="timed out during startup"), opened:
            pass
        assert tries == (["local"] * executor.STARTS if address is None else [address])


@pytest.mark.parametrize("starts", [True, False])
def test_who_asks_to_end_is_answered_by_us_and_not_by_ray(starts, monkeypatch):
    """A stand-in for it, which sets its own answer to SIGTERM as Ray does."""

    def init(where, **settings):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if not starts:
            raise Exception("it does not start")

    stand_in = SimpleNamespace(init=init, shutdown=lambda: None, is_initialized=lambda: False)
    monkeypatch.setitem(sys.modules, "ray", stand_in)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    before = signal.getsignal(signal.SIGTERM)
    try:
        with suppress(ExternalError), executor.connected(Options(jobs=1)):
            assert starts and signal.getsignal(signal.SIGTERM) is before
        assert signal.getsignal(signal.SIGTERM) is before
    finally:
        signal.signal(signal.SIGTERM, before)
