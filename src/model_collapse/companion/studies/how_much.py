"""How much synthetic text is too much: every number of real rows beside every number of written ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from model_collapse.companion.studies.language_model import PAPER, SAMPLED
from model_collapse.companion.studies.study import Condition, Record, Study
from model_collapse.companion.studies.study import Size as Base


@dataclass(frozen=True, kw_only=True)
class Size(Base):
    """What is said of models of words, and of the chapter's chains of numbers.

    turns   last generation of chains of numbers
    chains  of numbers
    """

    turns: int = 60
    chains: int = 4096


FRESH: Mapping[str, Any] = {
    **SAMPLED,
    "family.preset": "tiny",
    "family.pretrain": "none",
    "family.lr": 3e-3,
    "family.dropout": 0.0,
    "family.steps": 160,
    "family.draw": "articles",
    "family.evaluate": 64,
}
"""An OPT from random weights, for a model that has read such text before is short of none; and equally many steps
whatever there is to read, so that more rows are not more training. There is no untouched model to compare with but the
uniform distribution over all tokens."""

WORDS = Size(corpus="wikitext-2", n=12_288, generations=1, seeds=6, seed=1, metrics=("perplexity", "vocabulary"))

OPT = Size(
    family="lm",
    n=96,
    generations=1,
    seeds=2,
    seed=1,
    settings={**FRESH, "family.steps": 60, "family.evaluate": 32},
    metrics=("perplexity", "vocabulary", "training"),
)


def label(real: int, written: int) -> str:
    """The label of a condition."""
    return f"{real} real + {written}"


def grid(real: Iterable[int], written: Iterable[int]) -> dict[str, Condition]:
    """Every number of real rows beside every number of written ones."""
    written = tuple(written)
    return {
        label(k, m): Condition(label(k, m), "blend", {"regime.real": k, "regime.synthetic": m})
        for k in real
        for m in written
    }


def beside(real: Iterable[int], written: Iterable[int]) -> Study[Size]:
    """The study with these numbers of rows."""
    return replace(STUDY, conditions=grid(real, written))


RECORDED, TOY = grid((48, 144, 384), (0, 96, 384)), grid((4, 16), (0, 8))

SIZES: Mapping[str, Size] = {
    "smoke": replace(WORDS, corpus="embedded", n=96, seeds=2, turns=4, chains=32),
    "laptop": replace(WORDS, corpus="embedded", n=2048, turns=30, chains=512),
    "paper": WORDS,
    "verify": replace(WORDS, corpus=None),
    # OPT-125m, fine-tuned on these blocks of real text: five times as many steps as a pass over the most has.
    "verify-gpu": replace(
        WORDS,
        family="lm",
        corpus=PAPER.corpus,
        seeds=PAPER.seeds,
        settings={**PAPER.settings, **SAMPLED, "family.steps": 5 * 12_288 // 128},
        metrics=("perplexity",),
    ),
    "opt-smoke": replace(OPT, n=12, seeds=1, settings={**OPT.settings, "family.steps": 2, "family.evaluate": 8}),
    "opt": OPT,
    "recorded": replace(
        OPT,
        corpus="embedded",
        n=384,
        generations=2,
        seeds=12,
        seed=2,
        settings=FRESH,
        labels=tuple(RECORDED),
        record=Record("how-much"),
    ),
    # For tests.
    "toy": replace(
        OPT,
        corpus="embedded",
        n=16,
        settings={**FRESH, "family.steps": 4, "family.evaluate": 8},
        labels=tuple(TOY),
        record=Record("toy-worth"),
    ),
}

STUDY = Study("how_much", SIZES, {**RECORDED, **TOY}, "ngram")
