"""What a run found out about its machine, kept beside its state."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from model_collapse import store
from model_collapse.engine.locks import locked
from model_collapse.interfaces import Family, Model, Use

F = TypeVar("F", bound=Family)


class Choices:
    """What a run found out about its machine, frozen when it starts: settings that change no result but ties and
    rounding, so that they are no part of what identifies the run.

    They are kept in the run's state, for all its blocks and for a resumed run, and go into its record.
    """

    def __init__(self, file: Path) -> None:
        self.file = file

    def read(self) -> dict[str, Any]:
        """The choices so far; none yet, or a file that is damaged: {}."""
        try:
            return json.loads(self.file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}

    def write(self, chosen: dict[str, Any]) -> None:
        with store.whole_file(self.file) as temporary:
            temporary.write_text(json.dumps(chosen, indent=1, sort_keys=True), encoding="utf-8")

    def freeze(self, family: F, start: Model) -> F:
        """The family with what was chosen before, or else with what it chooses now for models like `start`."""
        with locked(self.file):
            if not self.read() and (chosen := family.choose(start)):
                self.write(chosen)
        return self.of(family)

    def of(self, family: F) -> F:
        """The family with what was chosen."""
        chosen = self.read()
        return family.changed(**{name: value for name, value in chosen.items() if name != "halved"})

    def halve(self, family: Family, use: Use, tried: Mapping[str, Any]) -> bool:
        """Whether there is half the batch for this use now; False if half was too much, or there is nothing to halve.

        tried  what had been chosen when the work began that did not fit: another of the run's chains may have halved
               it since
        """
        with locked(self.file):
            chosen, less = self.read(), self.of(family).halved(use)
            if use in chosen.get("halved", []):
                return use not in tried.get("halved", [])
            if less is None:
                return False
            self.write({**chosen, **less, "halved": [*chosen.get("halved", []), use]})
        said = ", ".join(f"family.{name}={value}" for name, value in less.items())
        print(f"out of memory in {use}: going on with {said}", file=sys.stderr, flush=True)
        return True
