"""What a run found, in a few lines: means over replicates, for a terminal or for programs."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa


def summarise(table: pa.Table) -> list[dict[str, Any]]:
    """Mean and standard deviation over replicates, by generation, metric and item; nan counts as no value."""
    # Through DLPack: `to_numpy` would load pandas.
    generations, metrics, items, values = (
        table[name].combine_chunks() for name in ("generation", "metric", "item", "value")
    )
    keys = np.stack([np.from_dlpack(codes) for codes in (generations, metrics.indices, items.indices)])
    kinds, first, group = np.unique(keys, axis=1, return_index=True, return_inverse=True)
    value = np.from_dlpack(values)
    known = ~np.isnan(value)
    value, member = value[known], group.ravel()[known]
    count = np.bincount(member, minlength=len(first))
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(member, value, len(first)) / count
        spread = np.sqrt(np.bincount(member, (value - mean[member]) ** 2, len(first)) / (count - 1))
    metric_names, item_names = metrics.dictionary.to_pylist(), items.dictionary.to_pylist()
    return [
        {
            "generation": int(kinds[0, i]),
            "metric": metric_names[kinds[1, i]],
            "item": item_names[kinds[2, i]],
            "mean": float(mean[i]),
            "sd": float(spread[i]) if count[i] > 1 else math.nan,
            "replicates": int(count[i]),
        }
        for i in np.argsort(first)
    ]


def finite(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows with None for what JSON has no number for: the spread of one replicate, the logarithm of a zero."""
    return [{key: None if _infinite(value) else value for key, value in row.items()} for row in rows]


def _infinite(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def aligned(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows of the summary in columns, right-aligned, under their names, without histograms, which are for figures."""
    rows = [row for row in rows if not re.search("(?:^|/)bin ", row["item"])]
    names = ["generation", "metric", "item", "mean", "sd", "replicates"]
    cells = [[f"{x:.5g}" if isinstance(x, float) else str(x) for x in map(row.get, names)] for row in rows]
    widths = [max(map(len, column)) for column in zip(names, *cells, strict=True)]
    lines = (" ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in (names, *cells))
    return "\n".join(lines)
