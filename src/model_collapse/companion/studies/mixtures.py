"""Mixtures of normal distributions fitted to their own samples, as in the paper's figure of a collapsing mixture.

`STUDY` has the conditions; the functions say at which numbers of rows and generations the chapter runs them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from model_collapse.companion.studies import study
from model_collapse.companion.studies.study import Condition, Study
from model_collapse.engine.spec import Run


@dataclass(frozen=True, kw_only=True)
class Size(study.Size):
    """sizes             rows per generation, a factor of about three apart, where they are compared
    until             last generation of that comparison, 14 or more
    single            rows of a mixture of a single component
    kept              rows where real data are kept
    kept_generations  last generation there
    """

    sizes: tuple[int, ...]
    until: int = 350
    single: int = 50
    kept: int = 200
    kept_generations: int = 100


LAPTOP = Size(n=1000, generations=2000, seeds=40, sizes=(500, 1500, 5000), seed=1)

SIZES: Mapping[str, Size] = {
    "smoke": replace(
        LAPTOP,
        n=60,
        generations=50,
        seeds=8,
        sizes=(50, 150, 500),
        until=14,
        single=10,
        kept=50,
        kept_generations=20,
    ),
    "laptop": LAPTOP,
    "paper": replace(LAPTOP, generations=2050, seeds=64, sizes=(500, 1000, 2000, 5000, 10000)),
    # At the generations that the paper shows.
    "verify": replace(LAPTOP, seeds=128, every=50, metrics=("l2", "component_sd"), labels=("blob",)),
    "verify-sizes": replace(LAPTOP, generations=350, seeds=24, every=350, metrics=("l2",), labels=("blob",)),
}

KEPT = ("replace", "accumulate", "control: real data only")
"""What becomes of the real data."""

CONDITIONS = {
    "blob": Condition("two components, one normal distribution"),
    "clusters": Condition("two components, two clusters", settings={"family.source": "clusters"}),
    "replace": Condition("only generated rows"),
    "accumulate": Condition("all rows so far", "accumulate"),
    "control: real data only": Condition("real data only", "mix", {"regime.real_fraction": 1.0}),
    "single": Condition("one component, one normal distribution", settings={"family.components": 1}),
}

STUDY = Study("mixtures", SIZES, CONDITIONS, "gmm")

FLOORS = (1e-2, 3e-3, 1e-6)
"""What is added to every variance, rho; the last is the default."""


def published(experiment: Study[Size], size: Size) -> Size:
    """The paper's experiment, with one and with two clusters, at the generations that it shows."""
    every = 50 if size.generations >= 200 else 25
    own = {"clusters": {"seeds": fewer(size)}}
    return experiment.at(size, every=every, labels=("blob", "clusters"), own=own)


def floors(experiment: Study[Size], size: Size) -> dict[float, Run]:
    """rho -> run of a single component, beyond the point where its floor shows."""
    M = size.single
    own = experiment.at(
        size,
        n=M,
        generations=3 * M - 1,
        seeds=8 * size.seeds,
        every=max(1, M // 25),
        metrics=("component_sd",),
    )
    found = {}
    for rho in FLOORS:
        (found[rho],) = experiment.vary("single", reg_covar=rho).runs(own, f"single, reg_covar={rho}").values()
    return found


def by_rows(experiment: Study[Size], size: Size) -> dict[str, Run]:
    """ "N = n" -> run of the paper's experiment, up to generation 350."""
    shorter = experiment.at(size, generations=size.until, seeds=fewer(size), every=size.until // 14, metrics=("l2",))
    return {f"N = {n}": experiment.runs(experiment.at(shorter, n=n), "blob")["blob"] for n in size.sizes}


def kept(experiment: Study[Size], size: Size) -> Size:
    """Few rows for every use of the real data, a reader's own conditions included."""
    mine = (label for label in experiment.conditions if label not in CONDITIONS)
    return experiment.at(
        size,
        n=size.kept,
        generations=size.kept_generations,
        seeds=16,
        every=size.kept_generations // 20,
        metrics=("l2", "component_sd", "pooled_sd"),
        labels=(*KEPT, *mine),
    )


def fewer(size: Size) -> int:
    """Chains, where all chains would take too long."""
    return max(8, size.seeds // 2)
