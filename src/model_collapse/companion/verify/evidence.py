"""Which claims a recorded run speaks to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from model_collapse.companion import claims
from model_collapse.companion.records import Recorded


def speaks_to(recorded: Recorded) -> list[str]:
    """Ids of the claims that name a record, or whose arms it has: of the same name, family and regime, with what the
    claim measures."""
    arms = {arm: described["run"] for arm, described in recorded.about["arms"].items()}

    def holds(label: str, wanted: Mapping[str, Any]) -> bool:
        own = arms.get(label)
        if own is None or not set(wanted.get("metrics") or ()) <= set(own["metrics"]):
            return False
        return all(own[key] == wanted.get(key, own[key]) for key in ("family", "regime"))

    return [
        claim.id
        for claim in claims.known().values()
        if recorded.name in claim.recorded
        or (claim.runs and all(holds(label, wanted) for label, wanted in claim.runs.items()))
    ]
