"""Subsample: everything ever written stays in the pool, but a model only reads n rows of it (fixed compute)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from model_collapse.data import Data, Source, deal
from model_collapse.interfaces import History, Regime


@dataclass(frozen=True)
class Subsample(Regime):
    """n rows without replacement of the real data and all samples so far: accumulate at a fixed cost of training.

    After t generations a share of 1 / (t + 1) of the rows is real on average. Kazdan et al. 2025, arXiv:2410.16713.
    """

    needs: ClassVar[Literal["all"]] = "all"

    def __call__(self, source: Source, history: History, n: int, rng: np.random.Generator) -> Data:
        assert history.pool is not None
        pool = history.pool
        return pool.take(deal(len(pool), pool.rows.chains, rng)[:n])
