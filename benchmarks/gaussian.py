"""The published way to run a Gaussian chain: one at a time, every row drawn, every row read again by the fit.

Written short from the protocol of the paper's supplement (section on Gaussian models), as a yardstick for speed.
"""

from __future__ import annotations

import numpy as np

Fits = list[tuple[float, float]]


def replace(rows: int, generations: int, rng: np.random.RandomState) -> Fits:
    """Mean and standard deviation at each generation; each is fitted to the sample of the one before."""
    data = rng.normal(0, 1, rows)
    fits = []
    for _ in range(generations):
        fits.append((np.mean(data), np.std(data)))
        data = rng.normal(*fits[-1], rows)
    return fits


def accumulate(rows: int, generations: int, rng: np.random.RandomState) -> Fits:
    """The same where all samples so far are kept in a list, and all of it is fitted: quadratic in generations."""
    pool = list(rng.normal(0, 1, rows))
    fits = []
    for _ in range(generations):
        fits.append((np.mean(pool), np.std(pool)))
        pool.extend(rng.normal(*fits[-1], rows))
    return fits
