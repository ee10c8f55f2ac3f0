"""What families without pre-training have in common, and families of numbers among them."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from model_collapse.data import Source


class Starting:
    """A family whose every fit starts from the data alone, on the CPU."""

    def base_settings(self) -> None:
        """Nothing is trained before generation 0."""

    def base(self, source: Source, rng: np.random.Generator) -> Any:
        """Nothing: every fit starts from the data alone."""

    def device(self) -> str:
        """What computes."""
        return "cpu"


class Numbers(Starting):
    """A family that makes its real data itself and needs no checkpoint.

    Its `source(n, rng, replicates)` gives n real rows for each of the replicate chains.
    """

    conditional: ClassVar[bool] = False
    reads: ClassVar[str] = "numbers"
    checkpoints: ClassVar[bool] = False
