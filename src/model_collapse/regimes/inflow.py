"""Inflow: all data stay, and every generation adds new real rows beside what its model wrote."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from model_collapse.data import Data, Source
from model_collapse.errors import InputError
from model_collapse.interfaces import History, Regime


@dataclass(frozen=True)
class Inflow(Regime):
    """Training set t + 1 is training set t, round(real_fraction n) new real rows and n - that many generated ones.

    It has (t + 2) n rows. real_fraction=0 is `accumulate`. The error of what the pool says falls at a rate that changes
    at real_fraction=1/2 (Wang, Niu & Li 2026, arXiv:2602.16065).
    """

    real_fraction: Annotated[float, Field(ge=0, lt=1, description="share of new rows that are real")] = 0.5

    needs: ClassVar[Literal["all"]] = "all"
    whole: ClassVar[bool] = True
    grows: ClassVar[bool] = True

    def size(self, t: int, n: int) -> int:
        """Rows that are not real."""
        written = n - round(self.real_fraction * n)
        if not written:
            raise InputError(f"regime.real_fraction={self.real_fraction:g}: of {n} new rows none is written; lower it")
        return written

    def __call__(self, source: Source, history: History, n: int, rng: np.random.Generator) -> Data:
        assert history.pool is not None
        real = round(self.real_fraction * n)
        return Data.concat([history.pool, source.draw(real, rng)]) if real else history.pool
