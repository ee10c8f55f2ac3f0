"""All tasks brought to their end, whatever happens to who works on them."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
import toy_sweep
from toy_runs import Killed, added
from toy_sweep import STRIDE, STRIDE_METRICS, STRIDES, same, tidy, written

from model_collapse import cli, store
from model_collapse.companion.sweep import drive, lease, status, tasks, work
from model_collapse.companion.sweep.drive import Died, Drive
from model_collapse.companion.sweep.executors import Options, local
from model_collapse.companion.sweep.file import Sweep
from model_collapse.companion.sweep.tasks import Block, Tables, Task
from model_collapse.errors import ExternalError

NUMBERS = """
family: gaussian
settings: {family.sampling: draw}
n: 10
generations: 2
replicates: 300
conditions:
  A: {}
  B: {regime: accumulate}
"""
"""Two runs of two tasks."""


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others are looked at again at once."""
    monkeypatch.setattr(drive, "POLL", 0.01)


@pytest.fixture
def alone(once: Callable[..., Path]) -> Path:
    """What plain chains make of NUMBERS."""

    def make(folder: Path) -> None:
        toy_sweep.chains(written(folder, NUMBERS), folder)

    return once("sweep-numbers", make)


def finish(sweep: Sweep, **options: object) -> list[work.Outcome]:
    work.set_up(sweep.folder)
    every = tasks.with_needs(sweep, tasks.all_blocks(sweep))
    return local.run(sweep, every, Options(jobs=1, **options), lambda line: None)  # type: ignore[arg-type]


class Here:
    """A pool of this process, which counts what it was given; the first few tasks die before they begin."""

    room = 1

    def __init__(self, sweep: Sweep, dying: int = 0) -> None:
        self.sweep, self.dying, self.given = sweep, dying, Counter[str]()

    def submit(self, name: str, over: lease.Mark | None) -> Future[work.Outcome]:
        self.given[name] += 1
        future: Future[work.Outcome] = Future()
        if self.given[name] <= self.dying:
            future.set_exception(Died("ended from outside"))
        else:
            future.set_result(work.attempt(tasks.of(self.sweep)[name], over=over))
        return future


def test_the_same_bits_as_plain_chains(tmp_path: Path, once: Callable[..., Path]):
    """Numbers and words; two processes are in executors/test_local.py, Ray and Slurm beside it."""
    wanted = once("sweep-toy", lambda folder: toy_sweep.chains(written(folder), folder))
    sweep = written(tmp_path)
    assert len(tasks.all_blocks(sweep)) == 12
    assert finish(sweep) == []
    same(sweep, wanted)
    tidy(sweep)


@pytest.fixture
def strides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Sweep, list[str]]]:
    """A sweep of a family that keeps checkpoints, what plain chains make of it in `chains`, and what it computes."""
    with added("stride", STRIDE, STRIDE_METRICS, tmp_path, monkeypatch) as module:
        sweep = written(tmp_path, STRIDES)
        (tmp_path / "chains").mkdir()
        toy_sweep.chains(sweep, tmp_path / "chains")
        module.MADE.clear()
        yield sweep, module.MADE


def test_runs_start_from_one_pretrained_model(strides: tuple[Sweep, list[str]], tmp_path: Path):
    sweep, made = strides
    assert finish(sweep) == []
    assert Counter(made) == {"base": 1, "fit": 2 * 2 * 3}
    same(sweep, tmp_path / "chains")
    tidy(sweep)
    shutil.rmtree(sweep.folder / "bases")
    assert finish(sweep) == [] and len(made) == 13  # nobody needs it any more


def test_a_small_language_model(tmp_path: Path):
    settings = "family.block: 16, family.epochs: 1, family.evaluate: 8, family.pretrain_epochs: 1"
    text = f"family: lm\nn: 8\ngenerations: 1\nreplicates: 2\nmetrics: [perplexity]\nsettings: {{{settings}"
    sweep = written(tmp_path, text + ", family.pretrain_blocks: 16}\n")
    (tmp_path / "chains").mkdir()
    toy_sweep.chains(sweep, tmp_path / "chains")
    assert finish(sweep) == []
    same(sweep, tmp_path / "chains")
    tidy(sweep)


def test_a_folder_that_is_finished_is_left_alone(tmp_path: Path, alone: Path):
    sweep = written(tmp_path, NUMBERS)
    finish(sweep)
    before = {file.name: file.stat().st_mtime_ns for file in sweep.folder.iterdir()}
    assert finish(sweep) == []
    assert {file.name: file.stat().st_mtime_ns for file in sweep.folder.iterdir()} == before
    same(sweep, alone)


