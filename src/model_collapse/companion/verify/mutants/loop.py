"""Faults of the loop, of its random streams, and of the data that travel round it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from model_collapse import data, loop, metrics, streams
from model_collapse.companion.verify.mutants import Patch, fault
from model_collapse.data import Data, Moments
from model_collapse.engine.recorder import Recorder
from model_collapse.families.gaussian import Gaussian
from model_collapse.loop import History


@fault(family="gaussian")
def streams_without_generation() -> Iterator[Patch]:
    """Every generation draws from the same random numbers."""
    original = streams.stream

    def stream(seed: int, block: int = 0, model: int = 0) -> streams.Stream:
        made = original(seed, block, model)
        return lambda generation, use: made(min(generation, 0), use)

    yield streams, "stream", stream


@fault(family="gaussian")
def streams_without_block() -> Iterator[Patch]:
    """All blocks of chains draw from the random numbers of the first."""
    original = streams.stream
    yield streams, "stream", lambda seed, block=0, model=0: original(seed, 0, model)


@fault(family="discrete")
def chains_all_alike() -> Iterator[Patch]:
    """A metric is taken of the first chain of a block and written down for all."""
    original = metrics.chosen

    def first(value: Any) -> Any:
        return {k: first(v) for k, v in value.items()} if isinstance(value, Mapping) else np.ravel(value)[0]

    def of_first(metric: metrics.Metric) -> metrics.Metric:
        return lambda m: first(metric(m))

    def chosen(names: tuple[str, ...], family: Any) -> dict[str, metrics.Metric]:
        return {name: of_first(metric) for name, metric in original(names, family).items()}

    yield metrics, "chosen", chosen


@fault(family="discrete")
def generation_skipped() -> Iterator[Patch]:
    """Generation 2 is fitted to the training set of generation 1 again."""
    original = loop.step
    before: dict[int, Data] = {}

    def step(t: int, train: Data, source: data.Source, *args: Any, **settings: Any) -> loop.Generation:
        train = before[id(source)] if t == 2 else train
        before[id(source)] = train
        return original(t, train, source, *args, **settings)

    yield loop, "step", step


@fault(family="discrete")
def generation_before_measured() -> Iterator[Patch]:
    """What is written down of a generation is measured of the one before it."""
    original = Recorder.record
    before: dict[int, loop.Generation] = {}

    def record(self: Recorder, generation: loop.Generation) -> None:
        earlier = before.get(id(self), generation)
        before[id(self)] = generation
        original(self, replace(earlier, t=generation.t))

    yield Recorder, "record", record


@fault(family="gaussian")
def one_row_too_many() -> Iterator[Patch]:
    """A normal distribution writes n + 1 rows where n are asked for."""
    original = Gaussian.sample
    yield Gaussian, "sample", lambda self, model, n, rng, given=None: original(self, model, n + 1, rng)


@fault(family="gaussian")
def written_rows_pass_for_real() -> Iterator[Patch]:
    """What a model writes is labelled as made by people."""
    original = loop.step

    def step(*args: Any, **settings: Any) -> loop.Generation:
        turn = original(*args, **settings)
        return replace(turn, sample=replace(turn.sample, born=np.zeros_like(turn.sample.born)))

    yield loop, "step", step


@fault(regime=("accumulate", "subsample"))
def pool_without_real_data() -> Iterator[Patch]:
    """What accumulates begins with the first written rows, without the real ones."""
    begin = staticmethod(lambda real, sample, regime: History(sample, sample if regime.needs == "all" else None))
    yield History, "begin", begin


@fault(regime=("accumulate", "subsample"))
def pool_counts_twice() -> Iterator[Patch]:
    """Every new sample is added twice to what accumulates."""

    def then(self: History, sample: Data) -> History:
        return History(sample, None if self.pool is None else Data.concat([self.pool, sample, sample]))

    yield History, "then", then


@fault(family="gaussian")
def merge_without_distance() -> Iterator[Patch]:
    """Merged moments lack the scatter between the means of their parts."""
    original = Moments.concat

    def concat(parts: Iterable[Moments]) -> Moments:
        parts = list(parts)
        one_place = [replace(part, mean=parts[0].mean) for part in parts]
        return replace(original(one_place), mean=original(parts).mean)

    yield Moments, "concat", staticmethod(concat)


@fault(regime=("weigh",))
def weights_forgotten() -> Iterator[Patch]:
    """Weighted rows count one each."""
    yield Data, "weighed", lambda self, weight: self
