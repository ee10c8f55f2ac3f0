"""The claims checked afresh: their runs made again from a seed, judged, and compared with what was found before.

    found = verify(scale="simulation", seed=1)     every claim of that scale; a result for every claim of the register
    fell = fallen(found, before())                      claims that passed before, and do not now

No stored result is reused: finished runs lie in a scratch folder until all claims are judged, so that an interrupted
run resumes, and are removed with it. Needs no torch but for claims whose families do.

Exact theory is decided by adding chains: a claim whose first look leaves it undecided gets as many chains again, from
a fresh seed, and is judged by all of them, up to LOOKS times in all. Look k is at the level 1 - 1e-4 / 2^k, so that all
looks together err as often as one at 99.99 % would, or less. Experiments have the chains that they were planned with;
their verdicts allow for how many of them were judged together (`claims.together`).

    baseline.py       verifications that are kept in records/
    evidence.py       which claims a recorded run can answer
    pricing.py        what a claim's runs take
    power.py          the smallest effect that a claim would notice
    falls.py          how often a true claim falls by chance
    mutants/          faults to inject
    mutation.py       which of them are caught, and by which claims
    false_alarms.py   claims judged from many seeds
    reporting.py      results in lines
    codecheck.py      codecheck.yml
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from model_collapse import hardware, paths, store
from model_collapse.companion import claims
from model_collapse.companion.claims import Claim, Verdict
from model_collapse.companion.records import code
from model_collapse.companion.verify.baseline import PASSING, before, differences, read
from model_collapse.companion.verify.falls import fallen, regressions
from model_collapse.companion.verify.pricing import price
from model_collapse.companion.verify.reporting import report
from model_collapse.engine.execute import execute_all
from model_collapse.engine.spec import Run
from model_collapse.errors import ExternalError, InputError

__all__ = [
    "PASSING",
    "SCALES",
    "about",
    "before",
    "chosen",
    "differences",
    "fallen",
    "price",
    "read",
    "regressions",
    "report",
    "verify",
]

SCALES = ("simulation", "small", "gpu")

LOOKS = 4
"""How often the chains of a claim of exact theory are looked at, at most."""

Runs = Mapping[str, Mapping[str, Any]]


def chosen(names: Sequence[str] = (), scale: str | None = None) -> dict[str, Runs]:
    """Id -> arguments of the runs, for the claims to check.

    Without names these are all claims of the scale, by default `simulation`. Named claims are checked at their own
    scale, or at the given one. InputError for an unknown name or scale, and for a claim that has no runs of it.
    """
    if scale is not None and scale not in SCALES:
        raise InputError(f"--scale {scale}: must be one of {', '.join(SCALES)}")
    found = {}
    for claim in [claims.named(name) for name in names] or claims.known().values():
        wanted = scale or (claim.scale if names else SCALES[0])
        runs = at(claim, wanted)
        if names and scale and not runs:
            there = ", ".join(known for known in SCALES if at(claim, known)) or "none: it is read, not run"
            raise InputError(f"--scale {scale}: claim {claim.id} has runs of {there}")
        if runs and not (names and scale is None and wanted == "gpu"):
            found[claim.id] = runs
    return found


def at(claim: Claim, scale: str) -> Runs:
    """The runs of a claim at a scale; {} if it has none."""
    if scale == "gpu" and claim.larger:
        return claim.larger
    return claim.runs if claim.scale == scale else {}


def verify(
    names: Sequence[str] = (),
    scale: str | None = None,
    *,
    seed: int = 1,
    jobs: int | None = None,
    folder: Path | None = None,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Run everything that the claims need from the seed, and judge them.

    jobs    processes side by side; None: as many as there are cores
    folder  where runs lie until everything is judged; the same call after an interruption resumes from there

    The result is plain JSON: seed, scale, who made it, and for every claim of the register, or of the named ones, its
    estimate, interval, band, verdict, seconds of computing and command. Equal but for times if called again.
    ExternalError where a GPU is asked for and there is none.
    """
    wanted = chosen(names, scale)
    if scale == "gpu":
        _require_gpu()
    first = {name: claims.planned(runs, seed) for name, runs in wanted.items()}
    place = folder or (paths.project() or Path.cwd()) / "_build" / "verify"
    place = place / store.digest(sorted(run.run_id for runs in first.values() for run in runs.values()))
    with store.disk_errors():
        place.mkdir(parents=True, exist_ok=True)
    batches: dict[str, list[Mapping[str, Run]]] = {name: [runs] for name, runs in first.items()}
    verdicts: dict[str, Verdict] = {}
    costs: dict[str, tuple[float, str]] = {}
    open_ = list(first)
    for look in range(1, LOOKS + 1):
        runs = {run.run_id: run for name in open_ for run in batches[name][-1].values()}
        with _one_thread_each():
            files = {place / f"{run_id}.parquet": run for run_id, run in runs.items()}
            execute_all(files, jobs=jobs or cores(), progress=progress)
        for name in open_:
            verdicts[name], costs[name] = _judged(claims.named(name), batches[name], place, look)
        open_ = [name for name in open_ if verdicts[name].claim.kind == "theory" and _more_would_help(verdicts[name])]
        if not open_ or look == LOOKS:
            break
        for name in open_:
            batches[name].append(claims.planned(wanted[name], fresh_seed(seed, look)))
    corrected = {verdict.claim.id: verdict for verdict in claims.together(verdicts.values())}
    recorded = before()
    results = [
        _entry(corrected[claim.id], *costs[claim.id]) if claim.id in corrected else _left_out(claim, recorded)
        for claim in claims.known().values()
        if not names or claim.id in names
    ]
    shutil.rmtree(place, ignore_errors=True)
    made = store.origin() | {"source": code.whole()[:12], "machine": hardware.machine()}
    chosen_scale = scale or (None if names else SCALES[0])
    return {"seed": seed, "scale": chosen_scale, "named": list(names), "made": made, "claims": results}


