"""One block of replicate chains, from its sources to its tables."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import cast

import pyarrow as pa
import pyarrow.parquet as pq

from model_collapse import store, streams
from model_collapse.engine.checkpoint import Checkpoint
from model_collapse.engine.locks import locked
from model_collapse.engine.recorder import Named, Recorder
from model_collapse.engine.unit import Unit
from model_collapse.errors import InputError, OutOfMemory
from model_collapse.exchange import Agent, Reads, exchange
from model_collapse.interfaces import NOTHING
from model_collapse.loop import Given


def make_base(unit: Unit) -> None:
    """Pre-train what all generations of a chain start from, once for all chains that share it, and keep it."""
    folder = unit.base_folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder.parent, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        raise InputError(f"MODEL_COLLAPSE_CACHE: {folder.parent} cannot be written; name a folder that can")
    with locked(folder):
        if store.intact(folder):
            return
        model = unit.family.base(unit.source(pretraining=True), unit.base_rng)
        store.write_folder(folder, lambda inside: unit.family.save(model, inside), {"family": unit.run.family})


def work(unit: Unit) -> None:
    """Run one block to its end, from wherever it stands. Where the memory is full, it goes on with smaller batches."""
    tables = None
    while tables is None:
        tried = unit.choices.read()
        try:
            tables = _chains(unit)
        except OutOfMemory as error:
            if error.use is None or not unit.choices.halve(unit.family, error.use, tried):
                raise

    def write(folder: Path) -> None:
        for name in dict(tables):
            whole = pa.concat_tables([table for kind, table in tables if kind == name]).unify_dictionaries()
            pq.write_table(whole, folder / f"{name}.parquet", compression="zstd")

    store.write_folder(unit.result, write, {"run_id": unit.run.run_id, "block": unit.block})
    shutil.rmtree(unit.place, ignore_errors=True)


def _chains(unit: Unit) -> list[Named]:
    """Every generation of the block's models, recorded: parts of their tables."""
    run = unit.run
    agents, recorders = zip(*(_agent(one) for one in unit.agents), strict=True)
    exchanged = run.exchange or {"reads": "own"}
    turns = exchange(
        agents,
        Reads(exchanged["reads"], exchanged.get("share") or 0.0),
        run.n * unit.family.passes,
        last=run.generations,
        filters=run.members.filters,
        given=cast(Given, run.given),
    )
    for generations in turns:
        for recorder, generation in zip(recorders, generations, strict=True):
            recorder.record(generation)
    return [part for recorder in recorders for part in recorder.tables()]


def _agent(unit: Unit) -> tuple[Agent, Recorder]:
    """One model of a block, ready to start or resume, and its recorder."""
    family, source = unit.family, unit.source()
    if unit.base_key is None:
        start = family.base(source, unit.stream(-1, streams.BASE))
    else:
        start = family.load(unit.base_folder)
    checkpoint = None
    if family.checkpoints:
        family = unit.choices.freeze(family, start)
        checkpoint = Checkpoint(unit, family)
    recorder = Recorder(unit, family, source, checkpoint)
    return Agent(source, family, unit.regime, unit.stream, start, checkpoint or NOTHING), recorder


def tables_so_far(unit: Unit) -> list[Named]:
    """What is there of a block, done or not: parts of its tables, each called "table" or "texts"."""
    if unit.done:
        files = ((name, unit.result / f"{name}.parquet") for name in ("table", *store.WRITTEN))
        return [(name, store.read_parquet(file)) for name, file in files if file.exists()]
    if not unit.place.exists():
        return []
    recorders = [_so_far(one) for one in unit.agents]
    # Of models that read each other no more than all have.
    turns = min(recorder.turns for recorder in recorders)
    return [part for recorder in recorders for part in recorder.tables(turns)]


def _so_far(unit: Unit) -> Recorder:
    """What is recorded of one model."""
    source, checkpoint = unit.source(), Checkpoint(unit, unit.family)
    recorder = Recorder(unit, unit.family, source, checkpoint)
    for t in range(unit.run.generations + 1):
        # The training set counts only where metrics are taken, which they are not again.
        generation = checkpoint.generation(t, source.train)
        if generation is None:
            break
        recorder.record(generation)
    return recorder
