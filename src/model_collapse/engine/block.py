"""One block of replicate chains: what a process works on, from its source to its tables."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from model_collapse import families, filters, paths, regimes, registry, store, streams
from model_collapse import metrics as measures
from model_collapse.data import Data, Rows, Source
from model_collapse.engine import spec
from model_collapse.engine.checkpoint import Choices, Pieces
from model_collapse.engine.layout import CHOICES, kept_models, state_folder
from model_collapse.engine.locks import locked
from model_collapse.engine.real_data import real_data
from model_collapse.engine.spec import Run
from model_collapse.errors import InputError
from model_collapse.exchange import Party, Reads, exchange
from model_collapse.loop import Generation

SHOWN = 20
"""Of a family of images so many are kept of each generation, always from the same random numbers: the same latents."""


@dataclass(frozen=True)
class Unit:
    """Work for one process: a block of chains of a run."""

    run: Run
    out: Path
    block: int
    keep_models: bool = False
    model: int = 0

    @property
    def parties(self) -> list[Unit]:
        """The unit for each of the models that read each other, or this one alone."""
        return [replace(self, model=model) for model in range(self.run.models)]

    @property
    def turns(self) -> int:
        """How many generations of all its models the unit stands for."""
        return (self.run.generations + 1) * self.run.models

    @property
    def place(self) -> Path:
        """Where the block's state lies."""
        return state_folder(self.out) / f"block-{self.block:04d}"

    @property
    def name(self) -> str:
        """Of several models which one this is, "model 2"; of one alone ""."""
        return f"model {self.model + 1}" if self.run.models > 1 else ""

    @property
    def folder(self) -> Path:
        """Where the model's finished generations lie."""
        return self.place / self.name.replace(" ", "-")

    @property
    def models(self) -> Path:
        """Where the models lie that are still needed, or that the user wants to keep."""
        place = kept_models(self.out) if self.keep_models else state_folder(self.out)
        return place / self.folder.relative_to(state_folder(self.out))

    @property
    def choices(self) -> Choices:
        """What was chosen for the machine, for all blocks of the run."""
        return Choices(state_folder(self.out) / CHOICES)

    @property
    def result(self) -> Path:
        """Where the finished block lies."""
        return self.place.with_suffix(".done")

    @property
    def done(self) -> bool:
        """Whether the block is finished and undamaged."""
        return store.intact(self.result)

    @property
    def chains(self) -> int:
        """How many chains the block has."""
        return min(self.run.block, self.run.replicates - self.block * self.run.block)

    @cached_property
    def family(self) -> Any:
        """The family with the run's settings."""
        return registry.build(families, self.run.family, self.run.family_args)

    @cached_property
    def base_key(self) -> str | None:
        """Names the pre-trained model that the run starts from; runs with equal keys share it. None: no such model."""
        wanted = self.family.base_settings()
        if wanted is None:
            return None
        return store.digest(wanted, self.run.content, self.run.seed, self.run.source, self.run.lock)

    def source(self, *, pretraining: bool = False) -> Source:
        """Real data for the block's chains; of the text to pre-train on no more than a block unless it is asked for."""
        same = self.run.exchange is not None and self.run.exchange["real"] == "same"
        stream = replace(self, model=0).stream if same else self.stream
        return real_data(self.run, self.family, stream, self.chains, self.model, pretraining=pretraining)

    @cached_property
    def regime(self) -> Any:
        """The regime with the run's settings; the first of several models may have its own."""
        exchanged = self.run.exchange or {}
        if self.model == 0 and "first" in exchanged:
            return registry.build(regimes, exchanged["first"], exchanged["first_args"])
        return registry.build(regimes, self.run.regime, self.run.regime_args)

    @property
    def stream(self) -> streams.Stream:
        """The model's random streams."""
        return streams.stream(self.run.seed, self.block, self.model)


def base_folder(unit: Unit) -> Path:
    """Where the pre-trained model that the unit starts from is kept."""
    return paths.cache() / "bases" / str(unit.base_key)


def make_base(unit: Unit) -> None:
    """Pre-train what all generations of a run start from, once for all its chains, and keep it."""
    folder = base_folder(unit)
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
        # Keyed by the seed alone: the paper's repetitions share one pre-trained model too.
        rng = streams.stream(unit.run.seed)(-1, streams.BASE)
        model = unit.family.base(unit.source(pretraining=True), rng)
        store.write_folder(folder, lambda inside: unit.family.save(model, inside), {"family": unit.run.family})


