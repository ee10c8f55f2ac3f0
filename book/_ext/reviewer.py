"""Sphinx extension: what verification is worth, as tables from `records/`.

`{sabotage}` shows records/sabotage.json: which injected faults a verification catches, and what catches them.
`{alarms}` shows records/alarms.json: how often claims fall by chance.
`{power}` shows, from records/verify-simulation.json, the smallest effect that each claim would notice.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from model_collapse.companion.verify.power import power

log = logging.getLogger(__name__)

Record = dict[str, Any]


class Recorded(SphinxDirective):
    """A table of one record, as parsed Markdown, so that names are code and it looks like any other."""

    record: ClassVar[str]
    command: ClassVar[str]

    def run(self) -> list[nodes.Node]:
        """The table, or a warning that says how to make the record."""
        file = Path(self.env.srcdir) / "records" / self.record
        self.env.note_dependency(str(file))
        if not file.is_file():
            log.warning("there is no records/%s; run: %s --json records/%s", self.record, self.command, self.record)
            return []
        return self.parse_text_to_nodes(self.table(json.loads(file.read_text(encoding="utf-8"))))

    @staticmethod
    def table(record: Record) -> str:
        """Markdown of the record."""
        raise NotImplementedError


class Sabotage(Recorded):
    """Faults, what is wrong, and the claims that fall."""

    record = "sabotage.json"
    command = "model-collapse verify --mutants"

    @staticmethod
    def table(record: Record) -> str:
        """Faults that are caught, and below them those that are not."""
        caught = [one for one in record["faults"] if one["caught"]]
        rows = [(f"`{one['name']}`", _text(one["what"]), _caught(one)) for one in caught]
        lines = [f"**{len(caught)} of {len(record['faults'])} faults are caught.**", ""]
        lines += _table(("fault", "what is wrong", "caught by"), rows)
        if missed := [one for one in record["faults"] if not one["caught"]]:
            rows = [(f"`{one['name']}`", _text(one["what"]), ", ".join(one["claims"])) for one in missed]
            lines += [
                "",
                "Not caught:",
                "",
                *_table(("fault", "what is wrong", "claims that stand all the same"), rows),
            ]
        return "\n".join([*lines, "", _made(record)])


class Alarms(Recorded):
    """Claims, from how many seeds they were judged, and what went wrong."""

    record = "alarms.json"
    command = "model-collapse verify --false-alarms 30"

    @staticmethod
    def table(record: Record) -> str:
        """One row per claim, and the pooled counts."""
        rows = [
            (row["id"], str(row["seeds"]), _seeds(row["fell"]), "" if row["missed"] is None else _seeds(row["missed"]))
            for row in record["claims"]
        ]
        fell, missed = (record["pooled"][what] for what in ("fell", "missed"))
        lines = _table(("claim", "seeds", "fell at seeds", "interval missed the exact value at seeds"), rows)
        said = (
            f"In all, claims fell in {_share(fell)}; of intervals for a value that is known exactly, "
            f"{_share(missed)} missed it."
        )
        return "\n".join([said, "", *lines, "", _made(record)])


class Powers(Recorded):
    """Claims, and what would be noticed."""

    record = "verify-simulation.json"
    command = "model-collapse verify"

    @staticmethod
    def table(record: Record) -> str:
        """Deviations from a value, and effects beyond the end of a band, in one table each."""
        measured = {entry["id"]: entry["measured"] for entry in record["claims"]}
        lines: list[str] = []
        for kind, first in (("deviation", "should be"), ("effect", "has to pass")):
            rows = [
                (
                    one.id,
                    _text(measured[one.id]),
                    *(f"{x:.3g}" for x in (one.target, one.even, one.sure, one.found)),
                    f"{one.falls:.1g}" if one.falls >= 1e-4 else "below 0.0001",
                )
                for one in power(record)
                if one.kind == kind
            ]
            found = "found, off it by" if kind == "deviation" else "found, beyond it by"
            names = ("claim", "measured", first, "noticed with even odds", "noticed surely", found, "falls by chance")
            lines += [*_table(names, rows), ""]
        return "\n".join([*lines, _made(record)])


def _table(names: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (names, ("---",) * len(names), *rows)]


def _caught(one: Record) -> str:
    return ", ".join(one["by"]) or f"an error: {_text(one['how'])}"


def _seeds(seeds: list[int]) -> str:
    return ", ".join(map(str, seeds)) or "none"


def _share(pooled: Record) -> str:
    ends = f"{pooled['low']:.2g} to {pooled['high']:.2g}"
    return f"{pooled['count']} of {pooled['of']:,} judgements (95 % interval of the rate: {ends})"


def _text(text: str) -> str:
    """Plain text inside a cell of Markdown."""
    return "".join(f"\\{character}" if character in "\\|*_`[]<>^$~" else character for character in text)


def _made(record: Record) -> str:
    made = record["made"]
    return f"Made on {made['machine']}, {made['created_at'][:10]}, at commit `{str(made['commit'])[:12]}`."


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx."""
    for name, directive in (("sabotage", Sabotage), ("alarms", Alarms), ("power", Powers)):
        app.add_directive(name, directive)
    return {"version": "1", "parallel_read_safe": True}
