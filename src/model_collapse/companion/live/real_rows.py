"""A few new real rows in every training set."""

from __future__ import annotations

import numpy as np

from model_collapse import theory
from model_collapse.companion.live.element import Axis, Curve, Element, Slider, Values

GENERATIONS = tuple(int(g) for g in np.unique(np.round(np.geomspace(1, 2000, 40))))


def compute(real: float, rows: float) -> Values:
    """Expected variance of regime `fresh` with `real` real rows in every set, and its limit."""
    n = np.array(GENERATIONS) + 1
    _, variance = theory.mixed.fresh_moments(n, int(rows), real / rows)
    limit = 1 - float(theory.mixed.fresh_drift_limit(rows, real / rows)) if real else 0.0
    return Values({"variance": variance, "limit": np.full(len(n), limit)}, {"rule": 2 * real / (2 * real + 1)})


ELEMENT = Element(
    name="real-rows",
    title="Keep some real data",
    lead="A bell curve is fitted again and again. Every training set has a few new real rows; the rest was "
    "written by the last model.",
    sliders=(
        Slider("real", "New real rows per generation", (0, 1, 2, 3, 4, 5, 7, 10, 15, 20), 1),
        Slider("rows", "Rows per generation", (50, 100, 500, 1000), 100),
    ),
    along=Slider("generation", "Generation", GENERATIONS, GENERATIONS[-1]),
    x=Axis("generation", 1, 2000, log=True),
    y=Axis("expected variance, truth 100 %", 0, 1, percent=True),
    curves=(Curve("variance", "variance"), Curve("limit", "where it ends", dashed=True)),
    said="With {real:0} real of {rows:0} rows, generation {generation:0} has {variance:%} of the true variance; "
    "in the end {limit:%}. The rule of thumb 2k/(2k+1) says {rule:%}, whatever the number of rows.",
    alt="With one real row of a hundred in every generation the variance falls to two thirds of the true one and "
    "stays there.",
    compute=compute,
    source="`mixed.fresh_moments`, `mixed.fresh_drift_limit`",
)
