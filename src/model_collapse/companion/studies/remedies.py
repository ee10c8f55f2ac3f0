"""Remedies side by side: the same four ways to build a training set, for every kind of model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from model_collapse.companion.studies import language_model
from model_collapse.companion.studies.language_model import LAPTOP as TEXT
from model_collapse.companion.studies.study import Study


@dataclass(frozen=True, kw_only=True)
class Size(language_model.Size):
    """What is said of OPT, and of the chapter's other models.

    chains  how many times the chains of a laptop
    blocks  in the training sets of the model of words
    fits    of every chain
    """

    chains: float
    blocks: int
    fits: int = 50


LAPTOP = Size(
    corpus="embedded",
    n=48,
    generations=2,
    seeds=2,
    seed=1,
    # The control searches with beams; what it writes is never read.
    settings={**TEXT.settings, "family.pretrain_blocks": 512, "family.steps": 15},
    metrics=("perplexity",),
    labels=("sampled", "subsample", "accumulate", "control", "zero-shot"),
    chains=1.0,
    blocks=100,
)

SIZES: Mapping[str, Size] = {
    "smoke": replace(LAPTOP, seeds=0, chains=0.05, blocks=20, fits=4),
    "laptop": LAPTOP,
    "paper": replace(LAPTOP, seeds=4, chains=4.0, blocks=800),
}

STUDY = Study("remedies", SIZES, {label: language_model.CONDITIONS[label] for label in LAPTOP.labels}, "lm")
