"""The same loops with another kind of model: a diffusion model that learns from its own pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from model_collapse.companion.studies._images import CONDITIONS, METRICS, fitting, measured
from model_collapse.companion.studies.study import Record, Size, Study

SMALL: Mapping[str, Any] = {"family.preset": "small", "family.steps": 400}
"""512 images in batches of 32, 25 times."""

LARGE: Mapping[str, Any] = {"family.preset": "large", "family.steps": 5000}

DIGITS = Size(
    corpus="digits",
    n=512,
    generations=4,
    seeds=6,
    seed=1,
    settings=SMALL,
    metrics=METRICS,
    labels=("full", "pretty", "fresh", "accumulate", "control", "share-3", "healing"),
    record=Record("digits-diffusion"),
)

LAPTOP = replace(
    DIGITS,
    generations=3,
    seeds=3,
    seed=0,
    settings={**SMALL, "family.steps": 256},
    labels=("full", "pretty", "fresh", "accumulate", "control"),
    record=None,
)

SIZES: Mapping[str, Size] = {
    "smoke": replace(
        LAPTOP, n=64, generations=2, seeds=2, settings={**SMALL, "family.steps": 15, "family.sampling_steps": 10}
    ),
    "laptop": LAPTOP,
    "t4": replace(LAPTOP, corpus="mnist", n=10_000, generations=5, settings=LARGE),
    "paper": replace(
        LAPTOP, corpus="mnist", n=30_000, generations=9, seeds=5, settings={**LARGE, "family.steps": 20_000}
    ),
    # Fewer steps than recorded, and more chains.
    "verify": replace(LAPTOP, generations=4, seeds=8, metrics=("frechet", "manifold")),
    "verify-control": replace(LAPTOP, generations=2, seeds=8, metrics=("manifold",), labels=("control",)),
    "digits": DIGITS,
}

PRESETS: Mapping[int, Mapping[str, Any]] = {8: {"family.preset": "small"}, 28: {"family.preset": "large"}}
"""Settings that go with pixels along an edge, for a reader's own images."""

STUDY = Study("diffusion", SIZES, CONDITIONS, "diffusion", fitting("diffusion", PRESETS), measured)
