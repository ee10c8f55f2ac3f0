"""The primary endpoints of the experiments on text, as `records/endpoints.md` named them before the runs.

Asked of models that were pre-trained here in minutes (study `language_model`), and of one that was published
(study `pretrained`), in nats per token of real test text:

harm        only generated text, less real text every time, in the last generation
recursion   last less first generation that was trained on generated text, with beams and sampled, the smaller
protection  with a tenth of real text less without, in the last generation
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from model_collapse.analysis import stats, testing
from model_collapse.analysis.stats import Estimate
from model_collapse.companion.claims import NATURE, Claim, Tables
from model_collapse.companion.claims.language import NO_EFFECT, cross_entropy, to_the_end
from model_collapse.companion.studies import language_model, pretrained

REVIEW = (
    "after a review of this book: all claims on text compared with generation 0, so that a single bad step met them"
)


def _harm(control: str, end: int, tables: Tables, level: float) -> Estimate:
    # Real text does not change: a control that ends before is what it would be in any later generation.
    real = cross_entropy(tables[control])
    return stats.paired(cross_entropy(tables["A"])[end], real[min(end, int(real.columns[-1]))], level)


def _recursion(sampled: str, end: int, tables: Tables, level: float) -> Estimate:
    losses = [cross_entropy(tables[label]) for label in ("A", sampled)]
    return testing.lowest([partial(stats.paired, loss[end], loss[1]) for loss in losses], level)


def _protection(end: int, tables: Tables, level: float) -> Estimate:
    return stats.paired(cross_entropy(tables["B"])[end], cross_entropy(tables["A"])[end], level)


def _three(
    prefix: str,
    model: str,
    control: str,
    sampled: str,
    runs: Callable[[list[str]], Mapping[str, Mapping[str, Any]]],
    end: int,
    **common: Any,
) -> tuple[Claim, ...]:
    """The three endpoints of a study.

    model    whose texts are read, as the statements say it
    control  condition that reads real text in every generation
    sampled  condition that is A but for sampling
    end      the last generation
    """

    def claim(number: int, labels: list[str], **own: Any) -> Claim:
        chapter: dict[str, Any] = {
            "chapter": "language_model",
            "definition": (2,),
            "no_effect": 0.0,
            "margin": NO_EFFECT,
        }
        return Claim(id=f"{prefix}-{number}", runs=runs(labels), **chapter, **common, **own)

    return (
        claim(
            1,
            ["A", control],
            statement=f"{model} that trains only on the output of the generation before predicts real text worse than "
            "one that trains on real text",
            source=f"{NATURE}, Fig. 1b",
            measured="nats per token of real test text in the last generation, no real text less only real text in "
            "training",
            band=(0, np.inf),
            reason="any loss; primary endpoint, fixed and dated before the runs",
            check=partial(_harm, control, end),
        ),
        claim(
            2,
            ["A", sampled],
            statement=f"{model} loses more from the first generation that trains on the one before to the last, with "
            "beam search and with sampling",
            source=REVIEW,
            measured="nats per token of real test text, last generation less the first that trained on generated text, "
            "with beam search or sampling, the smaller",
            band=(0, np.inf),
            reason="any further loss in both: a single jump at the first step would be no recursion; primary endpoint, "
            "fixed and dated before the runs",
            check=partial(_recursion, sampled, end),
        ),
        claim(
            3,
            ["A", "B"],
            statement=f"a tenth of real text in the training set protects {model} that trains on the output of the "
            "generation before",
            source=f"{NATURE}, Fig. 1c",
            measured="nats per token of real test text in the last generation, a tenth of real text in training less "
            "none",
            band=(-np.inf, 0),
            reason="any gain; primary endpoint, fixed and dated before the runs",
            check=partial(_protection, end),
        ),
    )


CLAIMS = (
    *_three(
        "RE",
        "a tiny language model",
        "control",
        "sampled",
        partial(language_model.STUDY.arguments, "verify"),
        9,
        scale="small",
        primary="language_model",
        recorded=("wikitext",),
        figure="language-perplexity",
        ends=to_the_end,
    ),
    *_three(
        "PT",
        "a published pre-trained language model",
        "C",
        "S",
        partial(pretrained.STUDY.arguments, "recorded"),
        4,
        scale="gpu",
        any_weights=True,
        primary="pretrained",
        recorded=("pretrained",),
        ends=lambda table: 1,  # the control ends there; generation 4 of the others is read
    ),
)
