"""Models that count words, pairs and triples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from model_collapse.companion.studies.study import Condition, Size, Study

COUNTED = ("perplexity", "vocabulary")

LAPTOP = Size(
    corpus="embedded",
    n=200,
    generations=9,
    seeds=8,
    seed=1,
    metrics=(*COUNTED, "rare_coverage"),
    own={"order 1": {"metrics": COUNTED}},
)

SIZES: Mapping[str, Size] = {
    "smoke": replace(LAPTOP, n=60, generations=3, seeds=2),
    "laptop": LAPTOP,
    "paper": replace(LAPTOP, corpus="wikitext-2", n=15_000, seeds=5),
    "verify": replace(LAPTOP, n=400, seeds=32, metrics=("vocabulary",), labels=("order 1",), own={}),
}


def _order(order: int, **settings: Any) -> dict[str, Any]:
    return {"family.order": order, **settings}


CONDITIONS = {
    "order 1": Condition("words", settings=_order(1)),
    "order 2": Condition("pairs of words", settings=_order(2)),
    "order 3": Condition("triples of words", settings=_order(3)),
    "order 2, 10 % real": Condition("pairs, 10 % real", "mix", _order(2, **{"regime.real_fraction": 0.1})),
    "order 2, accumulate": Condition("pairs, everything so far", "accumulate", _order(2)),
    "order 2, control": Condition("pairs, real text only", "mix", _order(2, **{"regime.real_fraction": 1.0})),
}

STUDY = Study("ngram", SIZES, CONDITIONS, "ngram")

ORDERS = ("order 1", "order 2", "order 3")
REGIMES = ("order 2", "order 2, 10 % real", "order 2, accumulate", "order 2, control")


def words(size: Size) -> Size:
    """Words alone, which cost little: a narrow interval about a count of words needs many chains."""
    return replace(size, seeds=6 * size.seeds, labels=("order 1",), own={"order 1": {"metrics": ("vocabulary",)}})
