"""Sphinx extension: the functions of `model_collapse.theory`, as they describe themselves.

`{closed-forms} MODULE` lists the public functions of theory/MODULE.py with their docstrings, so that the page can never
say something else than the code that the tests hold to simulation. Formulas in docstrings are plain text, `s_n^2 <= pi
sqrt(M)`; here they get their subscripts, superscripts and Greek letters. What follows the first paragraph is folded.
"""

from __future__ import annotations

import importlib
import inspect
import re
from types import FunctionType
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

_GREEK = (
    "alpha α beta β gamma γ delta δ epsilon ε zeta ζ theta θ kappa κ lambda λ mu μ pi π rho ρ sigma σ tau τ phi φ chi "
    "χ psi ψ Gamma Γ Delta Δ Sigma Σ Phi Φ"
).split()
GREEK = dict(zip(_GREEK[::2], _GREEK[1::2], strict=True))
OPERATORS = {"sum": "∑", "prod": "∏", "int": "∫", "sqrt": "√", "max": "max", "min": "min", "ln": "ln", "log": "log"}
SIGNS = {"<=": "≤", ">=": "≥", "->": "→", "!=": "≠", "<<": "≪", ">>": "≫"}

_GROUP = r"\((?:[^()]|\([^()]*\))*\)"
_MARK = rf"[_^](?:{_GROUP}|-?\d+(?:\.\d+)?(?![A-Za-z0-9])|-?[A-Za-z0-9]+)"
_MARKED = re.compile(rf"(?P<base>[A-Za-z]+|[)\]|\d])(?P<marks>(?:{_MARK})+)")
_NAMES = re.compile(rf"\b({'|'.join(GREEK)})(?![A-Za-z]| variate)|\bsqrt ?(?=[(A-Za-z0-9])|<=|>=|->|!=|<<|>>")


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
            first, *rest = _paragraphs(function)
            told = [first, *_folded(rest)] if rest else [first]
            listed += nodes.definition_list_item("", term, nodes.definition("", *told))
        return [*_paragraphs(module), listed]


def functions(module: Any) -> list[FunctionType]:
    """The public functions that a module defines."""
    return [
        value
        for name, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_")
    ]


def typeset(text: str) -> list[nodes.Node]:
    """Plain text with its subscripts, superscripts, Greek letters and signs.

    A subscript needs a base of one letter, a Greek letter or an operator: `real_fraction` is a name and stays.
    """
    found: list[nodes.Node] = []
    end = 0
    for match in _MARKED.finditer(text):
        base = match["base"]
        if not (len(base) == 1 or base in GREEK or base in OPERATORS):
            continue
        found.append(nodes.Text(_signs(text[end : match.start()]) + OPERATORS.get(base, GREEK.get(base, base))))
        for mark in re.findall(_MARK, match["marks"]):
            kind = nodes.subscript if mark[0] == "_" else nodes.superscript
            inside = mark[2:-1] if mark[1] == "(" else mark[1:]
            found.append(kind("", "", *typeset(inside)))
        end = match.end()
    found.append(nodes.Text(_signs(text[end:])))
    return [node for node in found if node.astext()]


def _signs(text: str) -> str:
    """Greek letters and signs for the names of them."""

    def sign(match: re.Match[str]) -> str:
        word = match[0]
        return "√" if word.startswith("sqrt") else GREEK.get(word) or SIGNS[word]

    return _NAMES.sub(sign, text)


def _folded(paragraphs: list[nodes.Node]) -> list[nodes.Node]:
    return [
        nodes.raw("", "<details><summary>conditions, reasons, sources</summary>", format="html"),
        *paragraphs,
        nodes.raw("", "</details>", format="html"),
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
        # With a source that differs from its text a literal block keeps what is marked in it.
        found.append(
            nodes.literal_block("", "", *_marked(text)) if aligned else nodes.paragraph("", "", *_marked(text))
        )
    return found


def _marked(text: str) -> list[nodes.Node]:
    """Text in which `code` is code and the rest is typeset."""
    parts = text.split("`")
    return [
        node for i, part in enumerate(parts) for node in ([nodes.literal("", part)] if i % 2 else typeset(part)) if part
    ]


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx."""
    app.add_directive("closed-forms", ClosedForms)
    return {"version": "1", "parallel_read_safe": True}
