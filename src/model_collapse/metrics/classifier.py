"""Metrics of a fitted classifier, one value per chain."""

from __future__ import annotations

import numpy as np

from model_collapse.metrics import Measurement


def accuracy(m: Measurement) -> np.ndarray:
    """Share of new real points that are labelled right, shape (R,), exactly: 1 - angle(w, w*) / pi; 1/2 if w = 0."""
    w = m.model.weights
    return 1 - np.where(w.any(axis=1), np.arctan2(np.linalg.norm(w[:, 1:], axis=1), w[:, 0]), np.pi / 2) / np.pi
