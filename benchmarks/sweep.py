"""The published way to spread runs over cores: a pool of processes on one machine. Here it is the local executor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from model_collapse.companion.sweep import tasks
from model_collapse.companion.sweep.drive import Drive
from model_collapse.companion.sweep.executors import local
from model_collapse.companion.sweep.file import Sweep
from model_collapse.companion.sweep.lease import HEARTBEAT
from model_collapse.companion.sweep.work import Outcome


@contextmanager
def processes(sweep: Sweep, count: int) -> Iterator[Callable[[], list[Outcome]]]:
    """A call that brings the sweep to its end, in processes that stay from one call to the next; what failed."""
    with local.pool(count, sweep.source, HEARTBEAT) as pool:
        yield lambda: Drive(list(tasks.of(sweep).values()), pool, lambda line: None).run()
