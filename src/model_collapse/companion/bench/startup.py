"""CPU time of commands that compute next to nothing: what starting them costs, in starts of a bare interpreter."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from model_collapse.companion.bench import Benchmark, Pairs, Result, result

HELP = ("--help",)
CHAIN = ("chain", "gaussian", "replace", "-n", "10", "-g", "3")


@dataclass(frozen=True)
class Startup:
    """CPU seconds, of all processes that a command starts, in turns with those of `python -c pass`.

    chain_s  limit for a Gaussian chain of four generations, whose arithmetic takes milliseconds
    help_s   limit for `--help`
    goal     starts of a bare interpreter per chain, inverted
    """

    goal: float = 0.02
    chain_s: float = 1.0
    help_s: float = 0.3
    pairs: int = 5

    published = "startup"

    def measure(self, name: str, published: ModuleType) -> Result:
        """Seconds of the chain, and those of `--help` in the note."""
        timed = np.array([self._turn(published) for _ in range(self.pairs + 1)])[1:]
        chain, help_, bare = timed.T
        median = float(np.median(help_))
        note = (
            f"CPU seconds: `--help` {median:.2g} ({float(np.median(help_ / bare)):.3g} starts of a bare interpreter, "
            f"limit {self.help_s:g} s), `{' '.join(CHAIN)}` {float(np.median(chain)):.2g} (limit {self.chain_s:g} s)"
        )
        met = median <= self.help_s and float(np.median(chain)) <= self.chain_s
        return result(name, Pairs(chain, bare), 1, self.goal, note, also=met)

    def _turn(self, published: ModuleType) -> tuple[float, float, float]:
        return cpu_seconds(lambda: _start(CHAIN)), cpu_seconds(lambda: _start(HELP)), cpu_seconds(published.start)


def cpu_seconds(work: Callable[[], object]) -> float:
    """User and system seconds of the processes that `work` starts and waits for."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    work()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _start(arguments: Sequence[str]) -> None:
    subprocess.run([sys.executable, "-m", "model_collapse.cli", *arguments], check=True, capture_output=True)


BENCHMARKS: dict[str, Benchmark] = {"startup": Startup()}
