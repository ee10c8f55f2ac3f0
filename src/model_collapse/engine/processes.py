"""Blocks side by side in processes, and how far they are."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, nullcontext
from multiprocessing import active_children, get_context
from typing import Any, TypeVar

from model_collapse.engine.layout import finished_generations
from model_collapse.engine.unit import Unit
from model_collapse.errors import ExternalError

T = TypeVar("T")


@contextmanager
def pool(workers: int) -> Iterator[Executor | None]:
    """A pool of fresh processes, or None for work done here."""
    if workers <= 1:
        yield None
        return
    with process_pool(workers) as executor:
        yield executor


class _Pool(ProcessPoolExecutor):
    """A pool that raises BrokenProcessPool whenever a worker has ended, also while the next one is being started."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        try:
            super().__init__(*args, **kwargs)
        except OSError as error:
            # Its locks lie in shared memory: some bytes, but without a place for them there is none.
            raise ExternalError(
                f"processes side by side need /dev/shm, which cannot be written ({error.strerror}); use --jobs 1"
            ) from None

    def submit(self, task: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        try:
            return super().submit(task, *args, **kwargs)
        except (OSError, ValueError) as error:
            # A broken pool closes its pipes; the process that is just being started was to inherit one of them.
            raise BrokenProcessPool(f"a worker process could not be started: {error}") from error


@contextmanager
def process_pool(workers: int, tasks: int | None = None) -> Iterator[Executor]:
    """A pool of fresh processes, also of one; `tasks`: a process is replaced after this number of pieces of work."""
    others = set(active_children())
    with _Pool(
        workers, get_context("spawn"), initializer=_follow, initargs=(os.getpid(),), max_tasks_per_child=tasks
    ) as executor:
        try:
            yield executor
        except BaseException:
            # Nobody may still be writing the state that is tidied up next. The executor itself only asks its workers
            # to end, and never stops waiting for one that was just being started when another was killed.
            for child in set(active_children()) - others:
                child.kill()
            executor.shutdown(cancel_futures=True)
            raise


def _follow(parent: int) -> None:
    """End this process when its parent is gone, so that a killed run leaves no worker behind that writes its state."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.2)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def lost_workers() -> Iterator[None]:
    """Turns a worker that was ended from outside into one line that says what to do."""
    try:
        yield
    except BrokenProcessPool:
        raise ExternalError(
            "a worker process was ended from outside (out of memory?); run the same command with fewer --jobs"
        ) from None


def run_units(
    executor: Executor | None, task: Callable[[Unit], None], units: list[Unit], progress: Progress | None
) -> None:
    """Do `task` for every unit, in the executor's processes or, without one, here."""
    if not units:
        return
    with progress.watching() if progress else nullcontext(), lost_workers():
        if executor is None:
            for unit in units:
                task(unit)
            return
        done, _ = wait([executor.submit(task, unit) for unit in units], return_when="FIRST_EXCEPTION")
        for future in done:
            future.result()


@contextmanager
def periodically(seconds: float, work: Callable[[], object]) -> Iterator[None]:
    """Do `work` in a thread, every `seconds` seconds, while the block runs or until it returns False."""
    over = threading.Event()

    def repeat() -> None:
        while not over.wait(seconds) and work() is not False:
            pass

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


QUIET = 60.0
"""Seconds after which progress is said even if no generation was finished."""


class Progress:
    """Says how many generations are finished, and when the rest will be, by looking at what lies on disk.

    Until the first one is finished, the time left is what was `predicted`, in seconds for all of them. Not more than
    once a second; at least every QUIET seconds while there is a time to tell.
    """

    def __init__(self, units: list[Unit], total: int, tell: Callable[[str], None], predicted: float | None) -> None:
        self.units, self.total, self._tell = units, total, tell
        self.begun, self.at_first = time.monotonic(), self._count()
        self.since = self.begun
        self.said, self.said_at = -1, 0.0
        self.end = None if predicted is None else self.begun + predicted

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Tells it every second while the block runs, and once more when it ends well."""
        self.since = time.monotonic()
        with periodically(1, self.tell):
            yield
        self.tell()

    def _count(self) -> int:
        return sum(unit.turns if unit.result.exists() else len(finished_generations(unit.place)) for unit in self.units)

    def tell(self) -> None:
        """One line, if there is anything new to say."""
        done, now = self._count(), time.monotonic()
        if done == self.said and (self.end is None or now < self.said_at + QUIET):
            return
        spent = now - self.begun
        if done > max(self.said, self.at_first):
            # From when generations are worked on: pre-training comes before.
            self.end = now + (now - self.since) / (done - self.at_first) * (self.total - done)
        self.said, self.said_at = done, now
        rest = "" if self.end is None else f", about {max(0.0, self.end - now):.0f} s left"
        self._tell(f"{done} of {self.total} generations, {spent:.0f} s{rest}")