def work(unit: Unit) -> None:
    """Run one block to its end, from wherever it stands."""
    run = unit.run
    parties, kept = zip(*(_party(one) for one in unit.parties), strict=True)
    exchanged = run.exchange or {"reads": "own"}
    chain = exchange(
        parties,
        Reads(exchanged["reads"], exchanged.get("share") or 0.0),
        run.n * getattr(unit.family, "passes", 1),
        last=run.generations,
        filters=[registry.build(filters, name, values) for name, values in run.filters],
        given=run.given,  # type: ignore[arg-type]
    )
    for _ in chain:
        pass

    def write(folder: Path) -> None:
        tables = [part for notes in kept for part in notes.tables()]
        for name in dict(tables):
            whole = pa.concat_tables([table for kind, table in tables if kind == name]).unify_dictionaries()
            pq.write_table(whole, folder / f"{name}.parquet", compression="zstd")

    store.write_folder(unit.result, write, {"run_id": run.run_id, "block": unit.block})
    shutil.rmtree(unit.place, ignore_errors=True)


def _party(unit: Unit) -> tuple[Party, _Notes]:
    """One model of a block, ready to begin or to go on, and who takes down what becomes of it."""
    family, source = unit.family, unit.source()
    if unit.base_key is None:
        start = family.base(source, unit.stream(-1, streams.BASE))
    else:
        start = family.load(base_folder(unit))
    pieces: Any = None
    if family.checkpoints:
        family = unit.choices.freeze(family, start)
        pieces = Pieces(family, unit.folder, unit.models, unit.choices, unit.run.run_id)
    notes = _Notes(unit, family, source, pieces)
    return Party(source, pieces or family, unit.regime, unit.stream, start, notes), notes


def finished(unit: Unit) -> list[tuple[str, pa.Table]]:
    """What is there of a block, done or not: parts of its tables, each called "table" or "texts"."""
    if unit.done:
        files = ((name, unit.result / f"{name}.parquet") for name in ("table", *store.WRITTEN))
        return [(name, store.read_parquet(file)) for name, file in files if file.exists()]
    if not unit.place.exists():
        return []
    kept = [_so_far(one) for one in unit.parties]
    turns = min(len(notes.rows) for notes in kept), min(len(notes.written) for notes in kept)
    # Of models that read each other no more than all have.
    return [part for notes in kept for part in notes.tables(*turns)]


def _so_far(unit: Unit) -> _Notes:
    """What is there of one model."""
    source = unit.source()
    notes = _Notes(
        unit, unit.family, source, Pieces(unit.family, unit.folder, unit.models, unit.choices, unit.run.run_id)
    )
    for t in range(unit.run.generations + 1):
        # The training set counts only where metrics are taken, which they are not again.
        if notes.load(t, source.train) is None:
            break
    return notes


