"""A sweep of small tasks through Ray, against the same through processes of this machine; and by one worker and two."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import yaml

from model_collapse.companion.bench import Benchmark, Pairs, Result, result, seconds
from model_collapse.companion.sweep import tasks, work
from model_collapse.companion.sweep.executors import Options
from model_collapse.companion.sweep.executors import ray as cluster
from model_collapse.companion.sweep.file import Source, Sweep, read
from model_collapse.companion.sweep.work import Outcome
from model_collapse.errors import ExternalError


@dataclass(frozen=True)
class Overhead:
    """Seconds of a sweep of `seeds` Gaussian runs, each of `blocks` tasks of 256 chains, by two workers.

    goal  seconds of the local executor, in those of Ray: at most a tenth more
    """

    goal: float = 1 / 1.1
    seeds: int = 10
    blocks: int = 20
    generations: int = 200
    pairs: int = 5

    published = "sweep"

    def measure(self, name: str, published: ModuleType) -> Result:
        """Starting a cluster, or processes, is no part of it: both stay from one pair to the next."""
        with tempfile.TemporaryDirectory() as folder:
            sweep = self.sweep(Path(folder))
            every = list(tasks.of(sweep).values())

            def timed(bring: Callable[[], list[Outcome]]) -> Callable[[int], float]:
                return lambda pair: self._seconds(sweep, bring, pair)

            with _same_priority(), cluster.connected(Options(jobs=2)), published.processes(sweep, 2) as theirs:

                def through_ray(workers: int) -> list[Outcome]:
                    return cluster.run(sweep, every, Options(jobs=workers), lambda line: None)

                ways = [timed(lambda: through_ray(2)), timed(theirs), timed(lambda: through_ray(1))]
                found = np.array([[way(pair) for way in ways] for pair in range(self.pairs + 1)])[1:]
        two, local, one = found.T
        faster = one / two
        note = (
            f"{len(tasks.all_blocks(sweep))} tasks of 256 Gaussian chains, generations 0 to {self.generations}, two "
            f"workers; theirs is the local executor, and no start is counted. Through Ray the same takes "
            f"{float(np.median(two / local)) - 1:+.0%} of wall clock ({(two / local).min() - 1:+.0%} to "
            f"{(two / local).max() - 1:+.0%}); two workers are {float(np.median(faster)):.3g} times as fast as one "
            f"({faster.min():.3g} to {faster.max():.3g})"
        )
        return result(name, Pairs(two, local), 1, self.goal, note, threads=2)

    def sweep(self, folder: Path) -> Sweep:
        """The sweep, of a file in the folder."""
        said = {
            "family": "gaussian",
            "n": 100,
            "generations": self.generations,
            "every": self.generations,
            "replicates": 256 * self.blocks,
            "seeds": list(range(self.seeds)),
        }
        file = folder / "bench.yaml"
        file.write_text(yaml.safe_dump(said), encoding="utf-8")
        return read(Source(str(file)))

    def _seconds(self, sweep: Sweep, bring: Callable[[], list[Outcome]], pair: int) -> float:
        """Of the sweep from its beginning to its end."""
        shutil.rmtree(sweep.folder, ignore_errors=True)
        work.set_up(sweep.folder)
        spent = seconds(lambda _: bring(), pair)
        if not all(sweep.table(run).exists() for run in sweep.runs.values()):
            raise ExternalError("bench sweep: a task failed")
        return spent


@contextmanager
def _same_priority() -> Iterator[None]:
    """Ray gives way to other work of the machine by default, and would be measured by how much there is of that."""
    before = os.environ.get(NICENESS)
    os.environ[NICENESS] = "0"
    try:
        yield
    finally:
        os.environ.pop(NICENESS)
        if before is not None:
            os.environ[NICENESS] = before


NICENESS = "RAY_worker_niceness"

BENCHMARKS: dict[str, Benchmark] = {"sweep": Overhead()}
