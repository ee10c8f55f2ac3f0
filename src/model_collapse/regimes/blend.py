"""Blend: a number of real rows and a number of generated ones, each chosen by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from model_collapse.data import Data, Source
from model_collapse.errors import InputError
from model_collapse.interfaces import History, Regime


@dataclass(frozen=True)
class Blend(Regime):
    """`real` of the n real rows, the same ones in every generation, and `synthetic` rows of the last sample.

    Generation 0 is fitted to all n real rows, so generation 1 is a learner with real rows of its own, few or many, that
    reads what a model of n rows wrote: what synthetic data are worth (Kazdan et al. 2025, arXiv:2410.16713). With
    real = n it is `fixed`. synthetic=0 is the control of the same real rows; its samples are measured, nobody reads
    them. The real rows are the first ones of the set.
    """

    real: Annotated[int, Field(ge=0, le=10**9, description="real rows in a training set, the same ones always")] = 1
    synthetic: Annotated[int, Field(ge=0, le=10**9, description="rows of the last sample in a training set")] = 10

    needs: ClassVar[Literal["last"]] = "last"

    def __post_init__(self) -> None:
        if self.real == self.synthetic == 0:
            raise InputError("regime.real=0 with regime.synthetic=0 leaves nothing to train on; set one of them")

    def size(self, t: int, n: int) -> int:
        """The written rows that the next training set reads; n for the control."""
        if self.real > n:
            raise InputError(f"regime.real={self.real}: only {n} real rows are known; it must be at most -n")
        return self.synthetic or n

    def __call__(self, source: Source, history: History, n: int, rng: np.random.Generator) -> Data:
        real = source.train if self.real == n else source.train.take(np.arange(self.real))
        if not self.synthetic:
            return real
        return Data.concat([real, history.last]) if self.real else history.last
