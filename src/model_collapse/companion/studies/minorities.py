"""What becomes of minorities, with weights that give groups their true shares and without."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from model_collapse.companion.studies.language_model import SAMPLED, TINY, UNTOUCHED
from model_collapse.companion.studies.study import Condition, Record, Study
from model_collapse.companion.studies.study import Size as Base

WAYS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "likeliest": ("surprise", {"surprise.keep": "low"}),
    "at random": ("curate", {"curate.by": "random"}),
    "least likely": ("surprise", {"surprise.keep": "high"}),
}
"""Which part of the generated rows is kept -> filter and its settings, all but the share."""


def kept(share: float) -> dict[str, Condition]:
    """One for each way to keep this share of the generated rows: "likeliest 0.8"."""
    return {
        f"{way} {share:g}": Condition(
            f"{way}, {share:.0%} kept", settings={**settings, f"{name}.share": share}, filters=(name,)
        )
        for way, (name, settings) in WAYS.items()
    }


PRETRAINED = ("replace", "reweigh", "control", "zero-shot")
"""Conditions of the recorded run."""

CONDITIONS: Mapping[str, Condition] = {
    "replace": Condition("only generated rows"),
    "reweigh": Condition("the same with weights that give groups their shares", filters=("reweigh",)),
    "control": Condition("real rows only", "mix", {"regime.real_fraction": 1.0}),
    "zero-shot": UNTOUCHED,
    **kept(0.8),
    **kept(0.5),
}

COUNTED = ("replace", "reweigh", "control")
"""Conditions of models that are not pre-trained."""


@dataclass(frozen=True, kw_only=True)
class Size(Base):
    """chains  of numbers"""

    chains: int = 40_960


PAIRS = Size(
    n=384,
    generations=6,
    every=3,
    seeds=24,
    seed=1,
    given="training",
    metrics=("group_loss",),
    labels=COUNTED,
    chains=24_576,
)
"""Models of pairs of words. Text continues its own training set: nobody brings new names."""

TEN: Mapping[str, Any] = {"family.symbols": 10, "family.zipf": 1.5}
"""Ten symbols, the four rarest of which have 8 % together."""

NUMBERS = Size(
    family="discrete",
    n=50,
    generations=15,
    every=15,
    seeds=86_016,
    seed=1,
    settings=TEN,
    metrics=("share",),
    labels=COUNTED,
)

DRAWN: Mapping[str, Any] = {**TEN, "family.sampling": "draw"}

OPEN: Mapping[str, Any] = {
    **TINY,
    **SAMPLED,
    "family.pretrain_blocks": 3072,
    "family.evaluate": 128,
    "family.end": "ordinary",
}
"""A tiny OPT that samples without search; articles end, and the model chooses whom the next article is about."""

OPT = Size(
    family="lm",
    n=48,
    generations=1,
    seeds=2,
    seed=1,
    given="training",
    settings={
        **OPEN,
        "family.pretrain_blocks": 512,
        "family.pretrain_epochs": 1,
        "family.steps": 15,
        "family.evaluate": 32,
    },
    metrics=("perplexity", "group_loss"),
    labels=("replace", "control", "zero-shot"),
)

SIZES: Mapping[str, Size] = {
    "smoke": replace(PAIRS, n=12, generations=2, seeds=2, chains=64),
    "laptop": PAIRS,
    "paper": replace(PAIRS, n=3072, generations=9, chains=40_960),
    "numbers": NUMBERS,
    "weighed": replace(
        NUMBERS,
        generations=20,
        every=5,
        seeds=53_248,
        settings=DRAWN,
        labels=("replace", "reweigh"),
        own={"reweigh": {"settings": {**DRAWN, "reweigh.majority": 6}}},
    ),
    "opt-smoke": replace(
        OPT,
        n=8,
        seeds=1,
        settings={**OPT.settings, "family.pretrain_blocks": 64, "family.steps": 1, "family.evaluate": 8},
    ),
    "opt": OPT,
    "recorded": replace(
        OPT,
        n=384,
        generations=5,
        seeds=12,
        seed=2,
        settings=OPEN,
        metrics=("perplexity", "groups", "group_loss", "facts"),
        labels=PRETRAINED,
        record=Record("minorities"),
    ),
    # Which rows are kept: by models of numbers, and by models of pairs of words.
    "selected": replace(NUMBERS, n=400, generations=4, every=1, seeds=4096, settings=DRAWN, labels=tuple(kept(0.8))),
    "selected-text": replace(PAIRS, labels=tuple(kept(0.5))),
}

STUDY = Study("minorities", SIZES, CONDITIONS, "ngram")


def of_numbers(name: str, size: Size, n: int | None = None) -> Size:
    """A size of models of numbers, or of selected text, with the chains and the seed that a size of the chapter says.

    n  rows per generation of "weighed"; fewer than in the claim are run with an eighth of the chains
    """
    found = replace(SIZES[name], seed=size.seed)
    if name == "numbers":
        return replace(found, every=5, seeds=size.chains * 5 // 3)
    if name == "weighed" and n is not None:
        return replace(found, n=n, seeds=size.chains if n == found.n else max(size.chains // 8, 2))
    if name == "selected-text":
        every = max(size.generations // 2, 1)
        return replace(found, n=size.n, generations=size.generations, every=every, seeds=size.seeds)
    return replace(found, seeds=min(int(found.seeds), max(size.chains, 64)))
