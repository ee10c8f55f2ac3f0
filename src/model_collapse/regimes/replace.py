"""Replace: the next model sees only what the last one wrote (the paper's setting A)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from model_collapse.data import Data, Source
from model_collapse.interfaces import History, Regime


@dataclass(frozen=True)
class Replace(Regime):
    """Training set t + 1 is the sample of generation t."""

    needs: ClassVar[Literal["last"]] = "last"
    whole: ClassVar[bool] = True

    def __call__(self, source: Source, history: History, n: int, rng: np.random.Generator) -> Data:
        return history.last
