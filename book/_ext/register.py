"""Sphinx extension: the register of claims as a table, from one source with `model-collapse claims` and `verify`.

`{claims}` has a row per claim: the published value beside what a fresh check and the recorded runs found, the band, the
verdict, what it cost, and where it is shown, computed and run again. `{verified}` says when they were last checked.
Without scripts the table is whole; `_static/claims.js` adds sorting and filters.
"""

from __future__ import annotations

import inspect
import re
from collections import Counter
from functools import cache, partial
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from model_collapse import paths
from model_collapse.companion import claims, records, verify
from model_collapse.companion.book import build
from model_collapse.companion.book.chapter import find
from model_collapse.companion.claims import Claim
from model_collapse.companion.records import code
from model_collapse.companion.verify import evidence
from model_collapse.companion.verify.reporting import span, words
from model_collapse.engine.cost import clock
from model_collapse.errors import InputError

log = logging.getLogger(__name__)

HEADS = ("claim", "statement", "published", "allowed", "verdict", "cost", "see, run")

NONE = "not run here"
UNSERVED = "**does not serve this claim**"
MIXED = "mixed"
"""The verdict of a claim without a fresh check, on which recorded runs differ."""


class Claims(SphinxDirective):
    """The table. Every cell is Markdown, so that references and formulas are what they are elsewhere."""

    def run(self) -> list[nodes.Node]:
        """One row per claim, in the order of the register; its id is an anchor, `#claim-ga-1`."""
        try:
            found = _verified(self)
            kept = verify.before()
            self._recorded = recorded()
            rows = [self._row(claim, found, kept) for claim in claims.known().values()]
        except InputError as error:
            log.warning(str(error), location=self.env.docname)
            return []
        outcomes = [outcome(found.get(name), self._recorded[name]) for name in claims.known()]
        group = nodes.tgroup(cols=len(HEADS))
        group += [nodes.colspec(colwidth=1) for _ in HEADS]
        head = nodes.row("", *(nodes.entry("", nodes.paragraph("", text)) for text in HEADS))
        group += [nodes.thead("", head), nodes.tbody("", *rows)]
        # Without widths of their own columns are as wide as they need to be.
        table = nodes.table("", group, classes=["claims", "colwidths-auto"])
        return [*self.parse_text_to_nodes(totals(outcomes)), table]

    def _row(self, claim: Claim, found: dict[str, dict[str, Any]], kept: dict[str, dict[str, Any]]) -> nodes.row:
        entry = found.get(claim.id)
        cells = (
            f"**{claim.id}**",
            claim.statement,
            claim.published or "none",
            claim.allowed,
            "\n\n".join(verdicts(claim, entry, self._recorded[claim.id])),
            costs(claim, entry, kept),
            where(claim, Path(self.env.srcdir), self._shown(claim.figure)),
        )
        row = nodes.row(ids=[anchor(claim)], classes=[f"scale-{claim.scale}"])
        row["classes"].append(f"verdict-{outcome(entry, self._recorded[claim.id]).replace(' ', '-')}")
        row += [nodes.entry("", *self.parse_text_to_nodes(text)) for text in cells]
        row[HEADS.index("statement")] += self._folded("what is measured, why this band, source", details(claim))
        if unserved := [one for one in self._recorded[claim.id] if one.startswith(UNSERVED)]:
            row[HEADS.index("verdict")] += self._folded("records of other settings", "\n\n".join(unserved))
        return row

    def _folded(self, summary: str, text: str) -> list[nodes.Node]:
        return [
            nodes.raw("", f"<details><summary>{summary}</summary>", format="html"),
            *self.parse_text_to_nodes(text),
            nodes.raw("", "</details>", format="html"),
        ]

    def _shown(self, figure: str) -> bool:
        """Whether a chapter of this build shows the figure: small profiles leave some out."""
        app = self.env.app
        return (Path(app.srcdir) / "_build" / "figures" / app.config.executed_profile / f"{figure}.json").is_file()


