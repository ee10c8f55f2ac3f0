"""Relabelled regression with accumulating data: merged sums against least squares on the growing matrix."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from model_collapse import streams
from model_collapse.companion.bench import Benchmark, Pairs, Result, one_thread, result, seconds
from model_collapse.families.regression import Regression
from model_collapse.loop import generations
from model_collapse.regimes.accumulate import Accumulate


@dataclass(frozen=True)
class RegressionAccumulate:
    """The same x relabelled in every generation, each fitted to the real rows and all relabelled ones so far.

    A generation costs the published way more the later it is, and us the same always. Pairs are timed at `paired`
    generations, which favours the published way; both are timed once at `generations` besides. Both have one thread.
    """

    chains: int = 16
    goal: float = 50
    rows: int = 316
    dim: int = 100
    generations: int = 100
    paired: int = 50
    pairs: int = 5

    published = "regression"

    def measure(self, name: str, published: ModuleType) -> Result:
        """Times per chain."""

        def ours(seed: int, count: int = self.paired) -> None:
            _ours(self.rows, self.dim, count, self.chains, seed)

        def theirs(seed: int, count: int = self.paired) -> None:
            published.accumulate(self.rows, self.dim, count, np.random.RandomState(seed))

        with one_thread():
            pairs = Pairs.time(ours, theirs, self.pairs)
            whole = seconds(lambda seed: ours(seed, self.generations), 0) / self.chains
            long = seconds(lambda seed: theirs(seed, self.generations), 0)
        note = (
            f"pairs at {self.paired} generations, which favours the published way; at {self.generations} generations "
            f"of {self.rows} rows in {self.dim} dimensions it took {long:.3g} s once, ours {whole:.3g} s per chain "
            f"({self.chains} at once): {long / whole:.3g} times as fast"
        )
        return result(name, pairs, self.chains, self.goal, note)


def _ours(rows: int, dim: int, count: int, chains: int, seed: int) -> list[np.ndarray]:
    """Squared error |w - w*|^2 (chains,) at each of `count` generations, through the one loop."""
    stream, family = streams.stream(seed), Regression(dim=dim)
    source = family.source(rows, stream(-1, streams.SOURCE), chains)
    regime: Any = Accumulate()
    made = generations(source, family, regime, rows, stream, last=count - 1)
    return [np.sum((generation.model.weights - family.truth) ** 2, axis=-1) for generation in made]


BENCHMARKS: dict[str, Benchmark] = {"regression": RegressionAccumulate()}