def test_a_task_that_always_fails_is_said_once_and_the_others_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    # That exact sampling cannot subsample is found out by the work alone.
    text = NUMBERS.replace("settings: {family.sampling: draw}\n", "").replace("accumulate}", "mix}")
    sweep = written(tmp_path, text)
    asked = ["sweep", "run", str(tmp_path / "toy.yaml"), "--jobs", "1"]
    assert cli.main(asked) == 1
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("failed: ")]
    assert len(said) == 1 and said[0].startswith("failed: B, ") and "family.sampling=draw" in said[0]
    assert " and 1 more " in said[0]
    assert sweep.table(sweep.runs["A"]).exists() and not sweep.table(sweep.runs["B"]).exists()
    found = status.status(sweep)
    assert [each["run"] for each in found["failed"]] == ["B", "B"] and found["running"] == []
    assert sum("failed: B" in line for line in status.lines(found)) == 1
    assert cli.main(asked) == 1  # tried again by the same command


def test_what_is_missing_outside_is_tried_again_and_bad_input_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    real, tried = Block.compute, Counter[str]()
    sweep = written(tmp_path, NUMBERS)
    lacking, wrong, *_ = (each.name for each in tasks.all_blocks(sweep))

    def compute(self: Block, inside: Path) -> list[Path]:
        tried[self.name] += 1
        if self.name == lacking and tried[lacking] < drive.TRIES:
            raise ExternalError("the hub does not answer")
        if self.name == wrong:
            raise ZeroDivisionError("a fault of the code")
        return real(self, inside)

    monkeypatch.setattr(Block, "compute", compute)
    failed = finish(sweep)
    assert [(each.task, each.line, each.status) for each in failed] == [
        (wrong, "ZeroDivisionError: a fault of the code", 1)
    ]
    assert tried[lacking] == drive.TRIES and tried[wrong] == 1


def test_a_task_whose_process_dies_is_handed_out_again_and_not_for_ever(tmp_path: Path, alone: Path):
    sweep = written(tmp_path, NUMBERS)
    every = tasks.with_needs(sweep, tasks.all_blocks(sweep))
    work.set_up(sweep.folder)
    pool = Here(sweep, dying=drive.TRIES)
    failed = Drive(every, pool, lambda line: None).run()
    assert {each.task for each in failed} == {each.name for each in tasks.all_blocks(sweep)}
    assert set(pool.given.values()) == {drive.TRIES}
    pool = Here(sweep, dying=drive.TRIES - 1)
    assert Drive(every, pool, lambda line: None).run() == []
    same(sweep, alone)
    tidy(sweep)


def test_a_stale_lease_is_taken_over_and_the_late_result_thrown_away(
    tmp_path: Path, alone: Path, monkeypatch: pytest.MonkeyPatch
):
    """A host that was believed dead goes on in the middle of its work, after others have finished everything."""
    sweep = written(tmp_path, NUMBERS)
    work.set_up(sweep.folder)
    late = tasks.all_blocks(sweep)[0]
    now, seen = [0.0], list[str]()

    def clock() -> float:
        now[0] += 10.0
        return now[0]

    real = Block.compute

    def compute(self: Block, inside: Path) -> list[Path]:
        monkeypatch.setattr(Block, "compute", real)
        made = real(self, inside)
        monkeypatch.setattr(lease, "machine", lambda: "here")
        pool = Here(sweep)
        assert Drive(tasks.with_needs(sweep, tasks.all_blocks(sweep)), pool, lambda line: None, clock=clock).run() == []
        seen.append(sweep.table(late.run).read_bytes().hex())
        # And what it still writes comes to nothing: it makes its folder anew.
        store.write_folder(inside / "late", lambda folder: None, {})
        return made

    monkeypatch.setattr(lease, "machine", lambda: "there")
    monkeypatch.setattr(Block, "compute", compute)
    assert work.attempt(late).state == "lost"
    assert now[0] > lease.MISSED * lease.HEARTBEAT
    assert [sweep.table(late.run).read_bytes().hex()] == seen
    same(sweep, alone)
    tidy(sweep)


