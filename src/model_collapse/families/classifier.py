"""A classifier that labels points for the next one: the smallest task with answers that are right or wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from model_collapse.data import Data, Rows, Source
from model_collapse.families._numbers import Numbers


@dataclass(frozen=True, eq=False)
class Halves:
    """R fitted classifiers y = sign(x.w): directions w, (R, d)."""

    weights: np.ndarray


@dataclass(frozen=True)
class Classifier(Numbers):
    """Refit w = mean of y x, the averaging classifier, to labels y = +1 or -1 of the last model.

    Real x come from N(0, I) and are labelled sign(x.w*), w* = (1, 0, ..., 0). A model writes sign(x.w), and with
    probability `error` the other label. Rows are (x, y), d + 1 numbers, stacked: shape (n, R, d + 1). After the task in
    theorem 4.2 of Feng et al. 2025, arXiv:2406.07515.
    """

    dim: Annotated[int, Field(ge=2, le=10**4, description="dimensions d of x")] = 20
    error: Annotated[float, Field(ge=0, le=1, description="probability that a generated label is flipped")] = 0.25

    conditional: ClassVar[bool] = True
    metrics: ClassVar[tuple[str, ...]] = ("accuracy",)
    rows: ClassVar[int] = 1000
    # Four chains of 40,000 rows of 20 numbers are 27 MB.
    block_size: ClassVar[int] = 4
    width: ClassVar[str] = "dim"
    scores: ClassVar[frozenset[str]] = frozenset({"truth", "certainty"})

    def source(self, n: int, rng: np.random.Generator, replicates: int) -> Source:
        """n real rows for each of the replicate chains."""

        def fresh(m: int, rng: np.random.Generator) -> Rows:
            x = rng.standard_normal((m, replicates, self.dim))
            return _labelled(x, _sign(x[..., 0]))

        return Source(Data.real(fresh(n, rng)), fresh=fresh)

    def fit(
        self, data: Data, rng: np.random.Generator, *, start: None = None, validation: Data | None = None
    ) -> Halves:
        """The (weighted) mean of y x. No randomness is used."""
        x = data.x
        y = x[..., -1] / len(x)
        if data.weight is not None:
            y = y * data.weight.reshape(len(x), -1)
        return Halves(np.einsum("nr,nrd->rd", y, x[..., :-1]))

    def sample(self, model: Halves, n: int, rng: np.random.Generator, *, given: Rows | None = None) -> Rows:
        """The x of the n rows `given`, or new ones, with labels that the model writes."""
        shape = (n, *model.weights.shape)
        x = given.x[..., :-1] if given is not None else rng.standard_normal(shape)
        y = _sign(np.einsum("nrd,rd->nr", x, model.weights))
        return _labelled(x, np.where(rng.random(shape[:2]) < self.error, -y, y))

    def miss(self, rows: Rows, bias: float = 0.0) -> np.ndarray:
        """1 where the label is wrong, else 0, shape (n, R), to one who says sign(x.(w* + bias e)), e = (0, 1, ...).

        Its own accuracy is 1 - atan(bias) / pi.
        """
        return (rows.x[..., -1] != _sign(_belief(rows, bias))).astype(float)

    def certainty(self, rows: Rows, bias: float = 0.0) -> np.ndarray:
        """|x.(w* + bias e)|, shape (n, R): how sure that judge is of its own label, whatever the row's is."""
        return np.abs(_belief(rows, bias))


def _belief(rows: Rows, bias: float) -> np.ndarray:
    return rows.x[..., 0] + bias * rows.x[..., 1]


def _sign(x: np.ndarray) -> np.ndarray:
    return np.where(x < 0, -1.0, 1.0)


def _labelled(x: np.ndarray, y: np.ndarray) -> Rows:
    return Rows(np.concatenate([x, y[..., None]], axis=-1), stacked=True)
