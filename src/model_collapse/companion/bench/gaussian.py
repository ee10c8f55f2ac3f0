"""Gaussian chains: replace by sufficient statistics or by rows, and accumulate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal

import numpy as np

from model_collapse import streams
from model_collapse.companion.bench import Benchmark, Pairs, Result, result, seconds
from model_collapse.families.gaussian import Gaussian
from model_collapse.loop import generations
from model_collapse.regimes.accumulate import Accumulate
from model_collapse.regimes.replace import Replace

THEORY_SIZES = (100, 500, 1000, 10_000)
"""Rows per generation in the figures of the paper's supplement."""


@dataclass(frozen=True)
class GaussianReplace:
    """One-dimensional chains, each generation fitted to the sample of the one before."""

    sampling: Literal["exact", "draw"] = "exact"
    chains: int = 1000
    goal: float = 5000
    sizes: Sequence[int] = THEORY_SIZES
    generations: int = 1000
    pairs: int = 5

    published = "gaussian"

    def measure(self, name: str, published: ModuleType) -> Result:
        """Times per chain over all sizes."""

        def ours(seed: int) -> None:
            _ours(Replace(), self.sampling, self.sizes, self.generations, self.chains, seed)

        def theirs(seed: int) -> None:
            rng = np.random.RandomState(seed)
            for rows in self.sizes:
                published.replace(rows, self.generations, rng)

        pairs = Pairs.time(ours, theirs, self.pairs)
        numbers = np.median([seconds(self._numbers, i) for i in range(self.pairs)])
        total = np.median(pairs.ours)
        bound = np.median(pairs.published) * self.chains / numbers
        note = (
            f"{self.chains} chains at once, {self.generations} generations of {_list(self.sizes)} rows: {total:.3g} s; "
            f"the same random numbers and nothing else take {numbers:.3g} s, which bounds the ratio at {bound:.3g}"
        )
        return result(name, pairs, self.chains, self.goal, note, peak=float(numbers / total))

    def _numbers(self, seed: int) -> None:
        """The random numbers of our way and nothing else."""
        rng = np.random.default_rng(seed)
        for rows in self.sizes:
            for _ in range(self.generations + 1):
                if self.sampling == "draw":
                    rng.standard_normal((rows, self.chains))
                else:
                    rng.standard_normal(self.chains)
                    rng.chisquare(rows - 1, self.chains)


@dataclass(frozen=True)
class GaussianAccumulate:
    """The same chains, each generation fitted to the real data and all samples so far.

    The published way is quadratic in generations, minutes for one chain of `generations`. Pairs are timed at `paired`
    generations, where it is at its best; ours is timed at `generations` besides, and at half of them.
    """

    chains: int = 1000
    goal: float = 5000
    goal_s: float = 0.5
    sizes: Sequence[int] = THEORY_SIZES
    generations: int = 1000
    paired: int = 100
    pairs: int = 5

    published = "gaussian"

    def measure(self, name: str, published: ModuleType) -> Result:
        """Times per chain over all sizes; met only if the whole work takes less than goal_s and is linear."""

        def ours(seed: int, last: int = self.paired) -> None:
            _ours(Accumulate(), "exact", self.sizes, last, self.chains, seed)

        def theirs(seed: int) -> None:
            rng = np.random.RandomState(seed)
            for rows in self.sizes:
                published.accumulate(rows, self.paired, rng)

        pairs = Pairs.time(ours, theirs, self.pairs)
        half = np.median([seconds(lambda seed: ours(seed, self.generations // 2), i) for i in range(self.pairs)])
        whole = np.median([seconds(lambda seed: ours(seed, self.generations), i) for i in range(self.pairs)])
        note = (
            f"pairs at {self.paired} generations; ours, {self.chains} chains, {self.generations} generations of "
            f"{_list(self.sizes)} rows: {whole:.3g} s (goal < {self.goal_s:g} s), "
            f"{whole / half:.2f} times that of half as many (goal < 2.5: linear)"
        )
        also = bool(whole < self.goal_s and whole / half < 2.5)
        return result(name, pairs, self.chains, self.goal, note, also=also)


def _ours(
    regime: Any, sampling: Literal["exact", "draw"], sizes: Sequence[int], count: int, chains: int, seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Mean and standard deviation (chains,) at each of `count` generations and every size, through the one loop."""
    fits, family = [], Gaussian(sampling=sampling)
    for rows in sizes:
        stream = streams.stream(seed)
        source = family.source(rows, stream(-1, streams.SOURCE), chains)
        for generation in generations(source, family, regime, rows, stream, last=count - 1):
            fits.append((generation.model.mean[:, 0], generation.model.root[:, 0, 0]))
    return fits


def _list(sizes: Sequence[int]) -> str:
    return ", ".join(str(size) for size in sizes)


BENCHMARKS: dict[str, Benchmark] = {
    "gaussian-replace": GaussianReplace(),
    "gaussian-replace-draw": GaussianReplace(sampling="draw", chains=16, goal=15),
    "gaussian-accumulate": GaussianAccumulate(),
}
