"""A normal distribution fitted to its own samples, in one dimension.

`STUDY` has the conditions; the functions say at which numbers of rows and generations the chapter runs them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from model_collapse import theory
from model_collapse.companion.studies import study
from model_collapse.companion.studies.study import Condition, Study
from model_collapse.engine.spec import Run
from model_collapse.theory import Estimator


@dataclass(frozen=True, kw_only=True)
class Size(study.Size):
    """sizes   rows per generation, M, of one chain each
    widths  rows per generation, where the times are compared after which half of the width is lost
    early   chains of 100 rows, where means over chains are compared after few fits
    lucky   chains of ten rows, where chains are counted
    """

    sizes: tuple[int, ...]
    widths: tuple[int, ...] = (10, 30, 100, 300, 1000)
    early: int = 24_576
    lucky: int = 40_960


LAPTOP = Size(sizes=(10, 100, 1000), generations=299, seeds=2048, seed=1)

SIZES: Mapping[str, Size] = {
    "smoke": replace(LAPTOP, sizes=(10, 100), generations=59, seeds=256, widths=(10, 30, 100), early=1024, lucky=4096),
    "laptop": LAPTOP,
    "paper": replace(LAPTOP, sizes=(100, 500, 1000, 10000), generations=999, seeds=4096, early=65_536),
}

ESTIMATORS: tuple[Estimator, ...] = ("mle", "unbiased")

KEPT = ("replace", "accumulate", "control: real data only")
"""What becomes of the real data."""

FEW = 100
"""M, where it does not depend on the size."""

CONDITIONS = {
    "mle": Condition("maximum likelihood, c = M", settings={"family.estimator": "mle"}),
    "unbiased": Condition("unbiased, c = M - 1", settings={"family.estimator": "unbiased"}),
    "replace": Condition("only generated rows"),
    "accumulate": Condition("all rows so far", "accumulate"),
    "control: real data only": Condition(
        "real data only", "mix", {"family.sampling": "draw", "regime.real_fraction": 1.0}
    ),
    "growing": Condition(
        "M i² rows in fit i, unbiased",
        "grow",
        {"family.estimator": "unbiased", "regime.power": 2},
        n=FEW,
        generations=39,
    ),
}

STUDY = Study("gaussian", SIZES, CONDITIONS, "gaussian")


def by_rows(experiment: Study[Size], size: Size) -> dict[tuple[Estimator, int], Run]:
    """(estimator, M) -> run, of both estimators and all M."""
    every = max(1, size.generations // 40)
    return {
        (estimator, M): experiment.runs(experiment.at(size, n=M, every=every), estimator)[estimator]
        for estimator in ESTIMATORS
        for M in size.sizes
    }


def twelve(experiment: Study[Size], size: Size) -> dict[str, Run]:
    """Twelve chains of the smallest M, to look at: up to generation 90."""
    seen = max(g for g in (0, 10, 30, 90) if g <= size.generations)
    return experiment.runs(experiment.at(size, n=size.sizes[0], generations=seen, seeds=12), "mle")


def half_times(experiment: Study[Size], size: Size) -> dict[int, Run]:
    """M -> run, long enough for a typical chain to lose half of its width."""
    found = {}
    for M in size.widths:
        own = experiment.at(size, n=M, generations=int(1.2 * M), every=max(M // 20, 1), metrics=("log_det",))
        found[M] = experiment.runs(own, "replace")["replace"]
    return found


def early(experiment: Study[Size], size: Size) -> dict[str, Run]:
    """Many unbiased chains for M / 2 fits: means over chains can be trusted there."""
    every = 1 if size.early < STUDY.at("laptop").early else 3
    own = experiment.at(
        size, n=FEW, generations=FEW // 2 - 1, every=every, seeds=size.early, metrics=("mean", "w2_squared")
    )
    return experiment.runs(own, "unbiased")


def growing(experiment: Study[Size], size: Size) -> dict[str, Run]:
    """Sets of a constant and of a growing number of rows, 40 fits."""
    own = experiment.at(size, n=FEW, generations=39, metrics=("w2_squared",))
    runs = experiment.runs(own, ("unbiased", "growing"))
    return {"constant": runs["unbiased"], "growing": runs["growing"]}


def tempered(experiment: Study[Size], size: Size) -> dict[float, Run]:
    """Factor of the variance of what is sampled -> run: below 1, 1, and the one that keeps a typical chain's width."""
    M = size.sizes[0]
    until = min(size.generations, 10 * M)
    own = experiment.at(size, n=M, generations=until, every=max(until // 50, 1), metrics=("variance", "log_det"))
    found = {}
    for factor in (0.9, 1.0, float(np.exp(-theory.expected_log_variance(1, M, "unbiased")))):
        (run,) = experiment.vary("unbiased", bias=factor).runs(own, f"unbiased, bias={factor}").values()
        found[factor] = run
    return found


def kept(experiment: Study[Size], size: Size) -> Size:
    """The smallest M for every use of the real data, a reader's own conditions included; few chains of the control."""
    own = {"control: real data only": {"seeds": min(size.seeds, 512)}}
    mine = (label for label in experiment.conditions if label not in CONDITIONS)
    every = max(1, size.generations // 40)
    return experiment.at(size, n=size.sizes[0], every=every, labels=(*KEPT, *mine), own=own)
