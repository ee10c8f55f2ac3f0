"""What travels round the loop: rows or their sufficient statistics, each with a note of its author.

Axis order everywhere: rows first, replicate chains second where a family stacks them, coordinates last.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, NoReturn

import numpy as np

from model_collapse.errors import InputError

REAL = 0
"""Value of `Data.born` and of `Data.author` for real data; generation t writes `t + 1`."""

NOT_DRAWN = "exact sampling cannot subsample; set family.sampling=draw"
"""What is said where single rows are needed and there are only statistics of them."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows as they are: x has shape (n, ...), or (n, R, ...) if R replicate chains are stacked."""

    x: np.ndarray
    stacked: bool = False

    def __len__(self) -> int:
        return len(self.x)

    @property
    def chains(self) -> int | None:
        """R, or None for a single chain without the axis."""
        return self.x.shape[1] if self.stacked else None

    def take(self, index: np.ndarray) -> Rows:
        """Rows at `index`, shape (m,), or (m, R) when every chain picks rows of its own."""
        if index.ndim == 1:
            return Rows(self.x[index], self.stacked)
        spread = index.reshape(index.shape + (1,) * (self.x.ndim - 2))
        return Rows(np.take_along_axis(self.x, spread, axis=0), self.stacked)

    @staticmethod
    def concat(parts: Iterable[Rows]) -> Rows:
        """All rows of `parts`, in order."""
        parts = list(parts)
        return Rows(np.concatenate([part.x for part in parts]), parts[0].stacked)


@dataclass(frozen=True, eq=False)
class Statistics(ABC):
    """All that a fit needs to know of n rows that were never drawn; a family of numbers may have a kind of its own.

    count  n, the same in all chains
    """

    count: int

    def __len__(self) -> int:
        return self.count

    def take(self, index: np.ndarray) -> NoReturn:
        """Refused: there are no rows to choose from."""
        raise InputError(NOT_DRAWN)

    @property
    @abstractmethod
    def chains(self) -> int:
        """R, the number of stacked chains."""

    @abstractmethod
    def weighed(self, weight: float) -> Statistics:
        """Those of the same rows, each `weight` times as heavy."""

    @staticmethod
    @abstractmethod
    def concat(parts: Iterable[Any]) -> Statistics:
        """Those of all the rows together."""


def drawn(rows: Rows | Statistics) -> Rows:
    """The rows, which were drawn; else InputError."""
    if isinstance(rows, Statistics):
        raise InputError(NOT_DRAWN)
    return rows


@dataclass(frozen=True, eq=False)
class Moments(Statistics):
    """Count, mean and scatter of n rows that were never drawn: all that a Gaussian fit needs to know.

    The scatter sum_i (x_i - mean)(x_i - mean)' is kept as a square root, scatter = root root', because a root
    never loses its positive sign or its rank to rounding, however small the variance gets.

    mean   (R, d)
    root   (R, d, d), or None where a family needs no scatter
    weight average weight of a row; the scatter is the weighted one
    power  (R, d) or None: column j of the root is that of `root` times 2^power_j, for roots too small to be numbers
    """

    mean: np.ndarray
    root: np.ndarray | None = None
    weight: float = 1
    power: np.ndarray | None = None

    @property
    def chains(self) -> int:
        """R."""
        return len(self.mean)

    @property
    def mass(self) -> float:
        """Total weight: what a fit of weighted rows has in the place of n."""
        return self.count * self.weight

    def weighed(self, weight: float) -> Moments:
        """The same rows, each `weight` times as heavy."""
        root = None if self.root is None else self.root * np.sqrt(weight)
        return Moments(self.count, self.mean, root, self.weight * weight, self.power)

    @staticmethod
    def concat(parts: Iterable[Moments]) -> Moments:
        """Moments of all the rows together (Chan, Golub & LeVeque 1983, doi:10.1080/00031305.1983.10483115)."""
        parts = list(parts)
        merged = parts[0]
        for part in parts[1:]:
            merged = _merge(merged, part)
        return merged


