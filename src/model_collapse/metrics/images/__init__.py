"""Metrics of images: what a fixed classifier sees in them, how sharp they are, what generation 0's encoder sees.

One module per theme: `classes`, `fidelity`, `pictures`, `latents`. As many written images are measured as there are
test images in the source (setting `evaluate`), the first ones; what is compared with are those test images.
"""

from __future__ import annotations

import numpy as np

from model_collapse.metrics import Measurement


def written(m: Measurement) -> np.ndarray:
    """The images that are measured, uint8 (m, side, side)."""
    return m.sample.x[: len(m.test)]
