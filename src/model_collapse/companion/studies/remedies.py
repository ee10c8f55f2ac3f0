"""Remedies side by side: the same four ways to build a training set, for every kind of model.

`STUDY` has the tiny OPT, `KINDS` the models that take seconds: numbers, labels, kernels and pairs of words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from model_collapse.companion.studies import language_model, study
from model_collapse.companion.studies.language_model import LAPTOP as TEXT
from model_collapse.companion.studies.study import Condition, Study


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

FOUR: Mapping[str, Condition] = {
    "replace": Condition("n rows, all written by the last model"),
    "subsample": Condition("n rows out of all real and synthetic ones so far", "subsample"),
    "accumulate": Condition("all real and all synthetic rows so far", "accumulate"),
    "real only": Condition("the same n real rows every time: the control", "mix", {"regime.real_fraction": 1.0}),
    "10 % new real rows": Condition("a tenth of the rows new and real", "fresh", {"regime.real_fraction": 0.1}),
}

SHOWN = ("replace", "subsample", "accumulate", "real only")


def _kind(family: str, n: int, seeds: int, metric: str, drawn: bool = True, **settings: Any) -> study.Size:
    """A family; where it writes sums (`drawn`), conditions that choose from what was written have it draw rows."""
    of_family = {f"family.{name}": value for name, value in settings.items()}
    rows = {"settings": {**of_family, "family.sampling": "draw"}} if drawn else {}
    return study.Size(
        family=family,
        n=n,
        seeds=seeds,
        seed=1,
        settings=of_family,
        metrics=(metric,),
        labels=SHOWN,
        own={label: rows for label in ("subsample", "real only")},
    )


FAMILIES: Mapping[str, study.Size] = {
    "gaussian": _kind("gaussian", 100, 512, "w2_squared"),
    "discrete": _kind("discrete", 100, 512, "heterozygosity"),
    "regression": _kind("regression", 60, 256, "test_error"),
    "kde": _kind("kde", 50, 128, "kl_density", drawn=False, bandwidth=0.25),
    "ngram": _kind("ngram", 100, 6, "perplexity", drawn=False),
}
"""Rows, chains of a laptop and what is measured."""

KINDS = Study("remedies", FAMILIES, FOUR, "gaussian")


def chains(size: Size, laptop: int) -> int:
    """So many times the chains of a laptop, eight at least."""
    return max(8, round(size.chains * laptop))


def few(size: Size) -> int:
    """Chains of models of words, which differ little."""
    return 6 if size.fits > 10 else 3


def kinds(size: Size) -> dict[str, study.Size]:
    """Every family at this size: what `KINDS` runs."""
    last = size.fits - 1
    found = {
        family: replace(own, generations=last, every=3, seeds=chains(size, own.seeds), seed=size.seed)
        for family, own in FAMILIES.items()
    }
    words = replace(found["ngram"], n=size.blocks, generations=min(last, 9), every=1, seeds=few(size))
    return found | {"ngram": words}


def symbols(size: Size) -> study.Size:
    """20 rows of 20 symbols for 40 generations, of which the symbols that are left are counted (ACC-6)."""
    return replace(
        _kind("discrete", 20, max(64, chains(size, 1024)), "support"),
        generations=40,
        every=4,
        seed=size.seed,
        labels=tuple(FOUR),
    )


def triples(size: Size) -> study.Size:
    """Triples of words, which state more facts than pairs do."""
    return replace(
        _kind("ngram", 2 * size.blocks, few(size), "rare_coverage", drawn=False, order=3),
        generations=min(size.fits - 1, 5),
        seed=size.seed,
        metrics=("rare_coverage", "vocabulary"),
        labels=("replace", "accumulate", "real only"),
    )
