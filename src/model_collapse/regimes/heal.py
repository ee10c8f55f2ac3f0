"""Heal: no real data for a while, and then new ones in every generation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from model_collapse.data import Data, Source
from model_collapse.loop import History
from model_collapse.regimes.fresh import Fresh


@dataclass(frozen=True)
class Heal:
    """Replace up to generation `until`, from then on round(real_fraction n) new real rows as in `fresh`."""

    until: Annotated[int, Field(ge=0, le=10**7, description="last generation that is trained without real rows")] = 10
    real_fraction: Annotated[
        float, Field(ge=0, le=1, description="share of rows that are real and new, in later generations")
    ] = 0.1

    needs: ClassVar[Literal["last"]] = "last"

    def size(self, t: int, n: int) -> int:
        """Rows that generation t writes: those of training set t + 1 that are not real, as in `fresh`."""
        return self._fresh(t + 1).size(t, n)

    def __call__(self, source: Source, history: History, n: int, rng: np.random.Generator) -> Data:
        # Generation t - 1 wrote rows born t; they are for training set t.
        return self._fresh(int(history.last.born.flat[0]))(source, history, n, rng)

    def _fresh(self, t: int) -> Fresh:
        return Fresh(self.real_fraction if t > self.until else 0.0)
