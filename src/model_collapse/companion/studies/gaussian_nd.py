"""A normal law fitted to its own samples, in several dimensions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from model_collapse.companion.studies import gaussian, study
from model_collapse.companion.studies.study import Study


@dataclass(frozen=True, kw_only=True)
class Size(study.Size):
    """dims  dimensions, of one chain each"""

    dims: tuple[int, ...]


LAPTOP = Size(n=40, dims=(1, 2, 5, 10), seeds=2048, seed=1)

SIZES: Mapping[str, Size] = {
    "smoke": replace(LAPTOP, n=20, dims=(1, 2, 5), seeds=256),
    "laptop": LAPTOP,
    "paper": replace(LAPTOP, n=100, dims=(1, 2, 5, 10, 30), seeds=4096),
}

STUDY = Study("gaussian_nd", SIZES, gaussian.CONDITIONS, "gaussian")
