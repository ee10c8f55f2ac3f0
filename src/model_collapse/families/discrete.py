"""Discrete distributions: the paper's model with exact fit, which is the neutral Wright-Fisher chain of genetics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from model_collapse.data import Data, Moments, Rows, Source
from model_collapse.errors import InputError
from model_collapse.families._numbers import Numbers
from model_collapse.theory import zipf_law


@dataclass(frozen=True, eq=False)
class Categorical:
    """R fitted laws: shares (R, K) of the symbols in order of their true rank; a lost symbol has exactly 0.

    They sum to 1, but for counts=poisson, where they are counts over n.
    """

    shares: np.ndarray


@dataclass(frozen=True)
class Discrete(Numbers):
    """Refit the frequencies of K symbols to n rows, again and again; real rows follow Zipf's law p_i ~ i^-S.

    `sampling=exact` draws the counts of the symbols instead of the rows, which is the same in law (multinomial); their
    frequencies are kept as the mean of `Moments`. Rows are numbers 0 .. K - 1, stacked: shape (n, R).
    """

    symbols: Annotated[int, Field(ge=1, le=10**7, description="number of symbols K")] = 20
    zipf: Annotated[float, Field(ge=0, le=100, description="exponent S of the true law p_i ~ i^-S; 0: uniform")] = 1.0
    sampling: Annotated[Literal["exact", "draw"], Field(description="exact: counts of symbols; draw: every row")] = (
        "exact"
    )
    counts: Annotated[
        Literal["multinomial", "poisson"],
        Field(description="multinomial: n rows; poisson: independent counts, n rows on average"),
    ] = "multinomial"

    metrics: ClassVar[tuple[str, ...]] = ("heterozygosity", "support", "kl", "share")
    rows: ClassVar[int] = 100
    # 64 chains of 1e5 symbols are 51 MB.
    block_size: ClassVar[int] = 64
    width: ClassVar[str] = "symbols"

    def __post_init__(self) -> None:
        if self.counts == "poisson" and self.sampling == "draw":
            raise InputError("family.counts=poisson has no fixed number of rows to draw; set family.sampling=exact")

    def chain_bytes(self, rows: int) -> int:
        """Ten copies of the shares, and of rows that are drawn eight, as measured."""
        return 80 * self.symbols + (64 * rows if self.sampling == "draw" else 0)

    def items(self, metric: str) -> int:
        """One, but `share` has one for each of the ranks that are recorded, at most 37."""
        return min(self.symbols, 37) if metric == "share" else 1

    @property
    def law(self) -> np.ndarray:
        """The true shares, (K,), commonest first."""
        return zipf_law(self.symbols, self.zipf)

    def source(self, n: int, rng: np.random.Generator, replicates: int) -> Source:
        """n real rows for each of the replicate chains."""
        truth = Categorical(np.broadcast_to(self.law, (replicates, self.symbols)))
        return Source(Data.real(self.sample(truth, n, rng)), fresh=lambda m, rng: self.sample(truth, m, rng))

    def fit(
        self, data: Data, rng: np.random.Generator, *, start: None = None, validation: Data | None = None
    ) -> Categorical:
        """Maximum likelihood: p_i = count_i / n, or the weight of symbol i over all weight. No randomness is used."""
        if isinstance(data.rows, Moments):
            # Whole counts again, so that merging many batches leaves no rounding.
            return Categorical(np.rint(data.rows.mean * len(data)) / len(data))
        x = data.rows.x
        chains = x.shape[1]
        place = (x + self.symbols * np.arange(chains)).ravel()
        weight = None if data.weight is None else np.broadcast_to(data.weight.reshape(len(x), -1), x.shape).ravel()
        counts = np.bincount(place, weight, minlength=chains * self.symbols).reshape(chains, self.symbols)
        return Categorical(counts / counts.sum(axis=1, keepdims=True))

    def sample(
        self, model: Categorical, n: int, rng: np.random.Generator, *, given: Rows | None = None
    ) -> Rows | Moments:
        """n rows per chain: Rows (n, R), or Moments whose mean (R, K) is the frequencies of such rows."""
        if self.sampling == "draw":
            return Rows(_draw(model.shares, n, rng), stacked=True)
        if self.counts == "poisson":
            return Moments(n, rng.poisson(n * model.shares) / n)
        return Moments(n, _multinomial(model.shares, n, rng))


def _multinomial(shares: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Frequencies of n draws per chain, (R, K). Symbols that no chain has any more cost nothing."""
    alive = np.flatnonzero(shares.any(axis=0))
    p = shares[:, alive]
    counts = rng.multinomial(n, p)
    # NumPy gives the last symbol what rounding leaves over; a lost symbol must stay lost.
    for r in np.flatnonzero((p[:, -1] == 0) & (counts[:, -1] > 0)):
        counts[r, p[r].argmax()] += counts[r, -1]
        counts[r, -1] = 0
    out = np.zeros(shares.shape)
    out[:, alive] = counts / n
    return out


def _draw(shares: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """n symbols per chain by inversion, (n, R): the first symbol whose cumulative share exceeds a uniform number."""
    below = np.cumsum(shares, axis=1)
    # Rounding may leave the sum a little off 1: the last symbol that is alive takes the rest.
    below[below == below[:, -1:]] = np.inf
    u = rng.random((n, len(shares)))
    rows = [np.searchsorted(cumulative, u[:, r], side="right") for r, cumulative in enumerate(below)]
    return np.stack(rows, axis=1).astype(np.int32)
