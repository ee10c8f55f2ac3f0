"""Errors that a programmer could make, injected on purpose to see whether a verification notices.

    with injected(known()["replace-leaks"]):
        found = verify(...)

A fault replaces functions or methods of the package inside this process, and nothing on disk. One function per fault in
the modules of this folder: its name is the fault's, its docstring says what is wrong, and it gives what to replace.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from model_collapse.companion import claims
from model_collapse.companion.verify.pricing import price
from model_collapse.errors import InputError

Patch = tuple[Any, str, Any]
"""Owner (a module or a class), name of its attribute, and its replacement."""


MOST = 12
"""The most claims that a fault is tested on."""


@dataclass(frozen=True)
class Fault:
    """An error to inject.

    what    what is wrong, in one sentence
    through a claim checks it if one of its runs has one of these as its family, and so for regime, filter and reads
    patches what to replace, asked for when the fault is injected
    """

    name: str
    what: str
    through: Mapping[str, tuple[str, ...]]
    patches: Callable[[], Iterable[Patch]]

    def claims(self, recorded: Mapping[str, Mapping[str, Any]]) -> list[str]:
        """Ids of the claims that it is tested on: of those that use the part, the MOST cheapest as last recorded.

        All are of simulation scale, or checks of instruments.

        recorded  the verifications that were kept, as `baseline.before` reads them
        """
        here = [c for c in claims.known().values() if c.scale == "simulation" or c.id.startswith("IN-")]
        using = [claim for claim in here if any(map(self._used, claim.runs.values()))]
        using.sort(key=lambda claim: price(claim, recorded)["seconds"] or np.inf)
        return sorted(claim.id for claim in using[:MOST])

    def _used(self, run: Mapping[str, Any]) -> bool:
        filled: dict[str, Any] = {"regime": "replace", "filter": (), "reads": "all" if "models" in run else "", **run}
        parts = {part: [filled[part]] if isinstance(filled[part], str) else filled[part] for part in self.through}
        return all(set(names) & set(parts[part]) for part, names in self.through.items())


def fault(**through: str | tuple[str, ...]) -> Callable[[Callable[[], Iterable[Patch]]], Fault]:
    """Turns a function into a Fault; arguments as `Fault.through`."""

    def make(patches: Callable[[], Iterable[Patch]]) -> Fault:
        parts = {part: (names,) if isinstance(names, str) else names for part, names in through.items()}
        what = " ".join(str(patches.__doc__).split())
        return Fault(patches.__name__.replace("_", "-"), what, parts, patches)

    return make


def known() -> dict[str, Fault]:
    """All faults by name, found by scanning this folder."""
    modules = (importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__))
    return {one.name: one for module in modules for one in vars(module).values() if isinstance(one, Fault)}


def named(name: str) -> Fault:
    """The fault of this name. InputError lists the known ones."""
    faults = known()
    if name not in faults:
        raise InputError(f"--mutants {name}: no such mutant; known: {', '.join(faults)}")
    return faults[name]


@contextmanager
def injected(one: Fault) -> Iterator[None]:
    """Inject the fault while the block runs, in this process; then restore everything."""
    replaced: list[Patch] = []
    try:
        for owner, attribute, instead in one.patches():
            replaced.append((owner, attribute, vars(owner)[attribute]))
            setattr(owner, attribute, instead)
        yield
    finally:
        for owner, attribute, original in reversed(replaced):
            setattr(owner, attribute, original)
