"""Whether recorded runs can test a claim: by their settings, condition by condition, and never by their names.

A claim says which runs test it. A record may be larger or smaller than these, of another model of the family, another
text, other seeds: everything that a study calls its size. Everything else has to be as the claim says in each
condition: regime, filters, exchange, prompts, and the settings of the family that are no size (decoding, epochs,
checkpoint, whether the weights are published ones). And the record's conditions of one family have to differ from each
other where the claim's do, in the same direction: if the claim compares two numbers of rows, so does the record, and
the larger is the larger.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, Literal

from model_collapse.companion.records import settings

FREE = frozenset(
    "seed generations replicates every metrics family.threads family.precision family.engine family.sample_batch "
    "family.chunk family.evaluate".split()
)
"""How long, how often, how exactly and on what machine: every condition may have its own."""

_ANY = "n corpus family.preset regime.real regime.synthetic"
_TRAINED = "family.lr family.batch family.steps family.weight_decay"

SIZES: Mapping[str, frozenset[str]] = {
    "lm": frozenset(
        f"{_ANY} {_TRAINED} family.pretrain family.pretrain_epochs family.pretrain_lr family.pretrain_blocks "
        "family.tokenizer family.vocabulary family.block family.draw family.article_blocks family.probe family.dropout "
        "family.schedule family.warmup family.clip".split()
    ),
    # An image counts as often as there are epochs or steps; the weight of the KL term goes with the pixels.
    "vae": frozenset(f"{_ANY} {_TRAINED} family.epochs family.beta".split()),
    "diffusion": frozenset(f"{_ANY} {_TRAINED} family.epochs family.base_steps".split()),
    "ngram": frozenset(f"{_ANY} family.tokenizer family.vocabulary family.block".split()),
}
"""Family -> settings that may be others than the claim's, in all conditions alike. Of other families: _ANY."""

Relation = Literal["equal", "less", "more", "other"]


def unlike(runs: Mapping[str, Mapping[str, Any]], arms: Mapping[str, settings.Flat]) -> str:
    """Why these conditions are not the runs of a claim, in a few words; "" if they are.

    runs  label -> arguments of `plan`, as a claim has them
    arms  label -> settings, as a manifest has them; further ones do not matter
    """
    if absent := [label for label in runs if label not in arms]:
        return f"it has no arm {', '.join(absent[:3])}"
    wanted = {label: settings.asked(arguments) for label, arguments in runs.items()}
    for label, own in wanted.items():
        sizes = SIZES.get(own["family"], frozenset(_ANY.split()))
        differs = {key: pair for key, pair in settings.different(arms[label], own).items() if key not in sizes | FREE}
        if "family" in differs:
            differs = {"family": differs["family"]}  # all other settings follow
        if differs:
            return f"its arm {label} has {settings.said(differs)}"
    for one, other in combinations(wanted, 2):
        if wanted[one]["family"] != wanted[other]["family"]:
            continue  # a row of one is nothing of another
        for key in sorted(SIZES.get(wanted[one]["family"], frozenset(_ANY.split()))):
            asked, found = (_relation(each[one], each[other], key) for each in (wanted, arms))
            if asked != found:
                return f"its arms {one} and {other} do not compare {key} as the claim does"
    return ""


def unlike_in_part(runs: Mapping[str, Mapping[str, Any]], arms: Mapping[str, settings.Flat]) -> str:
    """As `unlike`, of conditions of which some may be missing, and some further ones: each of these is a run of the
    claim but for numbers in which the claim's runs differ from each other, as a page has another grid of sizes."""
    named = {label: own for label, own in runs.items() if label in arms}
    further = {} if len(named) == len(runs) else {label: own for label, own in arms.items() if label not in runs}
    if not named and not further:
        return unlike(runs, arms)
    wanted = [settings.asked(arguments) for arguments in runs.values()]
    whys = (why for label, arm in further.items() if (why := _beside(wanted, label, arm)))
    return unlike(named, arms) or next(whys, "")


def _beside(wanted: Sequence[settings.Flat], label: str, arm: settings.Flat) -> str:
    """Why an arm is not one more of these conditions."""
    found = []
    for own in wanted:
        if own["family"] != arm["family"]:
            found.append({"family": (arm["family"], own["family"])})
            continue
        alike = [other for other in wanted if other["family"] == own["family"]]
        free = SIZES.get(own["family"], frozenset(_ANY.split())) | FREE | _varied(alike)
        found.append({key: pair for key, pair in settings.different(arm, own).items() if key not in free})
    nearest = min(found, key=len)
    return f"its arm {label} has {settings.said(nearest)}" if nearest else ""


def _varied(conditions: Sequence[settings.Flat]) -> set[str]:
    """Numbers in which conditions differ."""
    keys = {key for each in conditions for key in each}
    values = {key: [settings.value(each, key) for each in conditions] for key in keys}
    return {
        key
        for key, own in values.items()
        if all(isinstance(value, int | float) for value in own) and any(value != own[0] for value in own)
    }


def _relation(one: settings.Flat, other: settings.Flat, key: str) -> Relation:
    a, b = settings.value(one, key), settings.value(other, key)
    if a == b:
        return "equal"
    if isinstance(a, int | float) and isinstance(b, int | float):
        return "less" if a < b else "more"
    return "other"
