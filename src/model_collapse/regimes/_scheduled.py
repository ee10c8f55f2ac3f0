"""What regimes have in common whose share of new real rows changes from generation to generation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import numpy as np

from model_collapse.data import Data, Source
from model_collapse.interfaces import History, Regime
from model_collapse.regimes.fresh import Fresh


class Scheduled(Regime, ABC):
    """`fresh`, generation by generation: `share(t)` of the rows of training set t are real and new."""

    needs: ClassVar[Literal["last"]] = "last"

    @abstractmethod
    def share(self, t: int) -> float:
        """Share of real rows in training set t."""

    def size(self, t: int, n: int) -> int:
        """Rows that generation t writes: those of training set t + 1 that are not real, as in `fresh`."""
        return Fresh(self.share(t + 1)).size(t, n)

    def __call__(self, source: Source, history: History, n: int, rng: np.random.Generator) -> Data:
        # Generation t - 1 wrote rows born t; they are for training set t.
        return Fresh(self.share(int(history.last.born.flat[0])))(source, history, n, rng)
