"""A normal distribution fitted to its own samples, in several dimensions.

`STUDY` has the conditions; the functions say at which numbers of rows, dimensions and generations they are run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from model_collapse.companion.studies import gaussian, study
from model_collapse.companion.studies.study import Condition, Study
from model_collapse.engine.spec import Run
from model_collapse.theory import Estimator


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

CONDITIONS = {
    **{label: gaussian.CONDITIONS[label] for label in ("mle", "unbiased", "replace")},
    "control: new real rows": Condition("new real rows in every generation", "fresh", {"regime.real_fraction": 1.0}),
}

STUDY = Study("gaussian_nd", SIZES, CONDITIONS, "gaussian")

FITS = 5
"""After which the distance is compared with its first order."""

FLAT = 5
"""Dimensions, where rows are few."""

FEW = (3, FLAT, FLAT + 1, 2 * FLAT, 8 * FLAT)
"""Rows per generation, where they are few."""


def by_dim(experiment: Study[Size], size: Size) -> dict[tuple[Estimator, int], Run]:
    """(estimator, d) -> run of 2 M generations, of both estimators and all dimensions."""
    return {
        (estimator, d): _run(experiment, _long(experiment, size), estimator, settings={"family.dim": d})
        for estimator in gaussian.ESTIMATORS
        for d in size.dims
    }


def first_order(experiment: Study[Size], size: Size) -> dict[int, Run]:
    """d -> run of five fits to very many rows."""
    many = experiment.at(size, n=400 * max(size.dims), generations=FITS - 1, every=FITS - 1)
    return {d: _run(experiment, many, "replace", settings={"family.dim": d}) for d in size.dims}


def few_rows(experiment: Study[Size], size: Size) -> dict[int, Run]:
    """M -> run of five dimensions and M rows, some of which are too few."""
    own = experiment.at(
        size,
        generations=40,
        seeds=min(size.seeds, 512),
        metrics=("log_det", "variance"),
        settings={"family.dim": FLAT},
    )
    return {M: _run(experiment, own, "unbiased", n=M) for M in FEW}


def kept(experiment: Study[Size], size: Size) -> Size:
    """The largest dimension with and without real rows, a reader's own conditions included."""
    mine = (label for label in experiment.conditions if label not in CONDITIONS)
    return experiment.at(
        _long(experiment, size),
        seeds=min(size.seeds, 1024),
        metrics=("log_det",),
        settings={"family.dim": size.dims[-1]},
        labels=("replace", "control: new real rows", *mine),
    )


def _long(experiment: Study[Size], size: Size) -> Size:
    last = 2 * int(size.n or 0)
    return experiment.at(size, generations=last, every=max(1, last // 40))


def _run(experiment: Study[Size], size: Size, label: str, /, **changes: Any) -> Run:
    return experiment.runs(experiment.at(size, **changes), label)[label]
