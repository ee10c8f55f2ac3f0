"""What a run will take: counts that follow from the settings, sums that follow from the counts, and refusals."""

from __future__ import annotations

import math
import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from model_collapse.engine import cost, speed
from model_collapse.engine.cost import Cost
from model_collapse.engine.execute import execute
from model_collapse.engine.plan import plan
from model_collapse.engine.processes import Progress
from model_collapse.engine.spec import Run
from model_collapse.engine.speed import Line, Speed
from model_collapse.errors import ExternalError, OutOfMemory


def opt(regime: str = "replace", **changes: object) -> Run:
    named = {"n": 48, "generations": 3, "replicates": 2, **changes}
    settings = {"family.pretrain_blocks": 64, "family.evaluate": 16} | named.pop("settings", {})  # type: ignore[operator]
    return plan("lm", regime, settings=settings, **named)  # type: ignore[arg-type]


def flat(seconds: float = 1.0, **changes: object) -> Speed:
    """Everything takes so many seconds a row."""
    line = Line(1, seconds, seconds)
    known = {"reading": 0.0, "memory": 2e8, "weights": 1e6, "text": 100.0, "held_out": 5, "tested": 7, "web": 11}
    known |= {"device": "cpu", "room": math.inf} | changes
    return Speed(line, line, line, line, line, **known)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("regime", "rows"),
    [
        ("replace", [(48, 48)] * 4),
        ("accumulate", [(48, 48), (96, 48), (144, 48), (192, 48)]),
        ("mix", [(48, 48)] * 4),
        ("grow", [(48, 192), (192, 432), (432, 768), (768, 1200)]),
    ],
)
def test_rows_are_counted_by_the_loop(regime: str, rows: list[tuple[int, int]]) -> None:
    assert cost._rows(opt(regime)) == rows


def test_seconds_of_a_chain_by_hand() -> None:
    """One second a row: 5 epochs of 48 rows and of 5 for validation, 48 written, 48 + 7 scored for metrics."""
    generation, metrics = 5 * 48 + 5 * 5 + 48, 48 + 7
    assert cost._chain(opt(), flat()) == 4 * (generation + metrics)
    assert cost._chain(opt(every=2), flat()) == 4 * generation + 3 * metrics
    assert cost._chain(opt(settings={"family.checkpoint": "last"}), flat()) == 4 * (5 * 48 + 48 + metrics)
    # 7 steps of 16 rows are three passes over 48 rows.
    assert cost._chain(opt(settings={"family.steps": 7}), flat()) == 4 * (7 * 16 + 3 * 5 + 48 + metrics)
    assert cost._base(opt(), flat()) == 5 * 11


def test_makespan_deals_chains_as_they_come() -> None:
    assert cost.makespan([3, 3, 3], 2) == 6
    assert cost.makespan([5, 1, 1, 1], 2) == 5
    assert cost.makespan([], 2) == 0


def test_a_line_is_measured_over_whole_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that only work moves: 1 s to set up, 3 s for a batch of 4 or a part of one."""
    now, tried = [0.0], []

    def work(rows: int) -> None:
        tried.append(rows)
        now[0] += 1 + 3 * math.ceil(rows / 4)

    monkeypatch.setattr(speed.time, "perf_counter", lambda: now[0])
    line = speed._Meter()(work, 4, 40, 100.0)
    assert max(tried) > 4 and line(4) == 4 and line(40) == pytest.approx(31)
    tried.clear()
    short = speed._Meter()(work, 4, 40, 1.0)
    assert tried == [1, 1, 4] and short(40) == 40, "no budget for a second batch"


def test_budget_is_kept_by_slow_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """1 s a row: what is left of a batch is reckoned, in memory too."""
    now, most = [0.0], [0]

    def work(rows: int) -> None:
        now[0] += 1.0 * rows
        most[0] = max(most[0], rows)

    monkeypatch.setattr(speed.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(speed, "_peak", lambda: 10.0 + 5 * most[0])
    meter = speed._Meter()
    line = meter(work, 64, 640, 4.0)
    assert most[0] == 4 and line(64) == 64 and line(640) == 640
    assert meter.peak + meter.beyond == 10 + 5 * 64


def test_short_runs_and_families_of_numbers_are_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "measure", lambda *_: pytest.fail("measured"))
    assert cost.predict([opt()], 2) is None
    assert cost.predict([plan("gaussian", n=1000, generations=1000)], 1) is None
    assert cost.predict([], 1) is None


def test_what_is_said_before_and_while_a_chain_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Measured for real; how near the seconds come depends on who else uses the machine, so that is not asked here."""
    found, predict = [], cost.predict
    monkeypatch.setattr(cost, "predict", lambda *given: found.append(predict(*given)) or found[0])
    monkeypatch.setattr(cost, "LIGHT", 0.0)
    monkeypatch.setattr(cost, "BUDGET", 1.0)
    monkeypatch.setenv("MODEL_COLLAPSE_JOBS", "1")
    lines: list[str] = []
    execute(opt(replicates=1, generations=1), tmp_path / "run.parquet", progress=lines.append)
    (predicted,) = found
    assert predicted is not None
    assert predicted.seconds > 0 and 1e8 < predicted.memory < predicted.room and predicted.device == "cpu"
    assert lines[0] == str(predicted) and lines[1].endswith(" s left")
    assert lines[-1].startswith("2 of 2 generations, ")


