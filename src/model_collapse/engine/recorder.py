"""The record of every generation: its metrics, and for some kinds of rows what it wrote."""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from model_collapse import metrics, modalities, store
from model_collapse.data import Source
from model_collapse.engine import spec
from model_collapse.engine.checkpoint import Checkpoint
from model_collapse.engine.unit import Unit
from model_collapse.interfaces import Family, Generation, Reference
from model_collapse.metrics import Measurement

Named = tuple[str, pa.Table]
"""A part of a table, with the table's name."""


class Recorder:
    """Records the generations of one model in turn, from the first."""

    def __init__(self, unit: Unit, family: Family, source: Source, checkpoint: Checkpoint | None) -> None:
        self.unit, self.family, self.source, self.checkpoint = unit, family, source, checkpoint
        self.modality = modalities.of(family)
        self.metrics = metrics.chosen(unit.run.metrics, family)
        self.reference: Reference | None = None
        self.recorded: list[list[Named]] = []
        self.clock = time.perf_counter()

    def record(self, generation: Generation) -> None:
        """Measure a generation and keep it; one that was kept before is read."""
        t = generation.t
        self.reference = self.reference or Reference(generation, self.source, self.family)
        kept = self.checkpoint.recorded(t) if self.checkpoint else None
        parts = kept or {}
        if kept is None:
            if t % self.unit.run.every == 0 or t == self.unit.run.generations:
                parts["table"] = self._measured(Measurement(generation, self.reference))
            if self.modality.with_model(self.family):
                parts[self.modality.generated] = self._generated(generation)
        else:
            self.clock = time.perf_counter()
        if self.checkpoint:
            self.checkpoint.finish(generation, parts)
        if self.modality.generated and not self.modality.with_model(self.family):
            # Made of the sample alone, and so not kept twice.
            parts[self.modality.generated] = self._generated(generation)
        self.recorded.append(list(parts.items()))

    @property
    def turns(self) -> int:
        """How many generations are recorded."""
        return len(self.recorded)

    def tables(self, turns: int | None = None) -> list[Named]:
        """Parts of the model's tables, of all generations or of the first few."""
        return sorted((part for parts in self.recorded[:turns] for part in parts), key=lambda part: part[0] != "table")

    def _measured(self, m: Measurement) -> pa.Table:
        chains, first = self.unit.chains, self.unit.first_chain
        named = []
        for name, metric in self.metrics.items():
            value = metric(m)
            items = value.items() if isinstance(value, Mapping) else [("", value)]
            # Of several models the item says which: "model 2", "model 2/rare".
            items = [("/".join(filter(None, (self.unit.name, item))), v) for item, v in items]
            named += [(name, item, np.broadcast_to(np.asarray(v, float), chains)) for item, v in items]
        count = len(named) * chains
        now = time.perf_counter()
        seconds, self.clock = (now - self.clock) / chains, now
        share, counted = (np.broadcast_to(x, chains) for x in (m.train.share_real, m.train.counted))
        columns = {
            "replicate": store.column(np.tile(np.arange(first, first + chains, dtype=np.int64), len(named))),
            "generation": store.column(np.full(count, m.t, np.int64)),
            "n_train": store.column(np.tile(counted, len(named)).astype(np.int64)),
            "share_real": store.column(np.tile(share, len(named))),
            "metric": store.labels([name for name, _, _ in named], chains),
            "item": store.labels([item for _, item, _ in named], chains),
            "value": store.column(np.concatenate([value for _, _, value in named])),
            "seconds": store.column(np.full(count, seconds)),
            "device": store.labels([self.family.device()] * len(named), chains),
        }
        return spec.table(self.unit.run, columns)

    def _generated(self, generation: Generation) -> pa.Table:
        """What the model wrote, its rows numbered."""
        columns = self.modality.table(generation, self.family, self.source, self.unit.stream)
        count = len(next(iter(columns.values())))
        rows = np.asarray(columns.get("row", np.arange(count, dtype=np.int64)))
        places = {
            "run_id": store.repeated(self.unit.run.run_id, count),
            "replicate": store.column(np.full(count, self.unit.first_chain, np.int64)),
            "generation": store.column(np.full(count, generation.t, np.int64)),
            # Rows of the K models in turn, so that none has another's number however many each writes.
            "row": store.column(rows * self.unit.run.models + self.unit.model),
        }
        return pa.table({**places, **{name: column for name, column in columns.items() if name not in places}})
