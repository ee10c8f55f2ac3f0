"""Frequencies of symbols, estimated from their own samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from model_collapse.companion.studies import study
from model_collapse.companion.studies.study import Study


@dataclass(frozen=True, kw_only=True)
class Size(study.Size):
    """symbols  of the Zipf law, K"""

    symbols: int


LAPTOP = Size(n=50, symbols=20, seeds=1024, seed=1)

SIZES: Mapping[str, Size] = {
    "smoke": replace(LAPTOP, n=10, symbols=10, seeds=256),
    "laptop": LAPTOP,
    "paper": replace(LAPTOP, n=200, seeds=6400),
}

STUDY = Study("discrete", SIZES, family="discrete")
