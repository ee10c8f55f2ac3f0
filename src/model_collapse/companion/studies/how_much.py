"""How much synthetic text is too much: every number of real rows beside every number of generated ones."""

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


def label(real: int, generated: int) -> str:
    """The label of a condition."""
    return f"{real} real + {generated}"


def grid(real: Iterable[int], generated: Iterable[int]) -> dict[str, Condition]:
    """Every number of real rows beside every number of generated ones."""
    generated = tuple(generated)
    return {
        label(k, m): Condition(label(k, m), "blend", {"regime.real": k, "regime.synthetic": m})
        for k in real
        for m in generated
    }


def beside(real: Iterable[int], generated: Iterable[int]) -> Study[Size]:
    """The study with these numbers of rows."""
    return replace(STUDY, conditions=grid(real, generated))


def replaced(shares: Iterable[float]) -> dict[str, Condition]:
    """Training sets of which a share is synthetic, the rest the same real rows again and again: "mix 0.5"."""
    return {
        f"mix {s:g}": Condition(f"{s:.0%} of the rows synthetic", "mix", {"regime.real_fraction": 1 - s})
        for s in shares
    }


def replacing(shares: Iterable[float]) -> Study[Size]:
    """The study with these shares of synthetic rows in the place of real ones."""
    return replace(STUDY, conditions=replaced(shares))


SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Of synthetic rows, for models of numbers."""

TEXT_SHARES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)

LITTLE: Mapping[str, Condition] = {
    title: Condition(title, "fresh", {"regime.real_fraction": real})
    for title, real in {
        "control": 1.0,
        "1 % synthetic": 0.99,
        "5 % synthetic": 0.95,
        "20 % synthetic": 0.8,
        "5 % real": 0.05,
        "1 % real": 0.01,
        "no real": 0.0,
    }.items()
}
"""New real rows beside synthetic ones."""

DRAWN: Mapping[str, Any] = {"family.sampling": "draw"}

NUMBERS = Size(family="gaussian", n=100, generations=60, seeds=4096, seed=1, metrics=("mean",))

LEARNERS = (10, 50, 90)
"""Real rows of learners who add 100 rows by a model of 100."""

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
    # Models of numbers, and word models with synthetic text in the place of real text.
    "means": replace(NUMBERS, settings=DRAWN, labels=tuple(replaced(SHARES))),
    "symbols": replace(
        NUMBERS,
        family="discrete",
        n=60,
        settings={**DRAWN, "family.symbols": 100},
        metrics=("support",),
        labels=tuple(replaced(SHARES)),
    ),
    "text": replace(
        WORDS,
        n=200,
        generations=8,
        seeds=2,
        settings={"family.evaluate": 64},
        metrics=("perplexity",),
        labels=tuple(replaced(TEXT_SHARES)),
    ),
    "breeds": replace(
        NUMBERS,
        family="breeds",
        generations=100,
        seeds=16_384,
        metrics=None,
        labels=("control", "1 % synthetic", "5 % synthetic", "5 % real", "1 % real", "no real"),
    ),
    "biased": replace(
        NUMBERS,
        family="discrete",
        n=10**5,
        generations=21,
        settings={"family.top_k": 10},
        metrics=("share",),
        labels=("1 % synthetic", "5 % synthetic", "20 % synthetic", "control"),
    ),
    "endless": replace(NUMBERS, n=10**9, seeds=200, metrics=("variance",), labels=("replace",)),
    "learners": replace(
        NUMBERS,
        seeds=16_384,
        settings={**DRAWN, "family.variance": "known"},
        labels=tuple(label(k, 100) for k in LEARNERS),
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

CONDITIONS: Mapping[str, Condition] = {
    **RECORDED,
    **TOY,
    **replaced((*SHARES, *TEXT_SHARES)),
    **LITTLE,
    "replace": Condition("no real rows after the first"),
    **grid(LEARNERS, (100,)),
}

STUDY = Study("how_much", SIZES, CONDITIONS, "ngram")


def of_numbers(name: str, size: Size) -> Size:
    """A size of models of numbers with the chains, generations and seed that a size of the chapter says."""
    generations, seeds = {
        "means": (size.turns, size.chains),
        "symbols": (size.turns, size.chains),
        "breeds": (10 * size.turns // 6, 4 * size.chains),
        "biased": (size.turns // 3 + 1, size.chains),
        "endless": (size.turns, 200),
        "learners": (size.turns, 4 * size.chains),
    }[name]
    return replace(SIZES[name], generations=generations, seeds=seeds, seed=size.seed)
