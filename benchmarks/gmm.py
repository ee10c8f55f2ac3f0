"""The published way to run a chain of Gaussian mixtures: scikit-learn's estimator, made anew for every generation.

Written short from the protocol of the paper's mixture experiment, as a yardstick for speed and distribution.
"""

from __future__ import annotations

import numpy as np


def replace(data: np.ndarray, generations: int, rng: np.random.RandomState) -> np.ndarray:
    """L2 distance to the first mixture and mean sd of the components, (generations, 2), from real rows (n, 2).

    Each mixture after the first is fitted to a sample of the one before.
    """
    from sklearn.mixture import GaussianMixture

    rows, measured, first = len(data), [], None
    for _ in range(generations):
        mixture = GaussianMixture(
            n_components=2, tol=1e-5, covariance_type="full", max_iter=2000, random_state=rng
        ).fit(data)
        first = mixture if first is None else first
        deviation = np.mean([np.sqrt(np.trace(c) / 2) for c in mixture.covariances_])
        measured.append((distance(first, mixture), deviation))
        data, _ = mixture.sample(rows)
    return np.array(measured)


def distance(one, other) -> float:
    """int (p - q)^2 of two fitted mixtures."""
    return overlap(one, one) + overlap(other, other) - 2 * overlap(one, other)


def overlap(one, other) -> float:
    """int p q, component by component."""
    total = 0.0
    for a, mean_a, spread_a in zip(one.weights_, one.means_, one.covariances_, strict=True):
        for b, mean_b, spread_b in zip(other.weights_, other.means_, other.covariances_, strict=True):
            apart, spread = mean_a - mean_b, spread_a + spread_b
            form = apart @ np.linalg.solve(spread, apart)
            total += a * b * np.exp(-form / 2) / (2 * np.pi * np.sqrt(np.linalg.det(spread)))
    return total
