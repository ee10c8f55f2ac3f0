"""Weigh: new real rows beside the last sample, with weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from model_collapse.data import Data, Source
from model_collapse.errors import InputError
from model_collapse.interfaces import History, Regime


@dataclass(frozen=True)
class Weigh(Regime):
    """round(ratio n) new real rows of total weight real_weight, and the last sample's n rows of 1 - real_weight.

    Weights are scaled to an average of 1 per row. For the mean of a normal distribution the best real_weight at ratio k
    is (sqrt(k^2 + 4 k) - k) / 2, which is the inverse of the golden ratio, 0.618, for as many real rows as written
    ones: He, Xu & Cheng 2025, arXiv:2502.18049.
    """

    real_weight: Annotated[float, Field(ge=0, le=1, description="share of the weight that real rows have")] = 0.5
    ratio: Annotated[float, Field(gt=0, le=1000, description="new real rows per generated row")] = 1.0

    needs: ClassVar[Literal["last"]] = "last"

    def __call__(self, source: Source, history: History, n: int, rng: np.random.Generator) -> Data:
        written = history.last
        count = round(self.ratio * n)
        if not count:
            raise InputError(f"regime.ratio={self.ratio:g}: not one real row beside {n} written ones; raise it, or -n")
        rows = count + len(written)
        real = source.draw(count, rng).weighed(self.real_weight * (rows / count))
        return Data.concat([real, written.weighed((1 - self.real_weight) * (rows / len(written)))])
