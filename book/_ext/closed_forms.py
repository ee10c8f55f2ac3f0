"""Sphinx extension: the functions of `model_collapse.theory`, as they describe themselves.

`{closed-forms} MODULE` lists the public functions of theory/MODULE.py with their docstrings, so that the page can never
say something else than the code that the tests hold to simulation.
"""

from __future__ import annotations

import importlib
import inspect
from types import FunctionType
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class ClosedForms(SphinxDirective):
    """One entry per function: its signature, and its docstring as plain paragraphs."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The module's own description, then its functions in the order of the source."""
        module = importlib.import_module(f"model_collapse.theory.{self.arguments[0]}")
        self.env.note_dependency(inspect.getsourcefile(module) or "")
        listed = nodes.definition_list(classes=["closed-forms"])
        for function in functions(module):
            name = f"theory-{self.arguments[0]}-{function.__name__}".replace("_", "-")
            term = nodes.term("", "", nodes.literal("", f"{function.__name__}{_signature(function)}"), ids=[name])
            listed += nodes.definition_list_item("", term, nodes.definition("", *_paragraphs(function)))
        return [*_paragraphs(module), listed]


def functions(module: Any) -> list[FunctionType]:
    """The public functions that a module defines."""
    return [
        value
        for name, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_")
    ]


def _signature(function: FunctionType) -> str:
    """Names and defaults, without annotations."""
    signature = inspect.signature(function)
    bare = [p.replace(annotation=inspect.Parameter.empty) for p in signature.parameters.values()]
    return str(signature.replace(parameters=bare, return_annotation=inspect.Signature.empty))


def _paragraphs(described: Any) -> list[nodes.Node]:
    """The docstring's paragraphs; an indented one, an equation or a list of arguments, keeps its lines."""
    found: list[nodes.Node] = []
    for text in (inspect.getdoc(described) or "").split("\n\n"):
        aligned = text.startswith(" ") or any("  " in line.strip() for line in text.splitlines())
        found.append(nodes.literal_block(text, text, language="none") if aligned else _paragraph(text))
    return found


def _paragraph(text: str) -> nodes.paragraph:
    """Plain text, in which only `code` is marked."""
    parts = text.split("`")
    marked = [nodes.literal("", part) if i % 2 else nodes.Text(part) for i, part in enumerate(parts)]
    return nodes.paragraph("", "", *marked)


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx."""
    app.add_directive("closed-forms", ClosedForms)
    return {"version": "1", "parallel_read_safe": True}
