"""Full scale is only what has every setting that the paper states."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest

from model_collapse.companion import claims, studies
from model_collapse.companion.records import scale, settings

PAPER = studies.find("language_model").arguments("paper")

OWN = {
    **{key: {"family.epochs"} for key in ("A10", "B")},
    **{key: {"family.decoding"} for key in ("sampled", "accumulate", "subsample", "grow", "mixed", "top-k")},
    **{key: {"family.decoding"} for key in ("surprising", "unsurprising", "polluted", "weighed")},
    "cold": {"family.decoding", "family.temperature"},
    "penalty-2": {"family.repetition_penalty"},
    "marked": {"family.decoding", "family.watermark", "family.block"},
    "marked-beam": {"family.watermark", "family.block"},
    # Untouched: one step at a rate that moves nothing, and what it would write is not read.
    "zero-shot": {"family.lr", "family.steps", "family.decoding"},
}
"""Arm -> what it has otherwise than the paper at the paper's size."""


def table(run: dict[str, Any], n: int) -> pd.DataFrame:
    """A table that says of its run what tables say."""
    args = {owner: _args(run, owner) for owner in ("family", "regime")}
    row = {"family": run["family"], "regime": run["regime"], "corpus": run["corpus"], "seed": 0, "n_train": n}
    return pd.DataFrame([row | {"generation": 0, "family_args": args["family"], "regime_args": args["regime"]}])


def _args(run: dict[str, Any], owner: str) -> str:
    return json.dumps({key.partition(".")[2]: own for key, own in run.items() if key.startswith(f"{owner}.")})


def asked(label: str = "A", **changes: Any) -> dict[str, Any]:
    """An arm of the language experiment at the paper's size, with changes (__ for a dot)."""
    return settings.asked(PAPER[label]) | {key.replace("__", "."): value for key, value in changes.items()}


def test_the_papers_own_runs_are_at_full_scale() -> None:
    assert scale.as_published(table(asked(), 37_700))
    assert scale.as_published(table(asked("B"), 37_700), PAPER["B"])
    assert not scale.as_published(table(asked("B"), 37_700)), "ten epochs, unless the claim asks for them"
    assert not scale.as_published(table(asked(family__epochs=5), 37_700), PAPER["B"])


@pytest.mark.parametrize("key", [*scale.PUBLISHED["lm"], "rows", "family.evaluate"])
def test_every_single_setting_counts(key: str) -> None:
    other = {
        "family.preset": "facebook/opt-125m",
        "family.start": "scratch",
        "family.tokenizer": "corpus",
        "corpus": "wikitext-2-v1",
        "family.checkpoint": "last",
        "family.continued": True,
        "family.decoding": "sample",
        "family.end": "ordinary",
        "family.watermark": "green",
        "family.evaluate": 256,
        "exchange.models": 2,
    }
    if key == "rows":
        assert not scale.as_published(table(asked(), 8192))
        return
    run = asked() | {key: other.get(key, 3)}
    made = table(run, 37_700)
    if key == "exchange.models":
        made["regime_args"] = json.dumps({"exchange": {"models": 2}})
    assert not scale.as_published(made)


@pytest.mark.parametrize(
    ("changes", "rows", "full"),
    [
        ({}, 1_800_000, True),
        ({}, 600_000, False),
        ({"family__latents": "finite"}, 1_800_000, False),
        ({"family__preset": "small"}, 1_800_000, False),
        ({"family__beta": 0.5}, 1_800_000, False),
        ({"family__steps": 640}, 1_800_000, False),
        ({"family__steps": 7050}, 1_800_000, True),
        ({"corpus": "digits"}, 1_800_000, False),
    ],
)
def test_the_published_vae(changes: dict[str, Any], rows: int, full: bool) -> None:
    own = {"family": "vae", "corpus": "mnist", "settings": {"family.preset": "paper", "family.latents": "fresh"}}
    run = settings.asked(own) | {key.replace("__", "."): value for key, value in changes.items()}
    assert scale.as_published(table(run, rows)) == full


def test_other_families_have_no_published_scale() -> None:
    assert not scale.as_published(table(settings.asked({"family": "ngram"}), 10**9))


def test_what_claims_ask_for_at_the_papers_size_is_the_papers_but_for_their_arms() -> None:
    """Else a claim could call anything full scale by asking for it."""
    seen = set()
    for claim in claims.known().values():
        runs = claim.larger or (claim.runs if claim.scale == "gpu" and not claim.any_weights else {})
        for label, arguments in runs.items():
            if arguments["family"] != "lm" or claim.id in ("MIX-4", "XM-2"):
                continue  # of other experiments, at sizes that are not the paper's
            run = settings.asked(arguments)
            told = scale.PUBLISHED["lm"]
            odd = {key for key in told if settings.value(run, key) not in told[key]}
            assert odd <= OWN.get(label, set()), (claim.id, label)
            assert "n" not in run, "all blocks"
            seen.add(label)
    assert {"A", "B", "control", "sampled"} <= seen
