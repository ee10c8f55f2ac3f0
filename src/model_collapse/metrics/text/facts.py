"""Statements of the generated text against the truth: facts kept, facts invented, and the people written about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from typing import Any

import numpy as np

from model_collapse.corpora import as_text, world_of
from model_collapse.corpora.embedded import Fact
from model_collapse.data import Source
from model_collapse.interfaces import Reference
from model_collapse.metrics import Measurement

COMMON, MEDIUM = 0.5, 0.9
"""Where the bands of `rare_coverage` end, in shares of all that is said, the most frequent first."""


def rare_coverage(m: Measurement) -> dict[str, float]:
    """Share of the facts of the real training text that the generated text states at least once, by how rare it is.

    Where the true distribution is known (`source.world`), "what" are the true facts, ordered by the probability that an
    article states them; a statement is about the entity named last before it, in the block or in the block it continues
    (its prompt; for a training block, the one before it). Elsewhere it is the tokens, ordered by their count in the
    real training text.

    In that order the items are "common" for those that start before half of all that is said (of the facts'
    total probability; of the tokens), "medium" for those before 9/10, "rare" for the rest. Only what the training text
    does say is counted in either part of the share, which is nan for an empty band. It depends on how much is
    written, so compare equal n; real text of the same size is the yardstick (a control with real_fraction=1).
    """
    said, bands = m.reference.once(_said)
    still: Collection[Any] = set(np.unique(m.sample.x).tolist())
    if as_text(m.source).world is not None:
        still = {fact for fact in m.once(_stated) if fact.true}
    shares = {}
    for band in ("rare", "medium", "common"):
        members = [thing for thing in said if bands[thing] == band]
        shares[band] = sum(thing in still for thing in members) / len(members) if members else float("nan")
    return shares


def facts(m: Measurement) -> dict[str, float]:
    """What is stated, of a corpus whose true distribution is known; a prompt's own statements do not count.

    Item "true": share of all statements that are true, repeated ones included, nan where nothing is stated; false are
    wrong values and attributes of another topic. Item "different": number of different true facts, which grows with how
    much is written.
    """
    stated = m.once(_stated)
    return {
        "true": sum(fact.true for fact in stated) / len(stated) if stated else float("nan"),
        "different": float(len({fact for fact in stated if fact.true})),
    }


def groups(m: Measurement) -> dict[str, float]:
    """Share of all statements that are about each group of each topic, items "people/island" and so on.

    Of a corpus whose true distribution is known. True or false counts alike; nan where nothing is stated. What goes on
    with a prompt's article is about its entity, so compare with the control that got the same prompts, not with the
    distribution.
    """
    world = world_of(m.source)
    stated = m.once(_stated)
    about = Counter((world.topic(fact.entity), world.group(fact.entity)) for fact in stated)
    known = [(topic, group) for topic, shares in world.group_shares.items() for group in shares]
    return {f"{t}/{g}": about[t, g] / len(stated) if stated else float("nan") for t, g in known}


def _stated(m: Measurement) -> list[Fact]:
    """Every statement that the generated blocks make."""
    return _read(m.source, m.given.x, m.sample.x)


def _said(reference: Reference) -> tuple[Collection[Any], dict[Any, str]]:
    """What the real training text says, and the band of everything that can be said."""
    source = as_text(reference.source)
    x = source.train.x
    if source.world is not None:
        truths = source.world.truths
        # The blocks are running text, so the block before is the prompt; the first one, without any, gets the last.
        said = {fact for fact in _read(source, np.roll(x, 1, axis=0), x) if fact.true}
        return said, _bands(truths, [source.world.probability(fact) for fact in truths])
    tokens, counts = np.unique(x, return_counts=True)
    return tokens.tolist(), _bands(tokens.tolist(), counts)


def _read(source: Source, prompts: np.ndarray, blocks: np.ndarray) -> list[Fact]:
    """The statements made in blocks (n, m) after prompts (n, k)."""
    stated: list[Fact] = []
    world, decode = world_of(source), as_text(source).tokenizer.decode
    before, after = decode(prompts), decode(np.concatenate([prompts, blocks], axis=1))
    for prompt, text in zip(before, after, strict=True):
        stated += world.facts(text)[len(world.facts(prompt)) :]
    return stated


def _bands(things: Iterable[Any], mass: Any) -> dict[Any, str]:
    """The band of each thing, by the share of the total mass that more frequent ones take."""
    things, mass = list(things), np.asarray(mass, np.float64)
    order = np.argsort(-mass, kind="stable")
    before = (np.cumsum(mass[order]) - mass[order]) / mass.sum()
    band = np.array(["common", "medium", "rare"])[np.searchsorted([COMMON, MEDIUM], before, side="right")]
    return {things[i]: str(name) for i, name in zip(order, band, strict=True)}
