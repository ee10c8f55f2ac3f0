"""The end of a run: its blocks' tables become one file, which says where it comes from and what it took."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from model_collapse import hardware, store
from model_collapse.engine import spec
from model_collapse.engine.choices import Choices
from model_collapse.engine.layout import CHOICES, state_folder
from model_collapse.engine.spec import Run
from model_collapse.engine.usage import Session


def gather(run: Run, out: Path, sessions: Sequence[Session]) -> None:
    """Put the blocks' tables together; the file itself is written last, and then the state can go."""
    merge(run, state_folder(out), out, sessions)
    shutil.rmtree(state_folder(out), ignore_errors=True)


def merge(run: Run, state: Path, out: Path, sessions: Sequence[Session]) -> list[Path]:
    """Put the tables of the blocks in `state` together, and leave it as it is; the files that were written, `out` last.

    What the run took goes into the metadata beside its provenance and is no part of its run_id: sessions, machine,
    dtype, disk_mb (of the state as it is here, before it goes), and in full the hashes that its description cuts short:
    content (sha256 of the corpus, and then of each folder of weights or text that the family read, in a row), source
    and lock.
    """
    results = [state / f"block-{block:04d}.done" for block in range(run.blocks)]
    tables = {
        name: [store.read_parquet(part) for folder in results if (part := folder / f"{name}.parquet").exists()]
        for name in (*store.WRITTEN, "table")
    }
    about = store.origin() | {"run_id": run.run_id, "run": spec.describe(run)}
    about |= {"sessions": list(sessions), "machine": hardware.machine(), "content": run.content}
    about |= {"source": run.source, "lock": run.lock}
    device = _device(tables["table"])
    about |= {
        # What was computed elsewhere may be put together here.
        "dtype": dtype(run.family_args, device, known=device == "cpu" or device == hardware.name()),
        "disk_mb": _megabytes(state),
    }
    if chosen := Choices(state / CHOICES).read():
        about["chosen"] = chosen
    files = {**{kind: store.written_file(out, kind) for kind in store.WRITTEN}, "table": out}
    for name in (there := [name for name in files if tables[name]]):
        store.write_table(files[name], pa.concat_tables(tables[name]).unify_dictionaries().combine_chunks(), about)
    return [files[name] for name in there]


def dtype(settings: Mapping[str, Any], device: str, known: bool = True) -> str | None:
    """What a family with these settings computes in, on a device as the table names it; numpy computes in fp64.

    known  whether the device is this machine's; None for what only another machine's GPU can tell
    """
    precision = settings.get("precision", "fp64")
    if precision != "auto":
        return str(precision)
    if device == "cpu":
        return "fp32"
    if not known:
        return None
    chosen = hardware.precision("auto", hardware.device())
    return next(name for name, kind in hardware.dtypes().items() if kind == chosen)


def _device(tables: Sequence[pa.Table]) -> str:
    return str(tables[0]["device"][0].as_py()) if tables and len(tables[0]) else ""


def _megabytes(folder: Path) -> float:
    files = (Path(place) / name for place, _, names in os.walk(folder) for name in names)
    return round(sum(file.stat().st_size for file in files) / 1e6, 3)
