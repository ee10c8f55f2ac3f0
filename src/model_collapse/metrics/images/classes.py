"""The classes that a fixed classifier of real images sees in generated ones."""

from __future__ import annotations

import numpy as np
import scipy

from model_collapse.corpora.images import as_images
from model_collapse.metrics import Measurement
from model_collapse.metrics.images import written
from model_collapse.metrics.images._classifier import classifier


def classes(m: Measurement) -> dict[str, float]:
    """Share of generated images in each class, as the classifier sees them; items are the labels."""
    return {str(label): float(share) for label, share in enumerate(_shares(m))}


def class_entropy(m: Measurement) -> float:
    """Entropy of those shares in nats: ln(classes) if all are equally common, 0 if one is left."""
    return float(scipy.special.entr(_shares(m)).sum())


def confidence(m: Measurement) -> float:
    """Mean probability of the likeliest class: near 1 for images that look like one class, low for mixtures."""
    return float(_probabilities(m).max(axis=1).mean())


def _probabilities(m: Measurement) -> np.ndarray:
    return classifier(as_images(m.source).pictures).probabilities(written(m))


def _shares(m: Measurement) -> np.ndarray:
    probabilities = _probabilities(m)
    return np.bincount(probabilities.argmax(axis=1), minlength=probabilities.shape[1]) / len(probabilities)
