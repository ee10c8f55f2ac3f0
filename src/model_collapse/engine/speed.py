"""How fast this machine does what a chain of a family with a workload is made of, measured for a few seconds."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from model_collapse import hardware, metrics, modalities
from model_collapse.data import Data, Rows
from model_collapse.engine.spec import Run
from model_collapse.engine.unit import Unit
from model_collapse.interfaces import Family, Generation, Reference, Workload
from model_collapse.metrics import Measurement

TOGETHER = 64
"""Rows that are scored at a time, as far as it matters for time: more are not faster by the row."""


@dataclass(frozen=True)
class Line:
    """Seconds by the number of rows: `first` for a batch, from there on `each` for a row."""

    batch: int
    first: float
    each: float

    def __call__(self, rows: float) -> float:
        if rows < self.batch:
            return self.first * rows / self.batch
        return self.first + self.each * (rows - self.batch)


@dataclass(frozen=True)
class Speed:
    """What was measured of a shape of run, and how many rows each real part has.

    memory, weights and text are bytes: of a process, of a saved model, of a written row as text.
    """

    fit: Line
    validate: Line
    write: Line
    measure: Line
    test: Line
    reading: float
    memory: float
    weights: float
    text: float
    held_out: int
    tested: int
    web: int
    device: str
    room: float


def measure(run: Run, budget: float) -> Speed:
    """Do a little of everything that a chain does, on real rows, and time it."""
    begun = time.perf_counter()
    unit = Unit(run, Path(), 0)
    family, source = unit.family, unit.source()
    reading = time.perf_counter() - begun
    rng = np.random.default_rng(0)
    x = source.train.x

    def rows(k: int) -> Rows:
        return Rows(np.resize(x, (k, x.shape[1])))

    work = workload(family)
    batch = min(work.batch, len(x))
    quick = family.quick(batch, source)
    model = quick.fit(Data.real(rows(1)), rng)
    family = family.changed(**family.choose(model))

    few = replace(source, train=Data.real(rows(8)), test=Data.real(rows(1)))

    def wrote(k: int) -> Generation:
        return Generation(0, few.train, model, Data.of(rows(k), born=1, author=1), rows(k))

    def measured(written: int, reference: Reference) -> None:
        measurement = Measurement(wrote(written), reference)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for metric in metrics.chosen(run.metrics, family).values():
                metric(measurement)

    # What metrics find of a chain as a whole they find once.
    known = Reference(wrote(len(few.train)), few, family)
    held_out, tested = (0 if part is None else len(part) for part in (source.validation, source.test))
    counted = min(TOGETHER, len(x))
    works: list[tuple[Callable[[int], object], int, int, float]] = [
        (lambda k: quick.fit(Data.real(rows(k)), rng, start=model), batch, work.epochs * len(x), 0.3),
        (lambda k: family.score(model, rows(k)), counted, held_out, 0.1),
        (lambda k: family.sample(model, k, rng, given=rows(k)), workload(family).together, len(x), 0.4),
        (lambda k: measured(k, known), counted, len(x), 0.1),
        (lambda k: measured(1, replace(known, source=replace(few, test=Data.real(rows(k))))), counted, tested, 0.1),
    ]
    meter = _Meter()
    lines = [meter(piece, together, most, share * budget) for piece, together, most, share in works]
    weights = family.model_bytes(model)
    fit, validate, write, measure_written, measure_tested = lines
    return Speed(
        fit=fit,
        validate=validate,
        write=write,
        measure=measure_written,
        test=measure_tested,
        reading=reading,
        # A chain also keeps the model of generation 0, and in training the best weights so far.
        memory=meter.peak + meter.beyond + 2 * weights * (_gpu() is None),
        weights=weights,
        text=modalities.of(family).table_bytes(source, x[:TOGETHER]),
        held_out=held_out,
        tested=tested,
        web=0 if source.web is None else len(source.web),
        device=family.device(),
        room=_room(),
    )


def workload(family: Family) -> Workload:
    """That of a family which has one, as all have whose speed is measured."""
    assert family.workload is not None
    return family.workload


class _Meter:
    """Times pieces of work at growing numbers of rows.

    peak    largest memory of the process so far, in bytes
    beyond  what a whole batch would take more than the largest part of one that was tried
    """

    def __init__(self) -> None:
        self.peak, self.beyond = _peak(), 0.0

    def __call__(self, work: Callable[[int], object], batch: int, most: int, budget: float) -> Line:
        """The line of `work`, which is done in batches, up to `most` rows; methods of families wait for their GPU."""
        batch = max(1, min(batch, most))
        again = 2 if self._time(work, 1) < budget / 2 else 1  # the first time, things are set up
        until = time.perf_counter() + budget
        part, took, row = 1, min(self._time(work, 1) for _ in range(again)), 0.0
        each = took
        # Four rows at least: a single one says little, because much of its time serves all rows of a batch.
        while part < batch and (part == 1 or took < until - time.perf_counter()):
            before = part, took, self.peak
            part = min(4 * part, batch)
            took = self._time(work, part)
            each, row = (max(0.0, a - b) / (part - before[0]) for a, b in ((took, before[1]), (self.peak, before[2])))
        self.beyond = max(self.beyond, row * (batch - part))
        first = took + each * (batch - part)
        times = min(most // batch, int((until - time.perf_counter()) / first)) if part == batch else 1
        each = (self._time(work, times * batch) - first) / (times - 1) / batch if times > 1 else first / batch
        return Line(batch, first, max(0.0, each))

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
    return hardware.total_memory() if _gpu() is None else float(_gpu().get_device_properties(0).total_memory)


def _peak() -> float:
    """Largest memory so far in bytes: the GPU's where one is used, else of this process."""
    if _gpu() is not None:
        return float(_gpu().max_memory_allocated())
    return hardware.peak_memory()