def test_one_measurement_for_arms_that_differ_in_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MODEL_COLLAPSE_CACHE", str(tmp_path))  # no pre-trained model is there
    measured: list[Run] = []
    monkeypatch.setattr(cost, "LIGHT", 0.0)
    monkeypatch.setattr(cost, "measure", lambda run, budget: measured.append(run) or flat())
    arms = [opt(), opt("mix", settings={"family.epochs": 10})]
    both = cost.predict(arms, 1)
    assert len(measured) == 1 and both is not None
    # Two replicates of each; one pre-trained model for all.
    chains = 2 * 4 * (5 * 48 + 25 + 48 + 55) + 2 * 4 * (10 * 48 + 50 + 48 + 55)
    assert both.seconds == chains + 55
    cost.predict([*arms, opt(settings={"family.beams": 2})], 1)
    assert len(measured) == 3


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.4, "0.4 s"), (99, "99 s"), (240, "4 min"), (5000, "83 min"), (7200, "2 h"), (1e6, "12 days")],
)
def test_durations(seconds: float, said: str) -> None:
    assert cost.clock(seconds) == said


def test_the_line() -> None:
    assert str(Cost(240, 6e8, 3.5e7, "cpu")) == "about 4 min on cpu, 0.6 GB of memory, 35 MB of disk"


def test_too_little_memory_or_disk_is_one_line_before_any_work(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cost, "LIGHT", 0.0)
    monkeypatch.setenv("MODEL_COLLAPSE_JOBS", "1")
    monkeypatch.setenv("MODEL_COLLAPSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("model_collapse.engine.execute.make_base", lambda unit: pytest.fail("worked"))
    monkeypatch.setattr(cost, "measure", lambda *_: flat(room=1e8))
    with pytest.raises(
        ExternalError, match=r"^the chains need about 0\.2 GB of memory, and there are 0\.1 GB on cpu; "
    ):
        execute(opt(), tmp_path / "run.parquet")
    monkeypatch.setattr(cost, "measure", lambda *_: flat())
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9, 10**5))
    with pytest.raises(ExternalError, match=r"^the run needs about 2\.\d MB of disk, and 0\.1 MB are free in "):
        execute(opt(), tmp_path / "run.parquet")
    assert not list(tmp_path.glob("run.parquet*"))


def test_a_batch_that_is_too_large_is_left_to_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(run: Run, budget: float) -> Speed:
        raise OutOfMemory("out of GPU memory")

    monkeypatch.setattr(cost, "LIGHT", 0.0)
    monkeypatch.setattr(cost, "measure", full)
    assert cost.predict([opt()], 1) is None


def test_time_left_before_the_first_generation(monkeypatch: pytest.MonkeyPatch) -> None:
    """The prediction until a generation is finished, then what generations took; a line a minute at least."""
    now, done, lines = [0.0], [0], []
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr(Progress, "_count", lambda self: done[0])
    progress = Progress([], 10, lines.append, 1000.0)
    for second, finished in ((1, 0), (2, 0), (62, 0), (200, 1), (210, 1)):
        now[0], done[0] = second, finished
        progress.tell()
    assert lines == [
        "0 of 10 generations, 1 s, about 999 s left",
        "0 of 10 generations, 62 s, about 938 s left",
        "1 of 10 generations, 200 s, about 1800 s left",
    ]
