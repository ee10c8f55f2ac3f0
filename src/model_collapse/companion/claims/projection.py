"""A claim about relabelling with fewer rows than dimensions: what is lost without any noise."""

from __future__ import annotations

from functools import partial
from typing import Any

from model_collapse.analysis import stats, testing
from model_collapse.analysis.stats import Estimate
from model_collapse.companion.claims import Claim, Tables, chains, family, rows
from model_collapse.theory import regression


def projected(T: int, **changes: Any) -> dict[str, Any]:
    """The run of the shortest fit through T rows in 10 dimensions, without noise, with new x in every generation."""
    return {
        "family": "regression",
        "regime": "replace",
        "n": T,
        "generations": 2,
        "given": "fresh",
        "replicates": 24_576,
        "metrics": ["test_error", "weight_norm"],
        "settings": {"family.dim": 10, "family.noise": 0.0, "family.interpolate": True},
        **changes,
    }


def _lost(tables: Tables, level: float) -> Estimate:
    """Mean error, and mean square of what is left of w, at the last generation over their closed forms: farthest."""
    found = []
    for table in tables.values():
        error, left = chains(table, "test_error"), chains(table, "weight_norm") ** 2
        last = int(error.columns[-1])
        expected = float(regression.projected_error(last + 1, rows(table), family(table)["dim"]))
        found += [partial(stats.mean, error[last] / expected), partial(stats.mean, left[last] / (1 - expected))]
    return testing.farthest(found, 1, level)


CLAIMS = (
    Claim(
        id="ACC-7",
        statement="linear regression on labels of the model before forgets the true weights exponentially fast, even "
        "without noise, if a generation has fewer rows than dimensions",
        source="Dohmatob, Feng & Kempe 2024, arXiv:2402.07712",
        measured="mean test error after 3 fits over 1 − (T/d)³, or mean square of what is left of the true weights "
        "over (T/d)³, for T rows in d dimensions; the one farthest from 1",
        band=(0.95, 1.05),
        target=1,
        reason="5 % about the exact values 0.936 and 0.064 (T = 4, d = 10), 0.488 and 0.512 (T = 8), set before any "
        "run; the formula is derived here, since only the abstract of the source was read",
        runs={f"{T} rows in 10 dimensions": projected(T) for T in (4, 8)},
        check=_lost,
        chapter="accumulate",
        figure="accumulate-projected",
        ends=lambda table: 2,
        definition=(1, 2),
    ),
)
