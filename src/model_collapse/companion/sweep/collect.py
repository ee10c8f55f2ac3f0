"""The tables of all finished runs of a sweep in one file, each row with the label of its run."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from model_collapse import store
from model_collapse.companion.sweep import tasks, work
from model_collapse.companion.sweep.file import Sweep
from model_collapse.companion.sweep.tasks import Tables
from model_collapse.engine import spec
from model_collapse.errors import InputError


def collect(sweep: Sweep, out: Path) -> list[str]:
    """Write the table, and what models wrote beside it; the labels of runs that are not finished and so not in it.

    Beside the columns of a run's table there is `run`: its label in the sweep. InputError if nothing is finished.
    """
    if not out.parent.is_dir() or out.is_dir():
        raise InputError(f"--out {out}: must be a file in a folder that exists")
    for task in tasks.of(sweep).values():
        # Left by a process that was ended between the last block and this.
        if isinstance(task, Tables) and task.ready and not task.done:
            work.attempt(task)
    finished = {label: sweep.table(run) for label, run in sweep.runs.items() if sweep.table(run).exists()}
    if not finished:
        raise InputError(f"{sweep.source}: no run is finished yet")
    about = store.origin() | {"sweep": str(sweep.source)}
    about |= {"runs": {label: spec.describe(sweep.runs[label]) for label in finished}}
    kinds = {
        kind: [(label, store.written_file(file, kind)) for label, file in finished.items()] for kind in store.WRITTEN
    }
    for kind, files in (*kinds.items(), ("", list(finished.items()))):
        parts = [_labelled(label, file) for label, file in files if file.exists()]
        if parts:
            place = store.written_file(out, kind) if kind else out
            store.write_table(place, pa.concat_tables(parts).unify_dictionaries().combine_chunks(), about)
    return [label for label in sweep.runs if label not in finished]


def _labelled(label: str, file: Path) -> pa.Table:
    table = store.load(file).replace_schema_metadata(None)
    return table.add_column(0, "run", store.repeated(label, len(table)))
