"""What stands in a training set that must not: rows that are kept apart for a test, or the model's own words again."""

from __future__ import annotations

import numpy as np

from model_collapse.data import Data
from model_collapse.metrics import Measurement


def leaks(m: Measurement) -> dict[str, float]:
    """Share of other rows that stand in this generation's training set, value for value.

    Items "test" and "validation": of the real rows kept apart, where there are such; "written": of what this generation
    wrote. Blocks of text, or images, that are long enough never meet by chance: 0, unless something leaks, or the model
    writes what it has read.
    """
    known = set(_rows(m.train))
    others = {"test": m.source.test, "validation": m.source.validation, "written": m.sample}
    return {
        name: float(np.mean([row in known for row in _rows(data)])) for name, data in others.items() if data is not None
    }


def _rows(data: Data) -> list[bytes]:
    x = np.ascontiguousarray(data.x)
    # Numbers of one width, so that equal rows are equal bytes.
    return [row.tobytes() for row in (x if x.dtype == np.uint8 else x.astype(np.int64))]
