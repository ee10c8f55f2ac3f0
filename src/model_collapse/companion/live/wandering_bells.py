"""A normal distribution that is fitted and drawn from, again and again."""

from __future__ import annotations

import numpy as np

from model_collapse import theory
from model_collapse.companion.live.element import Axis, Chance, Curve, Element, Slider, Values
from model_collapse.theory import Estimator

GENERATIONS = tuple(range(0, 201, 2))
ESTIMATORS: tuple[Estimator, ...] = ("mle", "unbiased")


def compute(rows: float, estimator: float) -> Values:
    """Variance over chains: its mean, its median and the middle nine tenths; and how far the mean has wandered."""
    n, way = np.array(GENERATIONS) + 1, ESTIMATORS[int(estimator)]
    quantiles = {"low": 0.05, "median": 0.5, "high": 0.95}
    curves = {name: theory.variance_quantile(p, n, rows, way) for name, p in quantiles.items()}
    curves["mean"] = theory.expected_variance(n, rows, way)
    curves["drift"] = np.sqrt(theory.mean_drift(n, rows, way))
    return Values(curves, {})


ELEMENT = Element(
    name="wandering-bells",
    title="The bell that wanders",
    lead="Twelve chains begin with the same bell curve (grey). Each generation measures mean and spread in a "
    "sample of the last one. Every bell is drawn with the same height.",
    sliders=(
        Slider("rows", "Rows per generation", (5, 10, 20, 50, 100, 200), 20),
        Slider("estimator", "Variance", (0, 1), 0, ("maximum likelihood", "unbiased")),
    ),
    along=Slider("generation", "Generation", GENERATIONS, 20),
    x=Axis("generation", 0, 200),
    y=Axis("variance (spread squared), truth 1", 1e-4, 10, log=True),
    curves=(
        Curve("median", "median chain"),
        Curve("mean", "mean over chains"),
        Curve("low", "5 % of chains are below", dashed=True),
        Curve("high", "5 % of chains are above", dashed=True),
        Curve("drift", "distance of the mean", drawn=False),
    ),
    said="In generation {generation:0} half of all chains have a variance below {median}; the mean over chains is "
    "{mean}. The centre has wandered by {drift} times the spread of the truth.",
    alt="The median chain loses its variance exponentially. The mean over chains stays above it, because few "
    "wide chains carry it.",
    compute=compute,
    source="`variance_quantile`, `expected_variance`, `mean_drift`",
    chance=Chance("bells", "The twelve bells above have a median variance of {chain}."),
)
