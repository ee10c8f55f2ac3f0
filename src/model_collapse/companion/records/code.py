"""Which code decides the numbers of a run, and its hash: a record made by earlier code is known by it.

The rule: the loop (`loop`, `engine/block`), the files of the run's family, regimes and filters, the files in metrics/
that define its metrics for data of its family's kind, and what of the package these import in turn. Left out is what
says where things lie and writes them down (NO_NUMBERS). Hashed is what a file does: comments, docstrings, annotations
and layout are no part of it.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from model_collapse import families, metrics, paths, registry, store
from model_collapse.errors import InputError

LOOP = ("loop.py", "engine/block.py")

NO_NUMBERS = ("errors.py", "paths.py", "registry.py", "store/", "engine/layout.py", "engine/locks.py", "engine/spec.py")
"""Files, and folders with a stroke at their end."""

_SILENT = ("annotation", "returns", "type_comment", "type_params", "kind", "ctx")
"""Fields of a syntax tree that change no number, or that only some versions of Python have."""


ASKED = (
    "studies",
    "records",
    "claims",
    "chapters",
    "book/notebook.py",
    "book/markup.py",
    "book/compare.py",
    "book/estimates.py",
    "book/findings.py",
    "book/fits.py",
    "book/language_run.py",
    "book/real_model.py",
)
"""Of `companion/` what decides a verdict, or what a chapter shows."""


def whole() -> str:
    """sha256 over the library and over what is ASKED of the companion."""
    return hashlib.sha256(f"{store.source_hash()} {_companion()}".encode()).hexdigest()


@cache
def _companion() -> str:
    places = [paths.PACKAGE / "companion" / name for name in ASKED]
    return store.files_hash(file for place in places for file in ([place] if place.is_file() else place.rglob("*.py")))


def of(runs: Iterable[Mapping[str, Any]], root: Path = paths.PACKAGE) -> dict[str, str]:
    """File -> twelve hex digits, of the code of the package in `root` that decides the numbers of these runs.

    runs  as `spec.describe` describes them

    Nothing in `root` is imported or run, so that the code of an earlier commit can be asked as well. Files that are not
    there (a member that was renamed since) are left out, and so make a difference.
    """
    begun = {name for run in runs for name in _named(run)}
    found: set[str] = set()
    waiting = [name for name in (*LOOP, *begun) if (root / name).is_file()]
    while waiting:
        name = waiting.pop()
        if name not in found and not name.startswith(NO_NUMBERS):
            found.add(name)
            waiting.extend(_imported(root / name, root))
    return {name: _hash(root / name) for name in sorted(found)}


def changed(kept: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """The files in which two such answers differ."""
    return sorted(name for name in {*kept, *now} if kept.get(name) != now.get(name))


def _named(run: Mapping[str, Any]) -> Iterator[str]:
    """The files that a run asks for by name."""
    members = [("families", run["family"]), ("regimes", run["regime"])]
    if run.get("exchange.first"):
        members.append(("regimes", run["exchange.first"]))
    members += [("filters", name) for name, _ in run["filters"]]
    for folder, name in members:
        yield from (f"{folder}/{name}.py", f"{folder}/{name}/__init__.py")
    yield from (file for name in run["metrics"] if (file := _measure(name, run["family"])))


@cache
def _measure(name: str, family: str) -> str | None:
    """The file that defines a metric of a family; None if there is no such family or metric any more."""
    try:
        module = metrics.module(name, registry.member(families, family))
    except InputError:
        return None
    return "/".join(module.split(".")[1:]) + ".py"


@cache
def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


@cache
def _imported(file: Path, root: Path) -> tuple[str, ...]:
    """The package's files that a file imports, anywhere in it but for the type checker alone."""
    package = paths.PACKAGE.name
    modules: set[str] = set()
    waiting: list[ast.AST] = [_tree(file)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == package:
            modules |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names if alias.name.startswith(f"{package}.")}
        waiting.extend(ast.iter_child_nodes(node))
    places = [module.split(".")[1:] for module in modules]
    files = ["/".join(parts) + suffix for parts in places if parts for suffix in (".py", "/__init__.py")]
    return tuple(sorted(name for name in files if (root / name).is_file()))


@cache
def _hash(file: Path) -> str:
    return hashlib.sha256(_said(_tree(file)).encode()).hexdigest()[:12]


def _said(node: Any) -> str:
    """A syntax tree as text, the same in every version of Python; without docstrings and other bare strings."""
    if isinstance(node, list):
        kept = [part for part in node if not (isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant))]
        return f"[{','.join(map(_said, kept))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    own = ((name, value) for name, value in ast.iter_fields(node) if name not in _SILENT and value not in (None, []))
    return f"{type(node).__name__}({','.join(f'{name}={_said(value)}' for name, value in own)})"
