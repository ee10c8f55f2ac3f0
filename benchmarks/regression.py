"""The published way to run a relabelling chain: one at a time, least squares by pinv on all rows so far.

Written short from the protocol of the accumulate experiments (arXiv:2410.16713: d = 100, n = 316, 100 iterations, the
same X relabelled in every iteration), as a yardstick for speed.
"""

from __future__ import annotations

import numpy as np


def accumulate(rows: int, dim: int, generations: int, rng: np.random.RandomState) -> list[float]:
    """Squared error |w - w*|^2 at each generation; real rows and all relabelled ones are stacked and fitted again."""
    truth = np.full(dim, dim**-0.5)
    x = rng.normal(size=(rows, dim))
    all_x, all_y = x, x @ truth + rng.normal(size=rows)
    errors = []
    for _ in range(generations):
        fitted = np.linalg.pinv(all_x) @ all_y
        errors.append(float(np.sum((fitted - truth) ** 2)))
        all_x = np.concatenate([all_x, x])
        all_y = np.concatenate([all_y, x @ fitted + rng.normal(size=rows)])
    return errors
