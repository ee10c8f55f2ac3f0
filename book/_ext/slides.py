"""Sphinx extension: slides of every chapter, taken from its page.

A deck has the question and the short answer, every figure with its caption, and what to take away. It is the page
slides/NN_slug.html: keys turn it over, and a browser prints one slide on each sheet. `{slides}` lists all decks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urljoin

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from model_collapse.companion.book.chapter import find

CHAPTERS, DECKS = "notebooks/", "slides/"
OPENING = ("Question.", "In short.")
TAKEN_AWAY = "What to take away"


class Slide(NamedTuple):
    """A slide of a kind (opening, figure, figure tall or summary): its title, and what is on it, as HTML."""

    kind: str
    title: str
    body: str


def collect(app: Sphinx, name: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    """When the page of a chapter is written: keeps its slides."""
    if doctree is not None and name.startswith(CHAPTERS):
        made = (
            Slide(kind, _html(app, name, nodes.inline(), title.children), _html(app, name, nodes.container(), on))
            for kind, title, on in chosen(doctree)
        )
        app.decks[name.removeprefix(CHAPTERS)] = list(made)  # type: ignore[attr-defined]


def decks(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """When all pages are written: those of the decks."""
    for name, slides in app.decks.items():  # type: ignore[attr-defined]
        mathjax = {"mathjax": app.config.mathjax_path, "settings": app.config.mathjax3_config}
        yield f"{DECKS}{name}", {"chapter": f"{CHAPTERS}{name}", "slides": slides, **mathjax}, "slides.html"


def chosen(doctree: nodes.document) -> Iterator[tuple[str, nodes.title, list[nodes.Node]]]:
    """Kind, title and content of every slide of a chapter."""
    titles = [title for title in doctree.findall(nodes.title) if isinstance(title.parent, nodes.section)]
    opening = [each for each in titles[0].parent if each.astext().startswith(OPENING)]
    yield "opening", titles[0], opening
    for figure in doctree.findall(nodes.figure):
        yield _kind(figure), _above(figure, titles), [figure]
    for title in titles:
        if title.astext() == TAKEN_AWAY:
            yield "summary", title, [each for each in title.parent if isinstance(each, nodes.bullet_list)]


def _kind(figure: nodes.figure) -> str:
    """A picture that is higher than wide has its caption at its side."""
    image = next(figure.findall(nodes.image))
    width, height = (float(image[side].removesuffix("px")) for side in ("width", "height"))
    return "figure tall" if height > width else "figure"


def _above(node: nodes.Element, titles: list[nodes.title]) -> nodes.title:
    """The title of the section that a node lies in."""
    while node[0] not in titles:
        node = node.parent
    return node[0]


def _html(app: Sphinx, page: str, shown: nodes.Element, parts: list[nodes.Node]) -> str:
    """HTML of parts of a page in a new element, without tables to download and dark twins, with links for a deck."""
    shown += [part.deepcopy() for part in parts]
    for node in list(shown.findall(nodes.Element)):
        if isinstance(node, nodes.legend) or "only-dark" in node["classes"]:
            node.parent.remove(node)
        elif isinstance(node, nodes.reference) and any(node.findall(nodes.image)):
            node.replace_self(node.children)
        elif isinstance(node, nodes.reference):
            target = urljoin(f"/{page}.html", node.get("refuri") or f"#{node.get('refid', '')}")
            node["refuri"] = f"..{target}" if target.startswith("/") else target
    html = app.builder.render_partial(shown)["fragment"]  # type: ignore[attr-defined]
    return re.sub(r'<a class="headerlink".*?</a>', "", html)


class Slides(SphinxDirective):
    """Links to the decks of all chapters."""

    def run(self) -> list[nodes.Node]:
        """In the order of the chapters' numbers."""
        line = nodes.paragraph()
        for chapter in find(Path(self.env.srcdir)):
            deck = self.env.app.builder.get_relative_uri(self.env.docname, f"{DECKS}{chapter.path.stem}")
            line += [nodes.Text(" · "), nodes.reference("", chapter.title, refuri=deck)]
        return [nodes.paragraph("", "", *line.children[1:])]


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx. The template lies in the folder of that of `light`."""
    app.decks = {}  # type: ignore[attr-defined]
    app.add_directive("slides", Slides)
    app.connect("html-page-context", collect)
    app.connect("html-collect-pages", decks)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": False}