class Verified(SphinxDirective):
    """When, on what and by which code each scale was last checked, and how many claims have which verdict."""

    def run(self) -> list[nodes.Node]:
        """A table with a row per scale."""
        try:
            _verified(self)
            return self.parse_text_to_nodes(summary(verify.before()))
        except InputError as error:
            log.warning(str(error), location=self.env.docname)
            return []


def _verified(directive: SphinxDirective) -> dict[str, dict[str, Any]]:
    """Id -> what the last verification of its scale found. The page is read again when one of them changes."""
    for file in sorted((paths.records() or Path()).glob("verify-*.json")):
        directive.env.note_dependency(str(file))
    known = claims.known()
    return {
        entry["id"]: entry | {"seed": found["seed"], "older": older(found)}
        for scale, found in verify.before().items()
        for entry in found["claims"]
        if entry["verdict"] != "not_run" and entry["id"] in known and known[entry["id"]].scale == scale
    }


def older(found: dict[str, Any]) -> bool:
    """Whether other code than this made a verification."""
    return bool(found["made"].get("source") != code.whole()[:12])


def summary(kept: dict[str, dict[str, Any]]) -> str:
    """Markdown of `{verified}`."""
    counted = ("supported", "contradicted", "equivalent", "undecided")
    heads = ("scale", *counted, "core time", "date", "seed", "code")
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for scale in verify.SCALES:
        if scale not in kept:
            lines.append(f"| {scale} | not run yet {'| ' * (len(heads) - 2)} |")
            continue
        found = kept[scale]
        made, ran = found["made"], [entry for entry in found["claims"] if entry["seconds"] is not None]
        counts = [sum(entry["outcome"] == outcome for entry in ran) for outcome in counted]
        code = f"`{made['commit'][:8]}`" + (", earlier" if older(found) else "")
        spent = clock(sum(entry["seconds"] for entry in ran))
        cells = (scale, *counts, spent, made["created_at"][:10], found["seed"], code)
        lines.append(f"| {' | '.join(map(str, cells))} |")
    machines = sorted({found["made"]["machine"] for found in kept.values()})
    return "\n".join([*lines, "", f"Checked on: {'; '.join(machines)}." if machines else ""])


def details(claim: Claim) -> str:
    """Quantity, reason of the band, definition of collapse and source."""
    kinds = "; ".join(f"{number}, {claims.DEFINITIONS[number]}" for number in claim.definition)
    lines = [
        f"Measured: {claim.measured}.",
        f"Band: {claim.reason}.",
        f"Collapse in the sense of {kinds}." if kinds else "",
        f"Source: {_linked(claim.source)}.",
    ]
    return "\n\n".join(filter(None, lines))


def checked(claim: Claim, entry: dict[str, Any] | None) -> str:
    """What the last fresh check found."""
    if entry is None:
        return f"**{claims.in_words('not_run')}**"
    note = f" ({entry['why']})" if entry["why"] else ""
    moved = ", with another band than now" if entry["band"] != verify.about(claim)["band"] else ""
    old = ", by earlier code" if entry["older"] else ""
    return f"**{words(entry)}**{note}\n\n{span(entry)}{_adjusted(entry.get('p_adjusted'))}{old}{moved}"


def verdicts(claim: Claim, entry: dict[str, Any] | None, kept: list[str]) -> list[str]:
    """Paragraphs of the column: the verdict, then what the fresh check and the recorded runs found."""
    said = [f"*checked afresh*: {checked(claim, entry)}"] if entry else []
    return [
        f"**{outcome(entry, kept)}**",
        *said,
        *(f"*recorded*: {one}" for one in kept if not one.startswith(UNSERVED)),
    ]


def outcome(entry: dict[str, Any] | None, kept: list[str]) -> str:
    """One word for a claim: what the fresh check found, or else what the recorded runs agree on."""
    if entry is not None:
        return claims.in_words(entry["outcome"])
    outcomes = "|".join(words for words in claims.OUTCOMES.values() if words != NONE)
    found = {match[1] for one in kept if (match := re.match(rf"\*\*({outcomes})\b", one))}
    return found.pop() if len(found) == 1 else MIXED if found else NONE


