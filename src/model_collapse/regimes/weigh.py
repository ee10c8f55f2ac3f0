"""Weigh: as many new real rows as written ones, with weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from model_collapse.data import Data, Source
from model_collapse.interfaces import History, Regime


@dataclass(frozen=True)
class Weigh(Regime):
    """n new real rows of total weight real_weight, and the last sample's n rows of total weight 1 - real_weight.

    Weights are scaled to an average of 1 per row. For the mean of a normal law the best real_weight is the inverse of
    the golden ratio, 0.618: He, Xu & Cheng 2025, arXiv:2502.18049.
    """

    real_weight: Annotated[float, Field(ge=0, le=1, description="share of the weight that real rows have")] = 0.5

    needs: ClassVar[Literal["last"]] = "last"

    def __call__(self, source: Source, history: History, n: int, rng: np.random.Generator) -> Data:
        real, written = source.draw(n, rng), history.last
        return Data.concat([real.weighed(2 * self.real_weight), written.weighed(2 * (1 - self.real_weight))])
