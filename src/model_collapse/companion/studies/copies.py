"""Copies of copies: pictures that a scanner, a file format or chance hands on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from model_collapse.companion.studies import study
from model_collapse.companion.studies.study import Condition, Study


@dataclass(frozen=True, kw_only=True)
class Size(study.Size):
    """copies  in a row"""

    copies: int


LAPTOP = Size(corpus="digits", n=200, copies=50, seeds=10, seed=1, metrics=("psnr",))

SIZES: Mapping[str, Size] = {
    "smoke": replace(LAPTOP, n=60, copies=20, seeds=6),
    "laptop": LAPTOP,
    "paper": replace(LAPTOP, corpus="mnist", n=1000, copies=100, seeds=20),
    "verify": replace(LAPTOP, generations=19, labels=("copies of copies",)),
}

EXACT = {"blur": 0, "noise": 0, "levels": 256}
"""A device that copies as it is."""

CONDITIONS = {
    "copies of copies": Condition("each copy of the last", given="training"),
    "control: copies of the original": Condition("each copy of the original"),
    "JPEG alone": Condition(
        "no device, but a file of quality 50",
        settings={**{f"family.{key}": value for key, value in EXACT.items()}, "family.jpeg": 50},
        given="training",
    ),
}

STUDY = Study("copies", SIZES, CONDITIONS, "scanner")
