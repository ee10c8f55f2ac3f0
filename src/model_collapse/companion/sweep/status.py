"""How far a sweep is, read from its folder while anybody works on it. Nothing is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from model_collapse.companion.sweep import lease, tasks, work
from model_collapse.companion.sweep.file import Sweep
from model_collapse.companion.sweep.tasks import Block, Task
from model_collapse.engine import cost


def status(sweep: Sweep) -> dict[str, Any]:
    """Counts of runs, tasks and generations, what is in work where, what failed, seconds left (None: not known)."""
    every = tasks.of(sweep)
    labels = {run.run_id: label for label, run in sweep.runs.items()}
    blocks = [task for task in every.values() if isinstance(task, Block)]
    running, failed, turns, spent, reached = [], [], 0, 0.0, 0
    for task in every.values():
        turns += _turns(task)
        if task.done:
            reached += _turns(task)
            continue
        said = {"task": task.name, "run": labels[task.run.run_id]}
        held = lease.current(task.folder)
        finished = task.finished(held.place / "work") if held and isinstance(task, Block) else 0
        reached += finished
        if held and not held.free:
            holder = {name: held.holder.get(name) for name in ("host", "pid", "since")}
            running.append(said | holder | {"generations": finished, "of": _turns(task)})
        elif why := work.failure(task):
            failed.append(said | {name: why[name] for name in ("line", "host")})
    done = [task for task in blocks if task.done]
    timed = [(task, seconds) for task in done if (seconds := task.session["seconds"]) is not None]
    if timed:
        spent = sum(seconds for _, seconds in timed) / sum(_turns(task) for task, _ in timed)
    return {
        "folder": str(sweep.folder),
        "runs": {"done": sum(sweep.table(run).exists() for run in sweep.runs.values()), "all": len(sweep.runs)},
        "tasks": {"done": len(done), "all": len(blocks)},
        "generations": {"done": reached, "all": turns},
        "running": running,
        "failed": failed,
        # As fast as tasks that are done, as many side by side as now.
        "seconds_left": round((turns - reached) * spent / len(running), 1) if timed and running else None,
    }


def _turns(task: Task) -> int:
    """Generations of all chains of a block, each counted once."""
    return task.unit(task.folder).turns if isinstance(task, Block) else 0


def lines(found: dict[str, Any]) -> list[str]:
    """The same for people."""
    counts = ", ".join(f"{found[name]['done']} of {found[name]['all']} {name}" for name in ("runs", "tasks"))
    generations = f"{found['generations']['done']} of {found['generations']['all']} generations"
    left = found["seconds_left"]
    rest = "" if left is None else f", about {cost.clock(left)} left"
    said = [f"{counts}, {generations} done{rest}"]
    if found["tasks"]["done"] == found["tasks"]["all"] and found["runs"]["done"] < found["runs"]["all"]:
        said.append("tables are not put together yet: sweep run or sweep collect does it")
    for one in found["running"]:
        said.append(
            f"running {one['task']} ({one['run']}) on {one['host']}, process {one['pid']}: "
            f"{one['generations']} of {one['of']} generations"
        )
    return said + failures(found["failed"])


def failures(failed: Sequence[Mapping[str, Any]]) -> list[str]:
    """One line for each reason for failing, however many tasks and runs have it.

    failed  task, run (its label), line and host of each
    """
    reasons: dict[str, list[Mapping[str, Any]]] = {}
    for one in failed:
        reasons.setdefault(one["line"], []).append(one)
    lines = []
    for line, several in reasons.items():
        more = f" and {len(several) - 1} more" if len(several) > 1 else ""
        where = f" on {several[0]['host']}" if several[0]["host"] else ""
        lines.append(f"failed: {several[0]['run'] or 'run'}, {several[0]['task']}{more}{where}: {line}")
    return lines
