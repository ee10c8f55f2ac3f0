"""The finished parts of a chain, on disk, so that it resumes after an interruption with the same bits."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from model_collapse import store
from model_collapse.data import Data, Rows, Statistics, drawn
from model_collapse.errors import OutOfMemory
from model_collapse.interfaces import Family, Generation, Model, Use

if TYPE_CHECKING:
    from model_collapse.engine.unit import Unit


class Checkpoint:
    """One model's finished generations, and of the one that is being made its model and the shards of its sample.

    A fit that was cut short begins again. See `interfaces.Keep`.
    """

    def __init__(self, unit: Unit, family: Family) -> None:
        self.family, self.folder, self.models = family, unit.folder, unit.models
        self.run_id, self.author, self.keep_models = unit.run.run_id, unit.model + 1, unit.keep_models
        self.restored: set[int] = set()

    def generation(self, t: int, train: Data) -> Generation | None:
        """Generation t as it was kept, with its model where that is read again."""
        # Generation 0 is what metrics compare with; a continued family goes on from the last one that is whole.
        wanted = t == 0 or (self.family.continued and not self._goes_on(t))
        if not store.intact(self._finished(t)) or (wanted and not self._has_model(t)):
            return None
        from safetensors.numpy import load_file

        arrays = load_file(self._finished(t) / "sample.safetensors")
        given = Rows(arrays["given"]) if "given" in arrays else None
        model = self.family.load(self._model(t)) if wanted else None
        self.restored.add(t)
        return Generation(t, train, model, Data.of(Rows(arrays["sample"]), born=t + 1, author=self.author), given)

    def model(self, t: int, fit: Callable[[], Model]) -> Model:
        """The model of generation t."""
        if self._has_model(t):
            return self.family.load(self._model(t))
        with _full("fit"):
            model = fit()
        store.write_folder(self._model(t), lambda inside: self.family.save(model, inside), {"run_id": self.run_id})
        return model

    def sample(self, t: int, shards: Callable[[], Iterable[Callable[[], Rows | Statistics]]]) -> Rows:
        """What it writes, each shard kept as soon as it is there."""
        with _full("sample"):
            done = [self._shard(self._shards(t) / f"{i:05d}", shard) for i, shard in enumerate(shards())]
        # A sample in one piece may be large, and to put it together would copy it.
        return Rows(np.concatenate(done) if len(done) > 1 else done[0])

    def recorded(self, t: int) -> dict[str, pa.Table] | None:
        """The tables that were kept of generation t, by name; None where it was made just now."""
        names = {"table": "rows", **{kind: kind for kind in store.WRITTEN}}
        files = {name: self._finished(t) / f"{file}.parquet" for name, file in names.items()}
        if t not in self.restored:
            return None
        return {name: store.read_parquet(file) for name, file in files.items() if file.exists()}

    def finish(self, generation: Generation, tables: Mapping[str, pa.Table]) -> None:
        """Keep a generation with what was recorded of it; drop its shards, and models that nothing reads again.

        Metrics compare with generation 0; a continued family goes on from the last one.
        """
        t = generation.t
        if t not in self.restored:
            store.write_folder(self._finished(t), lambda inside: _write(generation, tables, inside), {})
        shutil.rmtree(self._shards(t), ignore_errors=True)
        spent = t - 1 if self.family.continued else t
        if spent > 0 and not self.keep_models:
            shutil.rmtree(self._model(spent), ignore_errors=True)

    def _finished(self, t: int) -> Path:
        return self.folder / f"generation-{t:04d}"

    def _shards(self, t: int) -> Path:
        return self.folder / f"shards-{t:04d}"

    def _model(self, t: int) -> Path:
        return self.models / f"model-{t:04d}"

    def _has_model(self, t: int) -> bool:
        """Whether the model of generation t is there, whole, and this run's: models that are kept outlive a run."""
        place = self._model(t)
        return store.intact(place) and store.manifest(place).get("run_id") == self.run_id

    def _goes_on(self, t: int) -> bool:
        """Whether later generations are there, up to one that has its model."""
        while store.intact(self._finished(t := t + 1)):
            if self._has_model(t):
                return True
        return False

    def _shard(self, folder: Path, compute: Callable[[], Rows | Statistics]) -> np.ndarray:
        from safetensors.numpy import load_file, save_file

        if store.intact(folder):
            return load_file(folder / "rows.safetensors")["x"]
        x = drawn(compute()).x
        store.write_folder(folder, lambda inside: save_file({"x": x}, inside / "rows.safetensors"), {})
        return x


def _write(generation: Generation, tables: Mapping[str, pa.Table], folder: Path) -> None:
    from safetensors.numpy import save_file

    arrays = {"sample": generation.sample.x}
    if isinstance(generation.given, Rows):
        arrays["given"] = generation.given.x
    save_file({name: np.ascontiguousarray(x) for name, x in arrays.items()}, folder / "sample.safetensors")
    for name, table in tables.items():
        pq.write_table(table, folder / f"{'rows' if name == 'table' else name}.parquet")


@contextmanager
def _full(use: Use) -> Iterator[None]:
    """Tag an OutOfMemory with the operation that caused it."""
    try:
        yield
    except OutOfMemory as error:
        error.use = use
        raise
