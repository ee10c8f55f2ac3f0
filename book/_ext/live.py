"""Sphinx extension: `{live} NAME` puts an element of `model_collapse.companion.live` into a page.

The page has its picture and its numbers without any script; `live.js`, which only pages with an element load, moves it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from model_collapse import theory
from model_collapse.companion import live
from model_collapse.companion.live import page

log = logging.getLogger(__name__)


class Live(SphinxDirective):
    """One element, as HTML."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The element, or a warning that names those there are."""
        element = live.known().get(self.arguments[0])
        if element is None:
            log.warning("no live element %s; there are: %s", self.arguments[0], ", ".join(live.known()))
            return []
        for package in (live, theory):
            for file in sorted(Path(package.__file__ or "").parent.glob("*.py")):
                self.env.note_dependency(str(file))
        return [nodes.raw("", page.html(element), format="html", live=element.name)]


def script(app: Sphinx, name: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    """Loads the script on pages that have an element."""
    if doctree is not None and any(raw.hasattr("live") for raw in doctree.findall(nodes.raw)):
        app.add_js_file("live.js", loading_method="defer")


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx."""
    app.add_directive("live", Live)
    app.connect("html-page-context", script)
    return {"version": "1", "parallel_read_safe": True}
