"""What the table of any benchmark looks like."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

KEYS = "name ours_s published_s ratio ratio_min ratio_max goal met note peak_share threads device".split()


def agreed(found: Mapping[str, Any], names: Mapping[str, Any], threads: int = 1) -> None:
    """Fails unless `found`, what `bench.run` gave, is a whole table of `names` as the command promises."""
    assert list(found) == ["results"] and [r["name"] for r in found["results"]] == list(names)
    for result in json.loads(json.dumps(found, allow_nan=False))["results"]:
        assert list(result) == KEYS
        assert 0 < result["ratio_min"] <= result["ratio"] <= result["ratio_max"]
        assert result["ours_s"] > 0 and result["published_s"] > 0 and result["note"]
        assert result["peak_share"] is None or result["peak_share"] > 0
        assert isinstance(result["met"], bool) and (result["met"] <= (result["ratio"] >= result["goal"]))
        assert result["threads"] == threads and result["device"] == "cpu"
