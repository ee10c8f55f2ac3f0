"""Three sources of error, alone and together: finite samples, a family that cannot express, training that errs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from model_collapse.companion.studies import study
from model_collapse.companion.studies.study import Condition, Study
from model_collapse.engine.spec import Run
from model_collapse.theory import Estimator


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

ENDLESS = 10**7
"""Rows that leave no statistical error to speak of."""

CONDITIONS = {
    "statistical only": Condition("finite samples", settings={"family.truth": "normal", "family.noise": 0.0}),
    "expressivity only": Condition(
        "two peaks that a normal distribution cannot have",
        settings={"family.truth": "bimodal", "family.noise": 0.0},
        n=ENDLESS,
    ),
    "approximation only": Condition("training that errs", settings={"family.truth": "normal"}, n=ENDLESS),
    "all three": Condition("all three", settings={"family.truth": "bimodal"}),
    "none": Condition("none of them", settings={"family.truth": "normal", "family.noise": 0.0}, n=ENDLESS),
}


def _noisy(size: Size) -> Size:
    """Training errs, unless a condition says otherwise."""
    return replace(size, settings={**size.settings, "family.noise": size.noise})


STUDY = Study("error_sources", SIZES, CONDITIONS, "gaussian", complete=_noisy)


def estimators(experiment: Study[Size], size: Size) -> dict[Estimator, Run]:
    """Estimator -> run of all three sources with few rows and much noise.

    Maximum likelihood far beyond M fits; unbiased up to M / 2, where means over chains can be trusted.
    """
    few = max(int(size.n or 0) // 10, 10)
    lasts: dict[Estimator, int] = {"mle": 6 * few, "unbiased": few // 2 - 1}
    found = {}
    for estimator, last in lasts.items():
        own = experiment.at(
            size,
            n=few,
            noise=2 * size.noise,
            generations=last,
            every=max(last // 15, 1),
            settings={"family.estimator": estimator},
        )
        found[estimator] = experiment.runs(own, "all three")["all three"]
    return found
