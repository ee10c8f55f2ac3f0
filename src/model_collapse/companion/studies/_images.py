"""Parts shared by the studies of images.

In `full` each generation is trained only on images of the one before, as in the paper. All conditions of a size take
the same number of optimiser steps in every generation, however large their training sets are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from model_collapse.companion.studies.study import Condition, Size
from model_collapse.corpora import images
from model_collapse.errors import InputError

CONDITIONS: Mapping[str, Condition] = {
    "full": Condition("only generated images"),
    # The published notebook decodes new latents for every batch: each image is trained on once.
    "published": Condition("only generated images, new latents in every batch", settings={"family.latents": "fresh"}),
    "drawn": Condition("only generated images, pixels drawn", settings={"family.output": "bernoulli"}),
    # full, augmentation and fresh are after the loops of Alemohammad et al. 2024 (arXiv:2307.01850), who add what was
    # written to all real images. Here the last two have one size and share: they differ in nothing but whether the real
    # half is of generation 0's images or drawn anew from those that it has not seen.
    "augmentation": Condition("half real, always the same set", "mix", {"regime.real_fraction": 0.5}),
    "fresh": Condition("half real, drawn anew every time", "fresh", {"regime.real_fraction": 0.5}),
    "accumulate": Condition("everything so far", "accumulate"),
    "control": Condition("control: real images only", "mix", {"regime.real_fraction": 1.0}),
    # Bohacek & Farid 2023 (arXiv:2311.12202) had 3.3 % of a model's own images in a training set.
    "share-3": Condition("3 % generated, the rest real", "mix", {"regime.real_fraction": 0.97}),
    "healing": Condition(
        "only generated images up to generation 2, then half new real ones",
        "heal",
        {"regime.until": 2, "regime.real_fraction": 0.5},
    ),
    "pretty": Condition("only generated images, noise times 0.8", settings={"family.temperature": 0.8}),
}

METRICS = (
    "training_loss",
    "confidence",
    "class_entropy",
    "classes",
    "frechet",
    "manifold",
    "sharpness",
    "pixel_sd",
    "real_images",
)
"""What is measured of any images."""

LATENTS = (*METRICS, "latent_sd", "latent_mean", "latent_histogram")
"""And where a model has an encoder."""


def measured(size: Size) -> Size:
    """In `fresh` a model writes half of n. Distances of few images are larger, so all conditions are measured by it."""
    if not isinstance(size.n, int):
        return size
    evaluate = max(2, min(int(size.settings.get("family.evaluate", 1000)), size.n // 2))
    return replace(size, settings={**size.settings, "family.evaluate": evaluate})


def fitting(family: str, presets: Mapping[int, Mapping[str, Any]]) -> Callable[[Size, Mapping[str, Any]], Size]:
    """What gives a size the settings that go with the pixels along an edge of a reader's own images."""

    def fit(size: Size, changed: Mapping[str, Any]) -> Size:
        if changed.get("corpus") is None:
            return size
        side = images.load(str(size.corpus)).side
        if side not in presets:
            raise InputError(
                f"corpus={size.corpus}: images of {side} x {side} pixels; {family} reads edges of "
                f"{' or '.join(map(str, presets))} pixels"
            )
        return replace(size, settings={**size.settings, **presets[side]})

    return fit
