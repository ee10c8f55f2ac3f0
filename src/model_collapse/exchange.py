"""Models that read each other: K chains of the loop, side by side, which train on each other's output."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from model_collapse import streams
from model_collapse.data import Data, Source, deal
from model_collapse.errors import InputError
from model_collapse.interfaces import NOTHING, Family, Filter, Generation, Keep, Model, Regime
from model_collapse.loop import Given, generations
from model_collapse.streams import Stream


@dataclass(frozen=True)
class Reads:
    """Who reads whom: what each of K models finds in the place of its own last sample, as many rows as that has.

    who    own   its own sample
           all   round(share n) rows of what the others wrote together, the rest its own
           ring  round(share n) rows of the model before it (the first reads the last), the rest its own
           deal  all samples are put together, shuffled and dealt out (Hodel & West 2025, arXiv:2512.15011)
    share  s, of who=all and who=ring

    Rows are drawn without replacement. A row that stays keeps its place, so that whatever a regime knows by place (the
    real row that it continues) still holds for it.
    """

    who: Literal["own", "all", "ring", "deal"] = "all"
    share: float = 0.5

    def __call__(self, model: int, samples: Sequence[Data], rng: np.random.Generator) -> Data:
        """What model 0 .. K - 1 reads of all samples. InputError where the others wrote too little."""
        own, models = samples[model], len(samples)
        if models == 1 or self.who == "own":
            return own
        first, n, chains = np.cumsum([0, *map(len, samples)]), len(own), own.rows.chains
        if self.who == "deal":
            hand = deal(int(first[-1]), chains, rng)[first[model] : first[model + 1]]
            return Data.concat(samples).take(hand)
        others = [j for j in range(models) if j != model] if self.who == "all" else [(model - 1) % models]
        pool = np.concatenate([np.arange(first[j], first[j + 1]) for j in others])
        m = round(self.share * n)
        if m > len(pool):
            raise InputError(f"--share {self.share}: needs {m} rows of other models, which wrote only {len(pool)}")
        index = np.arange(first[model], first[model + 1])
        if chains is not None:
            index = np.repeat(index[:, None], chains, axis=1)
        np.put_along_axis(index, deal(n, chains, rng)[:m], pool[deal(len(pool), chains, rng)[:m]], axis=0)
        return Data.concat(samples).take(index)


@dataclass(frozen=True, eq=False)
class Agent:
    """One of several models that read each other; everything as in `generations`."""

    source: Source
    family: Family
    regime: Regime
    stream: Stream
    start: Model = None
    keep: Keep = NOTHING


def exchange(
    agents: Sequence[Agent],
    reads: Reads,
    n: int,
    *,
    last: int,
    filters: Sequence[Filter] = (),
    given: Given = "original",
) -> Iterator[tuple[Generation, ...]]:
    """K chains of generations 0 to `last` turn by turn, each reading of the others what `reads` says.

    `author` of a row is the number of the model that wrote it, from 1. Of one agent it is `generations`, bit for bit.
    What a model reads is drawn from its own stream, and the common deal from that of the first.
    """
    latest: list[Data] = []

    def read(model: int, t: int) -> Data:
        owner = 0 if reads.who == "deal" else model
        return reads(model, latest, agents[owner].stream(t, streams.EXCHANGE))

    chains = [
        generations(
            agent.source,
            agent.family,
            agent.regime,
            n,
            agent.stream,
            last=last,
            filters=filters,
            given=given,
            start=agent.start,
            keep=agent.keep,
            author=model + 1,
            read=partial(read, model),
        )
        for model, agent in enumerate(agents)
    ]
    # Each chain stands still until all have written; what they wrote is in `latest` when the first goes on.
    for turn in zip(*chains, strict=True):
        latest[:] = [generation.sample for generation in turn]
        yield turn
