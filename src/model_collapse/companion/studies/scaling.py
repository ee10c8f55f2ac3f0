"""Scaling laws of models that learn facts from each other's text: facts are symbols of a Zipf distribution."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from model_collapse.companion.studies import study
from model_collapse.companion.studies.study import Condition, Study


@dataclass(frozen=True, kw_only=True)
class Size(study.Size):
    """symbols  facts of the Zipf distribution, K
    wide     how many sizes of training sets lie between 100 rows and n
    quick    whether chains are too few for a verdict
    """

    symbols: int
    wide: int = 7
    quick: bool = False

    @property
    def few(self) -> int:
        """Chains where many rows make up for them."""
        return max(self.seeds // 8, 8)


LAPTOP = Size(n=100_000, symbols=100_000, seeds=256, seed=1, metrics=("lost_mass",))

SIZES: Mapping[str, Size] = {
    "smoke": replace(LAPTOP, n=10_000, symbols=20_000, seeds=64, wide=4, quick=True),
    "laptop": LAPTOP,
    "paper": replace(LAPTOP, n=1_000_000, symbols=1_000_000, seeds=512),
}


def _cut(k: int) -> Condition:
    return Condition(f"models generate their {k} commonest facts", settings={"family.top_k": k})


def _clean(share: float) -> Condition:
    settings: Mapping[str, Any] = {"family.top_k": 20, "regime.real_fraction": share}
    return Condition(f"the 20 commonest facts, and {share:.0%} of the rows real and new", "fresh", settings)


CUTS = (10, 50, 250)
RANKS = (20, 80, 320)
SHARES = (0.0, 0.01, 0.1, 1.0)

CONDITIONS: Mapping[str, Condition] = {
    "nothing cut": Condition("models generate what they know"),
    **{f"k = {k}": _cut(k) for k in sorted({*CUTS, *RANKS})},
    **{f"{share:.0%} real": _clean(share) for share in SHARES},
}

CUT = (*(f"k = {k}" for k in CUTS), "nothing cut")
CLEAN = tuple(f"{share:.0%} real" for share in SHARES)


def _facts(size: Size) -> Size:
    """The exponent is 1.5 unless the size says another."""
    return replace(size, settings={"family.symbols": size.symbols, "family.zipf": 1.5, **size.settings})


STUDY = Study("scaling", SIZES, CONDITIONS, "discrete", complete=_facts)


def of_rows(size: Size, rows: int, generations: int, *, beta: float = 1.5, seeds: int | None = None) -> Size:
    """Training sets of a given number of rows, facts by Zipf's law with exponent beta."""
    chains = size.seeds if seeds is None else seeds
    return replace(size, n=int(rows), generations=generations, seeds=chains, settings={"family.zipf": beta})


def cut(size: Size, rows: int) -> Size:
    """Generation 0 learns from real rows, and generation 1 from what it generates after them."""
    return of_rows(size, rows, 1, seeds=size.few)


def clean(size: Size, rows: int) -> Size:
    """Five generations, each with a share of new real rows."""
    return of_rows(size, rows, 5, seeds=size.few)
