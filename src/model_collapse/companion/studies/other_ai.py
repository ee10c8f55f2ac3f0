"""Models that read each other.

In M1, M2, ..., M models share the real text and the work of one: each has 1/M of the blocks, and in each
generation all generated text is put together, shuffled and dealt out (Hodel & West 2025, arXiv:2512.15011). The other
conditions are pairs of models of the size of M2's. The same conditions are run with language models, with word models
and with models of numbers, whose sizes give every model 100 rows, however many there are.
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
    # Half of the first mover's text stays its own real text; what both generate is dealt out between them.
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
    # Models of numbers alone.
    "swapped": Condition("swapped", models=2, reads="ring", others=1.0),
    "half": Condition("half another's", models=2, reads="all", others=0.5),
    "real": Condition("real rows only", "fresh", {"regime.real_fraction": 1.0}),
    **{
        f"split {label}": Condition(title, models=2, reads=reads, others=others, part="split")
        for label, title, reads, others in (
            ("own", "each its own", "own", None),
            ("half", "half another's", "all", 0.5),
            ("tenth", "a tenth another's", "all", 0.1),
        )
    },
    "whole": Condition("each its own, nothing lacking", models=2, reads="own", part="own"),
    **{
        f"M{m}, {share:g} real": Condition(
            {1: "alone", 4: "dealt, 4 models"}[m] + (", 5 % real" if share > 0 else ""),
            "fresh",
            {"regime.real_fraction": share},
            models=m,
            reads="deal" if m > 1 else None,
        )
        for m in (4, 1)
        for share in (0.0, 0.05)
    },
}

READINGS = ("swapped", "half", "M2", "M4", "M1")
"""Ways in which models of numbers read each other, and a model alone."""

KEEPERS = ("M2", "first", "both")
"""Of two models none, the first, or each keeps real data."""


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
    """A size of the language model: text of a known distribution, whose statements can be checked, and sampling."""
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

ROWS = 100
"""Of each model of numbers."""

DRAWN: Mapping[str, Any] = {"family.sampling": "draw"}

ALONE: Mapping[str, Mapping[str, Any]] = {"M1": {"n": ROWS}, "real": {"n": ROWS}, "M4": {"n": 4 * ROWS}}

SYMBOLS = Size(
    family="discrete",
    n=2 * ROWS,
    generations=40,
    every=5,
    seeds=300,
    seed=1,
    settings={**DRAWN, "family.symbols": 10},
    metrics=("share",),
    labels=READINGS,
    own=ALONE,
)

MANY_SYMBOLS = replace(
    SYMBOLS,
    every=1,
    settings={**DRAWN, "family.symbols": 200},
    metrics=("support",),
    labels=("M1", "swapped", "M2", "M4", "real"),
)


def of_numbers(name: str, size: Size) -> Size:
    """A size of models of numbers with the chains, the last generation and the seed that a size of the chapter says."""
    found = SIZES[name]
    last = min(size.turns, found.turns)
    every = max(last // 8, 1) if found.every > 1 else 1
    return replace(found, generations=last, every=every, seeds=size.replicates, seed=size.start)


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
    # Models of numbers: 100 rows for each model.
    "symbols": replace(SYMBOLS, turns=80),
    "survivors": replace(MANY_SYMBOLS, turns=80),
    "split": replace(
        SYMBOLS,
        n=4 * ROWS,
        generations=20,
        every=2,
        turns=20,
        settings={**DRAWN, "family.zipf": 0.5},
        labels=("split own", "whole", "split half", "split tenth"),
        own={},
    ),
    "means": replace(
        SYMBOLS,
        family="gaussian",
        n=ROWS,
        settings={**DRAWN, "family.variance": "known"},
        metrics=("mean",),
        labels=("M4, 0 real", "M4, 0.05 real", "M1, 0 real", "M1, 0.05 real"),
        own={f"M4, {share:g} real": {"n": 4 * ROWS} for share in (0.0, 0.05)},
        turns=80,
    ),
    "movers": replace(MANY_SYMBOLS, labels=(*KEEPERS, "control"), own={}, turns=80),
}

STUDY = Study("other_ai", SIZES, CONDITIONS, "lm")
