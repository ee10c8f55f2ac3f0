"""The settings of runs, flat, as manifests have them: of a study's size, of a claim, of a table; and what differs.

Nothing is planned for it, so that neither corpora nor weights have to be there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from types import ModuleType
from typing import Any

import pandas as pd

from model_collapse import families, filters, modalities, regimes, registry

Flat = Mapping[str, Any]

UNSAID = ("block", "content", "source", "lock")
"""Of a run, but no setting that anybody asks for."""

ALIASES: Mapping[str, tuple[str, ...]] = {"wikitext-2": ("wikitext-2-raw", "wikitext-2-v1")}
"""Corpus that may be asked for -> those that it may turn out to be."""


def asked(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of the run that `plan` makes of these arguments, as `spec.describe` has them.

    Left out are UNSAID, and n where it is "all" of a corpus.
    """
    family, regime = arguments["family"], arguments.get("regime", "replace")
    names, first = tuple(arguments.get("filter", ())), arguments.get("first")
    parts: dict[str, dict[str, Any]] = {role: {} for role in ("family", "regime", "first", *names)}
    for key, value in (arguments.get("settings") or {}).items():
        owner, _, name = key.partition(".")
        parts[{family: "family", regime: "regime"}.get(owner, owner)][name] = value
    kind = registry.member(families, family)
    n, models = arguments.get("n"), arguments.get("models", 1)
    found = {
        "family": registry.RENAMED.get(family, family),
        **_owned("family", {**defaults(families, family), **parts["family"]}),
        "regime": regime,
        **_owned("regime", {**defaults(regimes, regime), **parts["regime"]}),
        "n": kind.rows if n is None else n,
        "generations": arguments.get("generations", 9),
        "seed": arguments.get("seed", 0),
        "replicates": arguments.get("replicates", 1),
        "given": arguments.get("given", "original"),
        "metrics": list(dict.fromkeys(arguments.get("metrics") or kind.metrics)),
        "every": arguments.get("every", 1),
        "filters": [[name, {**defaults(filters, name), **parts[name]}] for name in names],
        "corpus": arguments.get("corpus") or modalities.of(kind).corpus,
    }
    if n == "all":
        del found["n"]
    if models > 1:
        reads, share = arguments.get("reads") or "all", arguments.get("share")
        own = {"models": models, "reads": reads, "real": arguments.get("real") or "own"}
        own["share"] = (0.5 if share is None else share) if reads in ("all", "ring") else None
        own |= {"first": first, "first_args": {**defaults(regimes, first), **parts["first"]}} if first else {}
        found |= _owned("exchange", own)
    return json.loads(json.dumps(found))


def of_table(table: pd.DataFrame) -> dict[str, Any]:
    """What the columns of a table say of the settings of its run."""
    row = table.iloc[0]
    regime = json.loads(str(row["regime_args"]))
    more = {"filters": regime.pop("filters", []), **_owned("exchange", regime.pop("exchange", {}))}
    return {
        "family": str(row["family"]),
        **_owned("family", json.loads(str(row["family_args"]))),
        "regime": str(row["regime"]),
        **_owned("regime", regime),
        **more,
        "corpus": str(row["corpus"]),
        "seed": int(row["seed"]),
    }


def seen(run: Flat) -> dict[str, Any]:
    """Of the settings of a run those that the columns of its table repeat."""
    owners = ("family", "regime", "exchange", "filters", "corpus", "seed")
    return {key: value for key, value in run.items() if key.partition(".")[0] in owners}


def different(run: Flat, wanted: Flat) -> dict[str, tuple[Any, Any]]:
    """Setting -> (what the run has, what is wanted), of those in which they differ.

    A setting that the run lacks was not there when it was made, and counts as having its present default.
    """
    found = {}
    for key in {**wanted, **run}:
        if key in UNSAID or (key == "n" and key not in wanted):
            continue
        one, other = (value(each, key) for each in (run, wanted))
        if one != other and not (key == "corpus" and one in ALIASES.get(str(other), ())):
            found[key] = (one, other)
    return found


def said(difference: Mapping[str, tuple[Any, Any]], most: int = 3) -> str:
    """Differences in a few words: "family.epochs 1 instead of 5", "metrics without kl"."""
    parts = [_apart(key, one, other) for key, (one, other) in difference.items()]
    return ", ".join(parts[:most]) + (f", and {len(parts) - most} more" if len(parts) > most else "")


@cache
def defaults(package: ModuleType, name: str) -> Mapping[str, Any]:
    """Every setting of a member -> its default; what has none is left out."""
    listed = registry.settings(registry.member(package, name))
    return {each["name"]: each["default"] for each in listed if each["default"] is not None}


def value(run: Flat, key: str) -> Any:
    """A setting of a run; its present default where the run lacks it, None where it has none."""
    if key in run:
        return run[key]
    owner, _, name = key.partition(".")
    package = {"family": families, "regime": regimes}.get(owner)
    return defaults(package, run[owner]).get(name) if package and name else None


def _apart(key: str, one: Any, other: Any) -> str:
    if key == "metrics" and isinstance(one, list) and isinstance(other, list):
        lost, more = ([name for name in a if name not in b] for a, b in ((other, one), (one, other)))
        named = {"without": lost, "and besides": more} if lost else {"and besides": more}
        said = " ".join(f"{word} {', '.join(names)}" for word, names in named.items() if names)
        return f"metrics {said or 'in another order'}"
    return f"{key} {_short(one)} instead of {_short(other)}"


def _short(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _owned(owner: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{owner}.{name}": value for name, value in values.items()}
