"""Discrete distributions: the paper's model with exact fit, which is the neutral Wright-Fisher chain of genetics."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, ClassVar, Literal

import numpy as np
import scipy
from pydantic import Field

from model_collapse.data import Data, Rows, Source, Statistics
from model_collapse.errors import InputError
from model_collapse.families._numbers import Summarised
from model_collapse.families._shares import cumulative, draw, multinomial
from model_collapse.theory import zipf_law


@dataclass(frozen=True, eq=False)
class Categorical:
    """R fitted distributions of K symbols, as a list of the symbols that are left: time and memory follow these, not K.

    symbol   (R, W) numbers 0 .. K - 1 of symbols, in order of their true rank; W is what the richest chain needs
    share    (R, W) their shares; exactly 0 for a symbol that is lost and where a chain has fewer than W
    symbols  K

    Shares sum to 1, but for counts=poisson, where they are counts over n.
    """

    symbol: np.ndarray
    share: np.ndarray
    symbols: int

    @property
    def shares(self) -> np.ndarray:
        """Shares of all symbols, (R, K); 0 for the lost."""
        out = np.zeros((len(self.share), self.symbols))
        alive = np.nonzero(self.share)
        out[alive[0], self.symbol[alive]] = self.share[alive]
        return out


@dataclass(frozen=True, eq=False)
class Counts(Statistics):
    """How often n rows that were never drawn show each of K symbols, listed as in `Categorical`.

    mass   total weight of the rows: n if each has weight 1
    value  (R, W) counts of the symbols, times the weights of the rows
    """

    mass: float
    symbol: np.ndarray
    value: np.ndarray
    symbols: int

    @property
    def chains(self) -> int:
        """R."""
        return len(self.value)

    def weighed(self, weight: float) -> Counts:
        """The same rows, each `weight` times as heavy."""
        return Counts(self.count, self.mass * weight, self.symbol, self.value * weight, self.symbols)

    @staticmethod
    def concat(parts: Iterable[Counts]) -> Counts:
        """Counts of all the rows together: whole numbers stay whole."""
        parts = list(parts)
        symbols, chains = parts[0].symbols, parts[0].chains
        alive = [np.nonzero(part.value) for part in parts]
        keys = [at[0] * symbols + part.symbol[at] for part, at in zip(parts, alive, strict=True)]
        values = [part.value[at] for part, at in zip(parts, alive, strict=True)]
        symbol, value = _tally(np.concatenate(keys), np.concatenate(values), chains, symbols)
        return Counts(sum(p.count for p in parts), sum(p.mass for p in parts), symbol, value, symbols)


@dataclass(frozen=True)
class Discrete(Summarised):
    """Refit the frequencies of K symbols to n rows, again and again; real rows follow Zipf's law p_i ~ i^-S.

    `sampling=exact` draws the counts of the symbols instead of the rows, which is the same in distribution
    (multinomial). Rows are numbers 0 .. K - 1, stacked: shape (n, R). Memory is about 50 bytes for each chain of a
    block and each symbol that is left, at most min(n, K) of them.
    """

    symbols: Annotated[int, Field(ge=1, le=10**7, description="number of symbols K")] = 20
    zipf: Annotated[float, Field(ge=0, le=100, description="exponent S of the true shares p_i ~ i^-S; 0: uniform")] = (
        1.0
    )
    sampling: Annotated[Literal["exact", "draw"], Field(description="exact: counts of symbols; draw: every row")] = (
        "exact"
    )
    counts: Annotated[
        Literal["multinomial", "poisson"],
        Field(description="multinomial: n rows; poisson: independent counts, n rows on average"),
    ] = "multinomial"
    top_k: Annotated[
        int,
        Field(ge=0, description="a model generates only its k commonest symbols (ties: true order); 0: all"),
    ] = 0

    temperature: Annotated[
        float, Field(gt=0, le=100, description="samples have shares ~ p^(1/temperature); 1: the learned ones")
    ] = 1.0

    metrics: ClassVar[tuple[str, ...]] = ("heterozygosity", "support", "kl", "lost_mass", "share")
    more_metrics: ClassVar[tuple[str, ...]] = ("mean_reward", "entropy")
    rows: ClassVar[int] = 100
    block_size: ClassVar[int] = 2048
    width: ClassVar[str] = "symbols"
    scores: ClassVar[frozenset[str]] = frozenset({"reward", "likelihood"})

    def __post_init__(self) -> None:
        # Fewer chains at a time of many symbols: 64 with 1e5 symbols left in each take 0.2 GB.
        object.__setattr__(self, "block_size", min(max(2**22 // self.symbols, 64), Discrete.block_size))
        if self.counts == "poisson" and self.draws_rows:
            raise InputError("family.counts=poisson has no fixed number of rows to draw; set family.sampling=exact")

    def chain_bytes(self, rows: float) -> float:
        """Ten copies of the shares, and of rows that are drawn eight, as measured."""
        return 80 * self.symbols + (64 * rows if self.draws_rows else 0)

    def items(self, metric: str) -> int:
        """One, but `share` has one for each of the ranks that are recorded, at most 37."""
        return min(self.symbols, 37) if metric == "share" else 1

    @property
    def distribution(self) -> np.ndarray:
        """The true shares, (K,), commonest first."""
        return _distribution(self.symbols, self.zipf)

    def kinds(self, rows: Rows) -> np.ndarray:
        """What kind of thing each row is, (n, R): its symbol."""
        return rows.x

    def source(self, n: int, rng: np.random.Generator, replicates: int) -> Source:
        """n real rows for each of the replicate chains; top_k is about models and does not touch them."""
        return Source(Data.real(self._real(n, rng, replicates)), fresh=lambda m, rng: self._real(m, rng, replicates))

    def fit(
        self, data: Data, rng: np.random.Generator, *, start: None = None, validation: Data | None = None
    ) -> Categorical:
        """Maximum likelihood: p_i = count_i / n, or the weight of symbol i over all weight. No randomness is used."""
        if isinstance(data.rows, Counts):
            counts = data.rows
            return Categorical(counts.symbol, counts.value / counts.mass, self.symbols)
        symbol, value = _count(data.x, data.weight, self.symbols)
        return Categorical(symbol, value / value.sum(axis=1, keepdims=True), self.symbols)

    def sample(
        self, model: Categorical, n: int, rng: np.random.Generator, *, given: Rows | None = None
    ) -> Rows | Statistics:
        """n rows per chain: Rows (n, R), or the Counts of such rows."""
        distribution = model if self.temperature == 1 else _sharpened(model, self.temperature)
        distribution = (
            _commonest(distribution, self.top_k) if 0 < self.top_k < distribution.share.shape[1] else distribution
        )
        if self.draws_rows:
            places = draw(distribution.share, n, rng)
            return Rows(np.take_along_axis(distribution.symbol, places.T, axis=1).T.astype(np.int32), stacked=True)
        value = (
            rng.poisson(n * distribution.share) if self.counts == "poisson" else multinomial(distribution.share, n, rng)
        )
        return Counts(n, n, *_packed(distribution.symbol, value.astype(float)), self.symbols)

    def reward(self, rows: Rows) -> np.ndarray:
        """How much readers like each row, shape (n, R): symbol i gets i / (K - 1), from 0 to 1."""
        return rows.x / max(self.symbols - 1, 1)

    def score(self, model: Categorical, rows: Rows) -> np.ndarray:
        """-ln p of every row, shape (n, R), in nats: inf for a symbol that the model has lost."""
        with np.errstate(divide="ignore"):
            return -np.log(np.take_along_axis(model.shares, rows.x.T, axis=1)).T

    def entropy(self, model: Categorical, rows: Rows) -> np.ndarray:
        """Entropy in nats of the distribution of every row, shape (n, R): the same for all rows of a chain."""
        return np.broadcast_to(scipy.special.entr(model.share).sum(axis=1), rows.x.shape)

    def _real(self, n: int, rng: np.random.Generator, chains: int) -> Rows | Counts:
        """n rows of the true distribution per chain."""
        distribution, K = self.distribution, self.symbols
        rows = n < K and self.counts == "multinomial"
        if self.draws_rows:
            return Rows(_inversion(distribution, (n, chains), rng).astype(np.int32), stacked=True)
        # Some chains at a time, so that memory follows what is drawn, not K.
        step = max(2**22 // max(n if rows else K, 1), 1)
        keys, values = [], []
        for first in range(0, chains, step):
            size = min(step, chains - first)
            if rows:
                flat, counts = np.unique(
                    _inversion(distribution, (n, size), rng) + K * np.arange(size), return_counts=True
                )
            else:
                drawn = (
                    rng.poisson(n * distribution, (size, K))
                    if self.counts == "poisson"
                    else rng.multinomial(n, distribution, size)
                )
                flat = np.flatnonzero(drawn)
                counts = drawn.ravel()[flat]
            keys.append(flat + first * K)
            values.append(counts.astype(float))
        return Counts(n, n, *_tally(np.concatenate(keys), np.concatenate(values), chains, K), K)


@lru_cache(maxsize=1)
def _distribution(symbols: int, zipf: float) -> np.ndarray:
    distribution = zipf_law(symbols, zipf)
    distribution.flags.writeable = False
    return distribution


def _inversion(distribution: np.ndarray, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Draws of one distribution (K,) by inversion, which is the same for all chains."""
    return np.searchsorted(cumulative(distribution), rng.random(shape), side="right")


