"""What families of numbers have in common."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from model_collapse.interfaces import Family


class Numbers(Family):
    """A family that makes its real data itself, by `source`, and needs no checkpoint."""

    reads: ClassVar[Literal["numbers"]] = "numbers"

    def chain_bytes(self, rows: float) -> float:
        """Memory of one chain with training sets of this number of rows, about: eight copies of them, as measured.

        Where no rows are drawn (`sampling=exact`), a dozen matrices of width by width instead.
        """
        width = vars(self)[self.width] if self.width else 1
        return 64 * width * rows if self.draws_rows else 96 * width**2


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
