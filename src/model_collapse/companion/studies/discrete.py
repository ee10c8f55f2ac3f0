"""Frequencies of symbols, estimated from their own samples.

`STUDY` has the conditions, of Zipf's distribution with the symbols of the size; the functions say at which numbers of
rows, symbols and generations the chapter runs them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from model_collapse.companion.studies import study
from model_collapse.companion.studies.study import Condition, Study
from model_collapse.engine.spec import Run


@dataclass(frozen=True, kw_only=True)
class Size(study.Size):
    """symbols  of Zipf's distribution, K"""

    symbols: int


LAPTOP = Size(n=50, symbols=20, seeds=1024, seed=1)

SIZES: Mapping[str, Size] = {
    "smoke": replace(LAPTOP, n=10, symbols=10, seeds=256),
    "laptop": LAPTOP,
    "paper": replace(LAPTOP, n=200, seeds=6400),
}

KEPT = ("replace", "accumulate", "control: real data only")
"""What becomes of the real data."""

CONDITIONS = {
    "replace": Condition("only generated rows"),
    "accumulate": Condition("all rows so far", "accumulate"),
    "control: real data only": Condition(
        "real data only", "mix", {"family.sampling": "draw", "regime.real_fraction": 1.0}
    ),
    "two groups": Condition(
        "two symbols, of shares 0.9 and 0.1", settings={"family.symbols": 2, "family.zipf": float(np.log2(9))}
    ),
    "own symbols": Condition(
        "a symbol of its own for every real row", settings={"family.symbols": 10**4, "family.zipf": 0}
    ),
}


def _zipf(size: Size) -> Size:
    """Symbols with shares 1/i, unless a condition says otherwise; another family has no symbols."""
    if size.family:
        return size
    return replace(size, settings={"family.symbols": size.symbols, "family.zipf": 1, **size.settings})


STUDY = Study("discrete", SIZES, CONDITIONS, "discrete", complete=_zipf)

SHORT = 10
"""Words of a short text: of what does not depend on M, or is known for every M."""

RARER = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
"""True shares of the rarer of two symbols."""

LONG = 1000
"""Words of a long text, divisible by all COUNTS."""

COUNTS = (1, 2, 4, 5, 8, 10, 20)
"""How often each symbol is expected in a long text."""


def four(experiment: Study[Size], size: Size) -> dict[str, Run]:
    """Four chains of 6 M generations, to look at."""
    return {"look": _run(experiment, size, generations=6 * _rows(size), seeds=4)}


def ends(experiment: Study[Size], size: Size) -> dict[str, Run]:
    """Very many chains of short texts, until all have come to rest."""
    last = 20 * SHORT
    changes = {"generations": last, "every": last, "seeds": 20 * size.seeds, "metrics": ("share", "support")}
    return {"ends": _run(experiment, size, n=SHORT, **changes)}


def two_symbols(experiment: Study[Size], size: Size) -> dict[float, Run]:
    """True share of the rarer symbol -> run of short texts of two symbols."""
    own = experiment.at(size, n=SHORT, generations=14 * SHORT, metrics=("support",))
    found = {}
    for rarer in RARER:
        changed = experiment.at(own, settings={"family.symbols": 2, "family.zipf": float(np.log2(1 / rarer - 1))})
        found[rarer] = _run(experiment, changed)
    return found


def by_rows(experiment: Study[Size], size: Size) -> dict[str, Run]:
    """ "M = m" -> run of 2 M generations, for a fifth of M, for M, and for twice M."""
    M = _rows(size)
    changes = {"generations": 2 * M, "every": max(1, 2 * M // 25), "seeds": _many(size)}
    sizes = sorted({max(M // 5, 2), M, 2 * M})
    return {f"M = {m}": _run(experiment, size, n=m, metrics=("heterozygosity",), **changes) for m in sizes}


def kin(experiment: Study[Size], size: Size) -> dict[str, Run]:
    """Short texts whose real rows have a symbol of their own each."""
    changes = {"n": SHORT, "generations": 2 * SHORT - 1, "seeds": _many(size), "metrics": ("heterozygosity",)}
    return {"kin": _run(experiment, size, "own symbols", **changes)}


def early(experiment: Study[Size], size: Size) -> dict[str, Run]:
    """Shares of all symbols for 2 M generations."""
    M = _rows(size)
    changes = {"generations": 2 * M, "every": max(1, M // 5), "seeds": _many(size) // 2, "metrics": ("share",)}
    return {"early": _run(experiment, size, **changes)}


def counted(experiment: Study[Size], size: Size) -> dict[int, Run]:
    """Expected count of every symbol -> run of long texts of equally common symbols."""
    own = experiment.at(size, n=LONG, seeds=_few(size) // 4, metrics=("support",))
    return {
        count: _run(
            experiment,
            own,
            generations=5 * count + 8,
            settings={"family.symbols": LONG // count, "family.zipf": 0},
        )
        for count in COUNTS
    }


def kept(experiment: Study[Size], size: Size) -> Size:
    """2 M generations for every use of the real data, a reader's own conditions included."""
    M = _rows(size)
    mine = (label for label in experiment.conditions if label not in CONDITIONS)
    changes = {"generations": 2 * M, "every": max(1, M // 20), "metrics": ("heterozygosity", "support")}
    return experiment.at(size, seeds=_few(size), labels=(*KEPT, *mine), **changes)


def groups(experiment: Study[Size], size: Size) -> dict[str, Run]:
    """A majority and a minority for 4 M generations."""
    M = _rows(size)
    changes = {"generations": 4 * M, "every": max(1, M // 15), "metrics": ("share",)}
    return {"minority": _run(experiment, size, "two groups", **changes)}


def dogs(experiment: Study[Size], size: Size) -> dict[str, Run]:
    """Twenty dogs of ten breeds, each with a trait of its own (family `breeds`)."""
    own = experiment.at(
        size,
        family="breeds",
        n=20,
        generations=240,
        every=2,
        seeds=2 * size.seeds,
        metrics=("breeds_left", "within_deviation", "majority_breed"),
        settings={"family.breeds": 10},
    )
    return {"dogs": _run(experiment, own)}


def _run(experiment: Study[Size], size: Size, label: str = "replace", /, **changes: Any) -> Run:
    return experiment.runs(experiment.at(size, **changes), label)[label]


def _rows(size: Size) -> int:
    return int(size.n or 0)


def _few(size: Size) -> int:
    """Chains, where many rows or symbols make up for chains."""
    return min(size.seeds, 512)


def _many(size: Size) -> int:
    """Chains, where a verdict needs a narrow interval."""
    return 8 * size.seeds
