"""Real data of the models of a run: one, or several that read each other and have data of their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from model_collapse import corpora, streams
from model_collapse.corpora import images
from model_collapse.data import Data, Rows, Source
from model_collapse.engine.spec import Run
from model_collapse.streams import Stream


def real_data(run: Run, family: Any, stream: Stream, chains: int, model: int, *, pretraining: bool = False) -> Source:
    """What model 0 .. K - 1 of a run knows of the world.

    stream       of the model whose draws these are
    pretraining  whether all of the text to pre-train on is wanted, or no more than a block

    Of models with real data of their own each has another part of the corpus, n rows. With real=split there are
    besides kinds of things that it never sees (symbols, breeds, topics): kind i is lacking in model i modulo K + 1, so
    that every kind is known to some model and every (K + 1)-th to all. What a corpus gives later (`fresh`) may be the
    same for two models.
    """
    real = run.exchange["real"] if run.exchange else "same"
    lacking = (model, run.models + 1) if real == "split" else None
    if family.reads == "numbers":
        source = family.source(run.n, stream(-1, streams.SOURCE), chains)
        return _without(source, family.kinds, *lacking, run.n, stream) if lacking else source
    part, of = (0, 1) if real == "same" else (model, run.models)
    reading = family.reading()
    if family.reads == "images":
        return _part(images.load(run.corpus).source(run.n * of, **reading), part, of, reading["passes"])
    if not pretraining:
        reading["pretrain"] = 1
    corpus = corpora.load(run.corpus)
    if lacking:
        assert corpus.world is not None
        reading["topics"] = [topic for i, topic in enumerate(corpus.world.topic_shares) if i % lacking[1] != lacking[0]]
    return _part(corpus.source(run.n * of, **reading), part, of)


def _part(source: Source, part: int, of: int, passes: int = 1) -> Source:
    """One of several equal parts of the training rows, which are there so many times over."""
    if of == 1:
        return source
    index = np.arange(len(source.train)).reshape(passes, of, -1)[:, part].ravel()
    return replace(source, train=source.train.take(index))


def _without(
    source: Source, kinds: Callable[[Rows], np.ndarray], lacking: int, modulo: int, n: int, stream: Stream
) -> Source:
    """The same law, given that a row is of no kind that is `lacking` modulo `modulo`."""

    def fresh(m: int, rng: np.random.Generator) -> Rows:
        drawn = source.fresh(2 * m, rng)
        while True:
            assert isinstance(drawn, Rows)
            known = kinds(drawn) % modulo != lacking
            if known.sum(axis=0).min() >= m:
                # The first m of each chain, in the order of drawing.
                return drawn.take(np.argsort(~known, axis=0, kind="stable")[:m])
            drawn = Rows.concat([drawn, source.fresh(m, rng)])  # type: ignore[list-item]

    return replace(source, train=Data.real(fresh(n, stream(-1, streams.SOURCE))), fresh=fresh)
