"""Surprise: a selection of rows by how probable the first model finds them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from model_collapse.data import Data
from model_collapse.errors import InputError
from model_collapse.filters import _scores
from model_collapse.interfaces import Family, Filter, Reference

if TYPE_CHECKING:
    from model_collapse.interfaces import Corpus


@dataclass(frozen=True)
class Surprise(Filter):
    """Keeps round(share n) rows of lowest, or highest, mean negative log-likelihood under generation 0's model.

    Real rows are judged like written ones, and nothing is topped up: the training set has that many rows. Each of
    several stacked chains has a choice of its own, and equally surprising rows are chosen among at random. After the
    selection by perplexity of Gambetta et al. 2024 (arXiv:2410.12341).
    """

    keep: Annotated[Literal["low", "high"], Field(description="the least, or the most, surprising rows")] = "low"
    share: Annotated[float, Field(gt=0, le=1, description="share of the rows that is kept")] = 0.5

    def check(self, family: Family, corpus: Corpus | None) -> None:
        """InputError unless the family says how likely a row is."""
        if "likelihood" not in family.scores:
            raise InputError("--filter surprise: this family does not score rows; use lm, ngram or discrete")

    def __call__(self, data: Data, rng: np.random.Generator, reference: Reference) -> np.ndarray:
        nats = _scores.surprise(data.drawn, reference)
        order = np.lexsort((rng.random(nats.shape), nats if self.keep == "low" else -nats), axis=0)
        kept = np.zeros(nats.shape, bool)
        np.put_along_axis(kept, order[: max(1, round(self.share * len(data)))], True, axis=0)
        return kept
