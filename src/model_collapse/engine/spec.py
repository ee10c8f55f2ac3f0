"""What decides the numbers of a run: all its settings, by which it is known and described."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from model_collapse import families, filters, regimes, registry, store
from model_collapse.interfaces import Family, Filter, Regime


@dataclass(frozen=True)
class Members:
    """The objects of a run. first: regime of the first of several models, where it has one of its own."""

    family: Family
    regime: Regime
    filters: tuple[Filter, ...] = ()
    first: Regime | None = None


@dataclass(frozen=True)
class Run:
    """All that decides the numbers of a run. Two runs with equal `run_id` have equal tables, bit for bit.

    The settings of family, regime and filters are complete (defaults included); `block` is the number of replicate
    chains that share one random stream; `content`, `source` and `lock` are hashes of the corpus and of weights read
    from folders ("" where there are none), of this package's code and of requirements.lock. `exchange` says how models
    read each other: models, reads, share, real and, if the first has a regime of its own, first and first_args.
    """

    family: str
    family_args: Mapping[str, Any]
    regime: str
    regime_args: Mapping[str, Any]
    n: int
    generations: int
    seed: int
    replicates: int
    given: str
    metrics: tuple[str, ...]
    every: int
    block: int
    filters: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    corpus: str = ""
    content: str = ""
    source: str = ""
    lock: str = ""
    exchange: Mapping[str, Any] | None = None

    @property
    def block_size(self) -> int:
        """How many chains a block has, at most."""
        return self.block

    @property
    def blocks(self) -> int:
        """How many blocks of chains there are."""
        return math.ceil(self.replicates / self.block_size)

    @property
    def models(self) -> int:
        """How many models read each other; 1 where there is no exchange."""
        return self.exchange["models"] if self.exchange else 1

    @cached_property
    def members(self) -> Members:
        """The objects with these settings, built once: the other form of the same run."""
        exchange = self.exchange or {}
        return Members(
            registry.build(families, self.family, self.family_args),
            registry.build(regimes, self.regime, self.regime_args),
            tuple(registry.build(filters, name, settings) for name, settings in self.filters),
            registry.build(regimes, exchange["first"], exchange["first_args"]) if "first" in exchange else None,
        )

    def made_of(self, members: Members) -> Run:
        """This run with objects that have its settings already, so that they are not built again."""
        vars(self)["members"] = members
        return self

    @cached_property
    def run_id(self) -> str:
        """Sixteen hex digits: sha256 of the settings, the package source, the lock and the corpus content."""
        return store.digest(asdict(self))

    def differs(self, other: Mapping[str, Any]) -> str:
        """How a recorded description differs, in a few words; "" if it does not."""
        mine = describe(self)
        keys = [key for key in {**mine, **other} if mine.get(key) != other.get(key)]
        return ", ".join(f"{key} ({other.get(key)} there, {mine.get(key)} here)" for key in keys[:3])


def describe(run: Run) -> dict[str, Any]:
    """The run as flat JSON values, hashes shortened."""
    flat: dict[str, Any] = {}
    for key, value in json.loads(json.dumps(asdict(run))).items():
        if key == "exchange":
            flat |= {f"exchange.{name}": setting for name, setting in (value or {}).items()}
        elif key in ("family_args", "regime_args"):
            flat |= {f"{key.removesuffix('_args')}.{name}": setting for name, setting in value.items()}
        else:
            flat[key] = value[:12] if key in ("content", "source", "lock") else value
    return flat


def table(run: Run, columns: Mapping[str, Any]) -> pa.Table:
    """The tidy table of `run` from its varying columns, text columns dictionary-encoded, in the order of COLUMNS."""
    count = len(columns["value"])
    constant = {
        "run_id": run.run_id,
        "family": run.family,
        "family_args": json.dumps(run.family_args, sort_keys=True),
        "regime": run.regime,
        "regime_args": json.dumps(
            {
                **run.regime_args,
                **({"filters": run.filters} if run.filters else {}),
                **({"exchange": run.exchange} if run.exchange else {}),
            },
            sort_keys=True,
        ),
        "corpus": run.corpus,
    }
    arrays: dict[str, pa.Array] = {}
    for name in store.COLUMNS:
        if name in constant:
            arrays[name] = store.repeated(constant[name], count)
        elif name == "seed":
            arrays[name] = store.column(np.full(count, run.seed, np.int64))
        else:
            arrays[name] = columns[name]
    return pa.Table.from_arrays(list(arrays.values()), list(arrays))
