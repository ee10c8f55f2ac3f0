"""Numbers: a family draws its real rows itself, and what models write is seen in their parameters."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from model_collapse import streams
from model_collapse.data import Data, Rows, Source
from model_collapse.interfaces import Family
from model_collapse.modalities._modality import Modality, Part
from model_collapse.streams import Stream

if TYPE_CHECKING:
    from model_collapse.interfaces import Corpus


class Numbers(Modality):
    """Rows of numbers."""

    metrics: ClassVar[str] = "model_collapse.metrics"
    unit: ClassVar[str] = "rows"

    def kinds(self, family: Family, corpus: Corpus | None) -> np.ndarray | None:
        return family.law

    def source(
        self,
        family: Family,
        corpus: str,
        n: int,
        stream: Stream,
        chains: int,
        part: Part,
        *,
        pretraining: bool = False,
    ) -> Source:
        source = family.source(n, stream(-1, streams.SOURCE), chains)
        return _without(source, family, part, n, stream) if part.split else source


def _without(source: Source, family: Family, part: Part, n: int, stream: Stream) -> Source:
    """The same distribution, given that a row is of no kind that the model lacks."""

    def fresh(m: int, rng: np.random.Generator) -> Rows:
        drawn = source.draw(2 * m, rng).drawn
        while True:
            known = ~part.lacks(family.kinds(drawn))
            if known.sum(axis=0).min() >= m:
                # The first m of each chain, in the order of drawing.
                return drawn.take(np.argsort(~known, axis=0, kind="stable")[:m])
            drawn = Rows.concat([drawn, source.draw(m, rng).drawn])

    return replace(source, train=Data.real(fresh(n, stream(-1, streams.SOURCE))), fresh=fresh)


NUMBERS = Numbers()
