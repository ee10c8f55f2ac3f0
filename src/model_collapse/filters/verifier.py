"""Verifier: every generated row is accepted or rejected by a verifier that may err."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from model_collapse.data import REAL, Data
from model_collapse.filters import _scores
from model_collapse.interfaces import Family, Filter, Reference

if TYPE_CHECKING:
    from model_collapse.interfaces import Corpus


@dataclass(frozen=True)
class Verifier(Filter):
    """Keeps a right row with probability phi = `right` and a wrong one with probability psi = `wrong`; real rows stay.

    Right is what misses the truth, or the verifier's own belief that lies `bias` off it, by at most `radius`: for text
    the false share of what it states, for other families see their `miss`. Rates as in Feng et al. 2025
    (arXiv:2406.07515), a ball about the verifier's centre as in Yi et al. 2025 (arXiv:2510.16657).
    """

    right: Annotated[float, Field(ge=0, le=1, description="probability phi that a right row is kept")] = 1.0
    wrong: Annotated[float, Field(ge=0, le=1, description="probability psi that a wrong row is kept")] = 0.0
    radius: Annotated[float, Field(ge=0, allow_inf_nan=False, description="by how much a right row may miss")] = 0.0
    bias: Annotated[
        float, Field(ge=0, allow_inf_nan=False, description="how far the verifier's belief is off (numbers)")
    ] = 0.0
    candidates: Annotated[int, Field(ge=1, le=1000, description="rows generated for each row of the training set")] = 1
    top_up: Annotated[bool, Field(description="repeat what is kept until there are as many rows as before")] = False

    def check(self, family: Family, corpus: Corpus | None) -> None:
        """InputError unless right and wrong are known of what the family writes."""
        _scores.check("verifier", "oracle", family, corpus)

    def __call__(self, data: Data, rng: np.random.Generator, reference: Reference) -> np.ndarray:
        right = _scores.miss(data.drawn, reference, self.bias) <= self.radius
        kept = rng.random(right.shape) < np.where(right, self.right, self.wrong)
        real = (data.born == REAL).reshape(len(data), -1)
        return kept | (real[:, 0] if kept.ndim == 1 else real)