def test_who_stands_still_is_not_waited_for_though_no_scheduler_says_so(
    tmp_path: Path, alone: Path, monkeypatch: pytest.MonkeyPatch
):
    """Its lease becomes stale, its future is never resolved, and what it writes later comes to nothing."""
    sweep = written(tmp_path, NUMBERS)
    work.set_up(sweep.folder)
    still = tasks.all_blocks(sweep)[0]
    held: list[lease.Lease] = []

    class Still(Here):
        def submit(self, name: str, over: lease.Mark | None) -> Future[work.Outcome]:
            if name != still.name or self.given[name]:
                return super().submit(name, over)
            self.given[name] += 1
            with monkeypatch.context() as patch:
                patch.setattr(lease, "machine", lambda: "there")
                found = lease.claim(still.folder)
            assert found is not None
            still.compute(found.work)
            held.append(found)
            return Future()

    now = [0.0]

    def clock() -> float:
        now[0] += lease.HEARTBEAT
        return now[0]

    pool = Still(sweep)
    pool.room = 2
    assert Drive(tasks.with_needs(sweep, tasks.all_blocks(sweep)), pool, lambda line: None, clock=clock).run() == []
    assert pool.given[still.name] == 2
    with pytest.raises(lease.Lost):
        held[0].publish([held[0].work / still.result.name], still.result.parent, still.result.name)
    same(sweep, alone)
    tidy(sweep)


@pytest.mark.parametrize("off", [-3600.0, 3600.0])
def test_a_host_whose_clock_is_an_hour_off_keeps_its_task_as_long_as_it_lives(
    off: float, tmp_path: Path, alone: Path, monkeypatch: pytest.MonkeyPatch
):
    """Its signs of life are dated by its own clock: a hundred of them, and then its result, which counts."""
    sweep = written(tmp_path, NUMBERS)
    work.set_up(sweep.folder)
    task = tasks.all_blocks(sweep)[0]
    with monkeypatch.context() as patch:
        patch.setattr(lease, "machine", lambda: "there")
        held = lease.claim(task.folder)
    assert held is not None
    made = task.compute(held.work)
    begun, turns = (held.place / "holder.json").stat().st_mtime + off, [0]

    def clock() -> float:
        turns[0] += 1
        now = turns[0] * lease.MISSED * lease.HEARTBEAT
        if turns[0] <= 100:
            os.utime(held.place / "holder.json", (begun + now, begun + now))
        elif not task.done:
            held.publish(made, task.result.parent, task.result.name)
        return now

    pool = Here(sweep)
    every = tasks.with_needs(sweep, tasks.all_blocks(sweep))
    assert Drive(every, pool, lambda line: None, clock=clock).run() == []
    assert turns[0] > 100 and pool.given[task.name] == 1  # to tidy up after it
    same(sweep, alone)
    tidy(sweep)


@pytest.mark.parametrize("kind", [Block, Tables])
def test_lost_at_the_last_moment(kind: type[Task], tmp_path: Path, alone: Path, monkeypatch: pytest.MonkeyPatch):
    """Somebody takes over between the two renames of a result that is ready, publishes it, and the first hears so."""
    sweep = written(tmp_path, NUMBERS)
    work.set_up(sweep.folder)
    if kind is Tables:
        for block in tasks.all_blocks(sweep):
            work.attempt(block)
    task = next(each for each in tasks.of(sweep).values() if isinstance(each, kind))

    def rename(old: Path, new: Path, real: Callable[[Path, Path], None] = os.rename) -> None:
        if Path(new) == task.result:
            monkeypatch.setattr(os, "rename", real)
            found = lease.current(task.folder)
            assert found is not None
            assert work.attempt(task, over=found.mark).state == "done"
        real(old, new)

    monkeypatch.setattr(os, "rename", rename)
    assert work.attempt(task).state == "lost"
    assert task.done and finish(sweep) == []
    same(sweep, alone)
    tidy(sweep)


def test_two_executors_on_one_folder_do_every_task_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, alone: Path):
    sweep = written(tmp_path, NUMBERS)
    work.set_up(sweep.folder)
    computed = Counter[str]()
    for kind in (Block, Tables):
        real = kind.compute

        def compute(self: Task, inside: Path, real: Callable[..., list[Path]] = real) -> list[Path]:
            computed[self.name] += 1
            return real(self, inside)

        monkeypatch.setattr(kind, "compute", compute)
    with ThreadPoolExecutor(2) as threads:
        drives = [threads.submit(finish, sweep) for _ in range(2)]
        assert [each.result() for each in drives] == [[], []]
    assert computed == Counter(list(tasks.of(sweep)))
    same(sweep, alone)
    tidy(sweep)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ExternalError("no space left"), Killed])
