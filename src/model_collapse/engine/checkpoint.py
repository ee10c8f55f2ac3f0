"""Inside a generation: what is finished of it is kept, and a full GPU makes the batch smaller once."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from model_collapse import store
from model_collapse.data import Data, Rows
from model_collapse.errors import OutOfMemory


class Choices:
    """What a run found out about its machine, frozen when it starts: settings that change no result but ties and
    rounding, so that they are no part of what identifies the run.

    They are kept in the run's state, for all its blocks and for a resumed run, and go into its record.
    """

    def __init__(self, file: Path) -> None:
        self.file = file

    def read(self) -> dict[str, Any]:
        """The choices so far; none yet, or a file that is damaged: {}."""
        try:
            return json.loads(self.file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}

    def write(self, chosen: dict[str, Any]) -> None:
        with store.whole_file(self.file) as temporary:
            temporary.write_text(json.dumps(chosen, indent=1, sort_keys=True), encoding="utf-8")

    def freeze(self, family: Any, start: Any) -> Any:
        """The family with what was chosen before, or else with what it chooses now for models like `start`."""
        chosen = self.read()
        if not chosen and hasattr(family, "choose"):
            chosen = family.choose(start)
            self.write(chosen)
        return replace(family, **{name: value for name, value in chosen.items() if name != "halved"})

    def halve(self, family: Any, use: str) -> Any:
        """The family with half the batch for this use; None if that was done before, or nothing is left to halve."""
        chosen = self.read()
        less = family.halved(use) if hasattr(family, "halved") else None
        if use in chosen.get("halved", []) or less is None:
            return None
        self.write({**chosen, **less, "halved": [*chosen.get("halved", []), use]})
        said = ", ".join(f"family.{name}={value}" for name, value in less.items())
        print(f"out of memory in {use}: going on with {said}", file=sys.stderr, flush=True)
        return replace(family, **less)


class Pieces:
    """A family for the loop that keeps the fitted model, and what it writes in shards, until the generation is saved.

    A run that was killed goes on from there, with the same bits. A fit that was cut short begins again. A family may
    have `shards`, which cuts a sample into calls that do not depend on each other, and `choose` and `halved`, which
    name settings that change no result.
    """

    def __init__(self, family: Any, folder: Path, models: Path, choices: Choices, run_id: str) -> None:
        self.family, self.folder, self.models, self.choices, self.run_id = family, folder, models, choices, run_id
        self.t = 0
        self.conditional: bool = family.conditional
        self.continued: bool = getattr(family, "continued", False)

    def __getattr__(self, name: str) -> Any:
        """What else the family can do: a filter scores text with it."""
        return getattr(self.family, name)

    def fit(self, data: Data, rng: np.random.Generator, *, start: Any = None, validation: Data | None = None) -> Any:
        place = self.model(self.t)
        if self.has_model(self.t):
            return self.family.load(place)
        # A second attempt draws what the first one drew.
        state = rng.bit_generator.state

        def fit() -> Any:
            rng.bit_generator.state = state
            return self.family.fit(data, rng, start=start, validation=validation)

        model = self._or_less("fit", fit)
        store.write_folder(place, lambda inside: self.family.save(model, inside), {"run_id": self.run_id})
        return model

    def sample(self, model: Any, n: int, rng: np.random.Generator, *, given: Any = None) -> Rows:
        state = rng.bit_generator.state
        done: list[np.ndarray] = []

        def sample() -> Rows:
            rng.bit_generator.state = state
            for i, shard in enumerate(self._cut(model, n, rng, given)):
                if i == len(done):
                    done.append(self._shard(i, shard))
            # A sample in one piece may be large, and to put it together would copy it.
            return Rows(np.concatenate(done) if len(done) > 1 else done[0])

        return self._or_less("sample", sample)

    def model(self, t: int) -> Path:
        """Where the model of generation t lies."""
        return self.models / f"model-{t:04d}"

    def has_model(self, t: int) -> bool:
        """Whether the model of generation t is there, whole, and this run's: models that are kept outlive a run."""
        place = self.model(t)
        return store.intact(place) and store.manifest(place).get("run_id") == self.run_id

    def saved(self, t: int, keep: bool) -> None:
        """Generation t is saved: drop its shards, and the models that nothing will read again unless `keep`.

        Metrics compare with generation 0; a continued family goes on from the last one.
        """
        shutil.rmtree(self._shards(t), ignore_errors=True)
        spent = t - 1 if self.continued else t
        if spent > 0 and not keep:
            shutil.rmtree(self.model(spent), ignore_errors=True)

    def _cut(self, model: Any, n: int, rng: np.random.Generator, given: Any) -> Iterable[Callable[[], Rows]]:
        if hasattr(self.family, "shards"):
            return self.family.shards(model, n, rng, given=given)
        return [lambda: self.family.sample(model, n, rng, given=given)]

    def _shards(self, t: int) -> Path:
        return self.folder / f"shards-{t:04d}"

    def _shard(self, i: int, compute: Callable[[], Rows]) -> np.ndarray:
        from safetensors.numpy import load_file, save_file

        folder = self._shards(self.t) / f"{i:05d}"
        if store.intact(folder):
            return load_file(folder / "rows.safetensors")["x"]
        x = compute().x
        store.write_folder(folder, lambda inside: save_file({"x": x}, inside / "rows.safetensors"), {})
        return x

    def _or_less(self, use: str, work: Callable[[], Any]) -> Any:
        try:
            return work()
        except OutOfMemory:
            less = self.choices.halve(self.family, use)
            if less is None:
                raise
            self.family = less
        return work()
