"""Replace the data, add to them, or read a part of all."""

from __future__ import annotations

from typing import Literal

import numpy as np

from model_collapse import theory
from model_collapse.companion.live.element import Axis, Curve, Element, Slider, Values

GENERATIONS = tuple(range(101))
WAYS: tuple[Literal["replace", "accumulate", "subsample"], ...] = ("replace", "accumulate", "subsample")


def compute(rows: float) -> Values:
    """Expected variance of a refitted normal distribution by regime, and how the error of estimates has grown."""
    n, M = np.array(GENERATIONS) + 1, int(rows)
    kept = {
        "replace": theory.expected_variance(n, M),
        "accumulate": theory.accumulated_variance(n, M),
        "subsample": theory.subsample.subsample_moments(n, M)[1],
    }
    return Values(kept | {f"{way}_error": theory.regression.pathway(n, way) for way in WAYS}, {})


ELEMENT = Element(
    name="regimes",
    title="Replace, or keep the old data?",
    lead="A bell curve is fitted again and again: to the last sample only, to all samples so far with the real "
    "one (accumulate), or to as many rows as at first, picked at random from all so far (subsample).",
    sliders=(Slider("rows", "Rows per generation", (10, 20, 50, 100, 200), 20),),
    along=Slider("generation", "Generation", GENERATIONS, 20),
    x=Axis("generation", 0, 100),
    y=Axis("expected variance, truth 100 %", 0, 1, percent=True),
    curves=(
        Curve("replace", "replace"),
        Curve("accumulate", "accumulate"),
        Curve("subsample", "subsample"),
        Curve("replace_error", "error, replace", drawn=False),
        Curve("accumulate_error", "error, accumulate", drawn=False),
        Curve("subsample_error", "error, subsample", drawn=False),
    ),
    said="In generation {generation:0} replacing has kept {replace:%} of the variance, accumulating "
    "{accumulate:%}, subsampling {subsample:%}. The squared error of an estimate is {replace_error:0} times, "
    "{accumulate_error} times and {subsample_error} times that of generation 0.",
    alt="Under replace the variance falls towards zero; under accumulate and subsample it stays near the true one.",
    compute=compute,
    source="`expected_variance`, `accumulated_variance`, `subsample.subsample_moments`; errors: `regression.pathway`",
)
