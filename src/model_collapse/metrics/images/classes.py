"""What a fixed classifier of real images takes the written ones for."""

from __future__ import annotations

import numpy as np
import scipy

from model_collapse.loop import Generation, Reference
from model_collapse.metrics.images import pictures, written
from model_collapse.metrics.images._classifier import classifier


def classes(generation: Generation, reference: Reference) -> dict[str, float]:
    """Share of written images in each class, as the classifier sees them; items are the labels."""
    return {str(label): float(share) for label, share in enumerate(_shares(generation, reference))}


def class_entropy(generation: Generation, reference: Reference) -> float:
    """Entropy of those shares in nats: ln(classes) if all are equally common, 0 if one is left."""
    return float(scipy.special.entr(_shares(generation, reference)).sum())


def confidence(generation: Generation, reference: Reference) -> float:
    """Mean probability of the likeliest class: near 1 for images that look like one class, low for mixtures."""
    return float(_probabilities(generation, reference).max(axis=1).mean())


def _probabilities(generation: Generation, reference: Reference) -> np.ndarray:
    return classifier(pictures(reference)).probabilities(written(generation, reference))


def _shares(generation: Generation, reference: Reference) -> np.ndarray:
    probabilities = _probabilities(generation, reference)
    return np.bincount(probabilities.argmax(axis=1), minlength=probabilities.shape[1]) / len(probabilities)
