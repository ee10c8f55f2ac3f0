"""The paper's experiment on a published, pre-trained model: SmolLM2-135M, from a package that everybody can have.

Every condition has n training blocks and the same steps of the optimiser in every generation. Blocks are of articles
drawn for each seed, at most four of an article; the test blocks are spread over all test articles and are the same
for all. A checkpoint may be the start itself. The questions for these runs, and their order, were written down
before them, in `records/endpoints.md`. Beside its training set every generation continues the paper's own prompt.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from model_collapse.companion.studies.language_model import SAMPLED, UNTOUCHED
from model_collapse.companion.studies.study import Condition, Record, Size, Study

CONDITIONS: Mapping[str, Condition] = {
    "A": Condition("A: only generated text, five beams"),
    "S": Condition("S: only generated text, sampled", settings=SAMPLED),
    "B": Condition("B: 10 % real, five beams", "mix", {"regime.real_fraction": 0.1}),
    # Nobody reads what these two write; it is sampled because that is quicker.
    "C": Condition("C: the same real text every time", "mix", {**SAMPLED, "regime.real_fraction": 1.0}),
    "P": Condition("P: other real text every time", "fresh", {**SAMPLED, "regime.real_fraction": 1.0}),
    "zero-shot": UNTOUCHED,
    # The dose of fine-tuning: what adapters of a rank can learn at a rate (LoRA).
    **{
        f"S-lora-{rank}": Condition(
            f"S by adapters of rank {rank}", settings={**SAMPLED, "family.lora": rank, "family.lr": 1e-3}
        )
        for rank in (2, 8, 32)
    },
    "S-continued": Condition("S from the previous weights", settings={**SAMPLED, "family.continued": True}),
}

PROBE = (
    "some started before 1360 — was typically accomplished by a master mason and a small team of itinerant masons, "
    "supplemented by local parish labourers, according to Poyntz Wright. But other authors reject this model, "
    "suggesting instead that leading architects designed the parish church towers based on early examples of "
    "Perpendicular."
)
"""The prompt of the paper's example (Shumailov et al. 2024, Example 1), as press reports print it."""

ARMS = ("A", "S", "B", "C", "P", "zero-shot")

METRICS = (
    "perplexity",
    "test_loss",
    "written_perplexity",
    "written_loss",
    "entropy",
    "distinct_3",
    "repeated_3",
    "training",
)

MODEL: Mapping[str, Any] = {
    "family.preset": "smollm2-135m-q4",
    "family.start": "pretrained",
    "family.draw": "articles",
    "family.article_blocks": 4,
    "family.checkpoint": "any",
    "family.batch": 8,
    "family.lr": 1e-4,
    "family.probe": PROBE,
}

# Real text does not change from one generation to the next, so that more of them would repeat the first.
ENDS = {"C": {"generations": 1}, "P": {"generations": 1}}

RECORDED = Size(
    corpus="wikitext-2-raw-held-out",
    n=48,
    generations=4,
    seeds=6,
    seed=1,
    # Two passes over 48 blocks, in batches of 8, whatever a training set is made of.
    settings={**MODEL, "family.steps": 12, "family.evaluate": 48},
    metrics=METRICS,
    labels=ARMS,
    own=ENDS,
    record=Record("pretrained", bins=("A", "S")),
)
GPU = replace(
    RECORDED,
    corpus="wikitext-2-raw",
    n=8192,
    generations=9,
    settings={
        **MODEL,
        "family.preset": "smollm2-135m",
        "family.article_blocks": 0,
        "family.batch": 16,
        "family.steps": 2560,
        "family.evaluate": 2048,
    },
)
OPT: Mapping[str, Any] = {"family.preset": "opt-125m", "family.lr": 2e-5, "family.batch": 128}
LARGE: Mapping[str, Any] = {
    "family.preset": "HuggingFaceTB/SmolLM2-1.7B",
    "family.lora": 16,
    "family.lr": 2e-4,
    "family.chunk": 4,
}

SIZES: Mapping[str, Size] = {
    # The machinery on a model that is trained here in seconds.
    "smoke": replace(
        RECORDED,
        corpus="embedded",
        n=24,
        generations=2,
        seeds=2,
        settings={
            "family.preset": "tiny",
            "family.pretrain_blocks": 128,
            "family.pretrain_epochs": 1,
            "family.checkpoint": "any",
            "family.draw": "articles",
            "family.article_blocks": 1,
            "family.block": 16,
            "family.probe": PROBE,
            "family.steps": 4,
            "family.evaluate": 16,
        },
        labels=ARMS,
        record=Record("pretrained-smoke"),
    ),
    # A generation of the real model in minutes of one core.
    "laptop": replace(
        RECORDED,
        n=16,
        generations=1,
        seeds=1,
        settings={**MODEL, "family.steps": 4, "family.evaluate": 32},
        record=None,
    ),
    "recorded": RECORDED,
    # One command each on a GPU: the hub's weights, all of the text, one model of a billion weights by adapters.
    "gpu": replace(GPU, record=Record("pretrained-gpu", bins=("A", "S"))),
    "gpu-opt": replace(
        GPU,
        settings={
            **GPU.settings,
            "family.preset": "opt-125m",
            "family.lr": 2e-5,
            "family.batch": 128,
            "family.steps": 320,
        },
        record=Record("pretrained-gpu-opt", bins=("A", "S")),
    ),
    "gpu-1b": replace(
        GPU,
        n=2048,
        generations=4,
        seeds=3,
        settings={**GPU.settings, **LARGE, "family.steps": 640, "family.evaluate": 512},
        record=Record("pretrained-gpu-1b", bins=("A", "S")),
    ),
}


STUDY = Study("pretrained", SIZES, CONDITIONS, "lm")
