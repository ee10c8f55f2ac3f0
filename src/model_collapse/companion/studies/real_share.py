"""A share of real rows in every training set, and what it buys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from model_collapse.companion.studies import study
from model_collapse.companion.studies.study import Study


@dataclass(frozen=True, kw_only=True)
class Size(study.Size):
    """steady  chains where they have come to rest"""

    steady: int


LAPTOP = Size(n=100, generations=2000, seeds=512, steady=4096, seed=1)

SIZES: Mapping[str, Size] = {
    "smoke": replace(LAPTOP, n=20, generations=100, seeds=128, steady=1024),
    "laptop": LAPTOP,
    "paper": replace(LAPTOP, generations=4000, seeds=4096, steady=16384),
}

STUDY = Study("real_share", SIZES, family="gaussian")
