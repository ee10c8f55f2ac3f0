"""Discrete chains by counts of symbols."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from model_collapse import streams
from model_collapse.companion.bench import Benchmark, Pairs, Result, result, seconds
from model_collapse.families.discrete import Categorical, Discrete
from model_collapse.loop import generations
from model_collapse.regimes.replace import Replace


@dataclass(frozen=True)
class DiscreteReplace:
    """Frequencies of symbols, each generation fitted to the sample of the one before; real rows by Zipf's law."""

    symbols: int = 1000
    rows: int = 1000
    generations: int = 1000
    chains: int = 200
    goal: float = 30
    pairs: int = 5

    published = "discrete"

    def measure(self, name: str, published: ModuleType) -> Result:
        """Times per chain. The share of the limit is that of the multinomial counts alone, lost symbols left out."""
        distribution = Discrete(symbols=self.symbols).distribution

        def theirs(seed: int) -> None:
            published.replace(distribution, self.rows, self.generations, np.random.RandomState(seed))

        pairs = Pairs.time(lambda seed: ours(self, seed), theirs, self.pairs)
        shares = [model.share for model in ours(self, 0)]

        def numbers(seed: int) -> None:
            rng = np.random.default_rng(seed)
            for share in shares:
                rng.multinomial(self.rows, share)

        alone = float(np.median([seconds(numbers, i) for i in range(self.pairs)]))
        total = float(np.median(pairs.ours))
        bound = float(np.median(pairs.published)) * self.chains / alone
        left = np.mean([np.count_nonzero(share) / self.chains for share in shares])
        note = (
            f"{self.chains} chains at once, {self.generations} generations of {self.rows} rows, {self.symbols} "
            f"symbols: {total:.3g} s; the multinomial counts alone, of {left:.3g} symbols left on average, take "
            f"{alone:.3g} s, which bounds the ratio at {bound:.3g}"
        )
        return result(name, pairs, self.chains, self.goal, note, peak=alone / total)


def ours(work: DiscreteReplace, seed: int) -> list[Categorical]:
    """The fitted distributions at each generation, through the one loop."""
    family, stream = Discrete(symbols=work.symbols), streams.stream(seed)
    source = family.source(work.rows, stream(-1, streams.SOURCE), work.chains)
    regime: Any = Replace()
    chain = generations(source, family, regime, work.rows, stream, last=work.generations - 1)
    return [generation.model for generation in chain]


BENCHMARKS: dict[str, Benchmark] = {"discrete": DiscreteReplace()}
