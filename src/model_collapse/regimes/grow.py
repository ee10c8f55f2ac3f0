"""Grow: the next model sees only what the last one wrote, and each writes more than the one before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from model_collapse.data import Data, Source
from model_collapse.errors import InputError
from model_collapse.interfaces import History, Regime


@dataclass(frozen=True)
class Grow(Regime):
    """Replace with growing sets: generation t is fitted to round(n (t + 1)^power) rows of generation t - 1.

    With M_i rows in fit i, a normal distribution stays at a finite distance from the truth exactly if sum 1 / M_i is
    finite, so if power > 1 (Shumailov et al. 2024, supplement; Xu, He & Cheng 2025, arXiv:2505.13947).
    """

    power: Annotated[float, Field(ge=0, le=4, description="exponent of growth; 0: replace")] = 2.0

    needs: ClassVar[Literal["last"]] = "last"

    def size(self, t: int, n: int) -> int:
        """Rows that generation t writes, for the fit of generation t + 1."""
        rows = round(n * (t + 2) ** self.power)
        if rows > 2**53:
            raise InputError(
                f"regime.power={self.power}: generation {t} would write {rows:.0e} rows; lower it, -n or -g"
            )
        return rows

    def __call__(self, source: Source, history: History, n: int, rng: np.random.Generator) -> Data:
        return history.last
