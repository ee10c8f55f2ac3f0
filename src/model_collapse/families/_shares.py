"""Drawing from the shares of symbols, many chains at once: numbers of each symbol, or row by row."""

from __future__ import annotations

import numpy as np


def multinomial(share: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """How often n draws show each of W symbols with these shares, (R, W) like `share`. What has share 0 gets 0."""
    counts = rng.multinomial(n, share)
    # NumPy gives the last symbol what rounding leaves over; a lost symbol must stay lost.
    for r in np.flatnonzero((share[:, -1] == 0) & (counts[:, -1] > 0)):
        counts[r, share[r].argmax()] += counts[r, -1]
        counts[r, -1] = 0
    return counts


def cumulative(share: np.ndarray) -> np.ndarray:
    """Cumulative shares along the last axis, inf from the last symbol that is alive: it takes what rounding leaves."""
    below = np.cumsum(share, axis=-1)
    below[below == below[..., -1:]] = np.inf
    return below


def draw(share: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """n draws per chain by inversion, (n, R) columns of `share` (R, W)."""
    u = rng.random((n, len(share)))
    rows = [np.searchsorted(below, u[:, r], side="right") for r, below in enumerate(cumulative(share))]
    return np.stack(rows, axis=1)
