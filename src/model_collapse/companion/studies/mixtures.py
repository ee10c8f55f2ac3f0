"""Mixtures of normal laws fitted to their own samples, as in the paper's figure of a collapsing mixture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from model_collapse.companion.studies import study
from model_collapse.companion.studies.study import Study


@dataclass(frozen=True, kw_only=True)
class Size(study.Size):
    """sizes  rows per generation, one chain each, where they are compared"""

    sizes: tuple[int, ...]


LAPTOP = Size(n=1000, generations=2000, seeds=40, sizes=(500, 1500, 5000), seed=1)

SIZES: Mapping[str, Size] = {
    "smoke": replace(LAPTOP, n=60, generations=50, seeds=8, sizes=(50, 150, 500)),
    "laptop": LAPTOP,
    "paper": replace(LAPTOP, generations=2050, seeds=64, sizes=(500, 1000, 2000, 5000, 10000)),
}

STUDY = Study("mixtures", SIZES, family="gmm")
