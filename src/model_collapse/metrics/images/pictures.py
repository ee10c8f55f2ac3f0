"""What can be seen in the pixels alone, and how hard a model found its own training set."""

from __future__ import annotations

import scipy

from model_collapse.loop import Generation, Reference
from model_collapse.metrics.images import written


def sharpness(generation: Generation, reference: Reference) -> float:
    """Mean over images of the variance of the discrete Laplacian, grey levels from 0 to 1: low for blurred images."""
    edges = scipy.ndimage.laplace(written(generation, reference) / 255.0, mode="nearest", axes=(1, 2))
    return float(edges.var(axis=(1, 2)).mean())


def pixel_sd(generation: Generation, reference: Reference) -> float:
    """Standard deviation over images, mean over pixels, grey levels from 0 to 1: 0 if all images are the same."""
    return float((written(generation, reference) / 255.0).std(axis=0).mean())


def training_loss(generation: Generation, reference: Reference) -> float:
    """Mean loss of a training image in the last pass of the fit, on the model's own diet, in the family's unit."""
    return generation.model.losses[-1]
