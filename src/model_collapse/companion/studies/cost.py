"""What a loss costs in rows: learning curves of models of words and of OPTs, for training sets of several sizes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from model_collapse.companion.studies import language_model
from model_collapse.companion.studies.language_model import LAPTOP as TEXT
from model_collapse.companion.studies.language_model import READ, VERIFY
from model_collapse.companion.studies.study import Condition, Record, Study
from model_collapse.companion.studies.study import Size as Base


@dataclass(frozen=True, kw_only=True)
class Size(Base):
    """What is said of models of words, and of the chapter's models with closed forms.

    blocks  sizes of training sets
    chains  of the models with closed forms
    """

    blocks: tuple[int, ...] = (50, 100, 200, 400, 800)
    chains: int = 65_536


WORDS: Mapping[str, Condition] = {
    "replace": Condition("only generated rows"),
    "accumulate": Condition("everything so far", "accumulate"),
    "10 % of the first real rows": Condition("10 % real, always the same", "mix", {"regime.real_fraction": 0.1}),
    "10 % new real rows": Condition("10 % real, drawn anew every time", "fresh", {"regime.real_fraction": 0.1}),
    "real only": Condition("real text only", "mix", {"regime.real_fraction": 1.0}),
}

OPT = {label: language_model.CONDITIONS[label] for label in ("sampled", "accumulate", "mixed", "control")}


def curves(conditions: Mapping[str, Condition], blocks: Iterable[int]) -> dict[str, Condition]:
    """Every condition with training sets of every size: "replace, 50"."""
    blocks = tuple(blocks)
    return {f"{label}, {n}": replace(condition, n=n) for label, condition in conditions.items() for n in blocks}


def _words(blocks: Iterable[int]) -> dict[str, Condition]:
    """Those of models of words. The two smallest sizes also give the cost of real text alone."""
    blocks = sorted(blocks)
    real = {"real only": WORDS["real only"]}
    others = {label: condition for label, condition in WORDS.items() if label not in real}
    return {**curves(others, blocks), **curves(real, blocks[:2])}


def words(blocks: Iterable[int]) -> Study[Size]:
    """The study with these sizes of training sets of models of words, and no others."""
    return replace(STUDY, conditions=_words(blocks))


def _chapter(**changes: Any) -> Size:
    """A size of models of words."""
    made = Size(generations=5, seeds=5, seed=1, settings={"family.order": 2}, metrics=("perplexity",), **changes)
    return _labelled(made, {"blocks": made.blocks})


def _labelled(size: Size, changed: Mapping[str, Any]) -> Size:
    """With the conditions that other blocks ask for."""
    return replace(size, labels=tuple(_words(size.blocks))) if changed.get("blocks") else size


LAPTOP = _chapter()

REGIMES = {label: WORDS[label] for label in ("replace", "accumulate", "10 % new real rows")}
"""Conditions of the models with closed forms."""

TRIED = (100, 200, 400, 800, 1600)
"""Rows of the training sets of models that lose symbols."""

RECORDED = {**curves(OPT, (96, 192, 384, 768)), "zero-shot": language_model.UNTOUCHED}

PRICED = ("sampled, 96", "sampled, 384")
"""Those of the claim."""

SIZES: Mapping[str, Size] = {
    "smoke": replace(_chapter(blocks=(20, 40), chains=512), generations=2, seeds=2),
    "laptop": LAPTOP,
    # Models with closed forms: a mean, and symbols never seen.
    "means": Size(
        family="gaussian",
        n=100,
        seeds=8192,
        seed=1,
        settings={"family.variance": "known"},
        metrics=("mean",),
        labels=tuple(REGIMES),
    ),
    "tails": Size(
        family="discrete",
        seeds=128,
        seed=1,
        settings={"family.symbols": 20_000, "family.zipf": 1.5},
        metrics=("lost_mass",),
        labels=tuple(curves(REGIMES, TRIED)),
    ),
    "paper": replace(_chapter(blocks=(50, 100, 200, 400, 800, 1600, 3200, 6400)), generations=9, seeds=12),
    "verify-words": replace(LAPTOP, seeds=8, labels=tuple(f"replace, {n}" for n in LAPTOP.blocks)),
    # At its own size the condition is the run that other claims read.
    "verify": Size(
        family="lm",
        corpus=VERIFY.corpus,
        seeds=VERIFY.seeds,
        settings=VERIFY.settings,
        metrics=("perplexity",),
        labels=(*PRICED, "zero-shot"),
        own={"sampled, 96": {"metrics": READ["sampled"]}, "sampled, 384": {"generations": 5}},
    ),
    "recorded": Size(
        family="lm",
        corpus=TEXT.corpus,
        generations=5,
        seeds=6,
        seed=1,
        settings=TEXT.settings,
        metrics=("perplexity",),
        labels=tuple(RECORDED),
        record=Record("cost"),
    ),
}

CONDITIONS = {
    **RECORDED,
    **{label: each for size in SIZES.values() for label, each in _words(size.blocks).items()},
    **REGIMES,
    **curves(REGIMES, TRIED),
}


def of_numbers(name: str, size: Size) -> Size:
    """A size of models with closed forms, "means" or "tails", with the chains and seed that the chapter's size says."""
    seeds = {"means": size.chains // 8, "tails": min(128, size.chains // 16)}[name]
    return replace(SIZES[name], seeds=seeds, seed=size.seed)


STUDY = Study("cost", SIZES, CONDITIONS, "ngram", _labelled)
