"""Blocks side by side in processes, and how far they are."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import active_children, get_context

from model_collapse.errors import OutsideError
from model_collapse.run.block import Unit


@contextmanager
def pool(workers: int) -> Iterator[Executor | None]:
    """A pool of fresh processes, or None for work done here."""
    if workers <= 1:
        yield None
        return
    others = set(active_children())
    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=_follow, initargs=(os.getpid(),)) as executor:
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


def each(executor: Executor | None, task: Callable[[Unit], None], units: list[Unit], progress: Progress | None) -> None:
    """Do `task` for every unit, in the executor's processes or, without one, here."""
    if executor is None:
        for unit in units:
            task(unit)
            if progress:
                progress.tell()
        return
    try:
        pending: set[Future[None]] = {executor.submit(task, unit) for unit in units}
        while pending:
            done, pending = wait(pending, timeout=1, return_when="FIRST_EXCEPTION")
            for future in done:
                future.result()
            if progress:
                progress.tell()
    except BrokenProcessPool:
        raise OutsideError(
            "a worker process was ended from outside (out of memory?); run the same command with fewer --jobs"
        ) from None


class Progress:
    """Says how many generations are finished, and when the rest will be, by looking at what lies on disk.

    Not more than once a second.
    """

    def __init__(self, units: list[Unit], total: int, tell: Callable[[str], None]) -> None:
        self.units, self.total, self._tell = units, total, tell
        self.begun, self.at_first, self.said = time.monotonic(), self._count(), -1
        self.next = self.begun

    def _count(self) -> int:
        return sum(
            unit.run.generations + 1 if unit.result.exists() else len(list(unit.folder.glob("generation-????")))
            for unit in self.units
        )

    def tell(self) -> None:
        if time.monotonic() < self.next:
            return
        self.next = time.monotonic() + 1
        done = self._count()
        if done == self.said:
            return
        self.said, spent = done, time.monotonic() - self.begun
        left = spent / (done - self.at_first) * (self.total - done) if done > self.at_first else None
        rest = "" if left is None else f", about {left:.0f} s left"
        self._tell(f"{done} of {self.total} generations, {spent:.0f} s{rest}")
