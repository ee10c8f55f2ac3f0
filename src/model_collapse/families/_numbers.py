"""What families without pre-training have in common, and families of numbers among them."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np

from model_collapse.data import Source
from model_collapse.interfaces import Family


class Starting(Family):
    """A family whose every fit starts from the data alone, on the CPU.

    more_metrics  those that a run takes only if they are asked for; `metrics` are taken by default
    """

    more_metrics: ClassVar[tuple[str, ...]] = ()

    def base_settings(self) -> None:
        """Nothing is trained before generation 0."""

    def base(self, source: Source, rng: np.random.Generator) -> Any:
        """Nothing: every fit starts from the data alone."""

    def device(self) -> str:
        """What computes."""
        return "cpu"


class Numbers(Starting):
    """A family that makes its real data itself and needs no checkpoint.

    Its `source(n, rng, replicates)` gives n real rows for each of the replicate chains. `width` is the setting that
    makes its models large, if there is one.
    """

    conditional: ClassVar[bool] = False
    reads: ClassVar[str] = "numbers"
    checkpoints: ClassVar[bool] = False
    width: ClassVar[str] = "dim"

    def chain_bytes(self, rows: int) -> int:
        """Memory of one chain with training sets of so many rows, about: eight copies of them, as measured.

        Where no rows are drawn (`sampling=exact`), a dozen matrices of width by width instead.
        """
        width = getattr(self, self.width, 1)
        return 64 * width * rows if self.draws_rows else 96 * width**2

    def items(self, metric: str) -> int:
        """How many numbers a metric has per chain and generation, about."""
        return 1


class Summarised(Numbers):
    """Numbers with the setting `sampling`: exact draws sufficient statistics of a sample, draw its rows."""

    can_summarise: ClassVar[bool] = True
    sampling: Literal["exact", "draw"]

    @property
    def draws_rows(self) -> bool:
        """Whether the setting says so."""
        return self.sampling == "draw"


def bartlett(chains: int, dim: int, freedom: int, rng: np.random.Generator) -> np.ndarray:
    """A (R, d, min(d, freedom)) with A A' ~ Wishart_d(I, freedom): chi variates on the diagonal, normal ones below it.

    Smith & Hocking 1972, algorithm AS 53, Applied Statistics 21, 341-345. With freedom < d, when the Wishart matrix is
    singular, A is the normal matrix itself.
    """
    if freedom < dim:
        return rng.standard_normal((chains, dim, freedom))
    if dim == 1:
        return np.sqrt(rng.chisquare(freedom, (chains, 1, 1)))
    a = np.zeros((chains, dim, dim))
    diagonal = np.arange(dim)
    a[:, diagonal, diagonal] = np.sqrt(rng.chisquare(freedom - diagonal, (chains, dim)))
    low = np.tril_indices(dim, -1)
    a[:, low[0], low[1]] = rng.standard_normal((chains, len(low[0])))
    return a
