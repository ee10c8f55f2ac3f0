"""Curate: only the best of the generated rows are kept, by a criterion of one's choice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from model_collapse.data import REAL, Data, Rows
from model_collapse.filters import _scores
from model_collapse.interfaces import Family, Filter, Reference

if TYPE_CHECKING:
    from model_collapse.interfaces import Corpus


@dataclass(frozen=True)
class Curate(Filter):
    """Keeps the best of the `candidates` generated for each prompt, and of these the best `share`; all real rows stay.

    If only some rows are scored, every other one counts as the average of those, or its score is predicted from its
    words (by=learned). Equals are drawn at random. With `noise` b a Gumbel variate times b is added to
    each score, so that a candidate is chosen with probability ~ exp(score / b): the choice of Bradley and Terry, for
    several that of Plackett and Luce.

    oracle      minus the miss: the false share of what a text states, or what a row of numbers misses the truth by
    learned     as oracle for the rows that are scored, predicted elsewhere (kernel ridge regression on pairs of words)
    likelihood  mean log-likelihood under generation 0's model; `surprise` keeps rows by it too, low or high, and real
                ones are scored like all others there
    certainty   how certain a classifier is of its own answer to the same question, whatever the row answers
    reward      how much readers like a row, true or not
    random      all equal: the control that keeps as many rows
    """

    by: Annotated[
        Literal["oracle", "learned", "likelihood", "certainty", "reward", "random"],
        Field(description="criterion of the selection"),
    ] = "oracle"
    share: Annotated[float, Field(gt=0, le=1, description="share of the generated rows that is kept")] = 0.5
    candidates: Annotated[
        int, Field(ge=1, le=1000, description="rows generated for each prompt, of which one is kept")
    ] = 1
    judged: Annotated[
        float,
        Field(ge=0, le=1, description="share of the generated rows that are scored"),
    ] = 1.0
    noise: Annotated[float, Field(ge=0, allow_inf_nan=False, description="scale of the Gumbel noise in the scores")] = (
        0.0
    )
    bias: Annotated[
        float,
        Field(
            ge=0,
            allow_inf_nan=False,
            description="distance of the selector's belief from the truth (families of numbers)",
        ),
    ] = 0.0
    top_up: Annotated[bool, Field(description="repeat what is kept until there are as many rows as before")] = False

    by_place: ClassVar[bool] = True

    def check(self, family: Family, corpus: Corpus | None) -> None:
        """InputError unless rows of the family have such a score."""
        _scores.check(f"curate: by={self.by}", self.by, family, corpus)

    def __call__(self, data: Data, rng: np.random.Generator, reference: Reference) -> np.ndarray:
        rows = data.drawn
        shape = rows.x.shape[: 2 if rows.stacked else 1]
        written = (data.born != REAL).reshape(len(data), -1)
        wrote = np.broadcast_to(written, (len(data), rows.chains or 1))
        looked = _first(self.judged, wrote, rng.random(wrote.shape)) if self.judged < 1 else wrote
        score = self._scores(rows, looked, reference)
        if self.noise:
            score = score + self.noise * rng.gumbel(size=score.shape)
        lot = rng.random(score.shape)
        best = wrote if self.candidates == 1 else self.best(data.born, score, lot)
        return (~wrote | _first(self.share, best, -score, lot)).reshape(shape)

    def _scores(self, rows: Rows, looked: np.ndarray, reference: Reference) -> np.ndarray:
        """Scores (n, R) for a selector that looks at the rows of the mask (n, R) only."""
        score = np.zeros(looked.shape)
        seen = np.flatnonzero(looked.any(axis=1))
        if not len(seen):
            return score
        score[seen] = _scores.SCORES[self.by](rows.take(seen), reference, self.bias).reshape(len(seen), -1)
        if self.by == "learned":
            return _scores.learned(rows, looked[:, 0], score[:, 0])[:, None]
        return np.where(looked, score, score.mean(axis=0, where=looked))

    def best(self, born: np.ndarray, score: np.ndarray, lot: np.ndarray) -> np.ndarray:
        """A mask of the best candidate for each prompt, of every generation that is in the training set.

        born  birth of each row (n,);  score, lot  (n, R): what is compared, and what decides between equals
        """
        # Only regimes that train on all generated rows have candidates, and these have one birth for all chains.
        assert born.ndim == 1
        best = np.zeros(score.shape, bool)
        for birth in np.unique(born[born != REAL]):
            place = np.flatnonzero(born == birth).reshape(self.candidates, -1)
            top = np.lexsort((lot[place], score[place]), axis=0)[-1]
            best[place[top, np.arange(place.shape[1])[:, None]], np.arange(score.shape[1])] = True
        return best


def _first(share: float, among: np.ndarray, *keys: np.ndarray) -> np.ndarray:
    """round(share m) of the m rows `among` which each chain chooses, those with the smallest keys; masks (n, R).

    At least one, unless the share is 0.
    """
    order = np.lexsort((*reversed(keys), ~among), axis=0)
    count = np.round(share * among.sum(axis=0)) if share == 0 else np.maximum(np.round(share * among.sum(axis=0)), 1)
    first = np.zeros(among.shape, bool)
    np.put_along_axis(first, order, np.arange(len(among))[:, None] < count, axis=0)
    return first & among