class _Notes:
    """Takes down every generation of a model: its metrics, and for a family that checkpoints its sample."""

    def __init__(self, unit: Unit, family: Any, source: Source, pieces: Pieces | None) -> None:
        self.unit, self.family, self.source, self.pieces = unit, family, source, pieces
        self.metrics = measures.chosen(unit.run.metrics, family)
        self.reference: measures.Reference | None = None
        self.kind = {"text": "texts", "images": "images"}.get(family.reads, "")
        self.rows: list[pa.Table] = []
        self.written: list[pa.Table] = []
        self.clock = time.perf_counter()

    def load(self, t: int, train: Data) -> Generation | None:
        if self.pieces is None:
            return None
        self.pieces.t = t
        folder, model = self._folder(t), self.pieces.model(t)
        # Generation 0 is what metrics compare with; a continued family goes on from the last one that is whole.
        wanted = t == 0 or (self.pieces.continued and not self._goes_on(t))
        if not store.intact(folder) or (wanted and not self.pieces.has_model(t)):
            return None
        from safetensors.numpy import load_file

        arrays = load_file(folder / "sample.safetensors")
        given = Rows(arrays["given"]) if "given" in arrays else None
        fitted = self.family.load(model) if wanted else None
        wrote = Data.of(Rows(arrays["sample"]), born=t + 1, author=self.unit.model + 1)
        generation = Generation(t, train, fitted, wrote, given)
        self._note(generation, folder)
        self.pieces.saved(t, self.unit.keep_models)
        self.clock = time.perf_counter()
        return generation

    def _goes_on(self, t: int) -> bool:
        """Whether later generations are there, up to one that has its model."""
        assert self.pieces is not None
        while store.intact(self._folder(t := t + 1)):
            if self.pieces.has_model(t):
                return True
        return False

    def save(self, generation: Generation) -> None:
        self._note(generation)
        if self.pieces is not None:
            store.write_folder(self._folder(generation.t), lambda inside: self._checkpoint(generation, inside), {})
            self.pieces.saved(generation.t, self.unit.keep_models)

    def tables(self, rows: int | None = None, written: int | None = None) -> list[tuple[str, pa.Table]]:
        """Parts of the block's tables so far, or the first so many of each, with their names."""
        return [("table", part) for part in self.rows[:rows]] + [(self.kind, part) for part in self.written[:written]]

    def _folder(self, t: int) -> Path:
        return self.unit.folder / f"generation-{t:04d}"

    def _checkpoint(self, generation: Generation, folder: Path) -> None:
        from safetensors.numpy import save_file

        arrays = {"sample": generation.sample.rows.x}  # type: ignore[union-attr]
        if generation.given is not None:
            arrays["given"] = generation.given.x  # type: ignore[union-attr]
        save_file({name: np.ascontiguousarray(x) for name, x in arrays.items()}, folder / "sample.safetensors")
        if self._due(generation.t):
            pq.write_table(self.rows[-1], folder / "rows.parquet")
        if self.kind == "images":
            # Texts are made again from the sample; images need the model.
            pq.write_table(self.written[-1], folder / "images.parquet")

    def _due(self, t: int) -> bool:
        """Whether metrics are taken at generation t."""
        return t % self.unit.run.every == 0 or t == self.unit.run.generations

    def _note(self, generation: Generation, kept: Path | None = None) -> None:
        """Take a generation down: what `kept` has of it, or else measured now."""
        if generation.t == 0:
            self.reference = measures.Reference(generation, self.source, self.family)
        if self._due(generation.t):
            self.rows.append(store.read_parquet(kept / "rows.parquet") if kept else self._measure(generation))
        if self.kind == "texts":
            self.written.append(self._texts(generation))
        if self.kind == "images":
            self.written.append(store.read_parquet(kept / "images.parquet") if kept else self._images(generation))

    def _measure(self, generation: Generation) -> pa.Table:
        chains, first = self.unit.chains, self.unit.block * self.unit.run.block
        named = []
        for name, metric in self.metrics.items():
            value = metric(generation, self.reference)  # type: ignore[arg-type]
            items = value.items() if isinstance(value, Mapping) else [("", value)]
            # Of several models the item says which: "model 2", "model 2/rare".
            items = [("/".join(filter(None, (self.unit.name, item))), v) for item, v in items]
            named += [(name, item, np.broadcast_to(np.asarray(v, float), chains)) for item, v in items]
        count = len(named) * chains
        now = time.perf_counter()
        seconds, self.clock = (now - self.clock) / chains, now
        share, counted = (np.broadcast_to(x, chains) for x in (generation.train.share_real, generation.train.counted))
        columns = {
            "replicate": store.column(np.tile(np.arange(first, first + chains, dtype=np.int64), len(named))),
            "generation": store.column(np.full(count, generation.t, np.int64)),
            "n_train": store.column(np.tile(counted, len(named)).astype(np.int64)),
            "share_real": store.column(np.tile(share, len(named))),
            "metric": store.labels([name for name, _, _ in named], chains),
            "item": store.labels([item for _, item, _ in named], chains),
            "value": store.column(np.concatenate([value for _, _, value in named])),
            "seconds": store.column(np.full(count, seconds)),
            "device": store.labels([self.family.device()] * len(named), chains),
        }
        return spec.table(self.unit.run, columns)

    def _texts(self, generation: Generation) -> pa.Table:
        tokenizer = self.source.tokenizer  # type: ignore[attr-defined]
        columns = {
            "prompt": pa.array(tokenizer.decode(generation.given.x)).dictionary_encode(),  # type: ignore[union-attr]
            "text": pa.array(tokenizer.decode(generation.sample.rows.x)).dictionary_encode(),  # type: ignore[union-attr]
        }
        return self._numbered(generation.t, len(generation.sample), columns)

    def _images(self, generation: Generation) -> pa.Table:
        if self.family.conditional:
            x = generation.sample.rows.x[:SHOWN]  # type: ignore[union-attr]
        else:
            x = self.family.sample(generation.model, SHOWN, self.unit.stream(-1, streams.SHOWN)).x
        return self._numbered(generation.t, len(x), {"image": pa.array([row.tobytes() for row in x], pa.binary())})

    def _numbered(self, t: int, count: int, columns: Mapping[str, pa.Array]) -> pa.Table:
        """Rows 0 to count - 1 of what the chain wrote in generation t."""
        places = {
            "run_id": store.repeated(self.unit.run.run_id, count),
            "replicate": store.column(np.full(count, self.unit.block * self.unit.run.block, np.int64)),
            "generation": store.column(np.full(count, t, np.int64)),
            # Rows of the K models in turn, so that none has another's number however many each writes.
            "row": store.column(np.arange(count, dtype=np.int64) * self.unit.run.models + self.unit.model),
        }
        return pa.table({**places, **columns})
