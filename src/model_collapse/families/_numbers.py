"""What families of numbers have in common."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from model_collapse.data import Source


class Numbers:
    """A family that makes its real data itself, starts every fit from the data alone, and needs no checkpoint.

    Its `source(n, rng, replicates)` gives n real rows for each of the replicate chains.
    """

    conditional: ClassVar[bool] = False
    reads: ClassVar[str] = "numbers"
    checkpoints: ClassVar[bool] = False

    def base_settings(self) -> None:
        """Nothing is trained before generation 0."""

    def base(self, source: Source, rng: np.random.Generator) -> None:
        """Nothing: every fit starts from the data alone."""

    def device(self) -> str:
        """What computes."""
        return "cpu"
