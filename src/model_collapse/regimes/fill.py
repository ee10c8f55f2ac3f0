"""Fill: the web fills up, and ever fewer rows of a training set are real."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from model_collapse.data import Data, Source
from model_collapse.loop import History
from model_collapse.regimes.fresh import Fresh
from model_collapse.theory.real_share import fill_share


@dataclass(frozen=True)
class Fill:
    """New real rows are a share floor + (1 - floor) / (1 + t / half) of training set t, the rest of the last sample.

    The share of a real stock in a web to which every generation adds as much; with a floor that is kept real. Otherwise
    as `fresh`, which has one share for all generations.
    """

    floor: Annotated[float, Field(ge=0, le=1, description="share of real rows that is never undercut")] = 0.0
    half: Annotated[
        float, Field(ge=1e-3, le=1e9, description="generation at which the share is half way to the floor")
    ] = 5.0

    needs: ClassVar[Literal["last"]] = "last"

    def size(self, t: int, n: int) -> int:
        """Rows that generation t writes: those of training set t + 1 that are not real, as in `fresh`."""
        return self._fresh(t + 1).size(t, n)

    def __call__(self, source: Source, history: History, n: int, rng: np.random.Generator) -> Data:
        # Generation t - 1 wrote rows born t; they are for training set t.
        return self._fresh(int(history.last.born.flat[0]))(source, history, n, rng)

    def _fresh(self, t: int) -> Fresh:
        return Fresh(float(fill_share(t, self.floor, self.half)))
