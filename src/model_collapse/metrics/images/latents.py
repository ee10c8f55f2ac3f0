"""Latents that the encoder of generation 0, which saw only real images, gives to images of later generations."""

from __future__ import annotations

import numpy as np

from model_collapse.data import Rows
from model_collapse.metrics import Measurement
from model_collapse.metrics.images import written

EDGES = np.linspace(-4, 4, 65)
"""Of the histogram's bins; what lies outside counts in the first and the last."""


def latent_sd(m: Measurement) -> float:
    """Standard deviation of the latent means, over images and dimensions together."""
    return float(_means(m).std())


def latent_mean(m: Measurement) -> float:
    """Mean of the latent means, over images and dimensions together."""
    return float(_means(m).mean())


def latent_histogram(m: Measurement) -> dict[str, float]:
    """Share of latent means in each bin; items are "bin LEFT", as of all histograms here."""
    counts, _ = np.histogram(np.clip(_means(m), EDGES[0], EDGES[-1]), EDGES)
    return {f"bin {left:g}": float(share) for left, share in zip(EDGES[:-1], counts / counts.sum(), strict=True)}


def _means(m: Measurement) -> np.ndarray:
    """(m, latent)"""
    return m.family.encode(m.first.model, Rows(written(m)))
