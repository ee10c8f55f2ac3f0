"""Claims about chains of Gaussian mixtures: the paper's experiment, and what more rows change."""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import numpy as np
import pandas as pd

from model_collapse.analysis import stats, testing
from model_collapse.analysis.stats import Estimate
from model_collapse.companion.claims import NATURE, Claim, Tables
from model_collapse.companion.studies.mixtures import STUDY

EARLY, LATE = 50, 2000
"""Generations at which the paper shows its mixtures: still like the first one, and nearly a point."""

CLOSE, NARROW, FAR = 0.1, 0.1, 30
"""Bounds of GM-1 for the median chain: L2 below CLOSE early; component sd below NARROW and L2 above FAR late."""


ROWS = STUDY.sizes["verify-sizes"].sizes
"""Rows per generation of GM-2, within the paper's 500 to 10,000."""


def margins(tables: Tables, level: float) -> Estimate:
    """GM-1: the smallest of three factors by which the median chain keeps its bounds, over all tables.

    CLOSE / L2 at generation 50, NARROW / component sd at generation 2000, L2 at generation 2000 / FAR.
    """
    found: list[testing.Procedure] = []
    for table in tables.values():
        for metric, generation, bound in (("l2", EARLY, CLOSE), ("component_sd", LATE, NARROW)):
            found.append(partial(_below, bound, stats.per_replicate(table, metric, generation)))
        found.append(partial(stats.median, stats.per_replicate(table, "l2", LATE) / FAR))
    return testing.lowest(found, level)


def _below(bound: float, values: pd.Series, level: float) -> Estimate:
    """A bound over the median."""
    middle = stats.median(values, level)
    # A control that never moves has no distance at all.
    with np.errstate(divide="ignore"):
        kept, low, high = bound / np.array([middle.value, middle.high, middle.low])
    return Estimate(float(kept), float(low), float(high), middle.n, level)


def falls(tables: Tables, level: float) -> Estimate:
    """GM-2: by how much the mean of ln L2 at the last generation falls from one size to the next; the least fall."""
    by_size = sorted(tables.values(), key=lambda table: int(table["n_train"].iloc[0]))
    logs = [np.log(stats.per_replicate(table, "l2", stats.last_of(table))) for table in by_size]
    return testing.lowest((partial(stats.paired, fewer, more) for fewer, more in pairwise(logs)), level)


CLAIMS = (
    Claim(
        id="GM-1",
        statement="a chain of Gaussian mixtures stays close to its first fit for 50 generations and has shrunk to a "
        "narrow peak by generation 2000",
        source=f"{NATURE}, supplement, mixture experiment (N = 1000, two components) and its notebook",
        measured="the smallest of three factors by which the median chain keeps within its bounds: 0.1 over the L2 "
        "distance to generation 0 at generation 50; a tenth of the real component sd over that of generation 2000; "
        "the L2 distance at generation 2000 over 30",
        band=(1, np.inf),
        reason="the bounds: L2 distance to generation 0 below 0.1 at 50 (the first mixture alone has ∫ p² = 1 / (4π) "
        "= 0.08), component sd below a tenth of the real one and L2 above 30 at 2000",
        runs=STUDY.arguments("verify"),
        check=margins,
        published="component sd 0.0100 and 0.0112, L2 536 at the end of one run",
        definition=(4, 6),
        chapter="mixtures",
        figure="mixtures-collapse",
        ends=lambda table: LATE,
    ),
    Claim(
        id="GM-2",
        statement="chains of Gaussian mixtures collapse more slowly the more rows a generation has",
        source=f"{NATURE}, supplement, figure of L2 distances by sample size",
        measured="fall of the mean of ln L2 at generation 350 from one number of rows to the next (N = 500, 1500, "
        "5000), the smaller",
        band=(0, np.inf),
        reason="decreasing in N: each step to more rows makes the distance smaller",
        runs={f"N = {n}": STUDY.arguments(STUDY.at("verify-sizes", n=n))["blob"] for n in ROWS},
        check=falls,
        definition=(4,),
        chapter="mixtures",
        figure="mixtures-rows",
        ends=lambda table: 350,
    ),
)
