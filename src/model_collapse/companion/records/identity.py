"""Who a recorded run is: its run_id, computed again from what the manifest says of it.

A run_id is a hash of all settings and of three other hashes, in full: of the corpus and of weights read from files
(content), of the package's code (source) and of requirements.lock (lock). A manifest has the settings as
`spec.describe` has them, in which those three are cut to twelve digits, and beside them in full.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from model_collapse import store
from model_collapse.engine.spec import Run

HASHES = ("content", "source", "lock")


def hashes(run: Run) -> dict[str, str]:
    """The three hashes of a run, in full."""
    return {name: str(vars(run)[name]) for name in HASHES}


def wrong(arm: Mapping[str, Any]) -> str:
    """What is wrong with the run_id of a condition of a manifest, in a few words; "" if nothing."""
    run, full = arm["run"], arm["hashes"]
    if odd := next((name for name in HASHES if run[name] != full[name][:12]), None):
        return f"has another {odd} in its settings than among its hashes"
    if arm["run_id"] not in _run_ids(run, full):
        return f"has settings that are not those of run {arm['run_id']}"
    return ""


def _run_ids(run: Mapping[str, Any], full: Mapping[str, str]) -> Iterator[str]:
    """What the run_id may be: earlier versions of the package said nothing of an exchange where there was none."""
    owned: dict[str, dict[str, Any]] = {"family": {}, "regime": {}, "exchange": {}}
    whole: dict[str, Any] = {}
    for key, value in run.items():
        owner, dot, name = key.partition(".")
        if dot:
            owned[owner][name] = value
        else:
            whole[key] = value
    whole |= {"family_args": owned["family"], "regime_args": owned["regime"], **full}
    yield store.digest(whole | {"exchange": owned["exchange"] or None})
    if not owned["exchange"]:
        yield store.digest(whole)
