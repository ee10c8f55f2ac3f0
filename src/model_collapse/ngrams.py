"""n-grams of rows of tokens, as numbers that are quickly compared and counted."""

from __future__ import annotations

import numpy as np


def grams(x: np.ndarray, length: int) -> np.ndarray:
    """An integer for each n-gram of `length` tokens, equal for equal n-grams: (n, m) -> (n, m - length + 1)."""
    x = x.astype(np.int64)
    size, count = int(x.max()) + 1, max(x.shape[1] - length + 1, 0)
    code = np.zeros((len(x), count), np.int64)
    for j in range(length):
        code = code * size + x[:, j : j + count]
    return code
