"""What the scripts that make recorded runs share: a study that is cut and goes on, and what is recorded of it."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from model_collapse import paths
from model_collapse.companion import records
from model_collapse.companion.studies.language import Scale
from model_collapse.engine import usage
from model_collapse.engine.execute import execute_all, on_stderr, so_far
from model_collapse.engine.spec import Run
from model_collapse.errors import InputError, OutsideError


class Plan(Protocol):
    """A study to record.

    scale  its size
    bins   arms whose histograms are kept
    """

    @property
    def scale(self) -> Scale: ...
    @property
    def bins(self) -> tuple[str, ...]: ...

    def runs(self) -> dict[str, Run]:
        """Arm -> run; called in the folder where unfinished runs are kept."""
        ...

    def prepared(self, work: Path) -> dict[str, Any]:
        """Put what the runs need into that folder; further entries of the manifest."""
        ...

    def counted(self, runs: Mapping[str, Run], tables: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
        """How much was trained and written, for the manifest."""
        ...


class TimeUp(Exception):
    """The minutes are over."""


def make(
    name: str, plan: Plan, script: str, out: Path, work: Path, minutes: float | None, jobs: int
) -> records.Recorded | None:
    """Work on a plan for so long, and record what all arms have finished; None if that is nothing.

    script  the file in records/ whose plan it is
    out     where the record is written
    work    where unfinished runs are kept
    """
    work.mkdir(parents=True, exist_ok=True)
    prepared = plan.prepared(work)
    with chdir(work):
        runs = plan.runs()
        files = {arm: Path(f"{run.run_id}.parquet") for arm, run in runs.items()}
        try:
            with _at_most(minutes):
                execute_all({files[arm]: run for arm, run in runs.items()}, jobs=jobs, progress=on_stderr)
        except (TimeUp, KeyboardInterrupt):
            on_stderr("time is up; the same command goes on from here")
        took = usage.together(usage.of(file) for file in files.values())
        found = {arm: so_far(run, files[arm]) for arm, run in runs.items()}
    tables, complete = rectangle({arm: table for arm, (table, _) in found.items()}, plan.scale)
    if not tables:
        on_stderr("no generation is finished in all arms yet; nothing recorded")
        return None
    last = max(table["generation"].max() for table in tables.values())
    written = {arm: kept[kept["generation"] <= last] for arm, (_, kept) in found.items() if kept is not None}
    return records.write(
        name,
        runs,
        tables,
        written,
        out,
        bins=plan.bins,
        command=f"python records/{script}.py {name}",
        complete=complete,
        sessions=took,
        **prepared,
        **plan.counted(runs, tables),
    )


def rectangle(tables: Mapping[str, pd.DataFrame], scale: Scale) -> tuple[dict[str, pd.DataFrame], bool]:
    """What can be compared: the generations that every arm's first replicate has finished, of the replicates that are
    as far in every arm. And whether that is all of the study. An empty dict if there is no such generation."""
    reached = [table.groupby("replicate")["generation"].max() for table in tables.values()]
    if any(0 not in arm.index for arm in reached):
        return {}, False
    last = min(arm[0] for arm in reached)
    kept = [r for r in range(scale.seeds) if all(r in arm.index and arm[r] >= last for arm in reached)]
    cut = {arm: t[(t["generation"] <= last) & t["replicate"].isin(kept)] for arm, t in tables.items()}
    return cut, bool(last == scale.generations and len(kept) == scale.seeds)


@contextmanager
def _at_most(minutes: float | None) -> Iterator[None]:
    """Raises TimeUp inside when the minutes are over."""

    def stop(*_: Any) -> None:
        raise TimeUp

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, (minutes or 0) * 60)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def main(script: str, about: str, plans: Mapping[str, Plan], arguments: list[str] | None = None) -> int:
    """The command line of a script; exit status as everywhere in this project."""
    root = paths.project() or Path.cwd()
    parser = argparse.ArgumentParser(prog=f"{script}.py", description=about.splitlines()[0])
    parser.add_argument("plan", choices=plans)
    parser.add_argument("--minutes", type=float, help="stop after so many; default: work to the end")
    parser.add_argument("--jobs", type=int, default=3, help="processes side by side; default 3")
    parser.add_argument("--out", type=Path, default=root / "records", help="where the record is written")
    parser.add_argument("--work", type=Path, default=root / "_build" / "records", help="where unfinished runs are kept")
    given = parser.parse_args(arguments)
    # The work is done in another folder.
    for variable in ("MODEL_COLLAPSE_DATA", "MODEL_COLLAPSE_CACHE"):
        if os.environ.get(variable):
            os.environ[variable] = str(Path(os.environ[variable]).resolve())
    try:
        given.out.mkdir(parents=True, exist_ok=True)
        places = given.out.resolve(), given.work.resolve()
        made = make(given.plan, plans[given.plan], script, *places, given.minutes, given.jobs)
    except (InputError, OutsideError) as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error, InputError) else 3
    if made:
        print(f"{given.out / given.plan}.json: {made.label}" + ("" if made.about["complete"] else " (unfinished)"))
    return 0
