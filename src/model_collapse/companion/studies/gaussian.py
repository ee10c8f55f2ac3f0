"""A normal law fitted to its own samples, in one dimension."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from model_collapse.companion.studies import study
from model_collapse.companion.studies.study import Condition, Study


@dataclass(frozen=True, kw_only=True)
class Size(study.Size):
    """sizes  rows per generation, M, of one chain each"""

    sizes: tuple[int, ...]


LAPTOP = Size(sizes=(10, 100, 1000), generations=299, seeds=2048, seed=1)

SIZES: Mapping[str, Size] = {
    "smoke": replace(LAPTOP, sizes=(10, 100), generations=59, seeds=256),
    "laptop": LAPTOP,
    "paper": replace(LAPTOP, sizes=(100, 500, 1000, 10000), generations=999, seeds=4096),
}

CONDITIONS = {
    "mle": Condition("maximum likelihood, c = M", settings={"family.estimator": "mle"}),
    "unbiased": Condition("unbiased, c = M - 1", settings={"family.estimator": "unbiased"}),
    "replace": Condition("only what was written"),
    "accumulate": Condition("everything so far", "accumulate"),
    "control: real data only": Condition(
        "real data only", "mix", {"family.sampling": "draw", "regime.real_fraction": 1.0}
    ),
}

STUDY = Study("gaussian", SIZES, CONDITIONS, "gaussian")
