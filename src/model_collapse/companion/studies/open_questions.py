"""The arms of two open questions: how much synthetic text is too much, and what becomes of minorities.

    runs = open_questions.worth("ngram", real=(128, 2048), synthetic=(0, 512), n=2048, ...)
    runs = open_questions.minorities("opt", n=192, ...)

The same arms for families of numbers and of text; `WORTH` and `OPEN` are what a tiny OPT has beside its defaults.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from model_collapse.companion.studies import language
from model_collapse.engine.plan import plan
from model_collapse.engine.spec import Run

TINY: Mapping[str, Any] = {
    **language.TINY,
    **language.SAMPLED,
    "family.pretrain_blocks": 3072,
    "family.evaluate": 128,
}
"""A tiny OPT that writes as it has learned, without search for the likeliest text."""

WORTH: Mapping[str, Any] = {
    **language.SAMPLED,
    "family.preset": "tiny",
    "family.pretrain": "none",
    "family.lr": 3e-3,
    "family.dropout": 0.0,
    "family.steps": 160,
    "family.evaluate": 64,
}
"""From random weights, for a model that has read such text before is short of none; and equally many steps whatever
there is to read, so that more rows are not more training."""

OPEN: Mapping[str, Any] = {**TINY, "family.end": "ordinary"}
"""Articles end, and the model chooses whom the next one is about."""

MINORITIES: Mapping[str, Mapping[str, Any]] = {
    "replace": {"regime": "replace"},
    "reweigh": {"regime": "replace", "filter": ("reweigh",)},
    "control": {"regime": "mix", "settings": {"regime.real_fraction": 1.0}},
}
"""Only what was written; the same with weights that give groups their shares; real rows only."""


def blended(real: int, synthetic: int) -> str:
    """The label of an arm of `worth`."""
    return f"{real} real + {synthetic}"


def worth(family: str, real: Iterable[int], synthetic: Iterable[int], **common: Any) -> dict[str, Run]:
    """Every number of real rows beside every number of written ones. Further arguments of `plan`."""
    return {blended(k, m): plan(**worth_arguments(family, k, m, **common)) for k in real for m in synthetic}


def worth_arguments(family: str, real: int, synthetic: int, **common: Any) -> dict[str, Any]:
    """Arguments of `plan` for one of these arms."""
    settings = {**common.pop("settings", {}), "regime.real": real, "regime.synthetic": synthetic}
    return {"family": family, "regime": "blend", **common, "settings": settings}


def minorities(family: str, arms: Iterable[str] = MINORITIES, **common: Any) -> dict[str, Run]:
    """Arms of `MINORITIES`, of a family of text or of numbers. Further arguments of `plan`."""
    return {arm: plan(**minority_arguments(family, arm, **common)) for arm in arms}


def minority_arguments(family: str, arm: str, **common: Any) -> dict[str, Any]:
    """Arguments of `plan` for one arm. Text goes on from its own training set: nobody brings new names."""
    chosen = MINORITIES[arm]
    settings = {**common.pop("settings", {}), **chosen.get("settings", {})}
    given = {"given": "training"} if family in ("ngram", "opt") else {}
    return {"family": family, **chosen, **given, **common, "settings": settings}
