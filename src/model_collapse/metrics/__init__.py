"""Measures of a generation. A metric is a function (generation, reference) -> value.

The value is a float, an array (R,) with one entry per stacked chain, or a dict from item (a bin, a band, a symbol) to
either. A family names its metrics; a metric is found here by its name, in any module of this folder.
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
    known: dict[str, Metric] = {}
    for module in pkgutil.iter_modules(__path__):
        known |= vars(importlib.import_module(f"{__name__}.{module.name}"))
    for name in names:
        if name not in family.metrics:
            raise InputError(f"--metrics: {name!r} is not a metric of this family; it has {', '.join(family.metrics)}")
    return {name: known[name] for name in names}
