"""Toy families as somebody would add them, and runs of them that are killed."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

from model_collapse import families, metrics, store
from model_collapse.data import Data, Rows, Source
from model_collapse.engine import spec
from model_collapse.engine.execute import execute
from model_collapse.interfaces import Family


class Toy(Family):
    """What checkpointing families whose model is one number have in common."""

    conditional = False
    reads = "numbers"
    rows = 5
    block_size = 1
    checkpoints = True

    def source(self, n: int, rng: np.random.Generator, replicates: int) -> Source:
        return Source(Data.real(Rows(rng.standard_normal(n))), fresh=lambda m, rng: Rows(rng.standard_normal(m)))

    def device(self) -> str:
        return "cpu"

    def save(self, model: np.ndarray, folder: Path) -> None:
        (folder / "model.json").write_text(json.dumps(model.tolist()))

    def load(self, folder: Path) -> np.ndarray:
        return np.array(json.loads((folder / "model.json").read_text()))


@contextmanager
def added(name: str, family: str, measures: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The family of this name is there, and an empty cache: a file for the family, which comes back as a module, and
    a file for its metrics."""
    for package, content in ((families, family), (metrics, measures)):
        place = folder / package.__name__
        place.mkdir()
        (place / f"{name}.py").write_text(content)
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(place)])
    monkeypatch.setenv("MODEL_COLLAPSE_CACHE", str(folder / "cache"))
    monkeypatch.setenv("MODEL_COLLAPSE_JOBS", "1")
    yield importlib.import_module(f"{families.__name__}.{name}")
    for package in (families, metrics):
        sys.modules.pop(f"{package.__name__}.{name}", None)


def same(one: pd.DataFrame, other: pd.DataFrame) -> None:
    """All columns but the wall clock are equal, bit for bit."""
    pd.testing.assert_frame_equal(one.drop(columns="seconds"), other.drop(columns="seconds"), check_exact=True)


class Killed(BaseException):
    """As a kill is: nothing in the program expects it."""


def killed_at(monkeypatch: pytest.MonkeyPatch, name: str, planned: spec.Run, out: Path) -> None:
    """Execute until a folder whose path ends like that is about to be written."""
    real = store.write_folder

    def write(folder: Path, fill: Callable[[Path], Any], about: dict[str, Any]) -> None:
        if str(folder).endswith(name):
            raise Killed
        real(folder, fill, about)

    with monkeypatch.context() as patch:
        patch.setattr(store, "write_folder", write)
        with pytest.raises(Killed):
            execute(planned, out)
