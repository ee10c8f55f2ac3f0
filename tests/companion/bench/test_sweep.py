"""The benchmark of a sweep at toy size: what it compares, and what it says. Nothing here asserts a speed."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import pytest
from toy_bench import agreed

from model_collapse import store
from model_collapse.companion import bench
from model_collapse.companion.bench import sweep as benchmark
from model_collapse.companion.bench.sweep import Overhead
from model_collapse.companion.sweep import tasks
from model_collapse.companion.sweep.executors import Options, local
from model_collapse.companion.sweep.file import Sweep
from model_collapse.companion.sweep.tasks import Task
from model_collapse.companion.sweep.work import Outcome
from model_collapse.errors import ExternalError

TOY = {"sweep": Overhead(seeds=2, blocks=2, generations=2, pairs=1, goal=0)}


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed (the extra `cluster`)")
def test_a_table_of_it():
    found = bench.run(known=TOY)
    agreed(found, TOY, threads=2)
    assert found["results"][0]["note"].startswith("4 tasks of 256 Gaussian chains")


def stand_in(monkeypatch: pytest.MonkeyPatch, run: Callable[..., list[Outcome]]) -> None:
    """In the place of Ray, and one process instead of two of the local executor."""
    monkeypatch.setattr(benchmark.cluster, "connected", lambda options: nullcontext())
    monkeypatch.setattr(benchmark.cluster, "run", run)
    real = local.pool
    monkeypatch.setattr(local, "pool", lambda jobs, source, heartbeat: real(1, source, heartbeat))


def test_every_turn_does_the_whole_sweep_and_overhead_is_against_the_local_executor(monkeypatch: pytest.MonkeyPatch):
    turns: list[tuple[int | None, int]] = []

    def run(sweep: Sweep, every: Sequence[Task], options: Options, tell: Callable[[str], None]) -> list[Outcome]:
        turns.append((options.jobs, sum(task.done for task in every)))
        return local.run(sweep, every, Options(jobs=1), tell)

    stand_in(monkeypatch, run)
    monkeypatch.setattr(benchmark, "seconds", lambda call, pair: (call(pair), next(clock))[1])
    clock = iter([9.0, 9.0, 9.0, 11.0, 10.0, 22.0])
    (found,) = bench.run(known=TOY)["results"]
    assert turns == [(2, 0), (1, 0)] * 2  # nothing is done when a turn begins
    assert found["ratio"] == pytest.approx(10 / 11) and found["ours_s"] == 11
    assert "+10% of wall clock" in found["note"] and "2 times as fast as one" in found["note"]


def test_a_sweep_that_is_not_brought_to_its_end_is_no_measurement(monkeypatch: pytest.MonkeyPatch):
    stand_in(monkeypatch, lambda *given: [])
    with pytest.raises(ExternalError, match="a task failed"):
        bench.run(known=TOY)


def test_it_is_the_agreed_work(tmp_path: Any):
    """200 tasks of one block each, whose tables have no more than their last generation."""
    sweep = Overhead().sweep(tmp_path)
    assert len(tasks.all_blocks(sweep)) == 200
    assert {task.unit(tmp_path).chains for task in tasks.all_blocks(sweep)} == {256}
    assert store.digest(*sweep.runs) == store.digest(*(f"seed {seed}" for seed in range(10)))
