"""Sphinx extension: what a link to a page shows in a chat or a search result: title, first sentences, a picture.

Addresses in such tags have to be absolute; they follow from the repository's address, as GitHub serves its pages.
"""

from __future__ import annotations

import re
from html import escape
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

from model_collapse.companion.book.build import site

LENGTH = 200
"""Characters of a description that readers of such tags show."""


def describe(app: Sphinx, name: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    """Adds the tags of one page."""
    if doctree is None:
        return
    said = description(doctree)
    address = site(app.config.html_theme_options["repository_url"])
    tags = {
        "og:type": "article",
        "og:site_name": app.config.html_title or app.config.project,
        "og:title": re.sub("<[^>]+>", "", context["title"]),
        "og:description": said,
        "og:url": f"{address}/{name}.html",
        "og:image": f"{address}/_static/main_figure.png",
        "og:image:alt": "Perplexity on real text, by generation, for models trained on text of their predecessors",
        "twitter:card": "summary_large_image",
    }
    lines = [f'<meta property="{key}" content="{escape(value, quote=True)}">' for key, value in tags.items()]
    lines.append(f'<meta name="description" content="{escape(said, quote=True)}">')
    context["metatags"] = "\n".join([context.get("metatags", ""), *lines])


def description(doctree: nodes.document) -> str:
    """The first paragraphs of a page as plain text, cut at a word."""
    texts = []
    for paragraph in doctree.findall(nodes.paragraph):
        text = " ".join(paragraph.astext().split())
        if isinstance(paragraph.parent, nodes.section):
            texts.append(text)
        if sum(map(len, texts)) > LENGTH:
            break
    said = " ".join(texts)
    return said if len(said) <= LENGTH else said[:LENGTH].rsplit(" ", 1)[0] + " ..."


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx."""
    app.connect("html-page-context", describe)
    return {"version": "1", "parallel_read_safe": True}
