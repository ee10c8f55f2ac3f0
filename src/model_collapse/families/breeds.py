"""Breeds: a label and a trait in each row, so that kinds can die out and those that stay can grow alike."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from model_collapse.data import Data, Rows, Source, Statistics
from model_collapse.families._numbers import Summarised
from model_collapse.families._shares import draw, multinomial
from model_collapse.theory import zipf_law


@dataclass(frozen=True, eq=False)
class Kennel:
    """R fitted mixtures: share, mean and ln of the standard deviation of each breed, (R, K) each.

    A lost breed has share 0. One that has no spread left has a log_deviation of -inf.
    """

    share: np.ndarray
    mean: np.ndarray
    log_deviation: np.ndarray


@dataclass(frozen=True, eq=False)
class Litter(Statistics):
    """For each breed what a fit needs to know of its rows, which were never drawn; (R, K) each.

    mass      total weight of all rows: n if each has weight 1
    number    weight of the breed's rows
    mean      weighted mean of their trait
    log_root  half the ln of their weighted scatter sum w (x - mean)^2, -inf for none: logs do not underflow
    """

    mass: float
    number: np.ndarray
    mean: np.ndarray
    log_root: np.ndarray

    @property
    def chains(self) -> int:
        """R."""
        return len(self.number)

    def weighed(self, weight: float) -> Litter:
        """The same rows, each `weight` times as heavy."""
        root = self.log_root + 0.5 * _log(np.array(weight))
        return Litter(self.count, self.mass * weight, self.number * weight, self.mean, root)

    @staticmethod
    def concat(parts: Iterable[Litter]) -> Litter:
        """Of all the rows together, breed by breed (Chan, Golub & LeVeque 1983, doi:10.1080/00031305.1983.10483115)."""
        return reduce(_merge, parts)


def _merge(a: Litter, b: Litter) -> Litter:
    number, shift = a.number + b.number, b.mean - a.mean
    part = b.number / np.where(number > 0, number, 1)
    between = 0.5 * _log(a.number * part) + _log(np.abs(shift))
    scatter = np.logaddexp(np.logaddexp(2 * a.log_root, 2 * b.log_root), 2 * between)
    return Litter(a.count + b.count, a.mass + b.mass, number, a.mean + part * shift, scatter / 2)


@dataclass(frozen=True)
class Breeds(Summarised):
    """Refit the shares of K breeds, and the normal distribution of a trait in each, to n rows, again and again.

    Real rows are (breed, trait): the breed by Zipf's law, the trait normal about the centre of its breed. Every fit is
    by maximum likelihood. `sampling=exact` draws the numbers of rows of the breeds, then the mean and the scatter
    (chi-square, number - 1 degrees of freedom) of each; a breed with one row has no spread, one with none is lost.
    Rows have shape (n, R, 2).
    """

    breeds: Annotated[int, Field(ge=1, le=10**4, description="number of breeds K")] = 10
    zipf: Annotated[float, Field(ge=0, le=100, description="exponent of the shares of breeds; 0: all equal")] = 1.0
    within: Annotated[
        float, Field(gt=0, le=1e6, allow_inf_nan=False, description="standard deviation of the trait within a breed")
    ] = 1.0
    spacing: Annotated[
        float, Field(ge=0, le=1e6, allow_inf_nan=False, description="distance of the centres of breeds next in rank")
    ] = 4.0
    sampling: Annotated[
        Literal["exact", "draw"], Field(description="exact: sufficient statistics; draw: every row")
    ] = "exact"

    metrics: ClassVar[tuple[str, ...]] = (
        "breeds_left",
        "majority_share",
        "majority_breed",
        "within_deviation",
        "log_within",
        "trait_variance",
    )
    rows: ClassVar[int] = 100
    block_size: ClassVar[int] = 1024

    @property
    def distribution(self) -> np.ndarray:
        """The true shares of the breeds, (K,), commonest first."""
        return zipf_law(self.breeds, self.zipf)

    @property
    def centres(self) -> np.ndarray:
        """The true means of the trait, (K,), evenly spaced about 0."""
        return self.spacing * (np.arange(self.breeds) - (self.breeds - 1) / 2)

    def kinds(self, rows: Rows) -> np.ndarray:
        """What kind of thing each row is, (n, R): its breed, from 0."""
        return rows.x[..., 0].astype(int)

    def source(self, n: int, rng: np.random.Generator, replicates: int) -> Source:
        """n real rows for each of the replicate chains."""
        shape = (replicates, self.breeds)
        columns = self.distribution, self.centres, np.log(self.within)
        truth = Kennel(*(np.broadcast_to(column, shape) for column in columns))
        return Source(Data.real(self.sample(truth, n, rng)), fresh=lambda m, rng: self.sample(truth, m, rng))

    def fit(
        self, data: Data, rng: np.random.Generator, *, start: None = None, validation: Data | None = None
    ) -> Kennel:
        """Share, mean and variance (scatter / number) of each breed, rows weighted as they are. No randomness."""
        rows = data.rows if isinstance(data.rows, Litter) else _gathered(data.x, data.weight, self.breeds)
        alive = rows.number > 0
        deviation = np.where(alive, rows.log_root - 0.5 * _log(rows.number, alive), -np.inf)
        return Kennel(rows.number / rows.mass, rows.mean, deviation)

    def sample(
        self, model: Kennel, n: int, rng: np.random.Generator, *, given: Rows | None = None
    ) -> Rows | Statistics:
        """n rows per chain: Rows (n, R, 2), or the Litter of such rows."""
        if self.draws_rows:
            breed = draw(model.share, n, rng)
            mean, log_deviation = (np.take_along_axis(a, breed.T, axis=1).T for a in (model.mean, model.log_deviation))
            trait = mean + np.exp(log_deviation) * rng.standard_normal(breed.shape)
            return Rows(np.stack([breed, trait], axis=-1), stacked=True)
        number = multinomial(model.share, n, rng)
        seen, spread = np.nonzero(number), np.nonzero(number > 1)
        mean, log_root = model.mean.copy(), np.full(number.shape, -np.inf)
        mean[seen] += np.exp(model.log_deviation[seen]) * rng.standard_normal(len(seen[0])) / np.sqrt(number[seen])
        log_root[spread] = model.log_deviation[spread] + 0.5 * np.log(rng.chisquare(number[spread] - 1))
        return Litter(n, n, number.astype(float), mean, log_root)


def _log(x: np.ndarray, where: np.ndarray | bool = True) -> np.ndarray:
    """ln x, -inf for 0 and 0 where it is not asked for."""
    with np.errstate(divide="ignore"):
        return np.log(x, out=np.zeros(np.shape(x)), where=where)


def _gathered(x: np.ndarray, weight: np.ndarray | None, breeds: int) -> Litter:
    """The Litter of rows x (n, R, 2) with weights None, (n,) or (n, R)."""
    n, chains, _ = x.shape
    place = (x[..., 0].astype(np.int64) + breeds * np.arange(chains)).ravel()
    trait = x[..., 1].ravel()
    w = np.ones(n) if weight is None else weight
    w = np.broadcast_to(w.reshape(n, -1), (n, chains))

    def total(values: np.ndarray) -> np.ndarray:
        return np.bincount(place, w.ravel() * values, minlength=chains * breeds)

    number = total(np.ones(n * chains))
    # About one of the breed's own rows, so that equal rows have a scatter of exactly 0.
    origin = np.zeros(chains * breeds)
    origin[place] = trait
    about = trait - origin[place]
    shift = total(about) / np.where(number > 0, number, 1)
    mean, root = origin + shift, 0.5 * _log(total((about - shift[place]) ** 2))
    shape = (chains, breeds)
    return Litter(n, w.sum(axis=0)[:, None], number.reshape(shape), mean.reshape(shape), root.reshape(shape))