def fresh_seed(seed: int, look: int) -> int:
    """Seed of the chains that are added after a look: derived from the first, and different for every look."""
    return int(np.random.SeedSequence([seed, look]).generate_state(1)[0])


def spent(look: int) -> float:
    """Level of the intervals of a look at exact theory: the errors 1e-4 / 2^k of all looks sum to less than 1e-4."""
    return 1 - (1 - claims.LEVEL) / 2**look


def _more_would_help(verdict: Verdict) -> bool:
    """Whether chains are added: undecided, with an interval that more of them make narrower."""
    return verdict.outcome == "undecided" and not np.isnan(verdict.estimate.low)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def about(claim: Claim) -> dict[str, Any]:
    """The register's entry of a claim, as JSON: open ends of the band are null."""
    return {
        "id": claim.id,
        "statement": claim.statement,
        "source": claim.source,
        "definition": list(claim.definition),
        "measured": claim.measured,
        "published": claim.published,
        "band": [_number(end) for end in claim.band],
        "target": claim.target,
        "no_effect": claim.no_effect,
        "margin": claim.margin,
        "kind": claim.kind,
        "reason": claim.reason,
        "scale": claim.scale,
        "chapter": claim.chapter,
        "figure": claim.figure,
        "recorded": list(claim.recorded),
        "command": claim.command,
    }


def _judged(
    claim: Claim, batches: Sequence[Mapping[str, Run]], place: Path, look: int
) -> tuple[Verdict, tuple[float, str]]:
    """The verdict on a claim whose runs are finished, and what they cost: seconds and device."""
    tables = {
        label: _together([store.read(place / f"{runs[label].run_id}.parquet") for runs in batches])
        for label in batches[0]
    }
    # `seconds` is what a chain took for a generation, and stands in all its rows.
    seconds = sum(t.drop_duplicates(["replicate", "generation"])["seconds"].sum() for t in tables.values())
    device = ", ".join(sorted({str(name) for t in tables.values() for name in t["device"].unique()}))
    level = spent(look) if claim.kind == "theory" else None
    return replace(claim.judge(tables, level), looks=look), (float(round(seconds, 2)), device)


def _together(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Batches of chains of one run as one table: replicates of a later batch are numbered after the earlier ones."""
    if len(tables) == 1:
        return tables[0]
    moved, count = [], 0
    for table in tables:
        moved.append(table.assign(replicate=table["replicate"] + count))
        count += int(table["replicate"].max()) + 1
    return pd.concat(moved, ignore_index=True)


def _left_out(claim: Claim, recorded: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The entry of a claim that is not run: its cost, according to the stored verifications."""
    return _entry(claim.judge({}), None, None) | {"cost": price(claim, recorded)}


def _entry(verdict: Verdict, seconds: float | None, device: str | None) -> dict[str, Any]:
    found = verdict.estimate
    return about(verdict.claim) | {
        "estimate": _number(found.value),
        "low": _number(found.low),
        "high": _number(found.high),
        "level": found.level,
        "verdict": verdict.verdict,
        "outcome": verdict.outcome,
        "at_small_scale": verdict.at_small_scale,
        "p": verdict.p,
        "p_adjusted": verdict.p_adjusted,
        "looks": verdict.looks if seconds is not None else 0,
        "why": verdict.why,
        "seconds": seconds,
        "device": device,
        "cost": None,
    }


def _number(value: float) -> float | None:
    """JSON has no infinity and no nan."""
    return float(value) if np.isfinite(value) else None


def _require_gpu() -> None:
    import torch

    if not torch.cuda.is_available():
        raise ExternalError(
            "--scale gpu: there is no GPU here; on a machine with one, the same command runs what needs it"
        )


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes that are started inside use one thread each, unless the caller's environment says otherwise."""
    names = [name for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS") if name not in os.environ]
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name in names:
            os.environ.pop(name, None)
