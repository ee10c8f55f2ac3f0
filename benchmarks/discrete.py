"""The published way to run a discrete chain: one at a time, every row drawn by its symbol's share and counted again.

Written short from the protocol of the paper's section on discrete distributions, as a yardstick for speed.
"""

from __future__ import annotations

import numpy as np


def replace(distribution: np.ndarray, rows: int, generations: int, rng: np.random.RandomState) -> list[np.ndarray]:
    """Shares of the symbols at each generation; each is counted in the sample of the one before."""
    symbols = len(distribution)
    data = rng.choice(symbols, rows, p=distribution)
    fits = []
    for _ in range(generations):
        fits.append(np.bincount(data, minlength=symbols) / rows)
        data = rng.choice(symbols, rows, p=fits[-1])
    return fits
