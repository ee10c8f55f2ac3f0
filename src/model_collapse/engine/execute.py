"""Planned runs executed to completion: resumable, and spread over processes by blocks.

table, texts = execute(run)                          the tables of one run
tables, texts = run_all({"A": run, ...}, folder)     of several, kept in a folder
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from model_collapse import hardware, paths, store
from model_collapse.engine import cost, memory, mirror, spec, usage
from model_collapse.engine.block import make_base, tables_so_far, work
from model_collapse.engine.layout import DESCRIBED, state_folder
from model_collapse.engine.locks import locked
from model_collapse.engine.merge import gather
from model_collapse.engine.processes import Progress, pool, run_units
from model_collapse.engine.spec import Run
from model_collapse.engine.unit import Unit
from model_collapse.errors import ExternalError, InputError

if TYPE_CHECKING:
    import pandas as pd


def execute(
    run: Run,
    out: Path | str | None = None,
    *,
    resume: bool = True,
    jobs: int | None = None,
    keep_models: bool = False,
    progress: Callable[[str], None] | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """The tidy table of `run`, and the texts or images it wrote (None for a family of numbers); see `execute_all`."""
    if out is not None:
        execute_all({Path(out): run}, resume=resume, jobs=jobs, keep_models=keep_models, progress=progress)
        return store.read(out), _written(Path(out))
    with tempfile.TemporaryDirectory() as folder:
        return execute(run, Path(folder) / "run.parquet", jobs=jobs, progress=progress)


def execute_all(
    runs: Mapping[Path, Run],
    *,
    resume: bool = True,
    jobs: int | None = None,
    keep_models: bool = False,
    progress: Callable[[str], None] | None = None,
) -> None:
    """Bring every run to its end, blocks side by side in `jobs` processes (None: one for each core, if that pays, or
    one on a GPU).

    A finished run is left alone, an unfinished one continued (InputError unless `resume`), a file of another run is
    refused; what another process works on is waited for. Models are dropped as soon as nothing reads them again, or
    with `keep_models` all of them left in FILE.parquet.models/. State lies in FILE.parquet.state/ until FILE.parquet is
    there, whole. ExternalError for a run that is known in advance not to fit into memory.
    """
    with store.disk_errors():
        for run in (run for out, run in runs.items() if not out.exists()):
            memory.check(run, _processes(runs.values(), jobs))
    busy: dict[Path, Run] = {}
    with ExitStack() as locks:
        mine: dict[Path, Run] = {}
        for out, run in runs.items():
            free = locks.enter_context(locked(out, wait=False))
            (mine if free else busy)[out] = run
        _bring_to_end(mine, resume, jobs, keep_models, progress)
    for out, run in busy.items():
        # Another process works on it: when that lets go, the run is finished, or it is ours to continue.
        if progress and not out.exists():
            progress(f"waiting for another process that works on {out.name}")
        with locked(out):
            _bring_to_end({out: run}, True, jobs, keep_models, progress)


def _bring_to_end(
    runs: Mapping[Path, Run],
    resume: bool,
    jobs: int | None,
    keep_models: bool,
    progress: Callable[[str], None] | None,
) -> None:
    with store.disk_errors():
        waiting = _set_up(runs, resume)
    begun = [out for out in waiting if not any(state_folder(out).glob("block-*"))]
    clock = usage.Clock(waiting)
    with clock.noting():
        try:
            with clock.ticking():
                _complete(waiting, jobs, keep_models, progress)
        except (InputError, ExternalError, MemoryError) as error:
            # A combination that only the work itself could refuse, or nothing finished before something outside was
            # missing: leave no state behind that would ask for --resume, or stand in the way of a smaller run.
            for out in begun:
                if isinstance(error, InputError) or not any(state_folder(out).glob("block-*")):
                    shutil.rmtree(state_folder(out), ignore_errors=True)
            raise
        session = clock.session()
        for out, run in waiting.items():
            gather(run, out, [*clock.earlier[out], session])


def run_all(
    arms: Mapping[str, Run],
    folder: Path,
    *,
    jobs: int | None = None,
    progress: Callable[[str], None] | None = None,
) -> tuple[dict[str, pd.DataFrame], dict[str, pd.DataFrame]]:
    """Tables, and texts or images, of several runs by label, each kept in `folder` under its run_id and not run twice.

    Where there is a place to save besides (a mounted Drive; `mirror`), they are brought from there and saved to it.
    """
    files = {label: folder / f"{run.run_id}.parquet" for label, run in arms.items()}
    runs = {files[label]: run for label, run in arms.items()}
    with mirror.saved(runs):
        execute_all(runs, jobs=jobs, progress=progress)
    _note(arms)
    tables = {label: store.read(file) for label, file in files.items()}
    written = {label: _written(file) for label, file in files.items()}
    return tables, {label: table for label, table in written.items() if table is not None}


def so_far(run: Run, out: Path) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """As `execute`, of the generations that are finished, without working on the others; their rows are final."""
    if not out.exists():
        found = [named for block in range(run.blocks) for named in tables_so_far(Unit(run, out, block))]
        tables = [part for name, part in found if name == "table"]
        written = [part for name, part in found if name != "table"]
        if tables:
            table = pa.concat_tables(tables).unify_dictionaries().to_pandas()
        else:
            table = pa.table({name: [] for name in store.COLUMNS}).to_pandas()
        return table, pa.concat_tables(written).unify_dictionaries().to_pandas() if written else None
    if store.about(out).get("run_id") != run.run_id:
        raise InputError(f"{out} holds another run")
    return store.read(out), _written(out)


def _note(arms: Mapping[Any, Run]) -> None:
    """Tell the runner of chapters, where it asks, which runs a chapter is made of."""
    if file := os.environ.get(paths.STUDIED):
        with open(file, "a", encoding="utf-8") as noted:
            for label, run in arms.items():
                name = ", ".join(map(str, label)) if isinstance(label, tuple) else str(label)
                noted.write(json.dumps([name, run.run_id]) + "\n")


def _complete(
    waiting: Mapping[Path, Run], jobs: int | None, keep_models: bool, progress: Callable[[str], None] | None
) -> None:
    """Work through all blocks that are not done."""
    units = [Unit(run, out, block, keep_models) for out, run in waiting.items() for block in range(run.blocks)]
    # The first chains of all runs before the second of any, so that a study cut short has something of each.
    units = sorted((unit for unit in units if not unit.done), key=lambda unit: unit.block)
    if not units:
        return
    processes = min(_processes([unit.run for unit in units], jobs), len(units))
    with pool(processes) as executor:
        predicted = cost.predict(waiting.values(), processes, executor)
        total = sum(unit.turns for unit in units)
        said = Progress(units, total, progress, predicted.seconds if predicted else None) if progress else None
        if predicted:
            predicted.check(units[0].out.parent)
        if predicted and progress:
            progress(str(predicted))
        bases = {key: unit for unit in units if (key := unit.base_key)}
        run_units(executor, make_base, list(bases.values()), said)
        run_units(executor, work, units, said)


def _processes(runs: Iterable[Run], jobs: int | None) -> int:
    """How many blocks of these runs are worked on at a time, at most."""
    runs = list(runs)
    heavy = any(run.members.family.checkpoints for run in runs)
    if not (jobs or heavy):
        return 1
    # The runner of chapters says how many processes each may have.
    cores = int(os.environ.get("MODEL_COLLAPSE_JOBS", os.cpu_count() or 1))
    # Processes that share a GPU would each choose their batches as if they had its memory alone.
    usual = 1 if os.environ.get("CUDA_VISIBLE_DEVICES", "all") and hardware.gpus("index") else cores
    return min(jobs or usual, sum(run.blocks for run in runs))


def _written(out: Path) -> pd.DataFrame | None:
    return next((store.read(file) for file in store.written_files(out)), None)


def _set_up(runs: Mapping[Path, Run], resume: bool) -> dict[Path, Run]:
    """Those of the runs that are to be worked on, each with its state. Refuses other runs' files and state."""
    waiting = {}
    for out, run in runs.items():
        if _holds(out, run):
            shutil.rmtree(state_folder(out), ignore_errors=True)  # a kill may have left a part of it
            continue
        _check_place(out, run)
        if not _begun(out, run, resume):
            _begin(out, run)
        waiting[out] = run
    return waiting


