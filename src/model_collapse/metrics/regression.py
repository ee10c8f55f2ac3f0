"""Metrics of a fitted linear map, one value per chain. Real x come from N(0, I)."""

from __future__ import annotations

import numpy as np

from model_collapse.metrics import Measurement


def test_error(m: Measurement) -> np.ndarray:
    """|w - w*|^2, shape (R,): mean squared error on new real x beyond that of the label noise."""
    return np.sum((m.model.weights - m.family.truth) ** 2, axis=-1)


def weight_norm(m: Measurement) -> np.ndarray:
    """|w|, shape (R,); the truth has 1."""
    return np.linalg.norm(m.model.weights, axis=-1)
