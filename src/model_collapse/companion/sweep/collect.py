"""The tables of all finished runs of a sweep in one file, each row with the label of its run."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pyarrow as pa

from model_collapse import store
from model_collapse.companion.sweep import tasks, work
from model_collapse.companion.sweep.file import Sweep
from model_collapse.companion.sweep.tasks import Tables
from model_collapse.engine import spec
from model_collapse.errors import InputError

AGAIN = "sweep run computes it again"
"""What follows where a finished table is damaged."""


def collect(sweep: Sweep, out: Path) -> dict[str, str]:
    """Write the table, and what models wrote beside it; label -> damage of runs not in it, "" where not finished.

    Beside the columns of a run's table there is `run`: its label in the sweep. InputError if nothing is finished, or
    `out` is not to be written.
    """
    _check(sweep, out)
    damaged: dict[str, str] = {}
    for task in tasks.of(sweep).values():
        if isinstance(task, Tables):
            if task.ready and not task.done:
                # Left by a process that was ended between the last block and this. Others may still be collected
                # from a folder that cannot be written.
                with suppress(InputError):
                    work.attempt(task)
            damaged[task.run.run_id] = task.damage()
    left = {
        label: damaged[run.run_id]
        for label, run in sweep.runs.items()
        if damaged[run.run_id] or not sweep.table(run).exists()
    }
    finished = {label: sweep.table(run) for label, run in sweep.runs.items() if label not in left}
    if not finished:
        damage = next(filter(None, damaged.values()), "")
        raise InputError(f"{damage}; {AGAIN}" if damage else f"{sweep.source}: no run is finished yet")
    about = store.origin() | {"sweep": str(sweep.source)}
    about |= {"runs": {label: spec.describe(sweep.runs[label]) for label in finished}}
    kinds = {
        kind: [(label, store.written_file(file, kind)) for label, file in finished.items()] for kind in store.WRITTEN
    }
    for kind, files in (*kinds.items(), ("", list(finished.items()))):
        parts = [_labelled(label, file) for label, file in files if file.exists()]
        place = store.written_file(out, kind) if kind else out
        if parts:
            store.write_table(place, pa.concat_tables(parts).unify_dictionaries().combine_chunks(), about)
        else:
            place.unlink(missing_ok=True)  # of what was collected here before
    return left


def _check(sweep: Sweep, out: Path) -> None:
    """InputError where the table would take the place of anything but a table that was collected before."""
    if not out.parent.is_dir() or out.is_dir():
        raise InputError(f"--out {out}: must be a file in a folder that exists")
    if out.suffix != ".parquet":
        raise InputError(f"--out {out}: a table is a .parquet file")
    if out.resolve().parent.is_relative_to(sweep.folder):
        raise InputError(f"--out {out}: lies among the sweep's own files; choose another folder")
    for file in [out, *store.written_files(out)]:
        try:
            collected = not file.exists() or "sweep" in store.about(file)
        except InputError:
            collected = False
        if not collected:
            raise InputError(f"--out {file}: is there, and is no table of a sweep; choose another name")


def _labelled(label: str, file: Path) -> pa.Table:
    table = store.load(file).replace_schema_metadata(None)
    return table.add_column(0, "run", store.repeated(label, len(table)))