def _holds(out: Path, run: Run) -> bool:
    """Whether `out` is there and holds this run. InputError if it is anything else."""
    if out.is_dir():
        raise InputError(f"--out: {out} is a folder; name a file")
    if not out.exists():
        return False
    found = store.about(out)
    if found.get("run_id") != run.run_id:
        raise InputError(f"--out: {out} holds another run; it differs in {run.differs(found.get('run', {}))}")
    return True


def _check_place(out: Path, run: Run) -> None:
    """InputError where `out` cannot lie, or what another run wrote is in the way."""
    if not out.parent.is_dir():
        raise InputError(f"--out: the folder {out.parent} does not exist")
    for file in store.written_files(out):
        # Written before `out`: a kill in between leaves this run's own, which is written again.
        if store.about(file).get("run_id") != run.run_id:
            raise InputError(f"--out: {file} holds the {store.written_kind(file)} of another run")


def _begun(out: Path, run: Run, resume: bool) -> bool:
    """Whether this run's state is there. InputError if it is another's, is damaged, or is not to be resumed."""
    state = state_folder(out)
    described = state / DESCRIBED
    if not described.exists():
        return False
    try:
        found = json.loads(described.read_text(encoding="utf-8"))
        same, other = found["run_id"] == run.run_id, found["run"]
    except (ValueError, KeyError, TypeError):
        raise InputError(f"--out: {described} is damaged, so whose state it is is lost; remove {state}") from None
    if not same:
        raise InputError(f"--out: {state} holds another run; it differs in {run.differs(other)}")
    if not resume:
        raise InputError(f"--out: {out} is unfinished; add --resume to continue it")
    return True


def _begin(out: Path, run: Run) -> None:
    """Set up the state of a new run."""
    state = state_folder(out)
    state.mkdir(exist_ok=True)
    for stray in state.glob("block-*"):
        # Left by a kill while the state of a finished run was being removed; it may be another run's.
        shutil.rmtree(stray)
    with store.whole_file(state / DESCRIBED) as temporary:
        about = {"run_id": run.run_id, "run": spec.describe(run)}
        temporary.write_text(json.dumps(about, indent=1, sort_keys=True), encoding="utf-8")


def on_stderr(line: str) -> None:
    """A progress callback for terminals and logs."""
    print(line, file=sys.stderr, flush=True)
