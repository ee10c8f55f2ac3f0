"""Mixtures of normal laws fitted to their own samples, as in the paper's figure of a collapsing mixture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from model_collapse.companion.studies import study
from model_collapse.companion.studies.study import Condition, Study


@dataclass(frozen=True, kw_only=True)
class Size(study.Size):
    """sizes  rows per generation, a factor of about three apart, where they are compared"""

    sizes: tuple[int, ...]


LAPTOP = Size(n=1000, generations=2000, seeds=40, sizes=(500, 1500, 5000), seed=1)

SIZES: Mapping[str, Size] = {
    "smoke": replace(LAPTOP, n=60, generations=50, seeds=8, sizes=(50, 150, 500)),
    "laptop": LAPTOP,
    "paper": replace(LAPTOP, generations=2050, seeds=64, sizes=(500, 1000, 2000, 5000, 10000)),
    # At the generations that the paper shows.
    "verify": replace(LAPTOP, seeds=128, every=50, metrics=("l2", "component_sd"), labels=("blob",)),
    "verify-sizes": replace(LAPTOP, generations=350, seeds=24, every=350, metrics=("l2",), labels=("blob",)),
}

CONDITIONS = {
    "blob": Condition("two components, one normal law"),
    "clusters": Condition("two components, two clusters", settings={"family.source": "clusters"}),
    "replace": Condition("only what was written"),
    "accumulate": Condition("everything so far", "accumulate"),
    "control: real data only": Condition("real data only", "mix", {"regime.real_fraction": 1.0}),
}

STUDY = Study("mixtures", SIZES, CONDITIONS, "gmm")
