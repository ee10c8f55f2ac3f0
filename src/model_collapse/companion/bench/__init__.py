"""Our implementations against the published ones, timed in turns in one run: same work, machine and threads.

Times are seconds per chain: we run many chains at once and divide by their number. The published ways are in
benchmarks/, in the checkout. A module of this folder holds the benchmarks of one published module, as `BENCHMARKS`.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np

from model_collapse import paths
from model_collapse.errors import ExternalError, InputError


@dataclass(frozen=True)
class Result:
    """One line of the table.

    ours_s, published_s  medians over pairs, seconds per chain
    ratio                median over pairs of published / ours; ratio_min and ratio_max over the same pairs
    goal, met            ratio to reach; whether it and what else `note` names as a goal were reached
    peak_share           share of a limit measured in the same run that we reach (drawing the same random numbers and
                         nothing else; the rate of a large matrix product), or None
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
    """A frozen dataclass whose fields are the work; `published` is its module in the checkout's benchmarks/."""

    @property
    def published(self) -> str: ...

    def measure(self, name: str, published: ModuleType) -> Result: ...


@dataclass(frozen=True)
class Pairs:
    """Seconds of ours and of the published way, run in turns with new seeds."""

    ours: np.ndarray
    published: np.ndarray

    @staticmethod
    def time(ours: Callable[[int], object], published: Callable[[int], object], pairs: int) -> Pairs:
        """`pairs` times each, after one warm-up each; both are called with the number of the pair."""
        timed = [(seconds(ours, i), seconds(published, i)) for i in range(pairs + 1)]
        return Pairs(*np.array(timed[1:]).T)


def seconds(work: Callable[[int], object], seed: int) -> float:
    """Wall-clock seconds of work(seed)."""
    begun = time.perf_counter()
    work(seed)
    return time.perf_counter() - begun


PRODUCT = 2048
"""Rows and columns of the matrices whose product gives the rate that a processor reaches."""


def product_rate(precision: str) -> float:
    """Operations per second of a large matrix product on the CPU, with the caller's threads."""
    import torch

    from model_collapse import hardware
    from model_collapse.families.lm import products

    dtype, n = hardware.dtypes()[precision], PRODUCT
    a, b = torch.randn(n, n, dtype=dtype), torch.randn(n, n, dtype=dtype)
    product = products.Product(b, None, dtype)
    return 2 * n**3 / min(seconds(lambda _: product(a), i) for i in range(5))


def extra_memory(setup: Callable[..., Callable[[], object]], *arguments: object) -> int | None:
    """Bytes of resident memory that the work adds at its peak to what `setup(*arguments)`, which returns it, took.

    In a fresh process, so that no other work has left memory behind. None where the system keeps no such count.
    """
    if not PEAK.exists():
        return None
    with ProcessPoolExecutor(1, get_context("spawn")) as executor:
        return executor.submit(_extra_memory, setup, arguments).result()


PEAK = Path("/proc/self/clear_refs")
"""Where Linux is asked to forget a process' peak."""


def _extra_memory(setup: Callable[..., Callable[[], object]], arguments: tuple[object, ...]) -> int:
    work = setup(*arguments)
    PEAK.write_text("5", encoding="ascii")
    before = _resident("VmRSS")
    work()
    return _resident("VmHWM") - before


def _resident(name: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    (line,) = (line for line in lines if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024


@contextmanager
def one_thread() -> Iterator[None]:
    """Libraries of linear algebra use one thread inside. ExternalError without threadpoolctl."""
    try:
        from threadpoolctl import threadpool_limits
    except ModuleNotFoundError:
        raise ExternalError("bench: threadpoolctl is missing; pip install 'model-collapse[dev,images]'") from None
    with threadpool_limits(1):
        yield


def result(
    name: str,
    pairs: Pairs,
    chains: int,
    goal: float,
    note: str,
    *,
    peak: float | None = None,
    also: bool = True,
    threads: int = 1,
) -> Result:
    """A line of the table from `pairs`, in which ours ran `chains` chains and the published way one."""
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
        threads=threads,
        device="cpu",
    )


def benchmarks() -> dict[str, Benchmark]:
    """All benchmarks by name, found by scanning this folder."""
    found: dict[str, Benchmark] = {}
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name):
        found |= importlib.import_module(f"{__name__}.{module.name}").BENCHMARKS
    return found


def run(
    names: Sequence[str] = (),
    *,
    known: dict[str, Benchmark] | None = None,
    progress: Callable[[str], None] | None = None,
) -> dict[str, list[dict[str, Any]]]:
    """{"results": [...]} of these benchmarks, of all if none is named. InputError for an unknown name."""
    known = benchmarks() if known is None else known
    for name in names:
        if name not in known:
            raise InputError(f"bench {name}: no such benchmark; known: {', '.join(known)}")
    results = []
    for name in names or known:
        if progress:
            progress(f"{name} ...")
        results.append(asdict(known[name].measure(name, published(known[name].published))))
    return {"results": results}


def published(name: str) -> ModuleType:
    """benchmarks/NAME.py of the checkout."""
    folder = paths.benchmarks()
    if folder is None:
        raise InputError("bench: the published way lies in benchmarks/ of the repository; run it from a checkout")
    spec = importlib.util.spec_from_file_location(f"benchmarks_{name}", folder / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
