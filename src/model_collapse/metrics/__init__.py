"""Measures of a generation. A metric is a function (generation, reference) -> value.

The value is a float, an array (R,) with one entry per stacked chain, or a dict from item (a bin, a band, a symbol) to
either. A family names its metrics; a metric is found here by its name, in any module of this folder, and for a family
that reads text or images in any module of the folder of that name.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from model_collapse.errors import InputError
from model_collapse.loop import Generation, Reference

__all__ = ["Metric", "Reference", "Value", "chosen"]

Value = float | np.ndarray | Mapping[str, float | np.ndarray]
Metric = Callable[[Generation, Reference], Value]


def chosen(names: tuple[str, ...], family: Any) -> dict[str, Metric]:
    """The metrics of these names. InputError lists the family's own where one is unknown."""
    own = (*family.metrics, *getattr(family, "more_metrics", ()))
    for name in names:
        if name not in own:
            raise InputError(f"--metrics: {name!r} is not a metric of this family; it has {', '.join(own)}")
    package = __name__ if family.reads == "numbers" else f"{__name__}.{family.reads}"
    modules = [m.name for m in pkgutil.iter_modules(importlib.import_module(package).__path__) if not m.ispkg]
    # Most metrics of a family are in the module of its name; other modules are imported only if some are missing there.
    named = type(family).__module__.rpartition(".")[2]
    known: dict[str, Metric] = {}
    for module in sorted(modules, key=lambda name: name != named):
        if not known.keys() >= set(names):
            known |= vars(importlib.import_module(f"{package}.{module}"))
    return {name: known[name] for name in names}


def module(name: str, family: Any) -> str:
    """The module that defines a metric for a family's kind of data, of which another kind may have one of that name."""
    return chosen((name,), family)[name].__module__
