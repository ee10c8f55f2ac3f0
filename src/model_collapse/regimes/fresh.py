"""Fresh: a fixed share of the training set is real and new in every generation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from model_collapse.data import Data, Source, deal
from model_collapse.interfaces import History, Regime


@dataclass(frozen=True)
class Fresh(Regime):
    """round(real_fraction n) new real rows, the rest from the last sample ("fresh data loop").

    Unlike mix, real rows are drawn anew from the source, so the data bring new information in every generation; a
    distribution never gives a row twice, a corpus may draw again what an earlier generation had. A model writes only as
    many rows as the next one reads, which keeps exact sampling exact; measures of a sample see those rows.
    real_fraction=1 is the control that never sees a model's data. Alemohammad et al. 2024, arXiv:2307.01850.
    """

    real_fraction: Annotated[float, Field(ge=0, le=1, description="share of rows that are real and new")] = 0.1

    needs: ClassVar[Literal["last"]] = "last"

    def size(self, t: int, n: int) -> int:
        """Rows that are not real; n for the control, whose samples are measured though nobody reads them."""
        return n - round(self.real_fraction * n) or n

    def __call__(self, source: Source, history: History, n: int, rng: np.random.Generator) -> Data:
        real = round(self.real_fraction * n)
        new, written = source.draw(real, rng) if real else None, history.last
        if real == n and new is not None:
            return new
        if len(written) != n - real:
            written = written.take(deal(len(written), written.rows.chains, rng)[: n - real])
        return written if new is None else Data.concat([new, written])
