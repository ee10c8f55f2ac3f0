"""What runs of a family that trains for long will take, predicted before they start.

A few seconds of the run's own work are measured, in as many processes side by side as it will have: training steps,
validation, writing and metrics, at the run's own shapes. How often each happens is counted by the loop itself, with a
family that does nothing. Seconds are then the sum, chain by chain, dealt to the processes as the run deals them.
"""

from __future__ import annotations

import heapq
import math
import shutil
from collections.abc import Iterable
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model_collapse import streams
from model_collapse.data import Data, Rows, Source
from model_collapse.engine.processes import lost_workers, pool
from model_collapse.engine.spec import Run
from model_collapse.engine.speed import Speed, measure, workload
from model_collapse.engine.unit import Unit
from model_collapse.errors import ExternalError, OutOfMemory
from model_collapse.interfaces import Family, Model
from model_collapse.loop import generations

BUDGET = 4.0
"""Seconds of measuring in each process, about."""

LIGHT, SLOW = 60.0, 5e9
"""Runs that take less than LIGHT seconds at SLOW floating-point operations a second are not worth measuring."""


@dataclass(frozen=True)
class Cost:
    """What runs take: wall clock in seconds; the most memory of the device and the most disk at any moment, in bytes.

    room  bytes of memory that the device has
    """

    seconds: float
    memory: float
    disk: float
    device: str
    room: float = math.inf

    def __str__(self) -> str:
        return f"about {clock(self.seconds)} on {self.device}, {size(self.memory)} of memory, {size(self.disk)} of disk"

    def check(self, folder: Path) -> None:
        """ExternalError if the device has less memory than this, or the disk of `folder` less room."""
        if self.memory > self.room:
            raise ExternalError(
                f"the chains need about {size(self.memory)} of memory, and there are {size(self.room)} on "
                f"{self.device}; lower --jobs, family.batch or family.sample_batch, or use a smaller family.preset"
            )
        if self.disk > (free := shutil.disk_usage(folder).free):
            raise ExternalError(
                f"the run needs about {size(self.disk)} of disk, and {size(free)} are free in {folder}; free some, or "
                "keep results elsewhere"
            )


def clock(seconds: float) -> str:
    """A duration in the unit that suits it, to two digits."""
    for unit, length, most in (("s", 1, 100), ("min", 60, 100), ("h", 3600, 48)):
        if seconds < most * length:
            return f"{float(f'{seconds / length:.2g}'):g} {unit}"
    return f"{float(f'{seconds / 86400:.2g}'):g} days"


def size(count: float) -> str:
    """Bytes as MB or GB, to two digits."""
    value, unit = (count / 1e9, "GB") if count >= 1e8 else (count / 1e6, "MB")
    return f"{float(f'{value:.2g}'):g} {unit}"


def predict(runs: Iterable[Run], jobs: int, executor: Executor | None = None) -> Cost | None:
    """What `runs` will take from their beginning, `jobs` chains at a time.

    None where that is not known: for families that do not train by steps, for runs of some seconds, which measuring
    would make longer, and where a batch does not fit into the device. `executor` is a pool that does the measuring;
    without one, a new one does.
    """
    runs = list(runs)
    if not runs or not all(run.members.family.workload for run in runs):
        return None
    if sum(_operations(run) * run.replicates for run in runs) < LIGHT * SLOW * jobs:
        return None
    if executor is None and jobs > 1:
        with pool(jobs) as executor:
            return predict(runs, jobs, executor)
    shapes = {_shape(run): run for run in runs}
    try:
        speeds = {shape: _measured(run, jobs, BUDGET / len(shapes), executor) for shape, run in shapes.items()}
    except OutOfMemory:
        return None  # the work itself halves the batch, once
    known = [(run, speeds[_shape(run)]) for run in runs]
    units = [(Unit(run, Path(), block), speed) for run, speed in known for block in range(run.blocks)]
    bases = {unit.base_key: (unit, speed) for unit, speed in units if unit.base_key}
    new = [(unit, speed) for unit, speed in bases.values() if not unit.base_folder.exists()]
    chains = [_chain(unit.run, speed) for unit, speed in units]
    seconds = makespan([_base(unit.run, speed) for unit, speed in new], jobs) + makespan(chains, jobs)
    # The tables of all chains lie there twice while they are put together; weights only while a chain runs.
    running = max(speed.weights + _state(unit.run) for unit, speed in units) * min(jobs, len(units))
    disk = running + sum(speed.weights for _, speed in new) + 2 * sum(_tables(unit.run, speed) for unit, speed in units)
    held = max(speed.memory for speed in speeds.values()) * min(jobs, len(units))
    one = next(iter(speeds.values()))
    return Cost(seconds, held, disk, one.device, one.room)


