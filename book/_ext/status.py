"""Sphinx extension: `{status}`, how this very book was made: chapters with their run times, versions and device."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from model_collapse.companion.book import executed as copies
from model_collapse.companion.book.chapter import Chapter, find
from model_collapse.engine.cost import clock


class Status(SphinxDirective):
    """A row per chapter, in the order of the files; below it what all have in common."""

    def run(self) -> list[nodes.Node]:
        """Of the profile that is built."""
        profile = self.env.app.config.executed_profile
        found = []
        for chapter in find(Path(self.env.srcdir)):
            copy = copies.path_of(chapter, profile)
            self.env.note_dependency(str(copy.with_suffix(".json")))
            found.append((chapter, copies.manifest(copy)))
        return self.parse_text_to_nodes(table(found, profile))


def table(manifests: list[tuple[Chapter, dict[str, Any]]], profile: str) -> str:
    """Markdown of the status of chapters, from their manifests; an empty one is a chapter that has not been run."""
    lines = ["| chapter | ran | took | foreseen | commit | device |", "|---|---|---|---|---|---|"]
    for chapter, made in manifests:
        page = f"{{doc}}`/notebooks/{chapter.path.stem}`"
        foreseen = clock(60 * chapter.cost[profile].minutes) if profile in chapter.cost else ""
        if not made:
            lines.append(f"| {page} | not run | | {foreseen} | | |")
            continue
        commit = f"`{made['commit'][:12]}`{', changed since' if made['dirty'] else ''}" if made["commit"] else ""
        cells = (page, made["started"][:16].replace("T", " "), clock(made["seconds"]), foreseen, commit, made["device"])
        lines.append(f"| {' | '.join(cells)} |")
    ran = [made for _, made in manifests if made]
    total = clock(sum(made["seconds"] for made in ran)) if ran else "no time"
    versions = sorted({f"{name} {version}" for made in ran for name, version in made["versions"].items()})
    return "\n".join(
        [
            f"Profile `{profile}`: {len(ran)} of {len(manifests)} chapters, {total} one after the other.",
            "",
            *lines,
            "",
            f"Versions: {', '.join(versions)}." if versions else "",
        ]
    )


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx."""
    app.add_directive("status", Status)
    return {"version": "1", "parallel_read_safe": False}