def _tally(keys: np.ndarray, values: np.ndarray | None, chains: int, symbols: int) -> tuple[np.ndarray, np.ndarray]:
    """symbol and value, (R, W) each, from entries with keys chain * K + symbol: equal keys add up (None: 1 each)."""
    if values is None:
        keys, counts = np.unique(keys, return_counts=True)
    else:
        keys, place = np.unique(keys, return_inverse=True)
        counts = np.bincount(place, values, minlength=len(keys))
    chain, number = np.divmod(keys, symbols)
    first = np.searchsorted(chain, np.arange(chains + 1))
    column = np.arange(len(keys)) - first[chain]
    symbol = np.zeros((chains, max(np.diff(first).max(), 1)), np.int32)
    value = np.zeros(symbol.shape)
    symbol[chain, column], value[chain, column] = number, counts
    return symbol, value


def _count(x: np.ndarray, weight: np.ndarray | None, symbols: int) -> tuple[np.ndarray, np.ndarray]:
    """symbol and value, (R, W) each, from rows x (n, R) and weights, None, (n,) or (n, R)."""
    keys = x + symbols * np.arange(x.shape[1])
    if weight is not None:
        weight = np.broadcast_to(weight.reshape(len(x), -1), x.shape).ravel()
    return _tally(keys.ravel(), weight, x.shape[1], symbols)


