"""`model-collapse run`: check, print the cost, run chapters side by side, one progress line each."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from model_collapse import hardware, store
from model_collapse.companion.book import executed
from model_collapse.companion.book.chapter import Chapter, Cost, check, find, project, select
from model_collapse.errors import InputError
from model_collapse.paths import READ, RUNNER, STUDIED

THREADS = 2
"""Threads of a chapter's numerical libraries: fixed, because sums in another order have other last bits."""


@dataclass(eq=False)
class _ChapterRun:
    """A chapter that is to be run: what it costs, what it is given, and since when it runs."""

    chapter: Chapter
    profile: str
    values: Mapping[str, Any]
    expected: float
    started: float | None = None
    seconds: float | None = None
    failed: str = ""
    status: int = 0
    process: subprocess.Popen[bytes] | None = None

    @property
    def cost(self) -> Cost:
        return self.chapter.cost[self.profile]

    @property
    def left(self) -> float:
        """Seconds that are still to come, as far as is known."""
        if self.seconds is not None:
            return 0.0
        return self.expected if self.started is None else max(0.0, self.expected - (time.monotonic() - self.started))

    def line(self) -> str:
        name = self.chapter.slug.ljust(16)
        if self.failed:
            return f"{name} failed after {_clock(self.seconds or 0)}"
        if self.seconds is not None:
            return f"{name} done in {_clock(self.seconds)}"
        if self.started is None:
            return f"{name} waits"
        ran = time.monotonic() - self.started
        bar = "#" * min(20, int(20 * ran / max(self.expected, 1)))
        left = f"about {_clock(self.left)} left" if self.left else "takes longer than expected"
        return f"{name} [{bar:<20}] {_clock(ran)}, {left}"


