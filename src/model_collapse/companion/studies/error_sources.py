"""Three sources of error, alone and together: finite samples, a family that cannot express, training that errs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from model_collapse.companion.studies import study
from model_collapse.companion.studies.study import Study


@dataclass(frozen=True, kw_only=True)
class Size(study.Size):
    """noise  standard deviation of the training error of a mean, where training errs"""

    noise: float


LAPTOP = Size(n=200, noise=0.08, generations=24, seeds=4096, seed=1, metrics=("w2_squared",))

SIZES: Mapping[str, Size] = {
    "smoke": replace(LAPTOP, n=100, generations=19, seeds=512),
    "laptop": LAPTOP,
    "paper": replace(LAPTOP, generations=99, seeds=8192),
}

STUDY = Study("error_sources", SIZES, family="gaussian")
