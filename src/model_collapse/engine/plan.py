"""A run from names and values; everything is checked before any work. Most errors of `chain` are raised here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_type_hints

import numpy as np
from pydantic import Field, TypeAdapter, ValidationError

from model_collapse import families, filters, modalities, regimes, registry, store
from model_collapse import metrics as measures
from model_collapse.data import NOT_DRAWN
from model_collapse.engine.spec import Members, Run
from model_collapse.errors import InputError
from model_collapse.exchange import Reads
from model_collapse.interfaces import Family, Filter, Regime
from model_collapse.modalities import Part

if TYPE_CHECKING:
    from model_collapse.interfaces import Corpus

Count = Annotated[int, Field(ge=1, le=10**9)]
Generations = Annotated[int, Field(ge=0, le=10**7)]
Seed = Annotated[int, Field(ge=0, le=2**63 - 1)]
Models = Annotated[int, Field(ge=1, le=64)]
Share = Annotated[float, Field(ge=0, le=1)]
WHO = get_type_hints(Reads)["who"]
REAL_DATA = ("own", "same", "split")


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
    models: Any = 1,
    reads: str | None = None,
    share: Any = None,
    real: str | None = None,
    first: str | None = None,
) -> Run:
    """A run from names and values; everything is checked here, before any work.

    n            rows per generation; None: the family's default; "all": every block of the corpus
    generations  g of the last generation; generation 0 is fitted to real data
    replicates   chains, each with data and randomness of its own
    settings     {"family.epochs": 5, "regime.real_fraction": .1, "NAME.key": ...}; text is read as the setting's type;
                 "corpus.column" names the column that holds the text of a folder
    corpus       text or images a family reads; None: the modality's default
    metrics      names of what is measured; None: the family's `metrics`, without its `more_metrics`
    every        metrics are taken at generations 0, k, 2k, ... and at the last
    models       K models that read each other, see `exchange.exchange`; a metric's item then begins with "model k"
    reads        who reads whom: all (default), ring, deal or own, see `exchange.Reads`
    share        of the rows that are others', for all and ring; default 0.5
    real         each model has real data of its own (default), the same, or split by what they are about
    first        regime of the first model, which then is not that of the others; settings as "first.KEY"

    InputError names the argument and what is allowed.
    """
    roles = ("family", "regime", "corpus", *filter, *(["first"] if first else []))
    parts: dict[str, dict[str, Any]] = {name: {} for name in roles}
    for key, value in (settings or {}).items():
        owner, dot, name = key.partition(".")
        # The member's own name works as well as its role: lm.epochs is family.epochs.
        owner = {family: "family", regime: "regime"}.get(owner, owner)
        if not dot or owner not in parts:
            raise InputError(
                f"--set {key}: write family.KEY, regime.KEY, corpus.column or the name of a filter in use, then =VALUE"
            )
        parts[owner][name] = value
    built: Family = registry.build(families, family, parts["family"], "family")
    family = registry.RENAMED.get(family, family)
    followed: Regime = registry.build(regimes, regime, parts["regime"], "regime")
    applied: tuple[Filter, ...] = tuple(registry.build(filters, name, parts[name]) for name in filter)
    first_regime: Regime | None = registry.build(regimes, first, parts["first"], "first") if first else None
    if given not in ("original", "training", "fresh"):
        raise InputError(f"--given: {given!r} is not allowed; it is original, training or fresh")
    measured = tuple(dict.fromkeys(metrics)) if metrics else built.metrics
    measures.chosen(measured, built)
    modality = modalities.of(built)
    if corpus and not modality.corpus:
        raise InputError(f"--corpus: {family} reads no corpus")
    exchanged = _exchange(built, models, reads, share, real, first, first_regime)
    # Of a corpus, the parts that models have for themselves.
    own = exchanged["models"] if exchanged and exchanged["real"] != "same" else 1
    loaded = modality.load(_with_column(modality.corpus if corpus is None else corpus, parts["corpus"]))
    if n == "all":
        n = modality.most(built, loaded) // own
    count = _checked("-n", Count, built.rows if n is None else n)
    modality.check(built, loaded, count * own, measured)
    if exchanged and exchanged["real"] == "split":
        _split(modality.kinds(built, loaded), exchanged["models"])
    mixed_up = given != "original" or (exchanged is not None and exchanged["reads"] != "own")
    for place, (name, each) in enumerate(zip(filter, applied, strict=True)):
        _at_its_place(name, each, moved=place > 0 or mixed_up)
        _fits(name, each, built, followed, regime, loaded)
        if first_regime:
            _fits(name, each, built, first_regime, str(first), loaded)
    planned = Run(
        family=family,
        family_args=built.settings(),
        regime=regime,
        regime_args=followed.settings(),
        n=count,
        generations=_checked("-g", Generations, generations),
        seed=_checked("--seed", Seed, seed),
        replicates=_checked("--replicates", Count, replicates),
        given=given,
        metrics=measured,
        every=_checked("--every", Count, every),
        block=built.block_size,
        filters=tuple((name, each.settings()) for name, each in zip(filter, applied, strict=True)),
        corpus=loaded.name if loaded else "",
        content="".join([loaded.fingerprint, *built.contents()]) if loaded else "",
        source=store.source_hash(),
        lock=store.lock_hash(),
        exchange=exchanged,
    )
    if exchanged and first_regime:
        _enough(planned, followed, first_regime)
    return planned.made_of(Members(built, followed, applied, first_regime))


def _with_column(corpus: str, settings: Mapping[str, Any]) -> str:
    """The name of a corpus with the column that is read of it."""
    for key, value in settings.items():
        if key != "column":
            raise InputError(f"--set corpus.{key}: a corpus has one setting, corpus.column")
        if not corpus or not Path(corpus).exists():
            raise InputError(f"--set corpus.column={value}: only files of yours have columns; name them by --corpus")
        return f"{corpus}::{value}"
    return corpus


def _exchange(
    family: Family,
    models: Any,
    reads: str | None,
    share: Any,
    real: str | None,
    first: str | None,
    first_regime: Regime | None,
) -> dict[str, Any] | None:
    """How models read each other, checked; None for a model that is alone."""
    count = _checked("--models", Models, models)
    given = {"--reads": reads, "--share": share, "--real": real, "--first": first}
    if count == 1:
        for name, value in given.items():
            if value is not None:
                raise InputError(f"{name} {value}: needs several models that read each other; set --models")
        return None
    who, whose = reads or "all", real or "own"
    for name, value, allowed in (("--reads", who, get_args(WHO)), ("--real", whose, REAL_DATA)):
        if value not in allowed:
            raise InputError(f"{name} {value}: it is {', '.join(allowed)}")
    if share is not None and who in ("own", "deal"):
        raise InputError(f"--share {share}: only --reads all and ring have a share; {who} has not")
    if (who != "own" or whose == "split") and not family.draws_rows:
        raise InputError(f"--models: {NOT_DRAWN}")
    described = {"models": count, "reads": who, "real": whose}
    described["share"] = _checked("--share", Share, 0.5 if share is None else share) if who in ("all", "ring") else None
    return described | ({"first": first, "first_args": first_regime.settings()} if first_regime else {})


def _enough(run: Run, followed: Regime, first_regime: Regime) -> None:
    """InputError where the first model's regime and the others' let them write so few rows that others miss some."""
    assert run.exchange is not None
    share, others = run.exchange["share"], run.models - 1
    if share is None:
        return
    sizes = [regime.size for regime in (first_regime, followed)]
    for t in {0, run.generations}:
        one, other = (size(t, run.n) for size in sizes)
        lender = other * others if run.exchange["reads"] == "all" else other
        borrowed = one + other * (others - 1) if run.exchange["reads"] == "all" else one
        if round(share * one) > lender or round(share * other) > borrowed:
            raise InputError(f"--share {share}: the first model and the others write {one} and {other} rows; lower it")


def _split(shares: np.ndarray | None, models: int) -> None:
    """InputError where no kinds are known, or a model would lack nearly all there is; see `modalities.Part`."""
    if shares is None:
        raise InputError(
            "--real split: known are the kinds of discrete, of breeds, and of a corpus whose true distribution is "
            "known (embedded)"
        )
    kinds = np.arange(len(shares))
    least = min(1 - float(shares[Part(model, models, split=True).lacks(kinds)].sum()) for model in range(models))
    if least < 0.01:
        raise InputError(
            f"--real split: a model would know {least:.2g} of what there is, and 0.01 is the least; use more and more "
            "even kinds (family.symbols, family.breeds, family.zipf)"
        )


def _at_its_place(name: str, filter: Filter, moved: bool) -> None:
    """InputError for a filter that would not find a prompt's candidates where they were written."""
    if filter.by_place and filter.candidates > 1 and moved:
        raise InputError(
            f"--filter {name}: with {name}.candidates above 1 it has to be the first filter, with --given "
            "original and without --models, for it knows a prompt's candidates by their places"
        )


def _fits(name: str, filter: Filter, family: Family, followed: Regime, regime: str, corpus: Corpus | None) -> None:
    """InputError for a filter that cannot be applied to what these make."""
    filter.check(family, corpus)
    if not family.draws_rows:
        raise InputError(f"--filter {name}: {NOT_DRAWN}")
    if filter.candidates > 1 and not followed.whole:
        raise InputError(
            f"{name}.candidates: only replace, accumulate and fixed train on all that is written, so that there is "
            f"more to choose from; {regime} does not"
        )


def _checked(argument: str, kind: Any, value: Any) -> Any:
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        said = error.errors()[0]["msg"]
        raise InputError(f"{argument} {value}: {said[0].lower()}{said[1:]}") from None
