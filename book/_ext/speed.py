"""Sphinx extension: tables from what lies in `records/`.

`{benchmarks}` shows records/bench.json, written by `model-collapse bench --json`, and says where it was measured.
`{sweep-price}` shows what a sweep of the paper would take by the number of GPUs, computed from rates.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

log = logging.getLogger(__name__)


class Benchmarks(SphinxDirective):
    """The table of a bench record: one row per benchmark, its note below."""

    def run(self) -> list[nodes.Node]:
        """Parsed Markdown, so that names are code and the table looks like any other."""
        file = Path(self.env.srcdir) / "records" / "bench.json"
        self.env.note_dependency(str(file))
        if not file.is_file():
            log.warning("there is no records/bench.json; run: model-collapse bench --json records/bench.json")
            return []
        return self.parse_text_to_nodes(table(json.loads(file.read_text(encoding="utf-8"))))


class SweepPrice(SphinxDirective):
    """The table of a sweep's price, and where its rates come from."""

    def run(self) -> list[nodes.Node]:
        """Parsed Markdown."""
        from model_collapse.companion.sweep import price

        record = price.MEASURED[0]
        for name in (f"{record}.json", f"{record}.parquet"):
            self.env.note_dependency(str(Path(self.env.srcdir) / "records" / name))
        return self.parse_text_to_nodes(price.table())


def table(record: dict[str, Any]) -> str:
    """Markdown of a bench record."""
    lines = ["| benchmark | times as fast | in the pairs | goal | reached | threads |", "|---|---|---|---|---|---|"]
    for r in record["results"]:
        span = f"{r['ratio_min']:,.3g} to {r['ratio_max']:,.3g}"
        reached = "yes" if r["met"] else "**no**"
        lines.append(
            f"| `{r['name']}` | {_short(r['ratio'])} | {span} | {_short(r['goal'])} | {reached} | {r['threads']} |"
        )
    notes = [f"`{r['name']}`\n: {r['note']}." for r in record["results"]]
    notes += [f"`{name}`\n: not measured: {why}." for name, why in record.get("missing", {}).items()]
    made = record["made"]
    versions = ", ".join(f"{name} {made['versions'][name]}" for name in ("python", "numpy", "scipy"))
    where = f"Measured on {made['machine']}, {made['created_at'][:10]}; {versions}."
    return "\n".join([*lines, "", where, "", *("\n".join([note, ""]) for note in notes)])


def _short(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx."""
    app.add_directive("benchmarks", Benchmarks)
    app.add_directive("sweep-price", SweepPrice)
    return {"version": "1", "parallel_read_safe": True}
