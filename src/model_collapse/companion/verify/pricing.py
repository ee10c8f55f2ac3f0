"""The cost of checking a claim: as last recorded, or for a GPU from its floating-point operations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from model_collapse.companion.claims import Claim

WEIGHTS = 1.25e8
"""Of OPT-125m. Training on a token takes 6 operations per weight, reading one takes 2."""

SPEED = 1e14
"""Operations per second of one large graphics card, sustained: a tenth of the peak of the largest, in bf16. Assumed."""

ALL = 38_000
"""Blocks of 64 tokens in WikiText-2's training text, about."""


def price(claim: Claim, recorded: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Seconds of computing and the device; null where nobody has run it. On a CPU they are seconds of one core.

    recorded  the verifications that were kept, as `baseline.before` reads them
    """
    for found in recorded.values():
        for entry in found["claims"]:
            if entry["id"] == claim.id and entry["seconds"] is not None and found["scale"] == claim.scale:
                return {"seconds": entry["seconds"], "device": entry["device"], "measured": True}
    if claim.scale == "gpu":
        return {"seconds": estimated(claim.runs), "device": "one large GPU", "measured": False}
    return {"seconds": None, "device": "cpu", "measured": False}


def estimated(runs: Mapping[str, Mapping[str, Any]]) -> float:
    """Seconds that language runs of the paper's size take at SPEED, rounded to two digits."""
    total = 0.0
    for arguments in runs.values():
        settings = arguments["settings"]
        blocks = ALL if arguments["n"] == "all" else int(arguments["n"])
        tokens = blocks * settings.get("family.block", 64)
        trained = 3 * settings.get("family.epochs", 5)
        written = settings.get("family.beams", 5) if settings.get("family.decoding", "beam") == "beam" else 1
        turns = (arguments["generations"] + 1) * arguments["replicates"]
        total += 2 * WEIGHTS * tokens * (trained + written) * turns
    return float(f"{total / SPEED:.2g}")
