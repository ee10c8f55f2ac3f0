"""What a loss costs in rows: learning curves of models of words and of OPTs, for training sets of several sizes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from model_collapse.companion.studies import language_model
from model_collapse.companion.studies.language_model import LAPTOP, READ, VERIFY
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
    "replace": Condition("only what was written"),
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


def words(blocks: Iterable[int]) -> Study[Size]:
    """The study with these sizes of training sets of models of words. Real text only is told by the two smallest."""
    blocks = sorted(blocks)
    real = {"real only": WORDS["real only"]}
    others = {label: condition for label, condition in WORDS.items() if label not in real}
    return replace(STUDY, conditions={**curves(others, blocks), **curves(real, blocks[:2])})


PAIRS = Size(generations=5, seeds=5, seed=1, family="ngram", settings={"family.order": 2}, metrics=("perplexity",))

RECORDED, VERIFIED = curves(OPT, (96, 192, 384, 768)), ("sampled, 96", "sampled, 384")

SIZES: Mapping[str, Size] = {
    "smoke": replace(PAIRS, generations=2, seeds=2, blocks=(20, 40), chains=512),
    "laptop": PAIRS,
    "paper": replace(PAIRS, generations=9, seeds=12, blocks=(50, 100, 200, 400, 800, 1600, 3200, 6400)),
    "verify-words": replace(PAIRS, seeds=8, labels=tuple(f"replace, {n}" for n in PAIRS.blocks)),
    # At its own size the condition is the run that other claims read.
    "verify": Size(
        family="opt",
        corpus=VERIFY.corpus,
        seeds=VERIFY.seeds,
        settings=VERIFY.settings,
        metrics=("perplexity",),
        labels=VERIFIED,
        own={"sampled, 96": {"metrics": READ["sampled"]}, "sampled, 384": {"generations": 5}},
    ),
    "recorded": Size(
        family="opt",
        corpus=LAPTOP.corpus,
        generations=5,
        seeds=6,
        seed=1,
        settings=LAPTOP.settings,
        metrics=("perplexity",),
        labels=tuple(RECORDED),
        record=Record("cost"),
    ),
}

STUDY = Study("cost", SIZES, {**RECORDED, **curves(WORDS, PAIRS.blocks)}, "ngram")
