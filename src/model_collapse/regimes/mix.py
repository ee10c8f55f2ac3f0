"""Mix: a fixed share of the training set is real, drawn again from the same finite set (the paper's setting B)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from model_collapse.data import Data, Source, deal
from model_collapse.interfaces import History, Regime


@dataclass(frozen=True)
class Mix(Regime):
    """round(real_fraction n) rows of the real training set, without replacement, the rest from the last sample.

    The set keeps its size n. One shuffle deals both parts, so that a real row and what the model wrote in its place
    never meet in one training set, as in the published code. real_fraction=1 is the control that never sees a
    model's data.
    """

    real_fraction: Annotated[float, Field(ge=0, le=1, description="share of rows that are real")] = 0.1

    needs: ClassVar[Literal["last"]] = "last"

    def __call__(self, source: Source, history: History, n: int, rng: np.random.Generator) -> Data:
        real = round(self.real_fraction * n)
        order = deal(n, source.train.rows.chains, rng)
        return Data.concat([source.train.take(order[:real]), history.last.take(order[real:])])
