"""What a sweep will cost: a few seconds of each kind of run are measured on this machine."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from model_collapse.companion.sweep.file import Sweep
from model_collapse.engine import cost
from model_collapse.engine.execute import execute_all
from model_collapse.engine.spec import Run
from model_collapse.errors import InputError

TRIAL = 3
"""Last generation of the chains that are timed, where a family has no measure of its own."""


@dataclass(frozen=True)
class Estimate:
    """Seconds of one core of this machine, and the most bytes of disk, weights included; of what is known beforehand.

    unknown  runs that train for less than a minute, which measuring would make longer
    """

    seconds: float
    bytes: float
    unknown: int = 0

    def __str__(self) -> str:
        rest = f"; {self.unknown} runs of less than a minute not counted" if self.unknown else ""
        return (
            f"about {self.seconds / 3600:.2g} core hours of this machine, up to {cost.size(self.bytes)} of disk{rest}"
        )


def estimate(sweep: Sweep) -> Estimate:
    """Of all runs from their beginning. A rough one: generations of a regime that keeps everything grow."""
    runs = list({run.run_id: run for run in sweep.runs.values()}.values())
    trained = [run for run in runs if run.members.family.workload]
    predicted = cost.predict(trained, 1)
    kinds: dict[str, list[Run]] = {}
    labels: dict[str, str] = {}
    for label, run in sweep.runs.items():
        if run.run_id not in labels and not run.members.family.workload:
            kinds.setdefault(replace(run, seed=0).run_id, []).append(run)
            labels[run.run_id] = label
    timed = [_timed(each, labels[each[0].run_id]) for each in kinds.values()]
    seconds, size = (sum(each[place] for each in timed) for place in (0, 1))
    if predicted:
        return Estimate(seconds + predicted.seconds, size + predicted.disk)
    return Estimate(seconds, size, len(trained))


def _timed(runs: Sequence[Run], label: str) -> tuple[float, float]:
    """Seconds and bytes of runs that differ in their seeds alone, from the first generations of one block."""
    one = runs[0]
    last = min(TRIAL, one.generations)
    trial = replace(one, generations=last, replicates=min(one.replicates, one.block_size))
    with tempfile.TemporaryDirectory() as folder:
        out, begun = Path(folder) / "run.parquet", time.perf_counter()
        try:
            execute_all({out: trial}, jobs=1)
        except InputError as error:
            # What only the work itself can refuse.
            raise InputError(f"{label}: {error}" if label else str(error)) from None
        seconds, size = time.perf_counter() - begun, out.stat().st_size
    more = (one.generations + 1) / (last + 1) * one.blocks * len(runs)
    return seconds * more, size * more
