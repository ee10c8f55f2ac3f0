"""A Ray cluster, which exists or is started on this machine. What crosses it are names of tasks and how they went.

Every node sees the sweep's folder at the same place, and has this package; a node that has another version of it, or
another folder, says so and works on nothing. A task asks for as many processors as its run has threads.
"""

from __future__ import annotations

import logging
import os
import re
import shlex
import signal
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

ANSWER = 10.0
"""Seconds in which the head of a cluster has to answer, and then to say something."""

HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
"""What a client of HTTP/2, the protocol of a head, has to say first: its fixed words, and that it has no settings."""

STARTS = 3
"""Attempts to start a node of this machine. Ray waits 30 seconds for it; a busy machine may need longer."""


def run(sweep: Sweep, tasks: Sequence[Task], options: Options, tell: Callable[[str], None]) -> list[Outcome]:
    """On the nodes of the cluster."""
    with connected(options) as ray:
        if lacking := _lacking(ray, tasks, options):
            if not _address(options):
                raise ExternalError(f"this machine has no {lacking}")
            tell(f"no node of the cluster has {lacking} yet; waiting for one")
        pool = _Cluster(ray, sweep, {task.name: task for task in tasks}, options)
        return Drive(tasks, pool, tell, options.whole).run()


@contextmanager
def connected(options: Options) -> Iterator[ModuleType]:
    """Ray, connected to the cluster; one that is started here ends with the block."""
    address = _address(options)
    try:
        import ray
    except ModuleNotFoundError:
        raise ExternalError("Ray is not installed; install it with pip install 'model-collapse[cluster]'") from None
    if ray.is_initialized():
        yield ray
        return
    if address:
        _answers(ray, address)
    asked_to_end = signal.getsignal(signal.SIGTERM)
    try:
        _start(ray, address, options.jobs)
    finally:
        # Ray puts a handler of its own there, which aborts.
        signal.signal(signal.SIGTERM, asked_to_end)
    try:
        yield ray
    finally:
        ray.shutdown()


def _address(options: Options) -> str | None:
    """HOST:PORT of the cluster; None: one is to be started here. InputError for what is none."""
    name, said = "--address", options.address
    if said is None:
        name, said = "RAY_ADDRESS", os.environ.get("RAY_ADDRESS") or None
    if said is None:
        return None
    port = re.fullmatch(r"[^/\s]+:([0-9]{1,5})", said)
    if not port or not 1 <= int(port[1]) <= 65535:
        raise InputError(
            f"{name} {shlex.quote(said)}: write HOST:PORT of the cluster's head, as `ray start --head` says it, "
            "port 1 to 65535"
        )
    return said


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


def _answers(ray: ModuleType, address: str) -> None:
    """One line soon where there is no head, or one that does not let us in; Ray would try for minutes."""
    _speaks(address)
    try:
        tokens, client = ray._private.authentication.authentication_token_setup, ray._raylet.GcsClient
    except AttributeError:
        return  # names that are not public; without them the user waits longer for an error of Ray's
    logging.getLogger("ray").setLevel(logging.ERROR)
    try:
        with _no_stderr():
            # Ray does this only where nobody names an address; a cluster that wants no token does not mind one.
            tokens.maybe_enable_token_auth_if_token_available(warn_if_disabled=False)
            tokens.ensure_token_if_auth_enabled(create_token_if_missing=False)
            client(address=address)
    except ray.exceptions.AuthenticationError:
        raise ExternalError(
            f"--address {address}: the cluster refuses the token of this host, or wants one; copy its head's "
            "~/.ray/auth_token here, without RAY_AUTH_TOKEN and RAY_AUTH_TOKEN_PATH, and set RAY_AUTH_MODE=token"
        ) from None
    except ray.exceptions.RayError as error:
        why = " ".join(str(error).split())[:200].rstrip(":")
        raise ExternalError(f"--address {address}: no head of a Ray cluster answers there ({why})") from None


def _speaks(address: str) -> None:
    """ExternalError where nothing listens, or something that does not answer as a head does."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), ANSWER) as head:
            if os.environ.get("RAY_USE_TLS", "").lower() in ("1", "true"):
                return  # encrypted, and left to Ray
            head.sendall(HELLO)
            said = head.makefile("rb").read(4)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or str(error) or "no answer"
        raise ExternalError(f"--address {address}: no Ray cluster answers there ({why})") from None
    # The length of a frame in three bytes, and its kind: settings, which come first.
    if said[3:] != b"\x04":
        raise ExternalError(f"--address {address}: no Ray cluster answers there, but something else")


@contextmanager
def _no_stderr() -> Iterator[None]:
    """Nothing is written there, which Ray's compiled part does past Python."""
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


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
