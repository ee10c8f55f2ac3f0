"""How many rows each training set of a run has and which share of them is real: the loop again, with rows of nothing.

The loop, regimes and exchange are the package's own and draw from the run's own streams, so that what they put
together is what the run put together; only that nothing is fitted, and what is written are zeros. What a filter leaves
depends on what the rows say, so a filtered run has no replay.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal, cast

import numpy as np

from model_collapse import families, regimes, registry, streams
from model_collapse.data import Data, Rows, Source
from model_collapse.exchange import Agent, Reads, exchange
from model_collapse.interfaces import Family, Model, Regime
from model_collapse.loop import Given

MOST = 10**8
"""Rows of all training sets of a chain at most: a replay is to take seconds."""

DRAWN = ("subsample",)
"""Regimes of which every chain has another share of real rows."""


@dataclass(frozen=True)
class Blank(Family):
    """A family that learns nothing and writes zeros, for `chains` chains at a time; 0: one, without the axis."""

    chains: int = 0
    reads: ClassVar[Literal["numbers"]] = "numbers"

    def fit(self, data: Data, rng: np.random.Generator, *, start: Model = None, validation: Data | None = None) -> None:
        """Nothing."""

    def sample(self, model: Model, n: int, rng: np.random.Generator, *, given: Any = None) -> Rows:
        """n zeros."""
        return self.rows_of(n)

    def rows_of(self, n: int) -> Rows:
        """n zeros."""
        return Rows(np.zeros((n, self.chains) if self.chains else n, np.int8), bool(self.chains))


@dataclass(frozen=True)
class Counts:
    """Of one generation of one model: rows of its training set, and the share of them that is real, by chain of a block
    or the same for all; and the number of rows that it wrote."""

    generation: int
    model: int
    n_train: int
    share_real: np.ndarray
    wrote: int


def counts(run: Mapping[str, Any], block: int = 0, chains: int = 0) -> list[Counts] | None:
    """The counts of a block of chains of a run as `spec.describe` has it; None where there is no replay: of a filtered
    run, and of one with more than MOST rows.

    chains  of the block, where they are stacked
    """
    n = first_rows(run)
    turns = run["generations"] + 1
    regime = _member(run, "regime", run["regime"])
    if run["filters"] or n * turns * (turns if regime.needs == "all" else 1) * max(chains, 1) > MOST:
        return None
    return list(_counted(run, n, regime, block, chains))


def _counted(run: Mapping[str, Any], n: int, regime: Regime, block: int, chains: int) -> Iterator[Counts]:
    blank, first = Blank(chains), run.get("exchange.first")
    regime_of_first = registry.build(regimes, first, run["exchange.first_args"]) if first else regime
    source = Source(Data.real(blank.rows_of(n)), fresh=lambda m, rng: blank.rows_of(m))
    agents = [
        Agent(source, blank, regime if model else regime_of_first, streams.stream(run["seed"], block, model))
        for model in range(run.get("exchange.models", 1))
    ]
    reads = Reads(run.get("exchange.reads", "own"), run.get("exchange.share") or 0.0)
    for turn in exchange(agents, reads, n, last=run["generations"], given=cast(Given, run["given"])):
        for model, made in enumerate(turn):
            yield Counts(made.t, model, int(made.train.counted.max()), made.train.share_real, len(made.sample))


def first_rows(run: Mapping[str, Any]) -> int:
    """Rows of the training set of generation 0: n, or of a VAE that never reads an image twice `passes` times n."""
    # Only the VAE has more than one; to build another family may need its weights.
    if run["family"] != "vae":
        return int(run["n"])
    family: Family = _member(run, "family", run["family"])
    return int(run["n"]) * family.passes


def _member(run: Mapping[str, Any], role: Literal["family", "regime"], name: str) -> Any:
    package = {"family": families, "regime": regimes}[role]
    known = {field.name for field in fields(registry.member(package, name))}
    given = {key.removeprefix(f"{role}."): value for key, value in run.items() if key.startswith(f"{role}.")}
    return registry.build(package, name, {key: value for key, value in given.items() if key in known}, role)
