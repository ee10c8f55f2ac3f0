"""Numbers: a family draws its real rows itself, and what models write is seen in their parameters."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from model_collapse import streams
from model_collapse.data import Data, Rows, Source
from model_collapse.interfaces import Family
from model_collapse.modalities._modality import Modality, Wanted

if TYPE_CHECKING:
    from model_collapse.interfaces import Corpus


class Numbers(Modality):
    """Rows of numbers."""

    metrics: ClassVar[str] = "model_collapse.metrics"
    unit: ClassVar[str] = "rows"

    def kinds(self, family: Family, corpus: Corpus | None) -> np.ndarray | None:
        return family.distribution

    def source(self, family: Family, wanted: Wanted) -> Source:
        rng = wanted.stream(-1, streams.SOURCE)
        source = family.source(wanted.n, rng, wanted.chains)
        return _without(source, family, wanted) if wanted.part.split else source


def _without(source: Source, family: Family, wanted: Wanted) -> Source:
    """The same distribution, given that a row is of no kind that the model lacks."""

    def fresh(m: int, rng: np.random.Generator) -> Rows:
        drawn = source.draw(2 * m, rng).drawn
        while True:
            known = ~wanted.part.lacks(family.kinds(drawn))
            if known.sum(axis=0).min() >= m:
                # The first m of each chain, in the order of drawing.
                return drawn.take(np.argsort(~known, axis=0, kind="stable")[:m])
            drawn = Rows.concat([drawn, source.draw(m, rng).drawn])

    train = Data.real(fresh(wanted.n, wanted.stream(-1, streams.SOURCE)))
    return replace(source, train=train, fresh=fresh)


NUMBERS = Numbers()
