"""Claims that passed when a scale was last verified and do not now: by another verdict, or because they were dropped.

A claim that was dropped counts like one that fails: else failing claims could simply be removed. One that is dropped
for a reason is named in RETIRED, and every verification of its scale reports it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from model_collapse.companion.verify.baseline import PASSING


@dataclass(frozen=True)
class Retired:
    """A claim that is no longer tested.

    date    on which it was retired, "2026-11-30"
    reason  one sentence
    """

    date: str
    reason: str


RETIRED: Mapping[str, Retired] = {
    "SH-4b": Retired(
        "2026-11-30",
        "ten epochs and five gave the same models wherever it was run, so that it asked what SH-4 asks once more",
    ),
    "SH-10": Retired("2026-11-30", "any noise makes a curve turn, so that its check could not fail"),
}
"""Id -> when and why. The id is not used again."""


def fallen(found: Mapping[str, Any], earlier: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Id -> what happened to it, for claims that passed in the earlier verification of their scale and do not now.

    found    a verification; if claims were named, only these are compared
    earlier  scale -> an earlier one; with one of another scale only the claims that both have are compared
    """
    now = {entry["id"]: entry for entry in found["claims"]}
    fell = {}
    for name, before, whole in _stood(found, earlier):
        entry = now.get(name)
        if name in RETIRED or (entry is None and not whole):
            continue
        if entry is None:
            fell[name] = "is gone: removed or renamed"
        elif entry["verdict"] == "not_run":
            moved = entry["scale"] != before["scale"]
            fell[name] = f"moved from scale {before['scale']} to {entry['scale']}" if moved else "is not run any more"
        elif entry["verdict"] not in PASSING:
            fell[name] = "does not now"
        elif before["verdict"] == "reproduced" and entry["verdict"] == "reproduced_small":
            fell[name] = "was of full scale then, and is of small scale now"
    return fell


def regressions(found: Mapping[str, Any], earlier: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Ids of claims that passed in the earlier verification of their scale, and do not now; see `fallen`."""
    return list(fallen(found, earlier))


def retired(found: Mapping[str, Any], earlier: Mapping[str, Mapping[str, Any]]) -> dict[str, Retired]:
    """The claims that passed before and are no longer tested."""
    return {name: RETIRED[name] for name, _, _ in _stood(found, earlier) if name in RETIRED}


def _stood(
    found: Mapping[str, Any], earlier: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[str, Mapping[str, Any], bool]]:
    """Id and earlier entry of claims that passed, and whether all of that scale were to be verified again."""
    named = found.get("named") or found["scale"] is None
    scales = {entry["scale"] for entry in found["claims"]} if found["scale"] is None else {found["scale"]}
    for scale in sorted(scales & set(earlier)):
        whole = not named and earlier[scale]["scale"] == scale
        for before in earlier[scale]["claims"]:
            if before["verdict"] in PASSING:
                yield before["id"], before, whole
