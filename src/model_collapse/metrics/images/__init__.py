"""Metrics of images: what a fixed classifier sees in them, how sharp they are, what generation 0's encoder sees.

One module per theme: `classes`, `fidelity`, `pictures`, `latents`. As many written images are measured as there are
test images in the source (setting `evaluate`), the first ones; what is compared with are those test images.
"""

from __future__ import annotations

import numpy as np

from model_collapse.corpora.images import ImageSource, Pictures
from model_collapse.loop import Generation, Reference


def written(generation: Generation, reference: Reference) -> np.ndarray:
    """The images that are measured, uint8 (m, side, side)."""
    return generation.sample.rows.x[: len(real(reference))]  # type: ignore[union-attr]


def real(reference: Reference) -> np.ndarray:
    """The test images, uint8 (m, side, side)."""
    assert reference.source.test is not None
    return reference.source.test.rows.x  # type: ignore[union-attr]


def pictures(reference: Reference) -> Pictures:
    """The whole labelled corpus, which the fixed classifier is trained on."""
    assert isinstance(reference.source, ImageSource) and reference.source.pictures is not None
    return reference.source.pictures
