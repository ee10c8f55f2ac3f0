"""Provenance: texts that are marked, detected or known by their record, and what a filter makes of training sets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from model_collapse.companion.studies import language_model
from model_collapse.companion.studies.language_model import (
    LAPTOP,
    LONG,
    NOVELS,
    SMOKE,
    T4,
    WIKITEXT,
    WRITER,
    Size,
)
from model_collapse.companion.studies.study import Condition, Record

LOOP = ("polluted", "weighed", "thinned", "unmarked", "known", "control")
"""Training sets of which a quarter is real, filtered by nothing or by something, and real text only."""

WRITERS = ("A", "marked", "marked-beam", "synthid")
"""Ways of writing, with a mark and without."""

TEXT = (*LOOP, *WRITERS, "zero-shot")
"""Conditions of language models."""

METRICS = ("perplexity", "repeated_3", *WRITER)

FILTERED: Mapping[str, Mapping[str, Any]] = {label: {"metrics": ("perplexity", "detector")} for label in LOOP}

ADOPTED = (0.0, 0.25, 0.5, 0.75, 0.9, 1.0)
"""Shares of generated text that carry a mark which is always found."""

WORLDS: Mapping[str, tuple[str, str, Mapping[str, Any]]] = {
    "kept": ("real text kept, the rest on top", "fixed", {"regime.synthetic": 3.0}),
    "quarter": ("a quarter real", "mix", {"regime.real_fraction": 0.25}),
}
"""Where only some producers mark their text: title, regime, settings."""


def adopted(shares: Iterable[float] = ADOPTED) -> dict[str, Condition]:
    """Word models in both worlds, by the share of generated text that is marked: "kept 0.5"."""
    shares = tuple(shares)
    return {
        f"{world} {share:g}": Condition(
            f"{title}, {share:.0%} marked",
            regime,
            {**settings, "provenance.adoption": share},
            filters=("provenance",),
        )
        for world, (title, regime, settings) in WORLDS.items()
        for share in shares
    }


LEAST: Mapping[str, Any] = {
    **SMOKE.settings,
    "family.pretrain_blocks": 64,
    "family.pretrain_epochs": 1,
    "family.steps": 1,
    "family.block": 32,
    "family.evaluate": 8,
}

ADOPTION = Size(
    family="ngram", n=150, generations=6, every=6, seeds=4, metrics=("perplexity",), labels=tuple(adopted())
)

SIZES: Mapping[str, Size] = {
    "smoke": replace(
        SMOKE,
        n=8,
        generations=1,
        seeds=1,
        settings=LEAST,
        metrics=METRICS,
        labels=TEXT,
        # How a mark shows needs no chain to try.
        own={**FILTERED, **{label: {"generations": 0} for label in WRITERS}},
    ),
    "laptop": replace(
        LAPTOP,
        n=48,
        generations=2,
        seeds=2,
        settings={**LAPTOP.settings, "family.evaluate": 64},
        metrics=METRICS,
        labels=TEXT,
        own=FILTERED,
    ),
    "t4": replace(T4, metrics=METRICS, labels=TEXT, own=FILTERED),
    "recorded": replace(
        WIKITEXT,
        generations=3,
        metrics=METRICS,
        labels=("A", "marked", "polluted", "thinned", "weighed", "unmarked", "known", "control", "zero-shot"),
        record=Record("provenance", bins=("A", "marked"), pretrain=NOVELS.pretrain),
    ),
    # Texts that are long enough to be found by their mark (T = 200 pairs).
    "marks": replace(
        WIKITEXT,
        n=48,
        generations=0,
        settings={**WIKITEXT.settings, **LONG, "family.pretrain_blocks": 2048},
        metrics=METRICS,
        labels=(*WRITERS[1:], "zero-shot"),
        record=Record("marks", bins=WRITERS[1:], pretrain=NOVELS.pretrain),
    ),
    # Word models.
    "adoption-smoke": replace(ADOPTION, n=10, generations=1, seeds=2, labels=tuple(adopted((0.0, 0.5, 0.9, 1.0)))),
    "adoption": ADOPTION,
}

STUDY = replace(
    language_model.STUDY,
    name="provenance",
    sizes=SIZES,
    conditions={
        **{label: language_model.CONDITIONS[label] for label in TEXT},
        **adopted(),
    },
)
