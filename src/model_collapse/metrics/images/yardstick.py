"""The same measures of real images: the score of a perfect model."""

from __future__ import annotations

from dataclasses import replace

from model_collapse.metrics import Measurement
from model_collapse.metrics.images.classes import class_entropy, confidence
from model_collapse.metrics.images.fidelity import frechet, manifold
from model_collapse.metrics.images.pictures import pixel_sd, sharpness


def real_images(m: Measurement) -> dict[str, float]:
    """All that is measured of generated images, for the real training images; items are named as there.

    Against test images, as many as are measured of a model. The same for every generation.
    """
    perfect = replace(m, generation=replace(m.generation, sample=m.source.train))
    single = (sharpness, pixel_sd, confidence, class_entropy, frechet)
    return {metric.__name__: metric(perfect) for metric in single} | manifold(perfect)
