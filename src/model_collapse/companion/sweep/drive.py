"""All tasks brought to their end by a pool: what is ready is handed out, what was lost is handed out again."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from typing import Protocol

from model_collapse.companion.sweep import lease
from model_collapse.companion.sweep.tasks import Block, Tables, Task
from model_collapse.companion.sweep.work import Outcome
from model_collapse.errors import ExternalError

POLL = 1.0
"""Seconds after which leases of others are looked at again."""

TRIES = 4
"""How often a task is tried whose process was ended from outside, or that lacks something from outside."""


class Died(ExternalError):
    """A process, or the node that it ran on, was ended from outside while it worked on a task."""


class Pool(Protocol):
    """Works on tasks somewhere else, or here.

    room    tasks that it may be given at a time
    """

    room: int

    def submit(self, name: str, over: lease.Mark | None) -> Future[Outcome]:
        """Have `work.bring` done; the future raises Died where the process was ended."""


@dataclass
class Drive:
    """Tasks on their way.

    tasks   those to bring to their end, in the order in which they are handed out
    whole   go on until all are done, by whomever; False: leave tables to who finishes their last block
    clock   seconds, by which leases of others are watched
    """

    tasks: Sequence[Task]
    pool: Pool
    tell: Callable[[str], None]
    whole: bool = True
    clock: Callable[[], float] = time.monotonic
    failed: dict[str, Outcome] = field(default_factory=dict)
    flying: dict[Future[Outcome], Task] = field(default_factory=dict)
    tries: Counter[str] = field(default_factory=Counter)
    needed_by: dict[str, list[Task]] = field(default_factory=dict)
    past: set[str] = field(default_factory=set)
    looked: float = 0.0

    def run(self) -> list[Outcome]:
        """Until nothing is left that can be done; what failed."""
        watch, blocks = lease.Watch(self.clock), [task for task in self.tasks if isinstance(task, Block)]
        for task in self.tasks:
            for need in task.needs:
                self.needed_by.setdefault(need.name, []).append(task)
        while True:
            waiting = [task for task in self.tasks if not self._over(task)]
            self.tell(f"{sum(task.name in self.past for task in blocks)} of {len(blocks)} tasks{self._fails()}")
            if not waiting and not self.flying:
                return list(self.failed.values())
            self._give_up(watch)
            busy = {task.name for task in self.flying.values()}
            for task in waiting:
                if len(self.flying) >= self.pool.room:
                    break
                if task.name not in busy and task.ready:
                    self._hand_out(task, watch)
            self._collect()

    def _over(self, task: Task) -> bool:
        """Whether nothing is left to be done for a task."""
        if task.name in self.past:
            return True
        if task.name in self.failed or any(need.name in self.failed for need in task.needs):
            return True
        if not self.whole and isinstance(task, Tables) and not task.ready and not self._begun(task):
            return True
        others = self.needed_by.get(task.name, [])
        # Its folder tells that a process was ended after it had published the result.
        if (task.done or (others and all(each.done for each in others))) and not task.folder.exists():
            self.past.add(task.name)
        return task.name in self.past

    def _begun(self, table: Tables) -> bool:
        """Whether a block of these tables is still ours to do."""
        mine = {task.name for task in self.tasks if isinstance(task, Block) and not self._over(task)}
        return any(block.name in mine for block in table.needs)

    def _give_up(self, watch: lease.Watch) -> None:
        """Wait no longer for who shows no sign of life: its task is handed out again, and its late result thrown away.

        A scheduler may notice later than we, or never, that a process or its host stands still.
        """
        now = self.clock()
        if now - self.looked < lease.HEARTBEAT:
            return
        self.looked = now
        for future, task in list(self.flying.items()):
            found = lease.current(task.folder)
            if found and not found.free and watch.stale(task.folder, found):
                del self.flying[future]

    def _hand_out(self, task: Task, watch: lease.Watch) -> None:
        found = None if task.done else lease.current(task.folder)
        over = None
        if found and not found.free and (over := watch.stale(task.folder, found)) is None:
            return
        self.flying[self.pool.submit(task.name, over)] = task

    def _collect(self) -> None:
        """Wait until tasks finish, and record what each of them returned."""
        if not self.flying:
            time.sleep(POLL)
            return
        for future in wait(self.flying, POLL, FIRST_COMPLETED).done:
            task = self.flying.pop(future)
            try:
                outcome = future.result()
            except Died as error:
                outcome = Outcome(task.name, "failed", str(error), error.status)
            if outcome.state == "failed":
                self._failed(outcome)

    def _failed(self, outcome: Outcome) -> None:
        self.tries[outcome.task] += 1
        # Tables fail where a block is damaged, which is then to be done again.
        self.past -= {need.name for task in self.tasks if task.name == outcome.task for need in task.needs}
        # What is missing outside may come back; bad input and faults of the code stay.
        if outcome.status != ExternalError.status or self.tries[outcome.task] >= TRIES:
            self.failed[outcome.task] = outcome

    def _fails(self) -> str:
        return f", {len(self.failed)} failed" if self.failed else ""


class Lines:
    """Tells how far it is: one line that is written again on a terminal, elsewhere a line for each change."""

    def __init__(self) -> None:
        self.last, self.live = "", sys.stderr.isatty()

    def __call__(self, line: str) -> None:
        if line != self.last:
            self.last = line
            print(f"\r{line:<60}" if self.live else line, end="" if self.live else "\n", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Leave the line as it is."""
        if self.live and self.last:
            print(file=sys.stderr)
