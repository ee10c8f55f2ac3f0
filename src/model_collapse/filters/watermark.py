"""Watermark: rows that carry the mark of the models go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from model_collapse.data import Data
from model_collapse.errors import InputError
from model_collapse.interfaces import Family, Filter, Reference

if TYPE_CHECKING:
    from model_collapse.interfaces import Corpus


@dataclass(frozen=True)
class Watermark(Filter):
    """Drops rows, real or generated, whose z in the test for the family's watermark exceeds a threshold.

    z is that of `Lm.marks`: the library's detectors, on the generated text without its prompt. At z = 4 three
    texts in 100,000 would be accused wrongly if n-grams never came twice.
    """

    threshold: Annotated[float, Field(gt=0, le=100, description="largest z that stays")] = 4.0
    ignore_repeats: Annotated[bool, Field(description="count every n-gram of a row once")] = True
    top_up: Annotated[bool, Field(description="repeat the kept rows until the set is as large as before")] = False

    def check(self, family: Family, corpus: Corpus | None) -> None:
        """InputError unless the family marks what it writes."""
        if family.watermark == "none":
            raise InputError(
                "--filter watermark: nothing is marked; use lm with --set family.watermark=green or synthid"
            )

    def __call__(self, data: Data, rng: np.random.Generator, reference: Reference) -> np.ndarray:
        z = reference.family.marks(data.drawn, reference.first.model.vocabulary, repeats=not self.ignore_repeats)
        return z <= self.threshold