def _merge(a: Moments, b: Moments) -> Moments:
    count, mass = a.count + b.count, a.mass + b.mass
    # An average weight of exactly 1 stays an integer, so that unweighted counts are never rounded.
    weight = 1 if mass == count else mass / count
    shift = b.mean - a.mean
    mean = a.mean + shift * (b.mass / mass)
    if a.root is None or b.root is None:
        return Moments(count, mean, None, weight)
    between = np.sqrt(a.mass * b.mass / mass) * shift[..., None]
    root = square_root(scaled(a.root, a.power), scaled(b.root, b.power), between)
    return Moments(count, mean, root, weight)


def scaled(root: np.ndarray, power: np.ndarray | None) -> np.ndarray:
    """The root (..., d, d) with its columns times 2^power (..., d): 0 where that is less than the smallest number."""
    return root if power is None else np.ldexp(root, power[..., None, :])


def square_root(*parts: np.ndarray) -> np.ndarray:
    """The (..., d, d) root with the same product root root' as the `parts` (..., d, k) side by side; none is formed."""
    dim = parts[0].shape[-2]
    if dim == 1:
        # hypot, because a square underflows long before its root does; column by column, as the columns are few.
        columns = [part[..., j : j + 1] for part in parts for j in range(part.shape[-1])]
        return reduce(np.hypot, columns[1:], np.abs(columns[0]))
    wide = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)
    k = wide.shape[-1]
    if k < dim:
        wide = np.concatenate([wide, np.zeros((*wide.shape[:-1], dim - k))], axis=-1)
    root = np.swapaxes(np.linalg.qr(np.swapaxes(wide, -1, -2), mode="r"), -1, -2)
    # What rounding leaves on the diagonal of a singular root would hide that it is singular.
    diagonal = np.diagonal(root, axis1=-2, axis2=-1)
    nothing = np.abs(diagonal) < 10 * dim * np.finfo(float).eps * np.linalg.norm(root, axis=-1)
    return np.where(nothing[..., None, :], 0, root)


