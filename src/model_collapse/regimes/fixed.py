"""Fixed: the same real set in every training set, beside the last sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from model_collapse.data import Data, Source
from model_collapse.interfaces import History, Regime


@dataclass(frozen=True)
class Fixed(Regime):
    """All n real rows and, beside them, round(synthetic n) rows of the last sample ("synthetic augmentation loop").

    The real share is 1 / (1 + synthetic), the same in every generation. `synthetic` is the lambda of Bertrand et al.
    2024, arXiv:2310.00429; the loop's name is from Alemohammad et al. 2024, arXiv:2307.01850.
    """

    synthetic: Annotated[float, Field(gt=0, le=1000, description="rows of the last sample per real row")] = 1.0

    needs: ClassVar[Literal["last"]] = "last"
    whole: ClassVar[bool] = True

    def size(self, t: int, n: int) -> int:
        """Rows beside the n real ones."""
        return max(round(self.synthetic * n), 1)

    def __call__(self, source: Source, history: History, n: int, rng: np.random.Generator) -> Data:
        return Data.concat([source.train, history.last])
