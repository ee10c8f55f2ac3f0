"""Our way against the published one, timed in turns in one run: same work, same machine, same threads.

Times are seconds per chain: we run many chains at once and divide by their number. The published way lies in
benchmarks/, in the checkout.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from types import ModuleType
from typing import Any, Literal, Protocol

import numpy as np

from model_collapse import paths, streams
from model_collapse.errors import InputError
from model_collapse.families.gaussian import Gaussian
from model_collapse.loop import generations
from model_collapse.regimes.accumulate import Accumulate
from model_collapse.regimes.replace import Replace

THEORY_SIZES = (100, 500, 1000, 10_000)
"""Rows per generation in the figures of the paper's supplement."""


@dataclass(frozen=True)
class Result:
    """One line of the table.

    ours_s, published_s  medians over pairs, seconds per chain
    ratio                median over pairs of published / ours; ratio_min and ratio_max over the same pairs
    goal, met            ratio to reach; whether it and what else `note` names as a goal were reached
    peak_share           share of our time that drawing the same random numbers alone takes, or None
    """

    name: str
    ours_s: float
    published_s: float
    ratio: float
    ratio_min: float
    ratio_max: float
    goal: float
    met: bool
    note: str
    peak_share: float | None
    threads: int
    device: str


class Benchmark(Protocol):
    """A frozen dataclass whose fields are the work; `published` is its module in benchmarks/."""

    published: str

    def measure(self, name: str, published: ModuleType) -> Result: ...


@dataclass(frozen=True)
class Pairs:
    """Seconds of ours and of the published way, run in turns with new seeds."""

    ours: np.ndarray
    published: np.ndarray

    @staticmethod
    def time(ours: Callable[[int], object], published: Callable[[int], object], pairs: int) -> Pairs:
        """`pairs` times each, after one warm-up each; both are called with the number of the pair."""
        seconds = [(_seconds(ours, i), _seconds(published, i)) for i in range(pairs + 1)]
        return Pairs(*np.array(seconds[1:]).T)


def _seconds(work: Callable[[int], object], seed: int) -> float:
    begun = time.perf_counter()
    work(seed)
    return time.perf_counter() - begun


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
        numbers = np.median([_seconds(self._numbers, i) for i in range(self.pairs)])
        total = np.median(pairs.ours)
        bound = np.median(pairs.published) * self.chains / numbers
        note = (
            f"{self.chains} chains at once, {self.generations} generations of {_list(self.sizes)} rows: {total:.3g} s; "
            f"the same random numbers and nothing else take {numbers:.3g} s, which bounds the ratio at {bound:.3g}"
        )
        return _result(name, pairs, self.chains, self.goal, note, peak=float(numbers / total))

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
        half = np.median([_seconds(lambda seed: ours(seed, self.generations // 2), i) for i in range(self.pairs)])
        whole = np.median([_seconds(lambda seed: ours(seed, self.generations), i) for i in range(self.pairs)])
        note = (
            f"pairs at {self.paired} generations; ours, {self.chains} chains, {self.generations} generations of "
            f"{_list(self.sizes)} rows: {whole:.3g} s (goal < {self.goal_s:g} s), "
            f"{whole / half:.2f} times that of half as many (goal < 2.5: linear)"
        )
        also = bool(whole < self.goal_s and whole / half < 2.5)
        return _result(name, pairs, self.chains, self.goal, note, also=also)


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


def _result(
    name: str, pairs: Pairs, chains: int, goal: float, note: str, *, peak: float | None = None, also: bool = True
) -> Result:
    ratios = pairs.published / (pairs.ours / chains)
    ratio = float(np.median(ratios))
    return Result(
        name=name,
        ours_s=float(np.median(pairs.ours)) / chains,
        published_s=float(np.median(pairs.published)),
        ratio=ratio,
        ratio_min=float(ratios.min()),
        ratio_max=float(ratios.max()),
        goal=goal,
        met=ratio >= goal and also,
        note=note,
        peak_share=peak,
        threads=1,
        device="cpu",
    )


BENCHMARKS: dict[str, Benchmark] = {
    "gaussian-replace": GaussianReplace(),
    "gaussian-replace-draw": GaussianReplace(sampling="draw", chains=16, goal=15),
    "gaussian-accumulate": GaussianAccumulate(),
}


def run(
    names: Sequence[str] = (),
    *,
    known: dict[str, Benchmark] = BENCHMARKS,
    progress: Callable[[str], None] | None = None,
) -> dict[str, list[dict[str, Any]]]:
    """{"results": [...]} of these benchmarks, of all if none is named. InputError for an unknown name."""
    for name in names:
        if name not in known:
            raise InputError(f"bench {name}: no such benchmark; known: {', '.join(known)}")
    results = []
    for name in names or known:
        if progress:
            progress(f"{name} ...")
        results.append(asdict(known[name].measure(name, _module(known[name].published))))
    return {"results": results}


def _module(name: str) -> ModuleType:
    """benchmarks/NAME.py of the checkout."""
    folder = paths.benchmarks()
    if folder is None:
        raise InputError("bench: the published way lies in benchmarks/ of the repository; run it from a checkout")
    spec = importlib.util.spec_from_file_location(f"benchmarks_{name}", folder / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