def totals(outcomes: list[str]) -> str:
    """How many claims have which verdict, the most common first."""
    counted = ", ".join(f"{count} {words}" for words, count in Counter(outcomes).most_common())
    return f"**{len(outcomes)} claims: {counted}.** *Mixed* means that recorded runs of several sizes differ."


def _adjusted(p: float | None) -> str:
    return "" if p is None else f", adjusted p {p:.2g}"


@cache
def _record(name: str) -> records.Recorded:
    return records.read(name)


def recorded() -> dict[str, list[str]]:
    """Id -> what the recorded runs of a claim say: outcome, estimate, name of the record; corrected for all that the
    page shows of them. A record whose runs are not the claim's says why it does not serve it."""
    kept = {name: _record(name) for name in _names() if records.begun(name)}
    said: dict[str, list[str]] = {claim.id: [] for claim in claims.known().values()}
    asked = []
    for claim in claims.known().values():
        for name in claim.recorded:
            if name not in kept:
                said[claim.id].append(f"{name}: not here")
            elif why := evidence.unserved(claim, kept[name]):
                said[claim.id].append(f"{UNSERVED}: {why}\n\n{name}: {kept[name].label}")
            else:
                asked.append((claim, name))
    verdicts = claims.together(claim.judge(kept[name].tables) for claim, name in asked)
    for (claim, name), verdict in zip(asked, verdicts, strict=True):
        why = f" ({verdict.why})" if verdict.why else ""
        found = f"{verdict.estimate}{_adjusted(verdict.p_adjusted)}"
        said[claim.id].append(f"**{verdict.words}**{why}\n\n{found}\n\n{name}: {kept[name].label}")
    return said


def _names() -> set[str]:
    return {name for claim in claims.known().values() for name in claim.recorded}


def costs(claim: Claim, entry: dict[str, Any] | None, kept: dict[str, dict[str, Any]]) -> str:
    """Seconds of one core, or of a GPU."""
    if claim.scale == "review":
        return "a reader's time"
    price = verify.price(claim, kept) if entry is None else {**entry, "measured": True}
    if price["seconds"] is None:
        return "not timed yet"
    device = "one core" if price["device"] == "cpu" else price["device"]
    return f"{clock(price['seconds'])}, {device}{'' if price['measured'] else ', estimated'}"


def where(claim: Claim, root: Path, shown: bool) -> str:
    """Links to the figure, the chapter and the code of the check, and the command."""
    pages = {chapter.slug: f"notebooks/{chapter.path.stem}" for chapter in find(root)}
    links = [f"{{numref}}`{claim.figure}`"] if claim.figure and shown else []
    links.append(f"{{doc}}`/{pages.get(claim.chapter, f'book/{claim.chapter}')}`")
    check = claim.check.func if isinstance(claim.check, partial) else claim.check
    file = Path(inspect.getsourcefile(check) or "").relative_to(paths.PACKAGE.parents[1])
    line = inspect.getsourcelines(check)[1]
    url, branch = build.repository(root)
    links.append(f"[code]({url}/blob/{branch}/{file.as_posix()}#L{line})")
    again = f"`{claim.command}`" if claim.scale != "review" else claim.command
    return f"{', '.join(links)}\n\n{again}"


def anchor(claim: Claim) -> str:
    """Id of a claim's row."""
    return f"claim-{claim.id.lower()}"


def _linked(source: str) -> str:
    """DOIs and arXiv numbers as links."""
    words = []
    for word in source.split(" "):
        bare = word.strip("(),;.")
        kind, _, rest = bare.partition(":")
        to = {"doi": f"https://doi.org/{rest}", "arXiv": f"https://doi.org/10.48550/arXiv.{rest}"}.get(kind)
        words.append(word.replace(bare, f"[{bare}]({to})") if to and rest else word)
    return " ".join(words)


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx."""
    app.add_directive("claims", Claims)
    app.add_directive("verified", Verified)
    return {"version": "1", "parallel_read_safe": True}
