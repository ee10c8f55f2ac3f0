"""Metrics of images: what a fixed classifier sees in them, how sharp they are, what generation 0's encoder sees.

One module per theme: `classes`, `fidelity`, `pictures`, `latents`, `copies`, `leaks`, `yardstick` (real images). A run
takes a metric that its family names: in `families/_images.py` those of all images. As many of the
generated images, from the first on, are measured as the source has test images (setting `evaluate`), and compared with
those.
"""

from __future__ import annotations

import numpy as np

from model_collapse.metrics import Measurement


def written(m: Measurement) -> np.ndarray:
    """The images that are measured, uint8 (m, side, side)."""
    return m.sample.x[: len(m.test)]
