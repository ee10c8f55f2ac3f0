"""Measurements of a single generation of numbers."""

from __future__ import annotations

from model_collapse.families.gaussian import Gaussian
from model_collapse.interfaces import Generation, Reference
from model_collapse.metrics import Measurement


def alone(generation: Generation) -> Measurement:
    """A generation that is compared with N(0, 1), if with anything."""
    return Measurement(generation, Reference(generation, None, Gaussian()))  # type: ignore[arg-type]
