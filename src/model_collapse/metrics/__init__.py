"""Measures of a generation. A metric is a function of a `Measurement`.

The value is a float, an array (R,) with one entry per stacked chain, or a dict from item (a bin, a band, a symbol) to
either. A family names its metrics; a metric is found here by its name, in any module of this folder, and for a family
that reads text or images in any module of the folder of that name.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic

import numpy as np

from model_collapse import modalities
from model_collapse.data import Data, Rows, Source
from model_collapse.errors import InputError
from model_collapse.interfaces import F, Family, Generation, Model, Reference, Remembering

Value = float | np.ndarray | Mapping[str, float | np.ndarray]


@dataclass(frozen=True, eq=False)
class Measurement(Remembering, Generic[F]):
    """A generation, and the references it is compared with. What several metrics need is computed `once`:

    m.once(f)            f(m), for all metrics of this generation
    m.reference.once(f)  f(m.reference), for all generations of the chain
    """

    generation: Generation
    reference: Reference[F]

    @property
    def t(self) -> int:
        """Number of the generation."""
        return self.generation.t

    @property
    def model(self) -> Model:
        """The fitted model."""
        return self.generation.model

    @property
    def train(self) -> Data:
        """The training set of the model."""
        return self.generation.train

    @property
    def sample(self) -> Data:
        """The sample of the model."""
        return self.generation.sample

    @property
    def given(self) -> Rows:
        """The rows that it was given to continue."""
        assert isinstance(self.generation.given, Rows)
        return self.generation.given

    @property
    def first(self) -> Generation:
        """Generation 0."""
        return self.reference.first

    @property
    def source(self) -> Source:
        """The real data."""
        return self.reference.source

    @property
    def test(self) -> Data:
        """The real rows that models are scored by."""
        assert self.source.test is not None
        return self.source.test

    @property
    def family(self) -> F:
        """The kind of model."""
        return self.reference.family


Metric = Callable[[Measurement[Any]], Value]


def chosen(names: tuple[str, ...], family: Family | type[Family]) -> dict[str, Metric]:
    """The metrics of these names. InputError lists the family's own where one is unknown."""
    own = (*family.metrics, *family.more_metrics)
    for name in names:
        if name not in own:
            raise InputError(f"--metrics: {name!r} is not a metric of this family; it has {', '.join(own)}")
    package = modalities.of(family).metrics
    modules = [m.name for m in pkgutil.iter_modules(importlib.import_module(package).__path__) if not m.ispkg]
    # Most metrics of a family are in the module of its name; other modules are imported only if some are missing there.
    named = (family if isinstance(family, type) else type(family)).__module__.rpartition(".")[2]
    known: dict[str, Metric] = {}
    for module in sorted(modules, key=lambda name: name != named):
        if not known.keys() >= set(names):
            known |= vars(importlib.import_module(f"{package}.{module}"))
    return {name: known[name] for name in names}


def module(name: str, family: Family | type[Family]) -> str:
    """The module that defines a metric for a family's kind of data, of which another kind may have one of that name."""
    return chosen((name,), family)[name].__module__
