"""How often does a verification cry wolf? The claims are judged from many seeds, and failures are counted.

A false alarm is a claim that fails though nothing was changed. Where the exact value is known (`Claim.target`) it is
also counted how often the interval misses it, which no band forgives.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import as_completed
from pathlib import Path
from typing import Any
from unittest.mock import patch

from model_collapse import hardware, store
from model_collapse.analysis import stats
from model_collapse.companion import claims
from model_collapse.companion import verify as verifying
from model_collapse.engine.processes import lost_workers, process_pool

LEAST, LARGEST = 10, 1000
"""Seeds that every claim is judged from at least, and at most."""


def count(
    names: Sequence[str] = (),
    *,
    seconds: float = 30,
    jobs: int | None = None,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """The claims of simulation scale, or the named ones, judged from seeds 2, 3, ...: plain JSON.

    seconds  of computing for each claim, as last recorded: the cheaper it is, the more seeds, LEAST to LARGEST
    """
    chosen = list(names) or [claim.id for claim in claims.known().values() if claim.scale == "simulation"]
    recorded = verifying.before()
    costs = {name: verifying.price(claims.named(name), recorded)["seconds"] or seconds for name in chosen}
    counts = {name: min(max(int(seconds / cost), LEAST), LARGEST) for name, cost in costs.items()}
    tasks = {seed: [n for n in chosen if seed - 2 < counts[n]] for seed in range(2, 2 + max(counts.values()))}
    entries: dict[str, list[tuple[int, Any]]] = {name: [] for name in chosen}
    with process_pool(jobs or verifying.cores()) as executor, lost_workers():
        futures = {executor.submit(_judged, ids, seed): seed for seed, ids in tasks.items()}
        for done, future in enumerate(as_completed(futures), 1):
            for entry in future.result():
                entries[entry["id"]].append((futures[future], entry))
            if progress and done % 10 == 0:
                progress(f"{done} of {len(tasks)} seeds")
    rows = [_row(name, sorted(found, key=lambda one: one[0])) for name, found in entries.items()]
    made = store.origin() | {"machine": hardware.machine()}
    return {"made": made, "claims": rows, "pooled": {what: _pooled(rows, what) for what in ("fell", "missed")}}


def _judged(names: Sequence[str], seed: int) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as scratch, patch.dict(os.environ, MODEL_COLLAPSE_CACHE=scratch):
        return verifying.verify(names, seed=seed, jobs=1, folder=Path(scratch))["claims"]


def _row(name: str, found: Sequence[tuple[int, Any]]) -> dict[str, Any]:
    """Seeds at which the claim fell, or its interval missed the exact value; None where that is not known."""
    target = claims.named(name).target
    fell = [seed for seed, entry in found if entry["verdict"] not in verifying.PASSING]
    missed = None
    if target is not None:
        missed = [seed for seed, entry in found if not _holds(entry, target)]
    return {"id": name, "seeds": len(found), "fell": fell, "target": target, "missed": missed}


def _holds(entry: dict[str, Any], target: float) -> bool:
    return entry["low"] is not None and entry["low"] <= target <= entry["high"]


def _pooled(rows: Sequence[dict[str, Any]], what: str) -> dict[str, Any]:
    """Of all judgements of all claims: how many went wrong, and the 95 % interval of Clopper and Pearson."""
    known = [row for row in rows if row[what] is not None]
    wrong, count = sum(len(row[what]) for row in known), sum(row["seeds"] for row in known)
    share = stats.proportion([i < wrong for i in range(count)])
    return {"count": wrong, "of": count, "low": share.low, "high": share.high}


def report(found: dict[str, Any]) -> int:
    """Print what went wrong by chance, and give the exit status: 1 if a claim fell, else 0."""
    for row in found["claims"]:
        seeds = ", ".join(f"{seed}" for seed in row["fell"]) or "none"
        missed = "" if row["missed"] is None else f", exact value missed by {len(row['missed'])} intervals"
        print(f"{row['id']:8} {row['seeds']} seeds, fell at {seeds}{missed}")
    for what, pooled in found["pooled"].items():
        print(f"{what}: {pooled['count']} of {pooled['of']} [{pooled['low']:.2g}, {pooled['high']:.2g}]")
    return 1 if found["pooled"]["fell"]["count"] else 0
