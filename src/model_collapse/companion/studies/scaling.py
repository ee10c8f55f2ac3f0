"""Scaling laws of models that learn facts from each other's text: facts are symbols of a Zipf law."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from model_collapse.companion.studies import study
from model_collapse.companion.studies.study import Study


@dataclass(frozen=True, kw_only=True)
class Size(study.Size):
    """symbols  of the Zipf law, K"""

    symbols: int


LAPTOP = Size(n=100_000, symbols=100_000, seeds=256, seed=1)

SIZES: Mapping[str, Size] = {
    "smoke": replace(LAPTOP, n=10_000, symbols=20_000, seeds=64),
    "laptop": LAPTOP,
    "paper": replace(LAPTOP, n=1_000_000, symbols=1_000_000, seeds=512),
}

STUDY = Study("scaling", SIZES, family="discrete")
