"""Processes of this machine. One that is ended from outside is replaced, and only its own task begun again."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from queue import SimpleQueue

from model_collapse.companion.sweep import lease, work
from model_collapse.companion.sweep.drive import Died, Drive, Pool
from model_collapse.companion.sweep.executors import Options
from model_collapse.companion.sweep.file import Source, Sweep
from model_collapse.companion.sweep.tasks import Task
from model_collapse.companion.sweep.work import Outcome
from model_collapse.engine.processes import process_pool


def run(sweep: Sweep, tasks: Sequence[Task], options: Options, tell: Callable[[str], None]) -> list[Outcome]:
    """In this process with `jobs` 1, else in as many others; of a share of the tasks one after the other."""
    most = options.jobs or (os.cpu_count() if options.whole else 1) or 1
    jobs = min(most, max(1, len(tasks)))
    with pool(jobs, sweep.source, options.heartbeat) as found:
        return Drive(tasks, found, tell, options.whole).run()


@contextmanager
def pool(jobs: int, source: Source, heartbeat: float) -> Iterator[Pool]:
    """This process, with `jobs` 1, or as many others, for tasks of one sweep."""
    if jobs == 1:
        yield _Here(source, heartbeat)
        return
    # When something fails, processes are ended before threads are waited for; leases of theirs are free then.
    with ThreadPoolExecutor(jobs) as threads, ExitStack() as processes:
        several = _Processes(jobs, source, heartbeat, threads, processes)
        try:
            yield several
        except BaseException:
            several.ending = True
            threads.shutdown(wait=False, cancel_futures=True)
            raise


class _Here:
    """One after the other."""

    room = 1

    def __init__(self, source: Source, heartbeat: float) -> None:
        self.source, self.heartbeat = source, heartbeat

    def submit(self, name: str, over: lease.Mark | None) -> Future[Outcome]:
        future: Future[Outcome] = Future()
        future.set_result(work.bring(self.source, name, self.heartbeat, over))
        return future


class _Processes:
    """Side by side, each in a pool of one process, so that one that is ended takes no other's task along."""

    def __init__(
        self, jobs: int, source: Source, heartbeat: float, threads: ThreadPoolExecutor, processes: ExitStack
    ) -> None:
        self.room, self.source, self.heartbeat = jobs, source, heartbeat
        self.threads, self.processes = threads, processes
        self.idle: SimpleQueue[Executor] = SimpleQueue()
        self.ending = False
        for _ in range(jobs):
            self._add()

    def submit(self, name: str, over: lease.Mark | None) -> Future[Outcome]:
        return self.threads.submit(self._bring, name, over)

    def _add(self) -> None:
        self.idle.put(self.processes.enter_context(process_pool(1)))

    def _bring(self, name: str, over: lease.Mark | None) -> Outcome:
        process = self.idle.get()
        try:
            outcome = process.submit(work.bring, self.source, name, self.heartbeat, over).result()
        except BrokenProcessPool:
            if not self.ending:
                self._add()
            raise Died(
                "the process that worked on it was ended from outside, again and again (out of memory?)"
            ) from None
        self.idle.put(process)
        return outcome
