"""The recursive loop. One loop for every family of models and every regime of data:

source -> regime (-> filter) -> training set -> family.fit -> model -> family.sample -> what it wrote -> regime ...
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import numpy as np

from model_collapse import streams
from model_collapse.data import Data, Rows, Source, Statistics, deal
from model_collapse.errors import InputError
from model_collapse.interfaces import (
    NOTHING,
    Family,
    Filter,
    Generation,
    History,
    Keep,
    Model,
    Reference,
    Regime,
    name_of,
)
from model_collapse.streams import Stream

__all__ = ["Generation", "Given", "History", "Reference", "generations", "step"]

Given = Literal["original", "training", "fresh"]


def step(
    t: int,
    train: Data,
    source: Source,
    family: Family,
    n: int,
    stream: Stream,
    *,
    given: Given = "original",
    start: Model = None,
    author: int = 1,
    keep: Keep = NOTHING,
) -> Generation:
    """Generation t: a model is fitted to `train` and writes n rows."""

    def fit() -> Model:
        return family.fit(train, stream(t, streams.FIT), start=start, validation=source.validation)

    model = keep.model(t, fit)
    prompts = _given(given, source, train, n, stream(t, streams.GIVEN)) if family.conditional else None
    rows = keep.sample(t, lambda: family.shards(model, n, stream(t, streams.SAMPLE), given=prompts))
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
    start: Model = None,
    keep: Keep = NOTHING,
    author: int = 1,
    read: Callable[[int], Data] | None = None,
) -> Iterator[Generation]:
    """Generations 0 to `last`: the first is fitted to real data, each later one to the training set of the regime.

    start   what every fit starts from (a pre-trained model), or None; of a continued family only the first does
    keep    finished work is loaded from here
    author  number of this model, from 1
    read    read(t) replaces the last sample before training set t is made; None: the sample itself
    """
    train = source.train
    candidates = math.prod(each.candidates for each in filters)
    wrote: Data | None = None
    history: History | None = None
    reference: Reference | None = None
    for t in range(last + 1):
        if wrote is not None and reference is not None:
            wrote = read(t) if read else wrote
            history = history.then(wrote) if history else History.begin(source.train, wrote, regime)
            train = regime(source, history, n, stream(t, streams.REGIME))
            if regime.grows:
                history = History(wrote, train)
            if filters:
                rng = stream(t, streams.FILTER)
                for each in filters:
                    train = _filtered(each, train, rng, reference)
        generation = keep.generation(t, train)
        if generation is None:
            rows = regime.size(t, n) * candidates
            generation = step(
                t, train, source, family, rows, stream, given=given, start=start, author=author, keep=keep
            )
        reference = reference or Reference(generation, source, family)
        if family.continued:
            start = generation.model
        wrote = generation.sample
        yield generation


def _filtered(by: Filter, train: Data, rng: np.random.Generator, reference: Reference) -> Data:
    """The training set after a filter."""
    kept = by(train, rng, reference)
    try:
        return train.filtered(kept, rng if by.top_up else None)
    except InputError as error:
        raise InputError(f"filter {name_of(by)}: {error}") from None


def _given(given: Given, source: Source, train: Data, n: int, rng: np.random.Generator) -> Rows | Statistics:
    """The n rows, or their moments, that a conditional family continues."""
    rows = {"original": source.train, "training": train}[given].rows if given != "fresh" else source.fresh(n, rng)
    if len(rows) == n:
        return rows
    # More rows than needed (a pool that grew): n of them, each at most once; fewer: all of them in turn.
    index = np.sort(deal(len(rows), rows.chains, rng)[:n], axis=0) if len(rows) > n else np.arange(n) % len(rows)
    return rows.take(index)
