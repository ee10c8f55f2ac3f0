"""Does a verification catch errors? Faults are injected one at a time, and the claims that use the part are verified.

    found = inject()                   all faults of `mutants`, each in a process of its own
    found["faults"][0]["caught"]

A fault is caught if the verification does not pass: a claim fails that passes without the fault, or an error ends it.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import as_completed
from pathlib import Path
from typing import Any
from unittest.mock import patch

from model_collapse import hardware, store
from model_collapse.companion import verify as verifying
from model_collapse.companion.verify import mutants
from model_collapse.companion.verify.mutants import Fault
from model_collapse.engine.processes import lost_workers, process_pool

Found = Mapping[str, Any]

GOAL = 0.95
"""Share of the faults that a verification has to catch."""


def inject(
    names: Sequence[str] = (),
    *,
    seed: int = 1,
    jobs: int | None = None,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """The faults that a verification from this seed catches, as plain JSON. All faults if none is named.

    jobs  faults side by side; None: as many as there are cores
    """
    chosen = [mutants.named(name) for name in names] or list(mutants.known().values())
    jobs = jobs or verifying.cores()
    recorded = verifying.before()
    through_claims = {one.name: one.claims(recorded) for one in chosen}
    wanted = sorted({claim for ids in through_claims.values() for claim in ids})
    found: dict[str, dict[str, Any]] = {}
    # Pre-trained models that a fault had a hand in must not be found by a later run.
    with tempfile.TemporaryDirectory() as scratch, patch.dict(os.environ, MODEL_COLLAPSE_CACHE=scratch):
        begun = time.monotonic()
        baseline = verifying.verify(wanted, seed=seed, jobs=jobs, folder=Path(scratch))
        took = time.monotonic() - begun
        if progress:
            progress(f"{len(wanted)} claims without a fault, {took:.0f} s")
        stands = {e["id"]: e["verdict"] for e in baseline["claims"]}
        with process_pool(jobs, tasks=1) as executor, lost_workers():
            # The longest first; a fresh process each, so that nothing that a fault has changed is left behind.
            order = sorted(chosen, key=lambda one: -len(through_claims[one.name]))
            futures = {executor.submit(_through, one.name, seed, baseline): one for one in order}
            for future in as_completed(futures):
                one = futures[future]
                found[one.name] = future.result()
                if progress:
                    said = "caught" if found[one.name]["caught"] else "NOT caught"
                    progress(f"{len(found)} of {len(chosen)} faults: {one.name} {said}")
    made = store.origin() | {"machine": hardware.machine()}
    unfaulted = {"seconds": round(took, 1), "verdicts": stands}
    return {"seed": seed, "made": made, "faults": [found[one.name] for one in chosen], "baseline": unfaulted}


def _through(name: str, seed: int, baseline: Found) -> dict[str, Any]:
    return through(mutants.named(name), seed, baseline)


def through(one: Fault, seed: int, baseline: Found) -> dict[str, Any]:
    """The entry of one fault, injected into this process while its claims are verified."""
    begun = time.monotonic()
    asked = one.claims(verifying.before())
    fell, how = [], ""
    with tempfile.TemporaryDirectory() as scratch, patch.dict(os.environ, MODEL_COLLAPSE_CACHE=scratch):
        try:
            with mutants.injected(one):
                found = verifying.verify(asked, seed=seed, jobs=1, folder=Path(scratch))
            fell = verifying.regressions(found, dict.fromkeys(verifying.SCALES, baseline))
            how = "a claim that passes without the fault fails" if fell else ""
        except Exception as error:  # Whatever it is, it ends the verification.
            how = f"the verification ends with {type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return {
        "name": one.name,
        "what": one.what,
        "claims": asked,
        "caught": bool(how),
        "by": fell,
        "how": how,
        "seconds": round(time.monotonic() - begun, 1),
    }


def report(found: Found) -> int:
    """Print the faults that were caught; exit status 0 if their share is GOAL or more, else 1."""
    for one in found["faults"]:
        by = ", ".join(one["by"]) or one["how"] or f"not caught by {', '.join(one['claims'])}"
        print(f"{one['name']}: {by}. {one['what']}")
    caught = sum(one["caught"] for one in found["faults"])
    print(f"{caught} of {len(found['faults'])} faults are caught")
    return 0 if caught >= GOAL * len(found["faults"]) else 1