@dataclass(frozen=True, eq=False)
class Data:
    """Rows or their statistics, with provenance.

    rows    Rows or Statistics
    born    0 for people, t + 1 for generation t; shape (n,) or (n, R)
    author  which model wrote it (0 for people); same shape
    weight  how much a row counts in the fit, or None for 1 each; same shape
    size    None for Rows. Statistics have no single rows, so there born and author have one entry per merged
            batch and `size` says how many rows each batch stands for.
    """

    rows: Rows | Statistics
    born: np.ndarray
    author: np.ndarray
    weight: np.ndarray | None = None
    size: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def drawn(self) -> Rows:
        """The rows, which were drawn; else InputError."""
        return drawn(self.rows)

    @property
    def x(self) -> np.ndarray:
        """The rows as an array, (n, ...), as `drawn`."""
        return self.drawn.x

    @staticmethod
    def of(rows: Rows | Statistics, born: int, author: int) -> Data:
        """All of `rows` with one birth and one author."""
        entries = 1 if isinstance(rows, Statistics) else len(rows)
        size = np.array([len(rows)]) if isinstance(rows, Statistics) else None
        return Data(rows, np.full(entries, born, np.int32), np.full(entries, author, np.int32), size=size)

    @staticmethod
    def real(rows: Rows | Statistics) -> Data:
        """Rows that people made."""
        return Data.of(rows, REAL, REAL)

    def take(self, index: np.ndarray) -> Data:
        """The rows at `index`, shape (m,) or (m, R), with their provenance."""
        rows = self.rows.take(index)

        def pick(column: np.ndarray | None) -> np.ndarray | None:
            if column is None:
                return None
            # Where each chain has its own column and picks rows of its own, it picks from that one.
            own = column.ndim == index.ndim == 2
            return np.take_along_axis(column, index, axis=0) if own else column[index]

        return Data(rows, pick(self.born), pick(self.author), pick(self.weight))  # type: ignore[arg-type]

    @staticmethod
    def concat(parts: Iterable[Data]) -> Data:
        """All of `parts` together, provenance kept."""
        parts = [part for part in parts if len(part)]
        if len(parts) == 1:
            return parts[0]
        rows = parts[0].rows.concat([part.rows for part in parts])  # type: ignore[misc]
        weight = None
        if any(part.weight is not None for part in parts):
            weight = _stack([np.ones(part.born.shape) if part.weight is None else part.weight for part in parts])
        size = None
        if parts[0].size is not None:
            size = np.concatenate([part.size for part in parts])
        return Data(rows, _stack([p.born for p in parts]), _stack([p.author for p in parts]), weight, size)

    def weighed(self, weight: float) -> Data:
        """The same rows, each `weight` times as heavy in the fit."""
        if isinstance(self.rows, Statistics):
            return replace(self, rows=self.rows.weighed(weight))
        return replace(
            self, weight=np.full(self.born.shape, float(weight)) * (1 if self.weight is None else self.weight)
        )

    def filtered(self, kept: np.ndarray, refill: np.random.Generator | None = None) -> Data:
        """What a filter leaves: the rows where a bool `kept` is true, or all rows with the weights it gives.

        Both have shape (n,), or (n, R) where each of R chains has its own. Stacked chains have equally
        many rows, so a row that only some of them drop stays, with weight 0 there. Weights of several filters multiply.

        refill  if given, the rows that are kept are repeated in random order until they are as many as before; none
                comes again before all have come equally often
        """
        n, chains = len(self), self.rows.chains
        if kept.shape not in {(n,), (n, chains)}:
            own = "" if chains is None else f" or {(n, chains)}"
            raise ValueError(f"a filter has one entry per row, shape ({n},){own}")
        if isinstance(self.rows, Statistics):
            raise InputError(NOT_DRAWN)
        if kept.dtype == bool:
            if not kept.any(axis=0).all():
                raise InputError(
                    f"nothing is left to train on of {n} rows; let it drop less, or use a regime with real rows"
                )
            if refill is not None:
                columns = [_repeated(np.flatnonzero(own), n, refill) for own in np.atleast_2d(kept.T)]
                return self.take(columns[0] if kept.ndim == 1 else np.stack(columns, axis=1))
            if kept.ndim == 1:
                return self.take(np.flatnonzero(kept))
        weight = kept.astype(float)
        if self.weight is not None:
            other = self.weight
            weight = weight * other if weight.ndim == other.ndim else weight.reshape(n, -1) * other.reshape(n, -1)
        return replace(self, weight=weight)

    @property
    def counted(self) -> np.ndarray:
        """How many rows have a weight above 0: a scalar array, or (R,) where chains differ in it."""
        if self.weight is None or isinstance(self.rows, Statistics):
            return np.array(len(self))
        return np.count_nonzero(self.weight, axis=0)

    @property
    def share_real(self) -> np.ndarray:
        """Share of rows that people made: a scalar array, or (R,) where every chain has its own; not of weight 0."""
        if self.weight is None or self.weight.all():
            return np.average(self.born == REAL, axis=0, weights=self.size)
        made, counts = (x.reshape(len(self), -1) for x in (self.born == REAL, self.weight > 0))
        return np.squeeze((made & counts).sum(axis=0) / counts.sum(axis=0))


def _repeated(index: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """n of these, each as often as any other, or once more."""
    rounds = -(-n // len(index))
    return np.concatenate([rng.permutation(index) for _ in range(rounds)])[:n]


def _stack(columns: list[np.ndarray]) -> np.ndarray:
    """Concatenate (n,) and (n, R) columns; where they meet, (n,) holds for every chain."""
    chains = max((column.shape[1] for column in columns if column.ndim == 2), default=None)
    if chains is not None:
        columns = [c if c.ndim == 2 else np.broadcast_to(c[:, None], (len(c), chains)) for c in columns]
    return np.concatenate(columns)


@dataclass(frozen=True, eq=False)
class Source:
    """Real data.

    train       what generation 0 is fitted to
    validation  real rows to choose a checkpoint by, or None
    test        real rows to score models by, or None
    web         real rows to pre-train on, disjoint from the others, or None
    fresh       fresh(n, rng) gives n new real rows; a corpus raises InputError when it has no more
    """

    train: Data
    fresh: Callable[[int, np.random.Generator], Rows | Statistics]
    validation: Data | None = None
    test: Data | None = None
    web: Data | None = None

    def draw(self, n: int, rng: np.random.Generator) -> Data:
        """n new real rows."""
        return Data.real(self.fresh(n, rng))


def deal(n: int, chains: int | None, rng: np.random.Generator) -> np.ndarray:
    """A shuffle of range(n): shape (n,), or (n, R) with one of its own for each of R stacked chains."""
    if chains is None:
        return rng.permutation(n)
    return rng.permuted(np.broadcast_to(np.arange(n)[:, None], (n, chains)), axis=0)
