"""The language runs that `model-collapse verify` makes: arms of `language`, small for a CPU and large for a GPU.

    runs = verification.small("A", "B")     label -> arguments of `plan`, all but the seed

Each arm is one run, however many claims read it: it measures what any of them reads, and ends where the last of them
does. That is why a claim takes its runs from here, and names no size itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from model_collapse.companion.studies import language
from model_collapse.companion.studies.language import Scale
from model_collapse.metrics.text import KNOWN_LAW

SMALL, PAPER = language.SCALES["verify"], language.SCALES["paper"]

MARKS = ("marked", "marked-beam")
"""Arms whose texts are marked: of 200 pairs of tokens, and read at generation 0 alone."""

READ: Mapping[str, tuple[str, ...]] = {
    "A": ("perplexity", "written_perplexity", "repeated_3", "real_text", "similarity", "watermark"),
    "sampled": ("perplexity", "facts", "type_token_ratio", "distinct_2", "skeletons", "state_diversity"),
    **dict.fromkeys(("surprising", "unsurprising"), ("entropy",)),
    **dict.fromkeys(MARKS, ("watermark",)),
}
"""Metrics of an arm, as far as the corpus allows; of every other arm perplexity alone."""

LAST: Mapping[str, int] = {
    **dict.fromkeys(("penalty-2", "grow", "polluted", "weighed"), 3),
    **dict.fromkeys(("zero-shot", *MARKS), 0),
}
"""The generation that the claims about an arm need; of every other arm it is the paper's last."""

LONG: Mapping[str, Any] = {"family.block": 201}

MARKED = replace(SMALL, n=48, model={**SMALL.model, **LONG, "family.pretrain_blocks": 1024})


def small(*arms: str) -> dict[str, dict[str, Any]]:
    """Arms on the embedded corpus, without data or weights from outside."""
    return {arm: _arguments(arm, MARKED if arm in MARKS else SMALL) for arm in arms}


def large(*arms: str) -> dict[str, dict[str, Any]]:
    """Arms at the paper's size, for a GPU: OPT-125m's weights, all of WikiText-2."""
    marked = replace(PAPER, model={**PAPER.model, **LONG})
    return {arm: _arguments(arm, marked if arm in MARKS else PAPER) for arm in arms}


def by_size(arm: str, blocks: Iterable[int], generations: int) -> dict[str, dict[str, Any]]:
    """An arm with training sets of several sizes: "ARM, N" -> arguments. At the common size it is the arm's run."""
    shorter = replace(SMALL, generations=generations, metrics=("perplexity",))
    others = {n: language.arguments(arm, replace(shorter, n=n)) for n in blocks if n != SMALL.n}
    return {f"{arm}, {n}": others.get(n) or _arguments(arm, SMALL) for n in blocks}


def _arguments(arm: str, scale: Scale) -> dict[str, Any]:
    law = scale.corpus == "embedded"
    metrics = tuple(name for name in READ.get(arm, ("perplexity",)) if law or name not in KNOWN_LAW)
    last = min(LAST.get(arm, scale.generations), scale.generations)
    return language.arguments(arm, replace(scale, generations=last, metrics=metrics))