def _packed(symbol: np.ndarray, value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same without columns of lost symbols, once they are a fifth of all: they cost little, not nothing."""
    width = max(np.count_nonzero(value, axis=1).max(), 1)
    if width > 0.8 * value.shape[1]:
        return symbol, value
    order = np.argsort(value == 0, axis=1, kind="stable")[:, :width]
    return np.take_along_axis(symbol, order, axis=1), np.take_along_axis(value, order, axis=1)


def _sharpened(model: Categorical, temperature: float) -> Categorical:
    """Shares ~ p^(1/temperature); their sum stays what it was, for a Poisson chain has another one."""
    share = model.share ** (1 / temperature)
    total = share.sum(axis=1, keepdims=True)
    return Categorical(
        model.symbol,
        share * (model.share.sum(axis=1, keepdims=True) / np.where(total > 0, total, 1)),
        model.symbols,
    )


def _commonest(model: Categorical, k: int) -> Categorical:
    """The k commonest symbols of every chain, with the shares of the others dealt out in proportion."""
    order = np.sort(np.argsort(-model.share, axis=1, kind="stable")[:, :k], axis=1)
    symbol, share = (np.take_along_axis(array, order, axis=1) for array in (model.symbol, model.share))
    kept = share.sum(axis=1, keepdims=True)
    # A Poisson chain may have died out.
    return Categorical(
        symbol, share * (model.share.sum(axis=1, keepdims=True) / np.where(kept > 0, kept, 1)), model.symbols
    )