def _shape(run: Run) -> tuple[Any, ...]:
    """What the speed of a run depends on: runs that differ only in how often they do things share one measurement."""
    return run.members.family.quick(), run.n, run.corpus, run.metrics


def _measured(run: Run, jobs: int, budget: float, executor: Executor | None) -> Speed:
    """The speed of a process while `jobs` of them work: the middle one of as many."""
    if executor is None:
        return measure(run, budget)
    with lost_workers():
        found = [future.result() for future in [executor.submit(measure, run, budget) for _ in range(jobs)]]
    return sorted(found, key=lambda speed: _chain(run, speed))[(len(found) - 1) // 2]


# Counting ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Idle(Family):
    """A family whose models are nothing and write nothing."""

    def fit(self, data: Data, rng: np.random.Generator, *, start: Model = None, validation: Data | None = None) -> None:
        return None

    def sample(self, model: None, n: int, rng: np.random.Generator, *, given: Any = None) -> Rows:
        return _nothing(n)


def _nothing(n: int, rng: np.random.Generator | None = None) -> Rows:
    return Rows(np.zeros((n, 1), np.int8))


def _rows(run: Run) -> list[tuple[int, int]]:
    """How many rows each generation is trained on and writes, filters left out."""
    source = Source(Data.real(_nothing(run.n)), fresh=_nothing)
    chain = generations(source, _Idle(), run.members.regime, run.n, streams.stream(run.seed), last=run.generations)
    more = math.prod(each.candidates for each in run.members.filters)
    return [(len(generation.train), len(generation.sample) * more) for generation in chain]


def _operations(run: Run) -> float:
    """Floating-point operations of a chain, of all its models, roughly: training on a row costs three readings."""
    work, total = workload(run.members.family), 0
    for rows, wrote in _rows(run):
        seen, passes = work.fit(rows)
        total += 3 * seen + (passes + 1) * work.validation + work.writing * wrote
    return work.operations * total * run.models


def _chain(run: Run, speed: Speed) -> float:
    """Seconds of a chain, of all its models."""
    work, total = workload(run.members.family), speed.reading
    for t, (rows, wrote) in enumerate(_rows(run)):
        seen, passes = work.fit(rows)
        total += speed.fit(seen) + speed.write(wrote)
        total += speed.validate(speed.held_out) * passes * work.validated
        if t % run.every == 0 or t == run.generations:
            total += speed.measure(wrote) + speed.test(speed.tested)
    return total * run.models


def _base(run: Run, speed: Speed) -> float:
    """Seconds of pre-training."""
    return speed.reading + speed.fit(workload(run.members.family).base_epochs * speed.web)


def _state(run: Run) -> float:
    """Bytes of a chain's samples, and of what they were given."""
    return sum(wrote for _, wrote in _rows(run)) * workload(run.members.family).bytes * run.models


def _tables(run: Run, speed: Speed) -> float:
    """Bytes of a chain's tables: prompts once, generated rows in each generation."""
    return (run.n + sum(wrote for _, wrote in _rows(run))) * speed.text * run.models + 20e3


def makespan(seconds: Iterable[float], jobs: int) -> float:
    """When the last of these pieces of work is done, each taken in turn by the process that is free first."""
    free = [0.0] * jobs
    for duration in seconds:
        heapq.heappush(free, heapq.heappop(free) + duration)
    return max(free)
