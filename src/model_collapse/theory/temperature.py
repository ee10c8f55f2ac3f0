"""Models that write at a temperature, with a share of new real rows: where the loop rests, with many rows.

A model of shares p (K,) writes p^(1/T) / sum p^(1/T). With a share a of new real rows of the distribution q the next
one learns

    p' = a q + (1 - a) p^(1/T) / sum p^(1/T) .

For the uniform distribution q = 1/K the uniform p is at rest whatever T and a. A small p - q is multiplied by (1 - a) /
T, in all directions alike and for every K: it dies out if a > 1 - T and grows if a < 1 - T. Derived here. Marchi et al.
2024, arXiv:2404.02325, of which only the abstract was read, show that any temperature degenerates without enough real
data.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from model_collapse.theory.decoding import sharpened


def fork(temperature: ArrayLike) -> np.ndarray:
    """1 - T, at least 0: the share of real rows below which the uniform distribution does not hold; shape of T.

    At T >= 1 none is needed: hot models return to the uniform distribution by themselves.
    """
    return np.maximum(1 - np.asarray(temperature, float), 0)


def growth(temperature: ArrayLike, real_fraction: ArrayLike) -> np.ndarray:
    """(1 - a) / T: by what a small difference from the uniform distribution is multiplied in one generation."""
    return (1 - np.asarray(real_fraction, float)) / np.asarray(temperature, float)


def written(shares: ArrayLike, temperature: float, real_fraction: float, truth: ArrayLike) -> np.ndarray:
    """p', the shares (..., K) that the next model learns; truth (K,)."""
    return real_fraction * np.asarray(truth, float) + (1 - real_fraction) * sharpened(shares, temperature)


def resting(symbols: int, temperature: float, real_fraction: float) -> np.ndarray:
    """p (K,) at rest, from a uniform distribution of which the first symbol has a little more: p_1 = 1/K + 1e-6.

    Above the fork the uniform distribution. Below it the loop has taken a side: the first symbol has most, all others
    alike; for two symbols p_1 = (1 + m) / 2 with m = (1 - a) tanh(artanh(m) / T).
    """
    truth = np.full(symbols, 1 / symbols)
    p = truth + 1e-6 * (np.eye(1, symbols)[0] - truth)
    for _ in range(100_000):
        after = written(p, temperature, real_fraction, truth)
        if np.max(np.abs(after - p)) < 1e-13:
            break
        p = after
    return p
