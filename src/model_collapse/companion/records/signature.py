"""Hashes over a record as a whole: over the values in its tables, and over its manifest.

They tell whoever reads a record that it is as it was written: that nobody edited a number or a word of it and left the
rest. They do not protect against somebody who changes a record and computes them again, which anybody can; nor is any
other hash of a file by itself. What is proof is to run it again: equal settings, code and packages give equal numbers,
`model-collapse record STUDY --size SIZE --check` does that for one generation of one seed, which it chooses by chance,
and `model-collapse verify` makes runs of its own from new seeds.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

FIELD = "signature"


def of_values(table: pd.DataFrame) -> str:
    """sha256 over the names of the columns and every value in them, however the file is written.

    Numbers count as 64-bit integers or floats, little-endian, every nan alike; text and bytes with their lengths.
    """
    total = hashlib.sha256()
    for name in table.columns:
        column = table[name]
        total.update(f"{name}\n".encode())
        if pd.api.types.is_numeric_dtype(column):
            whole = pd.api.types.is_integer_dtype(column)
            values = np.array(column.to_numpy("<i8" if whole else "<f8"))
            if not whole:
                values[np.isnan(values)] = np.nan  # there are many, of either sign
            total.update(values.tobytes())
        else:
            parts = [part if isinstance(part, bytes) else str(part).encode() for part in column]
            total.update(np.array([len(parts), *map(len, parts)], "<i8").tobytes())
            total.update(b"".join(parts))
    return total.hexdigest()


def of_manifest(about: Mapping[str, Any]) -> str:
    """sha256 over the manifest without its signature, as JSON with sorted keys."""
    said = {key: value for key, value in about.items() if key != FIELD}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
