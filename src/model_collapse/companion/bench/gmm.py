"""Chains of Gaussian mixtures, refitted by EM in every generation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from model_collapse import streams
from model_collapse.companion.bench import Benchmark, Pairs, Result, one_thread, result, seconds
from model_collapse.data import Data, Rows, Source
from model_collapse.families.gmm import Gmm
from model_collapse.interfaces import Reference
from model_collapse.loop import generations
from model_collapse.metrics import Measurement
from model_collapse.metrics.gmm import component_sd, l2
from model_collapse.regimes.replace import Replace


@dataclass(frozen=True)
class GmmReplace:
    """The paper's mixture experiment, with the L2 distance of every generation.

    A fit takes the more steps of EM the younger the chain is, so both ways are timed along the whole of it, but not in
    every generation: `stretches` of `length` generations each, in the middle of equal parts of the chain. Both begin
    a stretch with the same training sets.
    """

    chains: int = 64
    rows: int = 1000
    generations: int = 2050
    stretches: int = 10
    length: int = 10
    goal: float = 10
    pairs: int = 5

    published = "gmm"

    def measure(self, name: str, published: ModuleType) -> Result:
        """Times per chain over all stretches."""
        sets = self.training_sets()

        def ours(seed: int) -> None:
            for x in sets:
                replace(x, self.length, seed)

        def theirs(seed: int) -> None:
            rng = np.random.RandomState(seed)
            for x in sets:
                published.replace(np.ascontiguousarray(x[:, seed % self.chains]), self.length, rng)

        with one_thread():
            pairs = Pairs.time(ours, theirs, self.pairs)
            young = Pairs.time(
                lambda seed: replace(sets[0], self.length, seed),
                lambda seed: published.replace(
                    np.ascontiguousarray(sets[0][:, seed % self.chains]), self.length, np.random.RandomState(seed)
                ),
                self.pairs,
            )
            numbers = np.median([seconds(self._numbers, i) for i in range(self.pairs)])
        timed = self.stretches * self.length
        each = np.median(pairs.ours) / self.chains / timed
        theirs_each = np.median(pairs.published) / timed
        note = (
            f"{self.chains} chains at once, {self.rows} rows, {timed} of {self.generations} generations in "
            f"{self.stretches} stretches along the chain: {each * 1e3:.2g} ms per chain and generation, published "
            f"{theirs_each * 1e3:.2g} ms; ratio in the youngest stretch alone "
            f"{np.median(young.published / (young.ours / self.chains)):.3g}"
        )
        return result(name, pairs, self.chains, self.goal, note, peak=float(numbers / np.median(pairs.ours)))

    def training_sets(self) -> list[np.ndarray]:
        """What all chains are fitted to, (n, R, 2), at the first generation of each stretch."""
        family: Any = Gmm()
        stream = streams.stream(0)
        source = family.source(self.rows, stream(-1, streams.SOURCE), self.chains)
        part = self.generations / self.stretches
        begins = [max(round((i + 0.5) * part - self.length / 2), 0) for i in range(self.stretches)]
        return [g.train.rows.x for g in _chain(source, family, begins[-1], stream) if g.t in begins]

    def _numbers(self, seed: int) -> None:
        """The random numbers of our samples and nothing else."""
        rng = np.random.default_rng(seed)
        for _ in range(self.stretches * self.length):
            rng.standard_normal((self.chains, 2, self.rows))
            rng.random((self.chains, self.rows))


def replace(x: np.ndarray, count: int, seed: int) -> np.ndarray:
    """L2 distance to the first mixture and mean sd of components, (count, 2, R), through the one loop from rows x."""
    real = Rows(x, stacked=True)
    source, family = Source(Data.real(real), fresh=lambda n, rng: real), Gmm()
    measured, reference = [], None
    for generation in _chain(source, family, count - 1, streams.stream(seed)):
        reference = reference or Reference(generation, source, family)
        measurement = Measurement(generation, reference)
        measured.append((l2(measurement), component_sd(measurement)))
    return np.array(measured)


def _chain(source: Source, family: Any, last: int, stream: streams.Stream) -> Iterator[Any]:
    regime: Any = Replace()
    return generations(source, family, regime, len(source.train), stream, last=last)


BENCHMARKS: dict[str, Benchmark] = {"gmm": GmmReplace()}
