"""Data that accumulate, beside data that are replaced."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from model_collapse.companion.studies.study import Size, Study

LAPTOP = Size(generations=30, seeds=1024, seed=1)

SIZES: Mapping[str, Size] = {
    "smoke": replace(LAPTOP, generations=10, seeds=256),
    "laptop": LAPTOP,
    "paper": replace(LAPTOP, generations=99, seeds=4096),
}

STUDY = Study("accumulate", SIZES, family="gaussian")
