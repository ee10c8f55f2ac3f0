"""Data that accumulate, beside data that are replaced: labels by models, normal distributions, and kernels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from model_collapse.companion.studies import study
from model_collapse.companion.studies.study import Condition, Study


@dataclass(frozen=True, kw_only=True)
class Size(study.Size):
    """quick  whether the runs of claims, which have more chains, are left out"""

    quick: bool = False


LAPTOP = Size(
    family="regression",
    n=111,
    generations=30,
    seeds=1024,
    seed=1,
    settings={"family.dim": 10},
    labels=("replace", "subsample", "accumulate", "control"),
)
"""Linear regression in ten dimensions, whose labels the last model generates."""

SIZES: Mapping[str, Size] = {
    "smoke": replace(LAPTOP, generations=10, seeds=256, quick=True),
    "laptop": LAPTOP,
    "paper": replace(LAPTOP, generations=99, seeds=4096),
}

CONDITIONS: Mapping[str, Condition] = {
    "replace": Condition("only what the last model generated"),
    # To choose from a pool there have to be rows in it, and no sums.
    "subsample": Condition("n rows out of all so far", "subsample", {"family.sampling": "draw"}),
    "subsample of kernels": Condition("n rows out of all so far, of a family that always generates rows", "subsample"),
    "accumulate": Condition("all rows so far", "accumulate"),
    "control": Condition("new real rows only", "fresh", {"regime.real_fraction": 1.0}),
    "90 % real": Condition("nine rows in ten new and real", "fresh", {"regime.real_fraction": 0.9}, given="fresh"),
}


def _measured(size: Size) -> Size:
    """Some twenty generations are measured, unless a size says otherwise."""
    return replace(size, every=size.every if size.every > 1 else max(1, size.generations // 20))


STUDY = Study("accumulate", SIZES, CONDITIONS, "regression", complete=_measured)


def labels(size: Size, given: str) -> Size:
    """Labels for the same inputs in every generation ("original"), or for new ones ("fresh"). Subsample is slow."""
    return replace(size, given=given, own={"subsample": {"seeds": size.seeds // 8}})


def few_labels(size: Size, given: str) -> Size:
    """30 rows in ten dimensions, all of which are kept."""
    return replace(size, n=30, given=given, labels=("accumulate",))


def biased(size: Size) -> Size:
    """A labeller whose weights are off by a constant vector of length 0.2."""
    settings: Mapping[str, Any] = {**size.settings, "family.shift": 0.2}
    return replace(size, n=100, settings=settings, labels=("replace", "accumulate", "90 % real"))


def normal(size: Size, n: int) -> Size:
    """Normal distributions fitted by maximum likelihood to n rows."""
    return replace(size, family="gaussian", n=n, seeds=2 * size.seeds, settings={}, metrics=("variance",))


def long(size: Size, n: int) -> Size:
    """Normal distributions that keep all rows, measured at the end of five times as many generations."""
    last = 5 * size.generations
    return replace(normal(size, n), generations=last, every=last, seeds=size.seeds, labels=("accumulate",))


def kernels(size: Size, settings: Mapping[str, Any]) -> Size:
    """Kernel density estimates of 50 rows."""
    regimes = ("replace", "subsample of kernels", "accumulate")
    return replace(
        size, family="kde", n=50, seeds=size.seeds // 4, settings=settings, metrics=("variance",), labels=regimes
    )
