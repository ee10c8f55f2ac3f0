"""What `model-collapse sweep` does, verb by verb; each gives the exit status."""

from __future__ import annotations

import json
import math
import re
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType

from model_collapse.companion.sweep import collect as collecting
from model_collapse.companion.sweep import executors, lease, tasks, work
from model_collapse.companion.sweep import status as progress
from model_collapse.companion.sweep.drive import Lines
from model_collapse.companion.sweep.estimate import estimate
from model_collapse.companion.sweep.executors import Options
from model_collapse.companion.sweep.file import Source, Sweep, read
from model_collapse.engine.execute import on_stderr
from model_collapse.errors import InputError


def asked(file: str | None, study: str | None, size: str | None, folder: str | None) -> Sweep:
    """The sweep that is meant."""
    if (file is None) == (study is None) or (study is None) != (size is None):
        raise InputError("sweep: name a FILE, or a study of the book by --study NAME --size SIZE")
    if folder == "":
        raise InputError("--folder needs a name")
    source = Source(
        str(Path(file).resolve()) if file else None, study, size, str(Path(folder).resolve()) if folder else ""
    )
    return read(source)


def options(
    jobs: int | None,
    address: str | None,
    gpus: str | None,
    sbatch: Sequence[str],
    heartbeat: str | None,
    task: str | None,
) -> Options:
    """What was said about how to run, checked."""
    return Options(
        jobs,
        address,
        _number("--gpus", gpus, 0.0, least=0.0),
        tuple(sbatch),
        _number("--heartbeat", heartbeat, lease.HEARTBEAT, least=0.01),
        whole=task is None,
    )


def _number(option: str, text: str | None, default: float, least: float) -> float:
    try:
        value = default if text is None else float(text)
    except ValueError:
        value = math.nan
    if not least <= value < math.inf:
        raise InputError(f"{option} {text}: must be a number of at least {least:g}")
    return value


def plan(sweep: Sweep) -> int:
    """Print each run as the command that it equals, the number of its tasks, and what all will cost."""
    on_stderr(f"timing the kinds of runs among {_count(len(sweep.runs), 'run')} on this machine")
    blocks, costs = tasks.all_blocks(sweep), estimate(sweep)
    for label, run in sweep.runs.items():
        count = sum(each.run.run_id == run.run_id for each in blocks)
        print(f"{label or 'run'}: {_count(count, 'task')}\n    {sweep.commands[label]}")
    print(f"{_count(len(sweep.runs), 'run')}, {_count(len(blocks), 'task')}, {costs}")
    return 0


def run(sweep: Sweep, executor: str, chosen: Options, share: str | None = None) -> int:
    """Bring the sweep, or a share of its tasks, to its end; 1 if a task failed, said once for each."""
    found = executors.find(executor)
    _fit(executor, chosen, share)
    blocks = _share(tasks.all_blocks(sweep), share) if share else tasks.all_blocks(sweep)
    todo = tasks.with_needs(sweep, blocks)
    work.set_up(sweep.folder)
    for task in todo:
        if isinstance(task, tasks.Tables) and (damage := task.damage()):
            on_stderr(f"{damage}; put aside as {task.result.name}.damaged, and computed again")
            task.put_aside()
    lines = Lines()
    try:
        with _ended():
            failed = found.run(sweep, todo, chosen, lines)
    finally:
        lines.end()
    labels = {each.run_id: label for label, each in sweep.runs.items()}
    every = tasks.of(sweep)
    said = [{"run": labels[every[each.task].run.run_id], **asdict(each)} for each in failed]
    for line in progress.failures(said):
        on_stderr(line)
    return 1 if failed else 0


def _fit(executor: str, chosen: Options, share: str | None) -> None:
    """InputError for an option that the executor does not have."""
    address = chosen.address is not None
    named = {"address": ("ray", address), "gpus": ("ray", chosen.gpus), "sbatch": ("slurm", chosen.sbatch)}
    for name, (owner, said) in named.items():
        if said and owner != executor:
            raise InputError(f"--{name}: goes with --executor {owner}")
    if share and executor == "slurm":
        raise InputError("--task: is what the jobs of --executor slurm are told; leave one of them out")


def _share(blocks: Sequence[tasks.Block], share: str) -> list[tasks.Block]:
    said = re.fullmatch(r"(\d{1,9})/(\d{1,9})", share)
    number, of = (int(part) for part in said.groups()) if said else (1, 0)
    if number >= of:
        raise InputError(f"--task {share}: write I/K, every K-th task from number I on, I from 0 to K - 1")
    return list(blocks[number::of])


@contextmanager
def _ended() -> Iterator[None]:
    """Asked to end, as a scheduler does before it kills, let go of what is held."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def status(sweep: Sweep, as_json: bool) -> int:
    """Print how far it is."""
    found = progress.status(sweep)
    print(json.dumps(found, indent=1, allow_nan=False) if as_json else "\n".join(progress.lines(found)))
    return 0


def collect(sweep: Sweep, out: str | None) -> int:
    """Write the table of all finished runs."""
    if not out:
        raise InputError("sweep collect: needs --out FILE.parquet")
    left = collecting.collect(sweep, Path(out))
    for label, damage in left.items():
        if damage:
            on_stderr(f"{label}: left out: {damage}; {collecting.AGAIN}")
    done = len(sweep.runs) - len(left)
    more = f"; without {'; '.join(list(left)[:5])}{' ...' if len(left) > 5 else ''}" if left else ""
    print(f"{_count(done, 'run')} in {out}{more}")
    return 0


def _count(number: int, thing: str) -> str:
    return f"{number} {thing if number == 1 else f'{thing}s'}"
