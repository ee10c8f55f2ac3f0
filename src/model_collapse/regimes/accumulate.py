"""Accumulate: real data stay, and every generation's sample is added to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from model_collapse.data import Data, Source
from model_collapse.interfaces import History, Regime


@dataclass(frozen=True)
class Accumulate(Regime):
    """Training set t + 1 is the real data and the samples of generations 0 to t: (t + 2) n rows.

    Gerstgrasser et al. 2024, arXiv:2404.01413.
    """

    needs: ClassVar[Literal["all"]] = "all"
    whole: ClassVar[bool] = True

    def __call__(self, source: Source, history: History, n: int, rng: np.random.Generator) -> Data:
        assert history.pool is not None
        return history.pool
