"""Where tasks are worked on: one file per executor, found by its name.

Every file has `run(sweep, tasks, options, tell)`: it brings the tasks to their end, or has somebody else do it, and
gives what failed. None keeps anything: what is done, in work or failed is read from the sweep's folder.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from model_collapse.companion.sweep.file import Sweep
from model_collapse.companion.sweep.lease import HEARTBEAT
from model_collapse.companion.sweep.tasks import Task
from model_collapse.companion.sweep.work import Outcome
from model_collapse.errors import InputError


@dataclass(frozen=True)
class Options:
    """How tasks are worked on; none of it changes a result.

    jobs       tasks side by side: processes of this machine, jobs of a Slurm array; None: as many as fit
    address    HOST:PORT of a Ray cluster; None: that of RAY_ADDRESS, or one on this machine
    gpus       GPUs of a task under Ray, also a part of one
    sbatch     options of Slurm's sbatch, as lines of its script ("--time=4:00:00")
    heartbeat  seconds between two signs of life
    whole      wait until all is done, by whomever
    """

    jobs: int | None = None
    address: str | None = None
    gpus: float = 0.0
    sbatch: Sequence[str] = ()
    heartbeat: float = HEARTBEAT
    whole: bool = True


class Executor(Protocol):
    """What a file of this folder has."""

    def run(self, sweep: Sweep, tasks: Sequence[Task], options: Options, tell: Callable[[str], None]) -> list[Outcome]:
        """Bring the tasks to their end; what failed."""


def names() -> list[str]:
    """Names of all executors, sorted. Nothing is imported."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def find(name: str) -> Executor:
    """The executor of that name. InputError lists the known ones."""
    if name not in names():
        raise InputError(f"--executor {name}: it is {', '.join(names())}")
    found: Executor = importlib.import_module(f"{__name__}.{name}")
    return found