@pytest.mark.parametrize("where", ["base", "model-0001", "generation-0001", "generation-0002", ".done"])
def test_an_interrupted_task_goes_on_from_its_last_generation(
    where: str,
    error: BaseException,
    strides: tuple[Sweep, list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    """Whatever interrupts it just before it writes such a folder: exactly what was not yet written is made again."""
    sweep, made = strides
    real, times = store.write_folder, [1]
    base = next(task for task in tasks.of(sweep).values() if isinstance(task, tasks.Base))

    def write(folder: Path, fill: Callable[[Path], None], about: dict[str, object]) -> None:
        if times[0] and (folder.name.endswith(where) or (where == "base" and folder.name == base.result.name)):
            times[0] = 0
            raise error
        real(folder, fill, about)

    monkeypatch.setattr(store, "write_folder", write)
    if isinstance(error, ExternalError):
        assert finish(sweep) == []  # tried again
    else:
        with pytest.raises(error):  # type: ignore[call-overload]
            finish(sweep)
        found = status.status(sweep)
        kept = {"base": 0, "model-0001": 1, "generation-0001": 1, "generation-0002": 2, ".done": 3}[where]
        assert found["generations"] == {"done": kept, "all": 12} and found["running"] == []
        assert finish(sweep) == []
    again = {"base": "base", "model-0001": "fit"}.get(where)
    assert Counter(made) == Counter({"base": 1, "fit": 12}) + Counter([again] if again else [])
    same(sweep, tmp_path / "chains")
    tidy(sweep)


def test_a_block_that_is_damaged_is_computed_again(tmp_path: Path, alone: Path):
    sweep = written(tmp_path, NUMBERS)
    work.set_up(sweep.folder)
    first, *rest = tasks.all_blocks(sweep)
    for block in (first, *rest):
        work.attempt(block)
    (first.result / "table.parquet").write_bytes(b"damaged")
    assert finish(sweep) == []
    same(sweep, alone)


def test_jobs_of_an_array_leave_tables_to_the_last_of_them(tmp_path: Path, alone: Path):
    sweep = written(tmp_path, NUMBERS)
    file = str(tmp_path / "toy.yaml")
    assert cli.main(["sweep", "run", file, "--task", "0/3"]) == 0
    assert [each.done for each in tasks.all_blocks(sweep)] == [True, False, False, True]
    assert not any(isinstance(each, Tables) and each.done for each in tasks.of(sweep).values())
    assert cli.main(["sweep", "run", file, "--task", "1/3"]) == 0
    assert cli.main(["sweep", "run", file, "--task", "2/3"]) == 0
    same(sweep, alone)
    tidy(sweep)


def test_another_version_or_another_folder_is_one_line_and_nothing_is_done(tmp_path: Path):
    sweep = written(tmp_path, NUMBERS)
    mine = work.set_up(sweep.folder)
    name = tasks.all_blocks(sweep)[0].name
    other = work.bring(sweep.source, "0123456789abcdef-0000", folder_id=mine)
    assert other.state == "failed" and other.status == 2 and "another version" in other.line
    away = work.bring(sweep.source, name, folder_id="elsewhere")
    assert away.state == "failed" and away.status == 3 and "is not shared" in away.line
    assert [each.name for each in sweep.folder.iterdir()] == ["folder-id"]


def test_a_process_that_is_killed_leaves_what_the_next_one_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, alone: Path
):
    """After a result is ready and before it is published: it is published, and not made again."""
    sweep = written(tmp_path, NUMBERS)
    work.set_up(sweep.folder)
    task = tasks.all_blocks(sweep)[0]

    def rename(old: Path, new: Path, real: Callable[[Path, Path], None] = os.rename) -> None:
        if Path(new) == task.result:
            raise Killed
        real(old, new)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", rename)
        with pytest.raises(Killed):
            work.attempt(task)
    held = lease.current(task.folder)
    assert held is not None and json.loads((held.place / "holder.json").read_text())["released"]
    shutil.rmtree(held.place / "work")
    with monkeypatch.context() as patch:
        patch.setattr(Block, "compute", lambda self, inside: pytest.fail("made again"))
        assert work.attempt(task).state == "done"
    assert finish(sweep) == []
    same(sweep, alone)
