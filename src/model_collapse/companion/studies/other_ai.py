"""Arms of the chapter on models that read each other, and the sizes it is run at.

    tables, texts = study(other_ai.runs(("M1", "M4"), other_ai.SCALES["laptop"]), folder)

In arms M1, M2, ... so many models share the real text and the work of one: each has 1/M of the blocks, and each
generation all that was written is put together, shuffled and dealt out (Hodel & West 2025, arXiv:2512.15011). The other
arms are pairs of models of the size of M2's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from model_collapse.companion.studies import language
from model_collapse.companion.studies.language import Scale
from model_collapse.engine.plan import plan
from model_collapse.engine.spec import Run
from model_collapse.errors import InputError

MANY = ("M1", "M2", "M4", "M8")
"""Arms with a growing number of models."""

ARMS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    **{f"M{m}": (f"{m} model{'s' * (m > 1)}", {"models": m}) for m in (1, 2, 4, 8, 16)},
    # Half of the first mover's text stays its own real text; what both write is dealt out between them.
    "first": (
        "model 1 keeps real text, model 2 does not",
        {"models": 2, "first": "mix", "settings": {"first.real_fraction": 0.5}},
    ),
    "both": ("both keep real text", {"models": 2, "regime": "mix", "settings": {"regime.real_fraction": 0.5}}),
    "control": ("both read real text only", {"models": 2, "regime": "mix", "settings": {"regime.real_fraction": 1.0}}),
}
"""Title in a legend, and what `plan` is told."""

METRICS = ("perplexity", "facts")

_CHANGES: Mapping[str, Mapping[str, Any]] = {
    "smoke": {
        "n": 6,
        "generations": 1,
        "model": {
            **language.TINY,
            "family.pretrain_blocks": 64,
            "family.pretrain_epochs": 1,
            "family.epochs": 1,
            "family.evaluate": 4,
        },
    },
    "laptop": {"seeds": 2, "n": 48, "generations": 3, "seed": 0},
    "t4": {"corpus": "embedded"},
    "paper": {"corpus": "embedded", "n": 16384},
    "recorded": {"seeds": 6},
    "verify": {"metrics": ("perplexity",)},
}

SCALES: Mapping[str, Scale] = {
    name: replace(
        language.SCALES["laptop" if name == "recorded" else name], **{"metrics": METRICS, "seed": 3, **changes}
    )
    for name, changes in _CHANGES.items()
}
"""Of text whose law is known, so that what is said can be checked; sampled as it is, without beams.

recorded  heavy; laptop is a small fresh one, and verify what `model-collapse verify` runs
"""

WORDS: Mapping[str, Scale] = {
    name: Scale("embedded", n, generations, seeds, seed=3, metrics=("perplexity",), model={"family.evaluate": 64})
    for name, (n, generations, seeds) in {"smoke": (16, 1, 2), "laptop": (128, 9, 5), "paper": (4096, 9, 16)}.items()
}
"""Of family `ngram`."""


def run(arm: str, scale: Scale, family: str = "opt") -> Run:
    """One arm at a scale of the family, checked. InputError lists the arms."""
    return plan(**arguments(arm, scale, family), seed=scale.seed)


def arguments(arm: str, scale: Scale, family: str = "opt") -> dict[str, Any]:
    """Arguments of `plan` for one arm, all but the seed."""
    if arm not in ARMS:
        raise InputError(f"arm {arm}: known are {', '.join(ARMS)}")
    told = dict(ARMS[arm][1])
    models, own = told.pop("models"), told.pop("settings", {})
    if int(scale.n) < models:
        raise InputError(f"n must be at least {models}, a block for every model of arm {arm}")
    drawn = {"family.decoding": "sample"} if family == "opt" else {}
    return {
        "family": family,
        "n": int(scale.n) // models,
        "generations": scale.generations,
        "replicates": scale.seeds,
        "corpus": scale.corpus,
        "metrics": scale.metrics,
        "settings": {**scale.model, **drawn, **own},
        **({"models": models, "reads": "deal"} if models > 1 else {}),
        **told,
    }


def runs(arms: Iterable[str], scale: Scale, family: str = "opt") -> dict[str, Run]:
    """Arm -> run, for `study`."""
    return {arm: run(arm, scale, family) for arm in arms}
