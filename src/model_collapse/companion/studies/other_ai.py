"""Models that read each other.

In M1, M2, ..., M models share the real text and the work of one: each has 1/M of the blocks, and in each
generation all that was written is put together, shuffled and dealt out (Hodel & West 2025, arXiv:2512.15011). The other
conditions are pairs of models of the size of M2's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from model_collapse.companion.studies import language_model
from model_collapse.companion.studies.language_model import LAPTOP, PAPER, SAMPLED, T4, TINY, VERIFY
from model_collapse.companion.studies.study import Condition, Record, Study
from model_collapse.companion.studies.study import Size as Base

MANY = ("M1", "M2", "M4", "M8")
"""Conditions with a growing number of models."""

FEW = MANY[:3]
"""Those of the claim: eight models take as long as all these together."""

CONDITIONS: Mapping[str, Condition] = {
    "M1": Condition("1 model"),
    **{f"M{m}": Condition(f"{m} models", models=m, reads="deal") for m in (2, 4, 8, 16)},
    # Half of the first mover's text stays its own real text; what both write is dealt out between them.
    "first": Condition(
        "model 1 keeps real text, model 2 does not",
        settings={"first.real_fraction": 0.5},
        models=2,
        reads="deal",
        first="mix",
    ),
    "both": Condition("both keep real text", "mix", {"regime.real_fraction": 0.5}, models=2, reads="deal"),
    "control": Condition("both read real text only", "mix", {"regime.real_fraction": 1.0}, models=2, reads="deal"),
    "zero-shot": language_model.UNTOUCHED,
}


@dataclass(frozen=True, kw_only=True)
class Size(Base):
    """What is said of OPT or of word models, and of the chapter's models of numbers.

    replicates  chains of numbers
    turns       last generation of theirs
    start       seed of theirs
    """

    replicates: int = 300
    turns: int = 40
    start: int = 1


def _of(base: language_model.Size, **changes: Any) -> Size:
    """A size of the language model: text of known law, so that what is said can be checked, and sampling."""
    made = Size(
        corpus="embedded",
        n=base.n,
        generations=base.generations,
        seeds=base.seeds,
        seed=3,
        settings={**base.settings, **SAMPLED},
        metrics=("perplexity", "facts"),
    )
    return replace(made, **changes)


LEAST = {
    **TINY,
    **SAMPLED,
    "family.pretrain_blocks": 64,
    "family.pretrain_epochs": 1,
    "family.steps": 1,
    "family.evaluate": 4,
}

SMOKE = _of(
    LAPTOP,
    n=6,
    generations=1,
    seeds=2,
    settings=LEAST,
    labels=("M1", "M2", "first", "zero-shot"),
    replicates=20,
    turns=4,
)

WORDS = Size(
    family="ngram",
    corpus="embedded",
    n=128,
    generations=9,
    seeds=5,
    seed=3,
    settings={"family.evaluate": 64},
    metrics=("perplexity",),
    labels=("M1", "M2", "M4", "M16"),
)

SIZES: Mapping[str, Size] = {
    "smoke": SMOKE,
    "laptop": _of(LAPTOP, n=48, generations=3, seeds=2, seed=0, labels=("M1", "M2", "first", "zero-shot")),
    "t4": _of(T4, labels=("M1", "M2", "M4", "first", "control", "zero-shot")),
    "paper": _of(PAPER, n=16384, labels=("M1", "M2", "M4", "first", "control", "zero-shot"), replicates=2000, turns=80),
    "verify": _of(VERIFY, metrics=("perplexity",), labels=(*FEW, "zero-shot")),
    # Heavy; the laptop's is a small fresh one.
    "recorded": _of(
        LAPTOP, seeds=6, labels=(*MANY, "first", "both", "control", "zero-shot"), record=Record("exchange")
    ),
    "toy": replace(SMOKE, n=16, record=Record("toy")),
    # Models of words, which are no network.
    "words-smoke": replace(WORDS, n=16, generations=1, seeds=2, labels=FEW),
    "words-laptop": WORDS,
    "words-paper": replace(WORDS, n=4096, seeds=16),
}

STUDY = Study("other_ai", SIZES, CONDITIONS, "lm")
