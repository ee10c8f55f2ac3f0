"""The claim about the world outside: it is read, not run, on the page In the wild."""

from __future__ import annotations

import numpy as np

from model_collapse.analysis.stats import Estimate
from model_collapse.companion.claims import Claim, Tables


def _read(tables: Tables, level: float) -> Estimate:
    """People count sources; no table settles it."""
    raise LookupError("NOTWILD has no runs")


CLAIMS = (
    Claim(
        id="NOTWILD",
        statement="there is no evidence of model collapse in deployed systems",
        source="the press: Gibney 2024, doi:10.1038/d41586-024-02420-7, and the dated sources of book/in_the_wild.md",
        measured="number of dated sources on the page In the wild that show collapse in a deployed system",
        band=(-np.inf, 1),
        reason="a single good study refutes it; that there is none does not show that collapse cannot happen",
        runs={},
        check=_read,
        chapter="in_the_wild",
        scale="review",
    ),
)
