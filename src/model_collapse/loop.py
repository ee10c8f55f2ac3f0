"""The recursive loop. One loop for every family of models and every regime of data:

source -> regime (-> filter) -> training set -> family.fit -> model -> family.sample -> what it wrote -> regime ...
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

import numpy as np

from model_collapse import streams
from model_collapse.data import Data, Rows, Source, Statistics, deal
from model_collapse.errors import InputError
from model_collapse.streams import Stream

Given = Literal["original", "training", "fresh"]


@dataclass(frozen=True, eq=False)
class Generation:
    """One turn: generation t was trained on `train`, became `model` and wrote `sample`, given `given`."""

    t: int
    train: Data
    model: Any
    sample: Data
    given: Rows | Statistics | None = None


@dataclass(frozen=True, eq=False)
class History:
    """What a regime may look back on: the last sample, and if it asked for it the pool of real data and all samples."""

    last: Data
    pool: Data | None = None

    def then(self, sample: Data) -> History:
        """The history one generation later."""
        return History(sample, None if self.pool is None else Data.concat([self.pool, sample]))


@dataclass(frozen=True, eq=False)
class Reference:
    """What a filter or a metric compares with: generation 0, the real data, and the family that knows its models."""

    first: Generation
    source: Source
    family: Any


class Family(Protocol):
    """A kind of model: a frozen dataclass whose fields are its settings and whose methods are pure.

    conditional  whether `sample` needs `given`: rows, or moments of rows (a language model's prompts, a regression's x)

    A family whose attribute `continued` is true goes on from the model of the generation before.
    """

    conditional: ClassVar[bool]

    def fit(
        self, data: Data, rng: np.random.Generator, *, start: Any = None, validation: Data | None = None
    ) -> Any: ...

    def sample(self, model: Any, n: int, rng: np.random.Generator, *, given: Any = None) -> Rows | Statistics: ...


class Regime(Protocol):
    """How the next training set is put together. `needs`: how much of the past it reads.

    `interfaces.Regime` has the answers of those that say nothing else.
    """

    needs: ClassVar[Literal["nothing", "last", "all"]]
    whole: ClassVar[bool]

    def size(self, t: int, n: int) -> int: ...

    def __call__(self, source: Source, history: History, n: int, rng: np.random.Generator) -> Data: ...


class Filter(Protocol):
    """What a training set keeps, after the regime and before the fit: a mask of bool, or weights, one per row.

    Shape (n,), or (n, R) where each of R stacked chains has a judgement of its own; see `Data.judged`.

    `interfaces.Filter` says what the rest means, and has the answers of those that say nothing else.
    """

    by_place: ClassVar[bool]

    @property
    def top_up(self) -> bool: ...

    @property
    def candidates(self) -> int: ...

    def check(self, family: Any, corpus: Any) -> None: ...

    def __call__(self, data: Data, rng: np.random.Generator, reference: Reference) -> np.ndarray: ...


class Saved(Protocol):
    """Where finished generations are kept, so that a chain can go on after an interruption."""

    def load(self, t: int, train: Data) -> Generation | None: ...

    def save(self, generation: Generation) -> None: ...


def step(
    t: int,
    train: Data,
    source: Source,
    family: Family,
    n: int,
    stream: Stream,
    *,
    given: Given = "original",
    start: Any = None,
    author: int = 1,
) -> Generation:
    """Generation t: a model is fitted to `train` and writes n rows."""
    model = family.fit(train, stream(t, streams.FIT), start=start, validation=source.validation)
    prompts = _given(given, source, train, n, stream(t, streams.GIVEN)) if family.conditional else None
    rows = family.sample(model, n, stream(t, streams.SAMPLE), given=prompts)
    return Generation(t, train, model, Data.of(rows, born=t + 1, author=author), prompts)


def generations(
    source: Source,
    family: Family,
    regime: Regime,
    n: int,
    stream: Stream,
    *,
    last: int,
    filters: Sequence[Filter] = (),
    given: Given = "original",
    start: Any = None,
    saved: Saved | None = None,
    author: int = 1,
    read: Callable[[int, Data], Data] | None = None,
) -> Iterator[Generation]:
    """Generations 0 to `last`: the first is fitted to real data, each later one to what the regime makes of the past.

    start   what every fit starts from (a pre-trained model), or None; of a continued family only the first does
    saved   finished generations are taken from it, new ones handed to it
    author  number of this model, from 1
    read    read(t, sample) is what stands in the place of the last sample when training set t is made; None: itself
    """
    train = source.train
    candidates = math.prod(judge.candidates for judge in filters)
    wrote: Data | None = None
    history: History | None = None
    reference: Reference | None = None
    for t in range(last + 1):
        if wrote is not None and reference is not None:
            wrote = read(t, wrote) if read else wrote
            history = history.then(wrote) if history else _begun(source, wrote, regime)
            train = regime(source, history, n, stream(t, streams.REGIME))
            if filters:
                rng = stream(t, streams.FILTER)
                for judge in filters:
                    train = _judged(judge, train, rng, reference)
        generation = saved.load(t, train) if saved is not None else None
        if generation is None:
            rows = regime.size(t, n) * candidates
            generation = step(t, train, source, family, rows, stream, given=given, start=start, author=author)
            if saved is not None:
                saved.save(generation)
        reference = reference or Reference(generation, source, family)
        if getattr(family, "continued", False):
            start = generation.model
        wrote = generation.sample
        yield generation


def _begun(source: Source, wrote: Data, regime: Regime) -> History:
    """The history after generation 0."""
    return History(wrote, Data.concat([source.train, wrote]) if regime.needs == "all" else None)


def _judged(judge: Filter, train: Data, rng: np.random.Generator, reference: Reference) -> Data:
    """What a filter leaves of a training set."""
    verdict = judge(train, rng, reference)
    try:
        return train.judged(verdict, rng if judge.top_up else None)
    except InputError as error:
        raise InputError(f"filter {type(judge).__name__.lower()}: {error}") from None


def _given(given: Given, source: Source, train: Data, n: int, rng: np.random.Generator) -> Rows | Statistics:
    """The n rows, or their moments, that a conditional family is given to go on from."""
    rows = {"original": source.train, "training": train}[given].rows if given != "fresh" else source.fresh(n, rng)
    if len(rows) == n:
        return rows
    # More rows than needed (a pool that grew): n of them, each at most once; fewer: all of them in turn.
    index = np.sort(deal(len(rows), rows.chains, rng)[:n], axis=0) if len(rows) > n else np.arange(n) % len(rows)
    return rows.take(index)
