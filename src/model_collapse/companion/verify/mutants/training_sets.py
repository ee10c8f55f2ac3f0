"""Faults of training sets: of regimes, of filters, of who reads whom, and of how real data are split."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from model_collapse.companion.verify.mutants import Patch, fault
from model_collapse.corpora import Corpus
from model_collapse.corpora.images import Pictures
from model_collapse.data import Data, Rows, Source
from model_collapse.exchange import Reads
from model_collapse.filters.curate import Curate
from model_collapse.filters.provenance import Provenance
from model_collapse.filters.reweigh import Reweigh
from model_collapse.filters.verifier import Verifier
from model_collapse.loop import History
from model_collapse.regimes.grow import Grow
from model_collapse.regimes.mix import Mix
from model_collapse.regimes.replace import Replace
from model_collapse.regimes.subsample import Subsample


@fault(family="discrete", regime="replace")
def replace_leaks() -> Iterator[Patch]:
    """One new real row slips into every training set of the regime replace."""

    def leaking(self: Replace, source: Source, history: History, n: int, rng: np.random.Generator) -> Data:
        return Data.concat([source.draw(1, rng), history.last])

    yield Replace, "__call__", leaking


@fault(regime="mix")
def mix_with_replacement() -> Iterator[Patch]:
    """The regime mix draws its real rows with replacement."""

    def mix(self: Mix, source: Source, history: History, n: int, rng: np.random.Generator) -> Data:
        real, chains = round(self.real_fraction * n), source.train.rows.chains
        drawn = rng.integers(n, size=real if chains is None else (real, chains))
        return Data.concat([source.train.take(drawn), history.last.take(np.arange(n - real))])

    yield Mix, "__call__", mix


@fault(regime="mix")
def mix_half_the_share() -> Iterator[Patch]:
    """The regime mix takes half as many real rows as it should."""
    original = Mix.__call__

    def mix(self: Mix, *args: Any) -> Data:
        return original(replace(self, real_fraction=self.real_fraction / 2), *args)

    yield Mix, "__call__", mix


@fault(regime="subsample")
def subsample_of_the_newest() -> Iterator[Patch]:
    """The regime subsample reads the newest rows of its pool."""

    def newest(self: Subsample, source: Source, history: History, n: int, rng: np.random.Generator) -> Data:
        assert history.pool is not None
        return history.pool.take(np.arange(len(history.pool) - n, len(history.pool)))

    yield Subsample, "__call__", newest


@fault(regime=("fresh", "weigh"))
def fresh_rows_the_same() -> Iterator[Patch]:
    """New real rows are drawn from one seed, so that they are the same in every generation."""
    original = Source.draw
    yield Source, "draw", lambda self, n, rng: original(self, n, np.random.default_rng(0))


@fault(regime="grow")
def grow_does_not_grow() -> Iterator[Patch]:
    """The regime grow writes n rows in every generation."""
    yield Grow, "size", lambda self, t, n: n


@fault(reads=("all", "deal"))
def exchange_with_oneself() -> Iterator[Patch]:
    """Of several models each reads its own words only."""
    yield Reads, "__call__", lambda self, model, samples, rng: samples[model]


@fault(filter=("provenance", "verifier", "curate", "reweigh"))
def filters_forgotten() -> Iterator[Patch]:
    """A filter decides, and nothing is done about it."""
    yield Data, "filtered", lambda self, kept, refill=None: self


@fault(filter="provenance")
def provenance_never_misses() -> Iterator[Patch]:
    """The record of who made what is perfect, whatever share it is said to miss."""
    original = Provenance.__call__
    yield Provenance, "__call__", lambda self, *args: original(replace(self, missed=0.0), *args)


@fault(filter="verifier")
def verifier_keeps_the_wrong() -> Iterator[Patch]:
    """A verifier keeps wrong rows as often as it should keep right ones, and the other way round."""
    original = Verifier.__call__
    yield Verifier, "__call__", lambda self, *args: original(replace(self, right=self.wrong, wrong=self.right), *args)


@fault(filter="curate")
def curate_takes_the_worst() -> Iterator[Patch]:
    """Of several candidates the one with the lowest score is kept."""
    original = Curate.best
    yield Curate, "best", lambda self, born, score, lot: original(self, born, -score, lot)


@fault(filter="reweigh")
def reweigh_cuts_the_tails() -> Iterator[Patch]:
    """Weights above 2, those of groups that have become rare, are cut to 2."""
    original = Reweigh.__call__
    yield Reweigh, "__call__", lambda *args: np.minimum(original(*args), 2)


def _splits(change: Any) -> Iterator[Patch]:
    for owner in (Corpus, Pictures):
        original = owner.source

        def source(self: Any, *args: Any, original: Any = original, **settings: Any) -> Source:
            return change(original(self, *args, **settings))

        yield owner, "source", source


@fault(family=("lm", "vae"))
def test_rows_in_training() -> Iterator[Patch]:
    """Some of the test rows stand in the real training set."""

    def mixed(source: Source) -> Source:
        assert source.test is not None
        rows, test = source.train.x, source.test.x
        some = min(len(rows), len(test)) // 4
        return replace(source, train=Data.real(Rows(np.concatenate([rows[some:], test[:some]]))))

    yield from _splits(mixed)


@fault(family=("lm", "vae"))
def validation_is_training() -> Iterator[Patch]:
    """The checkpoint is chosen by rows that were trained on."""
    yield from _splits(lambda source: replace(source, validation=source.train))
