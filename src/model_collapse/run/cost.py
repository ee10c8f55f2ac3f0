"""What runs of a family that trains for long will take, predicted before they start.

A few seconds of the run's own work are measured, in as many processes side by side as it will have: training steps,
validation, writing and metrics, at the run's own shapes. How often each happens is counted by the loop itself, with a
family that does nothing. Seconds are then the sum, chain by chain, dealt to the processes as the run deals them.
"""

from __future__ import annotations

import heapq
import math
import shutil
import sys
import time
import warnings
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from model_collapse import families, regimes, registry, streams
from model_collapse import metrics as measures
from model_collapse.data import Data, Rows, Source
from model_collapse.errors import OutsideError
from model_collapse.families.opt import SHAPES
from model_collapse.loop import Generation, generations
from model_collapse.record import Run
from model_collapse.run import memory
from model_collapse.run.block import Unit, base_folder
from model_collapse.run.planning import blocks
from model_collapse.run.processes import lost_workers, pool

BUDGET = 4.0
"""Seconds of measuring in each process, about."""

LIGHT, SLOW = 60.0, 5e9
"""Runs that take less than LIGHT seconds at SLOW floating-point operations a second are not worth measuring."""

TOGETHER = 64
"""Rows that are scored at a time, as far as it matters for time: more are not faster by the row."""


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
        """OutsideError if the device has less memory than this, or the disk of `folder` less room."""
        if self.memory > self.room:
            raise OutsideError(
                f"the chains need about {size(self.memory)} of memory, and there are {size(self.room)} on "
                f"{self.device}; lower --jobs, family.batch or family.sample_batch, or use a smaller family.preset"
            )
        if self.disk > (free := shutil.disk_usage(folder).free):
            raise OutsideError(
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

    None where that is not known: for families that do not train by steps, and for runs of some seconds, which
    measuring would make longer. `executor` is a pool that does the measuring; without one, a new one does.
    """
    runs = list(runs)
    if not runs or not all(hasattr(_family(run), "blocks_per_step") for run in runs):
        return None
    if sum(_operations(run) * run.replicates for run in runs) < LIGHT * SLOW * jobs:
        return None
    if executor is None and jobs > 1:
        with pool(jobs) as executor:
            return predict(runs, jobs, executor)
    shapes = {_shape(run): run for run in runs}
    speeds = {shape: _measured(run, jobs, BUDGET / len(shapes), executor) for shape, run in shapes.items()}
    known = [(run, speeds[_shape(run)]) for run in runs]
    units = [(Unit(run, Path(), block), speed) for run, speed in known for block in range(blocks(run))]
    bases = {unit.base_key: (unit, speed) for unit, speed in units if unit.base_key}
    new = [(unit, speed) for unit, speed in bases.values() if not base_folder(unit).exists()]
    chains = [speed.chain(unit.run) for unit, speed in units]
    seconds = _makespan([speed.base(unit.run) for unit, speed in new], jobs) + _makespan(chains, jobs)
    # The tables of all chains lie there twice while they are put together; weights only while a chain runs.
    running = max(speed.weights + speed.state(unit.run) for unit, speed in units) * min(jobs, len(units))
    disk = running + sum(speed.weights for _, speed in new) + 2 * sum(speed.tables(unit.run) for unit, speed in units)
    held = max(speed.memory for speed in speeds.values()) * min(jobs, len(units))
    one = next(iter(speeds.values()))
    return Cost(seconds, held, disk, one.device, one.room)


# Counting ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Idle:
    """A family whose models are nothing and write nothing."""

    conditional: ClassVar[bool] = False

    def fit(self, data: Data, rng: np.random.Generator, *, start: Any = None, validation: Data | None = None) -> None:
        return None

    def sample(self, model: None, n: int, rng: np.random.Generator, *, given: Any = None) -> Rows:
        return Rows(np.zeros((n, 1), np.int8))


def _rows(run: Run) -> list[tuple[int, int]]:
    """How many rows each generation is trained on and writes, filters left out."""
    idle = _Idle()
    source = Source(Data.real(idle.sample(None, run.n, None)), fresh=lambda m, rng: idle.sample(None, m, rng))  # type: ignore[arg-type]
    regime = registry.build(regimes, run.regime, run.regime_args)
    chain = generations(source, idle, regime, run.n, streams.stream(run.seed), last=run.generations)
    return [(len(generation.train), len(generation.sample)) for generation in chain]


def _family(run: Run) -> Any:
    return registry.build(families, run.family, run.family_args)


def _trained(family: Any, rows: int) -> tuple[int, int]:
    """Rows that a fit to so many reads, and in how many passes."""
    batch = min(family.blocks_per_step, rows)
    passes = math.ceil(family.steps / math.ceil(rows / batch)) if family.steps else family.epochs
    return (family.steps * batch if family.steps else family.epochs * rows), passes


def _operations(run: Run) -> float:
    """Floating-point operations of a chain, roughly: two for each weight and token read, three times that to train."""
    family = _family(run)
    shape = SHAPES.get(family.preset, SHAPES["opt-125m"])
    width, layers = shape["hidden_size"], shape["num_hidden_layers"]
    vocabulary = family.vocabulary if family.preset in SHAPES and family.preset != "opt-125m" else 50272
    token = 2.0 * (12 * layers * width**2 + vocabulary * width)
    beams = family.beams if family.decoding == "beam" else 1
    total = 0
    for rows, wrote in _rows(run):
        seen, passes = _trained(family, rows)
        total += 3 * seen + (passes + 1) * family.evaluate + (beams + 2) * wrote
    return token * family.block * total


def _makespan(seconds: Iterable[float], jobs: int) -> float:
    """When the last of these pieces of work is done, each taken in turn by the process that is free first."""
    free = [0.0] * jobs
    for duration in seconds:
        heapq.heappush(free, heapq.heappop(free) + duration)
    return max(free)


# Measuring ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Line:
    """Seconds by the number of rows: `first` for a batch, from there on `each` for a row."""

    batch: int
    first: float
    each: float

    def __call__(self, rows: float) -> float:
        if rows < self.batch:
            return self.first * rows / self.batch
        return self.first + self.each * (rows - self.batch)


@dataclass(frozen=True)
class _Speed:
    """What was measured of a shape of run, and how many rows each real part has.

    memory, weights and text are bytes: of a process, of a saved model, of a written row as text.
    """

    fit: _Line
    validate: _Line
    write: _Line
    judge: _Line
    test: _Line
    reading: float
    memory: float
    weights: float
    text: float
    held_out: int
    tested: int
    web: int
    device: str
    room: float

    def chain(self, run: Run) -> float:
        """Seconds of a chain."""
        family, total = _family(run), self.reading
        for t, (rows, wrote) in enumerate(_rows(run)):
            seen, passes = _trained(family, rows)
            total += self.fit(seen) + self.write(wrote)
            total += self.validate(self.held_out) * passes * (family.checkpoint == "best")
            if t % run.every == 0 or t == run.generations:
                total += self.judge(wrote) + self.test(self.tested)
        return total

    def base(self, run: Run) -> float:
        """Seconds of pre-training."""
        return self.reading + self.fit(_family(run).pretrain_epochs * self.web)

    def state(self, run: Run) -> float:
        """Bytes of a chain's samples, and of what they were given, as token ids."""
        return sum(wrote for _, wrote in _rows(run)) * 2 * 4 * _family(run).block

    def tables(self, run: Run) -> float:
        """Bytes of a chain's tables: prompts once, what was written in each generation."""
        return (run.n + sum(wrote for _, wrote in _rows(run))) * self.text + 20e3


def _shape(run: Run) -> tuple[Any, ...]:
    """What the speed of a run depends on: runs that differ only in how often they do things share one measurement."""
    return _once(_family(run)), run.n, run.corpus, run.metrics


def _once(family: Any) -> Any:
    """One pass over the training set, without validation."""
    return replace(family, epochs=1, steps=0, checkpoint="last")


def _measured(run: Run, jobs: int, budget: float, executor: Executor | None) -> _Speed:
    """The speed of a process while `jobs` of them work: the middle one of as many."""
    if executor is None:
        return _measure(run, budget)
    with lost_workers():
        found = [future.result() for future in [executor.submit(_measure, run, budget) for _ in range(jobs)]]
    return sorted(found, key=lambda speed: speed.chain(run))[(len(found) - 1) // 2]


def _measure(run: Run, budget: float) -> _Speed:
    """Do a little of everything that a chain does, on real rows, and time it."""
    begun = time.perf_counter()
    unit = Unit(run, Path(), 0)
    family, source = unit.family, unit.source()
    reading = time.perf_counter() - begun
    rng = np.random.default_rng(0)
    x = source.train.rows.x  # type: ignore[union-attr]

    def rows(k: int) -> Rows:
        return Rows(np.resize(x, (k, x.shape[1])))

    once = replace(_once(family), batch=min(family.blocks_per_step, len(x)))
    model = once.fit(Data.real(rows(1)), rng)

    def judge(written: int, real: Source) -> None:
        sample = Data.of(rows(written), born=1, author=1)
        # A model of its own each time, because metrics remember what they found of the last one.
        generation = Generation(0, real.train, replace(model), sample, rows(written))
        reference = measures.Reference(generation, real, family)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for metric in measures.chosen(run.metrics, family).values():
                metric(generation, reference)

    few = replace(source, train=Data.real(rows(8)), test=Data.real(rows(1)))
    most = max(wrote for _, wrote in _rows(run))
    held_out, tested = (0 if part is None else len(part) for part in (source.validation, source.test))
    counted = min(TOGETHER, len(x))
    seen, _ = _trained(family, len(x))
    works: list[tuple[Callable[[int], object], int, int, float]] = [
        (lambda k: once.fit(Data.real(rows(k)), rng, start=model), once.batch, seen, 0.3),
        (lambda k: family.score(model, rows(k)), counted, held_out, 0.1),
        (lambda k: family.sample(model, k, rng, given=rows(k)), family.sample_batch, most, 0.4),
        (lambda k: judge(k, few), counted, most, 0.1),
        (lambda k: judge(1, replace(few, test=Data.real(rows(k)))), counted, tested, 0.1),
    ]
    meter = _Meter()
    lines = [meter(work, batch, most, share * budget) for work, batch, most, share in works]
    weights = sum(w.nbytes for w in model.weights.values())
    text = np.mean([len(line.encode()) for line in source.tokenizer.decode(x[:TOGETHER])])  # type: ignore[attr-defined]
    return _Speed(
        *lines,
        reading=reading,
        # A chain also keeps the model of generation 0, and in training the best weights so far.
        memory=meter.peak + meter.beyond + 2 * weights * (_gpu() is None),
        weights=weights,
        text=float(text),
        held_out=held_out,
        tested=tested,
        web=0 if source.web is None else len(source.web),
        device=family.device(),
        room=_room(),
    )


class _Meter:
    """Times pieces of work at growing numbers of rows.

    peak    largest memory of the process so far, in bytes
    beyond  what a whole batch would take more than the largest part of one that was tried
    """

    def __init__(self) -> None:
        self.peak, self.beyond = _peak(), 0.0

    def __call__(self, work: Callable[[int], object], batch: int, most: int, budget: float) -> _Line:
        """The line of `work`, which is done in batches, up to `most` rows; methods of families wait for their GPU."""
        batch = max(1, min(batch, most))
        self._time(work, 1)  # the first time, things are set up
        until = time.perf_counter() + budget
        part, took, row = 1, self._time(work, 1), 0.0
        each = took
        while part < batch and took < until - time.perf_counter():
            before = part, took, self.peak
            part = min(4 * part, batch)
            took = self._time(work, part)
            each, row = (max(0.0, a - b) / (part - before[0]) for a, b in ((took, before[1]), (self.peak, before[2])))
        self.beyond = max(self.beyond, row * (batch - part))
        first = took + each * (batch - part)
        times = min(most // batch, int((until - time.perf_counter()) / first)) if part == batch else 1
        each = (self._time(work, times * batch) - first) / (times - 1) / batch if times > 1 else first / batch
        return _Line(batch, first, max(0.0, each))

    def _time(self, work: Callable[[int], object], rows: int) -> float:
        begun = time.perf_counter()
        work(rows)
        spent = time.perf_counter() - begun
        self.peak = max(self.peak, _peak())
        return spent


def _gpu() -> Any:
    """torch.cuda where a GPU is used, else None; nothing is imported for the question."""
    torch = sys.modules.get("torch")
    return torch.cuda if torch is not None and torch.cuda.is_available() else None


def _room() -> float:
    """Bytes of memory that the device has."""
    return memory.machine() if _gpu() is None else float(_gpu().get_device_properties(0).total_memory)


def _peak() -> float:
    """Largest memory so far in bytes: the GPU's where one is used, else of this process; 0 where it cannot be told."""
    if _gpu() is not None:
        return float(_gpu().max_memory_allocated())
    try:
        import resource
    except ImportError:
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak if sys.platform == "darwin" else 1024 * peak)
