"""Claims about which written rows are kept, and who is forgotten for it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Literal, TypeVar

import pandas as pd

from model_collapse.analysis import stats, testing
from model_collapse.analysis.stats import Estimate
from model_collapse.companion.claims import Claim, Tables, family, unsettled
from model_collapse.companion.claims.discrete import distribution
from model_collapse.companion.claims.minorities import PEOPLE, first_rare, group_share, rise
from model_collapse.companion.studies import minorities
from model_collapse.theory import groups

T = TypeVar("T")

KEEP: Mapping[str, Literal["low", "high", "random"]] = {
    "likeliest": "low",
    "at random": "random",
    "least likely": "high",
}
"""The same -> its name in `groups.selected_share`."""


def by_way(found: Mapping[str, T]) -> dict[str, T]:
    """What there is for "likeliest 0.8" and its like, by the way alone."""
    return {label.rpartition(" ")[0]: each for label, each in found.items()}


def part(table: pd.DataFrame) -> float:
    """The share of the rows that is kept."""
    ((_, settings),) = family(table, "regime_args")["filters"]
    return float(settings["share"])


def _order(tables: Tables, level: float) -> Estimate:
    """Share of the minority at the last generation over its closed form, at random and least likely: farthest from 1.

    No interval unless it is gone from every chain where the likeliest are kept, as theory says of so few.
    """
    found, gone = [], False
    for label, table in tables.items():
        share = group_share(table)
        last, q = int(share.columns[-1]), distribution(table)
        expected = float(groups.selected_share(last, q[first_rare(q) :].sum(), part(table), KEEP[label]))
        if expected == 0:
            gone = bool((share[last] == 0).all())
        else:
            found.append(partial(stats.mean, share[last] / expected))
    worst = testing.farthest(found, 1, level)
    return worst if gone else unsettled(worst)


def _order_in_text(tables: Tables, level: float) -> Estimate:
    """Rise of the loss on the minority where the likeliest are kept less at random, and at random less the least
    likely: the smaller."""
    rises = {label: rise(table, PEOPLE["minority"]) for label, table in tables.items()}
    pairs = (("likeliest", "at random"), ("at random", "least likely"))
    return testing.lowest([partial(stats.paired, rises[worse], rises[better]) for worse, better in pairs], level)


SOURCE = "after Gambetta et al. 2024, arXiv:2410.12341, and a README of M. A. Zeb, which alone states the order"

CLAIMS = (
    Claim(
        id="FAIR-3",
        statement="keeping only the least likely of the generated rows preserves a minority, and keeping only the "
        "likeliest removes it",
        source=f"{SOURCE}; closed form derived",
        measured="mean share of the minority after 4 selections of 80 % over its closed form, selected at random or "
        "the least likely, the one farther from 1",
        band=(0.95, 1.05),
        target=1,
        reason="5 % about the exact values, set before any run: 2.4 times its true share if the least likely rows "
        "are kept, its true share if rows are kept at random. Where the likeliest are kept, every chain has to lose "
        "it",
        runs=by_way(minorities.STUDY.arguments("selected")),
        check=_order,
        chapter="minorities",
        figure="minorities-selected",
        ends=lambda table: 4,
        definition=(7,),
    ),
    Claim(
        id="FAIR-3b",
        statement="models of text forget a minority least if the least likely half of the generated text is kept for "
        "training, and most if the likeliest half is",
        source=SOURCE,
        measured="rise of the nats per token of true articles about the minority: likeliest half less random half, "
        "or random half less least likely half, the smaller",
        band=(0.0, float("inf")),
        reason="the order of the three, set before any run; word models are used for the reason that FAIR-1b gives",
        runs=by_way(minorities.STUDY.arguments("selected-text")),
        check=_order_in_text,
        chapter="minorities",
        figure="minorities-selected-text",
        ends=lambda table: 1,
        definition=(7,),
        scale="small",
    ),
)
