"""Provenance: real rows stay and written ones go, as far as anybody knows which is which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from model_collapse.data import REAL, Data, Rows
from model_collapse.interfaces import Filter, Reference
from model_collapse.theory.provenance import unrecognised


@dataclass(frozen=True)
class Provenance(Filter):
    """Drops generated rows, by the record of their author: with the defaults, a perfect detector.

    A row that a model wrote carries a mark with chance `adoption`, and then goes unrecognised with chance `missed`; a
    real row is dropped with chance `false_alarms`. Every row is judged by itself, anew in every generation. The regime
    has to bring real rows to keep: mix, fresh, fixed, subsample, accumulate.
    """

    missed: Annotated[float, Field(ge=0, le=1, description="share of marked rows that are not recognised")] = 0.0
    false_alarms: Annotated[float, Field(ge=0, lt=1, description="share of real rows that are dropped")] = 0.0
    adoption: Annotated[float, Field(ge=0, le=1, description="share of generated rows that carry a mark at all")] = 1.0
    top_up: Annotated[bool, Field(description="repeat the kept rows until the set is as large as before")] = False

    def __call__(self, data: Data, rng: np.random.Generator, reference: Reference) -> np.ndarray:
        chains = data.rows.chains if isinstance(data.rows, Rows) else None
        born = data.born if chains is None or data.born.ndim == 2 else np.repeat(data.born[:, None], chains, axis=1)
        stays = np.where(born == REAL, 1 - self.false_alarms, unrecognised(self.missed, self.adoption))
        return rng.random(born.shape) < stays