def run(
    chapters: Sequence[str] = (),
    profile: str = "laptop",
    parameters: Mapping[str, str] | None = None,
    jobs: int | None = None,
    force: bool = False,
    *,
    root: Path | None = None,
) -> int:
    """Run the named chapters (all if none is named) and return the exit status.

    `parameters` are the texts of `-p name=value`; every name must be known to every chapter that is run. `jobs` is how
    many chapters run at a time; those that want a GPU run one at a time. A chapter is left alone if its last run
    succeeded and its code, parameters, the package source, the lock, the data and the records that it read are the
    same, unless `force`.

    0 all ran; 1 a chapter failed; 2 or 3 a chapter raised InputError or ExternalError; what is wrong with the arguments
    is raised before anything runs.
    """
    if jobs is not None and jobs < 1:
        raise InputError(f"--jobs {jobs}: at least 1")
    root = root or project()
    chosen = select(find(root), chapters, profile)
    if not chosen:
        raise InputError(f"--profile {profile}: no chapter has it")
    values = check(chosen, parameters or {})
    fresh = [c for c in chosen if not force and executed.unchanged(c, profile, values)]
    tasks = [_task(chapter, profile, values) for chapter in chosen if chapter not in fresh]
    tasks.sort(key=lambda task: -task.expected)
    cores = os.cpu_count() or 1
    jobs = min(jobs or max(1, cores // THREADS), max(1, len(tasks)))
    _print_cost(chosen, profile, fresh, tasks, jobs)
    if tasks:
        _run_all(tasks, jobs, cores)
    for task in tasks:
        if task.failed:
            print(f"model-collapse: {task.failed}", file=sys.stderr)
    folder = executed.path_of(chosen[0], profile, values).parent
    print(f"executed notebooks: {executed.relative(folder)}")
    statuses = {task.status for task in tasks}
    return 1 if 1 in statuses else max(statuses, default=0)


def _task(chapter: Chapter, profile: str, values: Mapping[str, Any]) -> _ChapterRun:
    before = executed.manifest(executed.path_of(chapter, profile, values)).get("seconds")
    return _ChapterRun(chapter, profile, values, expected=before or 60 * chapter.cost[profile].minutes)


def _print_cost(
    chosen: Iterable[Chapter], profile: str, fresh: Iterable[Chapter], tasks: Sequence[_ChapterRun], jobs: int
) -> None:
    print(f"{'chapter':<16} {'device':<8} {'minutes':>8} {'disk MB':>8}")
    for chapter in chosen:
        cost = chapter.cost[profile]
        note = "  unchanged, not run again" if chapter in fresh else ""
        print(f"{chapter.slug:<16} {cost.device:<8} {cost.minutes:>8g} {cost.disk_mb:>8g}{note}")
    if tasks:
        minutes, disk = sum(t.cost.minutes for t in tasks), sum(t.cost.disk_mb for t in tasks)
        print(f"{'to run':<16} {'':<8} {minutes:>8g} {disk:>8g}  {jobs} at a time", flush=True)


def _run_all(tasks: Sequence[_ChapterRun], jobs: int, cores: int) -> None:
    # A GPU is given to one chapter at a time, beside those that need none.
    with ThreadPoolExecutor(jobs) as cpu, ThreadPoolExecutor(1) as gpu:
        futures = {(gpu if task.cost.on_gpu else cpu).submit(_run_one, task, cores): task for task in tasks}
        try:
            _watch(futures, jobs)
        except KeyboardInterrupt:
            cpu.shutdown(wait=False, cancel_futures=True)
            gpu.shutdown(wait=False, cancel_futures=True)
            for task in tasks:
                if task.process:
                    task.process.stdin.close()  # type: ignore[union-attr]  # its signal to stop
            raise


def _run_one(task: _ChapterRun, cores: int) -> None:
    task.started = time.monotonic()
    target = executed.path_of(task.chapter, task.profile, task.values)
    target.parent.mkdir(parents=True, exist_ok=True)
    # The old copy goes first: what lies there is always from the last attempt.
    target.with_suffix(".json").unlink(missing_ok=True)
    target.unlink(missing_ok=True)
    about = _about(task)
    with tempfile.TemporaryDirectory() as folder:
        notes = {name: Path(folder) / name for name in (STUDIED, READ)}
        for file in notes.values():
            file.touch()
        raised = _execute(task, target, cores, notes)
        about["runs"] = executed.studied(notes[STUDIED])
        about["records"] = executed.records_read(notes[READ])
    task.seconds = time.monotonic() - task.started
    if raised:
        task.status = raised["status"]
        said = (raised["evalue"].strip().splitlines() or [""])[-1]
        kind = "" if task.status > 1 else f"{raised['ename']}: "
        where = "" if task.status > 1 else f" (executed copy: {executed.relative(target)})"
        task.failed = f"{task.chapter.slug}: {kind}{said}{where}"
        return
    about |= {"seconds": round(task.seconds, 1), "executed": executed.checksum(target)}
    with store.whole_file(target.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(about, indent=1, sort_keys=True), encoding="utf-8")


def _about(task: _ChapterRun) -> dict[str, Any]:
    """The manifest as far as it is known before the run."""
    commit, dirty = store.commit()
    return {
        "chapter": task.chapter.slug,
        "profile": task.profile,
        "parameters": dict(task.values),
        "inputs": executed.inputs(task.chapter, task.profile, task.values),
        "commit": commit,
        "dirty": dirty,
        "versions": store.versions(),
        "device": _device(task.cost),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _device(cost: Cost) -> str:
    """The name of the device."""
    names = hardware.gpus("name") if cost.on_gpu else []
    return names[0] if names else f"CPU ({platform.machine()}, {os.cpu_count()} cores)"


def _execute(task: _ChapterRun, target: Path, cores: int, notes: Mapping[str, Path]) -> dict[str, Any]:
    """Execute in a process of its own, from the current folder, so that relative paths mean what the user meant.

    notes  variable of the environment -> file in which the chapter notes what it is made of
    """
    parameters = {"profile": task.profile, **task.values}
    job = json.dumps({"source": str(task.chapter.path), "executed": str(target), "parameters": parameters})
    command = [sys.executable, "-m", "model_collapse.companion.book.worker", job]
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        environment = _environment(cores) | {name: str(file) for name, file in notes.items()}
        task.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out, stderr=err, env=environment)
        with task.process as process:
            process.wait()
        out.seek(0)
        err.seek(0)
        try:
            return json.loads(out.read().splitlines()[-1])
        except (IndexError, ValueError):
            lines = err.read().strip().splitlines() or [f"exit status {process.returncode}"]
            fatal = (line for line in lines if line.startswith("Fatal Python error"))
            return {"ename": "RuntimeError", "evalue": next(fatal, lines[-1]), "status": 1}


def _environment(cores: int) -> dict[str, str]:
    threads = os.environ.get("OMP_NUM_THREADS", str(THREADS))
    # A chapter may start as many processes as there are cores, even beside another chapter: the chains that take long
    # use one thread each, and none should wait for a chapter that ends in seconds.
    return os.environ | {
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
        "RAYON_NUM_THREADS": threads,
        "TOKENIZERS_PARALLELISM": "false",
        "MODEL_COLLAPSE_JOBS": str(cores),
        RUNNER: "1",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
        "TQDM_DISABLE": "1",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }


def _watch(futures: Mapping[Future[None], _ChapterRun], jobs: int) -> None:
    """Progress until all are done: on a terminal one line per chapter that moves, elsewhere one when it ends."""
    moving = sys.stdout.isatty()
    tasks = list(futures.values())
    pending, ended = set(futures), 0
    if moving:
        print("\n" * len(tasks), end="")
    while pending:
        done, pending = wait(pending, timeout=0.5 if moving else None, return_when=FIRST_COMPLETED)
        if moving:
            lines = "".join(f"\x1b[2K{task.line()}\n" for task in tasks)
            print(f"\x1b[{len(tasks)}A{lines}", end="", flush=True)
        for future in done:
            future.result()
            ended += 1
            if not moving:
                rest = [task.left for task in tasks]
                left = f", about {_clock(max(sum(rest) / jobs, *rest, 0))} left" if ended < len(tasks) else ""
                print(f"[{ended}/{len(tasks)}] {futures[future].line()}{left}", flush=True)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
