"""A run from names and values, everything checked before any work."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from model_collapse import corpora, families, filters, record, regimes, registry
from model_collapse import metrics as measures
from model_collapse.corpora import images
from model_collapse.errors import InputError
from model_collapse.metrics.text import KNOWN_LAW
from model_collapse.record import Run

Count = Annotated[int, Field(ge=1, le=10**9)]
Generations = Annotated[int, Field(ge=0, le=10**7)]
Seed = Annotated[int, Field(ge=0, le=2**63 - 1)]


def plan(
    family: str,
    regime: str = "replace",
    *,
    n: Any = None,
    generations: Any = 9,
    seed: Any = 0,
    replicates: Any = 1,
    given: str = "original",
    filter: Sequence[str] = (),
    settings: Mapping[str, Any] | None = None,
    corpus: str | None = None,
    metrics: Sequence[str] | None = None,
    every: Any = 1,
) -> Run:
    """A run from names and values; everything is checked here, before any work.

    n            rows per generation; None: the family's default; "all": every block of the corpus
    generations  g of the last generation; generation 0 is fitted to real data
    replicates   chains, each with data and randomness of its own
    settings     {"family.epochs": 5, "regime.real_fraction": .1, "NAME.key": ...}; text is read as the setting's type
    corpus       text a family reads; None: the embedded one
    metrics      names of what is measured; None: the family's `metrics`, without its `more_metrics`
    every        metrics are taken at generations 0, k, 2k, ... and at the last

    InputError names the argument and what is allowed.
    """
    parts: dict[str, dict[str, Any]] = {name: {} for name in ("family", "regime", *filter)}
    for key, value in (settings or {}).items():
        owner, dot, name = key.partition(".")
        # The member's own name works as well as its role: opt.epochs is family.epochs.
        owner = {family: "family", regime: "regime"}.get(owner, owner)
        if not dot or owner not in parts:
            raise InputError(f"--set {key}: write family.KEY, regime.KEY or the name of a filter in use, then =VALUE")
        parts[owner][name] = value
    kind = registry.build(families, family, parts["family"], "family")
    how = registry.build(regimes, regime, parts["regime"], "regime")
    judges = [(name, registry.build(filters, name, parts[name])) for name in filter]
    if given not in ("original", "training", "fresh"):
        raise InputError(f"--given: {given!r} is not allowed; it is original, training or fresh")
    taken = tuple(dict.fromkeys(metrics)) if metrics else kind.metrics
    measures.chosen(taken, kind)
    if kind.reads == "numbers" and corpus:
        raise InputError(f"--corpus: {family} reads no corpus")
    content = ""
    read: Any = None
    if kind.reads == "images":
        pictures = images.load("digits" if corpus is None else corpus)
        n = len(pictures.train) if n == "all" else _checked("-n", Count, kind.rows if n is None else n)
        pictures.source(n, **{**kind.reading(), "passes": 1})  # refuses what does not fit
        read, corpus, content = pictures, pictures.name, "".join([pictures.fingerprint, *kind.contents()])
    if kind.reads == "text":
        text = corpora.load("embedded" if corpus is None else corpus)
        for name in taken:
            if name in KNOWN_LAW and text.world is None:
                raise InputError(f"--metrics: {name} needs a corpus whose law is known (embedded), not {text.name}")
        read, corpus, content = text, text.name, "".join([text.fingerprint, *kind.contents()])
        if n == "all":
            # The text to pre-train on is no part of n.
            n = len(text.source(None, **{**kind.reading(), "pretrain": 1}).train)
    for name, judge in judges:
        _fits(name, judge, kind, how, regime, read)
    return Run(
        family=family,
        family_args=asdict(kind),
        regime=regime,
        regime_args=asdict(how),
        n=_checked("-n", Count, kind.rows if n is None else n),
        generations=_checked("-g", Generations, generations),
        seed=_checked("--seed", Seed, seed),
        replicates=_checked("--replicates", Count, replicates),
        given=given,
        metrics=taken,
        every=_checked("--every", Count, every),
        block=kind.block_size,
        filters=tuple((name, asdict(judge)) for name, judge in judges),
        corpus=corpus or "",
        content=content,
        source=record.source_hash(),
        lock=record.lock_hash(),
    )


def _fits(name: str, judge: Any, family: Any, how: Any, regime: str, corpus: Any) -> None:
    """InputError for a filter that cannot judge what these make."""
    if getattr(family, "sampling", "draw") == "exact":
        raise InputError(f"--filter {name}: exact sampling cannot subsample; set family.sampling=draw")
    if getattr(judge, "candidates", 1) > 1 and not getattr(how, "whole", False):
        raise InputError(
            f"{name}.candidates: only replace, accumulate and fixed train on all that is written, so that there is "
            f"more to choose from; {regime} does not"
        )
    if hasattr(judge, "check"):
        judge.check(family, corpus)


def _checked(argument: str, kind: Any, value: Any) -> Any:
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        said = error.errors()[0]["msg"]
        raise InputError(f"{argument} {value}: {said[0].lower()}{said[1:]}") from None


def blocks(run: Run) -> int:
    """How many blocks of chains a run has."""
    return math.ceil(run.replicates / run.block)
