"""What can be seen in the pixels alone, and how hard a model found its own training set."""

from __future__ import annotations

import scipy

from model_collapse.metrics import Measurement
from model_collapse.metrics.images import written


def sharpness(m: Measurement) -> float:
    """Mean over images of the variance of the discrete Laplacian, grey levels from 0 to 1: low for blurred images."""
    edges = scipy.ndimage.laplace(written(m) / 255.0, mode="nearest", axes=(1, 2))
    return float(edges.var(axis=(1, 2)).mean())


def pixel_sd(m: Measurement) -> float:
    """Standard deviation over images, mean over pixels, grey levels from 0 to 1: 0 if all images are the same."""
    return float((written(m) / 255.0).std(axis=0).mean())


def training_loss(m: Measurement) -> float:
    """Mean loss of a training image in the last pass of the fit, on the model's own diet, in the family's unit."""
    return m.model.losses[-1]
