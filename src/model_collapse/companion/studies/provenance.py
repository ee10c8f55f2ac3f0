"""Who wrote it: texts that are marked, detected or known by their record, and what a filter makes of training sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from model_collapse.companion.studies import language_model
from model_collapse.companion.studies.language_model import LAPTOP, LONG, NOVELS, SMOKE, T4, WIKITEXT, WRITER, Size
from model_collapse.companion.studies.study import Record

LOOP = ("polluted", "weighed", "thinned", "unmarked", "known", "control")
"""Training sets of which a quarter is real, filtered by nothing or by something, and real text only."""

WRITERS = ("A", "marked", "marked-beam", "synthid")
"""Ways of writing, with a mark and without."""

METRICS = ("perplexity", "repeated_3", *WRITER)

FILTERED: Mapping[str, Mapping[str, Any]] = {label: {"metrics": ("perplexity", "detector")} for label in LOOP}

LEAST: Mapping[str, Any] = {
    **SMOKE.settings,
    "family.pretrain_blocks": 64,
    "family.pretrain_epochs": 1,
    "family.steps": 1,
    "family.block": 32,
    "family.evaluate": 8,
}

SIZES: Mapping[str, Size] = {
    "smoke": replace(
        SMOKE,
        n=8,
        generations=1,
        seeds=1,
        settings=LEAST,
        metrics=METRICS,
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
        own=FILTERED,
    ),
    "t4": replace(T4, metrics=METRICS, own=FILTERED),
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
}

STUDY = replace(
    language_model.STUDY,
    name="provenance",
    sizes=SIZES,
    conditions={label: language_model.CONDITIONS[label] for label in (*LOOP, *WRITERS, "zero-shot")},
)
