"""Sphinx extension: works are labelled in the bibliography as they are cited in the text, "Seddik et al., 2024".

Lists of authors that end in "and others" are cut where not every name was checked; they read "et al." as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from docutils import nodes
from pybtex.database import Entry, Person
from pybtex.plugin import register_plugin
from pybtex.style.formatting.unsrt import Style
from pybtex.style.labels import BaseLabelStyle
from sphinx.application import Sphinx


class Labels(BaseLabelStyle):
    """Names and year; equal ones get letters."""

    def format_labels(self, sorted_entries: Iterable[Entry]) -> Iterator[str]:
        """One label for each work, in their order."""
        labels = [label(entry) for entry in sorted_entries]
        seen: Counter[str] = Counter()
        for text in labels:
            yield f"{text}{'abcdefgh'[seen[text]]}" if labels.count(text) > 1 else text
            seen[text] += 1


class AuthorYear(Style):
    """Pybtex's plain style with these labels, in the order of names."""

    default_sorting_style = "author_year_title"
    default_label_style = Labels


def label(entry: Entry) -> str:
    """Names and year of one work."""
    people: list[Person] = entry.persons.get("author") or entry.persons.get("editor") or []
    names = [" ".join(map(str, person.rich_prelast_names + person.rich_last_names)) for person in people]
    return f"{short(names)}, {entry.fields.get('year', 'no year')}"


def short(names: list[str]) -> str:
    """One name, two with "and", or the first with "et al."."""
    if len(names) > 2 or names[-1:] == ["others"]:
        return f"{names[0]} et al."
    return " and ".join(names)


def shorten(app: Sphinx, doctree: nodes.document, name: str) -> None:
    """Puts "et al." where a citation says "and others"."""
    for citation in doctree.findall(
        lambda node: "bibtex-citation" in getattr(node, "attributes", {}).get("classes", ())
    ):
        for text in list(citation.findall(nodes.Text)):
            text.parent.replace(text, nodes.Text(text.replace(" and others", " et al.")))


def unlisted(app: Sphinx, name: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    """Takes from the bibliography the role of a list, as its entries have another than that of list items."""
    if body := context.get("body"):
        context["body"] = body.replace('<div role="list" class="citation-list">', '<div class="citation-list">')


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx."""
    register_plugin("pybtex.style.formatting", "author_year", AuthorYear)
    app.connect("doctree-resolved", shorten)
    app.connect("html-page-context", unlisted)
    return {"version": "1", "parallel_read_safe": True}
