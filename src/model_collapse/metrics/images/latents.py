"""What the encoder of generation 0, which saw real images only, makes of what later generations write."""

from __future__ import annotations

import numpy as np

from model_collapse.data import Rows
from model_collapse.loop import Generation, Reference
from model_collapse.metrics.images import written

EDGES = np.linspace(-4, 4, 65)
"""Of the histogram's bins; what lies outside counts in the first and the last."""


def latent_sd(generation: Generation, reference: Reference) -> float:
    """Standard deviation of the latent means, over images and dimensions together."""
    return float(_means(generation, reference).std())


def latent_mean(generation: Generation, reference: Reference) -> float:
    """Mean of the latent means, over images and dimensions together."""
    return float(_means(generation, reference).mean())


def latent_histogram(generation: Generation, reference: Reference) -> dict[str, float]:
    """Share of latent means in each bin; items are "bin LEFT", as of all histograms here."""
    counts, _ = np.histogram(np.clip(_means(generation, reference), EDGES[0], EDGES[-1]), EDGES)
    return {f"bin {left:g}": float(share) for left, share in zip(EDGES[:-1], counts / counts.sum(), strict=True)}


def _means(generation: Generation, reference: Reference) -> np.ndarray:
    """(m, latent)"""
    return reference.family.encode(reference.first.model, Rows(written(generation, reference)))
