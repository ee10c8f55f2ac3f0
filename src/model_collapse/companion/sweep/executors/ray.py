"""A Ray cluster, which exists or is started on this machine. What crosses it are names of tasks and how they went.

Every node sees the sweep's folder at the same place, and has this package; a node that has another version of it, or
another folder, says so and works on nothing. A task asks for as many processors as its run has threads.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING

from model_collapse.companion.sweep import lease, work
from model_collapse.companion.sweep.drive import Died, Drive
from model_collapse.companion.sweep.executors import Options
from model_collapse.companion.sweep.file import Source, Sweep
from model_collapse.companion.sweep.tasks import Task
from model_collapse.companion.sweep.work import Outcome
from model_collapse.errors import ExternalError, InputError

if TYPE_CHECKING:
    from types import ModuleType

ANSWER = 5.0
"""Seconds in which the head of a cluster has to answer."""

STARTS = 3
"""Attempts to start a node of this machine. Ray waits 30 seconds for it; a busy machine may need longer."""


def run(sweep: Sweep, tasks: Sequence[Task], options: Options, tell: Callable[[str], None]) -> list[Outcome]:
    """On the nodes of the cluster."""
    with connected(options) as ray:
        if lacking := _lacking(ray, tasks, options):
            if not (options.address or os.environ.get("RAY_ADDRESS")):
                raise ExternalError(f"this machine has no {lacking}")
            tell(f"no node of the cluster has {lacking} yet; waiting for one")
        pool = _Cluster(ray, sweep, {task.name: task for task in tasks}, options)
        return Drive(tasks, pool, tell, options.whole).run()


@contextmanager
def connected(options: Options) -> Iterator[ModuleType]:
    """Ray, connected to the cluster; one that is started here ends with the block."""
    try:
        import ray
    except ModuleNotFoundError:
        raise ExternalError("Ray is not installed; install it with pip install 'model-collapse[cluster]'") from None
    if ray.is_initialized():
        yield ray
        return
    address = options.address or os.environ.get("RAY_ADDRESS")
    if address:
        _answers(address)
    _start(ray, address, options.jobs)
    try:
        yield ray
    finally:
        ray.shutdown()


def _start(ray: ModuleType, address: str | None, jobs: int | None) -> None:
    for further in reversed(range(1 if address else STARTS)):
        try:
            ray.init(
                address or "local",
                num_cpus=None if address else jobs,
                include_dashboard=None if address else False,
                logging_level=logging.ERROR,
                log_to_driver=False,
            )
            return
        except Exception as error:
            ray.shutdown()
            if not further:
                where = f"--address {address}" if address else "Ray on this machine"
                raise ExternalError(f"{where}: {' '.join(str(error).split())[:200]}") from None


def _lacking(ray: ModuleType, tasks: Sequence[Task], options: Options) -> str:
    """What a task asks for and no node has, in words; "" if nothing. Ray would wait for it without a word."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    threads = max((_threads(task) for task in tasks), default=1)
    asked = {
        "CPU": (threads, f"{threads} processors (family.threads)"),
        "GPU": (options.gpus, f"{options.gpus:g} GPUs"),
    }
    most = {name: max((node.get(name, 0.0) for node in nodes), default=0.0) for name in asked}
    return next((said for name, (wanted, said) in asked.items() if wanted > most[name]), "")


def _threads(task: Task) -> int:
    """Processors that a task asks for: its run says how many threads it has, whatever the node has."""
    return int(task.run.family_args.get("threads", 1))


def _answers(address: str) -> None:
    """One line at once, where Ray would try for minutes."""
    host, colon, port = address.rpartition(":")
    if not (colon and host and port.isdecimal()):
        raise InputError(f"--address {address}: write HOST:PORT of the cluster's head, as `ray start --head` says it")
    try:
        socket.create_connection((host, int(port)), ANSWER).close()
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or str(error) or "no answer"
        raise ExternalError(f"--address {address}: no Ray cluster answers there ({why})") from None


def _bring(source: Source, name: str, heartbeat: float, over: lease.Mark | None, folder_id: str, here: str) -> Outcome:
    """`work.bring` on a node, in the folder in which the sweep was started, where there is one of that name."""
    if os.path.isdir(here):
        os.chdir(here)
    outcome = work.bring(source, name, heartbeat, over, folder_id)
    if outcome.status == ExternalError.status:
        # Meanwhile the next tasks go to nodes that may have what this one lacks (room on a disk, say).
        time.sleep(heartbeat)
    return outcome


class _Cluster:
    """Tasks of a cluster's nodes. Their number is left to Ray, which queues what does not fit."""

    room = 10_000

    def __init__(self, ray: ModuleType, sweep: Sweep, tasks: Mapping[str, Task], options: Options) -> None:
        self.ray, self.source, self.tasks, self.options = ray, sweep.source, tasks, options
        self.room = options.jobs or self.room
        self.folder_id = work.folder_id_of(sweep.folder)
        # What was lost is handed out again by `Drive`, which knows leases.
        self.remote = ray.remote(max_retries=0)(_bring)

    def submit(self, name: str, over: lease.Mark | None) -> Future[Outcome]:
        task = self.remote.options(name=name, num_cpus=_threads(self.tasks[name]), num_gpus=self.options.gpus)
        asked: Future[Outcome] = task.remote(
            self.source, name, self.options.heartbeat, over, self.folder_id, os.getcwd()
        ).future()
        return _Answer(asked, self.ray)


class _Answer(Future[Outcome]):
    """A future of Ray's, which says of a worker, a node or a connection that was lost that it Died."""

    def __init__(self, asked: Future[Outcome], ray: ModuleType) -> None:
        super().__init__()
        self.lost = ray.exceptions.RayError
        asked.add_done_callback(self._answered)

    def _answered(self, asked: Future[Outcome]) -> None:
        error = asked.exception()
        if error is None:
            self.set_result(asked.result())
        elif isinstance(error, self.lost):
            said = str(error).splitlines()[0]
            self.set_exception(Died(f"the process or node that worked on it was lost, again and again: {said}"))
        else:
            self.set_exception(error)
