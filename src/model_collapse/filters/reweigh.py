"""Reweigh: weights that give every group its true share again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from model_collapse import corpora
from model_collapse.data import Data, Source
from model_collapse.errors import InputError
from model_collapse.interfaces import Family, Filter, Reference

if TYPE_CHECKING:
    from model_collapse.corpora.embedded import World
    from model_collapse.interfaces import Corpus


@dataclass(frozen=True)
class Reweigh(Filter):
    """Weighs a row of group j by true share / share found: the groups that are left get their true ratios.

    "Algorithmic reparation" (Wyllie, Shumailov & Papernot 2024, arXiv:2403.07857), which draws rows where this weighs
    them. True shares are those of the distribution, over the groups that are there: a lost group cannot be weighed.
    Groups are the symbols of `discrete`, the breeds of `breeds`, and in text of the embedded corpus the groups of its
    topics: a block is about the entity it names first, a group's share is that within its topic, and a block about
    nobody keeps its weight. Weights have a mean of 1 in each topic, or of all numbers.
    """

    majority: Annotated[
        int,
        Field(
            ge=0,
            le=10**7,
            description="numbers: how many of the commonest kinds form one group, the rest another; 0: each its own",
        ),
    ] = 0

    def check(self, family: Family, corpus: Corpus | None) -> None:
        """InputError unless there are groups of known shares."""
        if family.distribution is None and (corpus is None or corpus.world is None):
            raise InputError(
                "--filter reweigh: needs groups of known shares; use discrete or breeds, or text of the embedded corpus"
            )

    def __call__(self, data: Data, rng: np.random.Generator, reference: Reference) -> np.ndarray:
        x, distribution = data.x, reference.family.distribution
        if distribution is None:
            return self._text(data, reference.source)
        kind = (x if x.ndim == 2 else x[..., 0]).astype(np.int64)
        if self.majority:
            kind = (kind >= self.majority).astype(np.int64)
            distribution = np.array([distribution[: self.majority].sum(), distribution[self.majority :].sum()])
        return _weights(kind, data.weight, distribution)

    def _text(self, data: Data, source: Source) -> np.ndarray:
        world = corpora.world_of(source)
        about = _about(world, corpora.as_text(source).tokenizer.decode(data.x))
        weight = np.ones(len(data))
        for topic, shares in world.group_shares.items():
            groups = [(topic, group) for group in shares]
            place = np.array([groups.index(one) if one in groups else -1 for one in about])
            mine = place >= 0
            if len(groups) > 1 and mine.any():
                before = None if data.weight is None else data.weight[mine]
                weight[mine] = _weights(place[mine, None], before, np.array(list(shares.values())))[:, 0]
        return weight


def _weights(kind: np.ndarray, before: np.ndarray | None, distribution: np.ndarray) -> np.ndarray:
    """True share / share found of every row's kind (n, R), over the kinds that are there; all weight stays the same.

    before  weights that the rows have: None, (n,) or (n, R)
    """
    (n, chains), K = kind.shape, len(distribution)
    weight = np.ones((n, 1)) if before is None else before.reshape(n, -1)
    key = kind + K * np.arange(chains)
    found = np.bincount(key.ravel(), np.broadcast_to(weight, key.shape).ravel(), K * chains).reshape(chains, K)
    want = np.where(found > 0, distribution, 0)
    want *= (found.sum(axis=1) / want.sum(axis=1))[:, None]
    return np.divide(want, found, out=np.zeros(found.shape), where=found > 0).ravel()[key]


def _about(world: World, texts: Iterable[str]) -> list[tuple[str, str] | None]:
    """(topic, group) of the entity that each text names first; None where it names none."""
    named = (next(iter(world.entities(text)), None) for text in texts)
    return [None if entity is None else (world.topic(entity), world.group(entity)) for entity in named]
