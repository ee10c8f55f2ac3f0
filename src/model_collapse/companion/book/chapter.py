"""What chapters there are: slug, title, cost and parameters, read from the notebooks without running anything."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from model_collapse import paths
from model_collapse.errors import InputError

PROFILES = ("smoke", "laptop", "t4", "t4-10min", "paper")
"""How much a chapter computes: seconds, minutes on a laptop's CPU, a free GPU for an evening or a coffee, the paper."""

_FILE = re.compile(r"\d+_(?P<slug>[a-z][a-z0-9_]*)\.ipynb")
_PLAIN: dict[str, Any] = {"str": str, "int": int, "float": float, "bool": bool}


@dataclass(frozen=True)
class Cost:
    """What a chapter needs at one profile: device ("cpu", "T4", ...), minutes of wall clock, megabytes of disk."""

    device: str
    minutes: Annotated[float, Field(ge=0)]
    disk_mb: Annotated[float, Field(ge=0)]

    @property
    def on_gpu(self) -> bool:
        """Whether it wants a GPU for itself."""
        return self.device.lower() != "cpu"


@dataclass(frozen=True)
class Chapter:
    """One notebook. `cost` by profile; `parameters` maps each name to its annotation as written."""

    slug: str
    path: Path
    title: str
    cost: Mapping[str, Cost]
    parameters: Mapping[str, str]
    cells: tuple[tuple[str, tuple[str, ...]], ...]
    """Source and tags of every code cell: what decides the outputs."""


def find(root: Path | None = None) -> list[Chapter]:
    """All chapters of the checkout (or of `root`), in the order of their numbers."""
    root = root or project()
    files = sorted(file for file in (root / "notebooks").glob("*.ipynb") if _FILE.fullmatch(file.name))
    return [_read(file) for file in files]


def project() -> Path:
    """The checkout, which chapters and the book need."""
    root = paths.project()
    if root is None:
        raise InputError("no checkout: chapters and the book need a clone, installed with `pip install -e .` in it")
    return root


def select(chapters: Iterable[Chapter], names: Iterable[str], profile: str) -> list[Chapter]:
    """The named chapters, or all that have the profile. InputError for a name or a profile that is not known."""
    if profile not in PROFILES:
        raise InputError(f"--profile {profile}: not a profile; known: {', '.join(PROFILES)}")
    known = {chapter.slug: chapter for chapter in chapters}
    names = list(dict.fromkeys(names))
    for name in names:
        if name not in known:
            raise InputError(f"{name}: not a chapter; known: {', '.join(known) or 'none yet'}")
        if profile not in known[name].cost:
            has = ", ".join(known[name].cost)
            raise InputError(f"--profile {profile}: chapter {name} does not have it; it has {has}")
    return [known[name] for name in names] or [c for c in known.values() if profile in c.cost]


def check(chapters: Iterable[Chapter], parameters: Mapping[str, str]) -> dict[str, Any]:
    """The values of `-p name=text`, by the annotations in the notebooks. Each name must be known to every chapter.

    InputError in one line for an unknown name or a value of the wrong type; nan and infinities are refused.
    """
    values: dict[str, Any] = {}
    for name, text in parameters.items():
        if name == "profile":
            raise InputError("-p profile: use --profile")
        for chapter in chapters:
            known = [key for key in chapter.parameters if key != "profile"]
            if name not in known:
                has = ", ".join(known) or "none"
                raise InputError(f"-p {name}: chapter {chapter.slug} has no such parameter; it has {has}")
            values[name] = _value(name, text, chapter.parameters[name])
    return values


def _read(file: Path) -> Chapter:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        cells = [(cell["cell_type"], _text(cell), tuple(cell["metadata"].get("tags", ()))) for cell in content["cells"]]
        adapter = TypeAdapter(dict[Literal[PROFILES], Cost])  # type: ignore[valid-type]
        cost = adapter.validate_python(content["metadata"].get("chapter", {}).get("cost"))
    except (ValueError, KeyError) as error:
        said = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise InputError(f"{file.name}: not a chapter; its metadata needs chapter.cost by profile ({said})") from None
    prose = "\n".join(text for kind, text, _ in cells if kind == "markdown")
    title = re.search(r"^# (.+)$", prose, re.MULTILINE)
    parameters = [text for kind, text, tags in cells if kind == "code" and "parameters" in tags]
    if len(parameters) != 1:
        raise InputError(f"{file.name}: one code cell must be tagged parameters, {len(parameters)} are")
    return Chapter(
        slug=_FILE.fullmatch(file.name)["slug"],  # type: ignore[index]
        path=file,
        title=title[1].strip() if title else file.stem,
        cost={profile: cost[profile] for profile in PROFILES if profile in cost},
        parameters=_parameters(file.name, parameters[0]),
        cells=tuple((text, tags) for kind, text, tags in cells if kind == "code"),
    )


def _text(cell: Mapping[str, Any]) -> str:
    return "".join(cell["source"])


def _parameters(file: str, source: str) -> dict[str, str]:
    """Names and annotations of the `parameters` cell; the source is parsed and never run."""
    found = {}
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            found[statement.target.id] = ast.unparse(statement.annotation)
            _type(statement.annotation)
        elif not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)):
            line = ast.unparse(statement).splitlines()[0]
            raise InputError(f"{file}: the parameters cell may hold only `name: type = default`, not `{line}`")
    return found


def _type(node: ast.expr) -> Any:
    """The type that an annotation means: str, int, float, bool, None, list[...], Literal[...] and unions of them."""
    match node:
        case ast.Name(id=name) if name in _PLAIN:
            return _PLAIN[name]
        case ast.Constant(value=None):
            return None
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return reduce(lambda a, b: a | b, [_type(left) or type(None), _type(right) or type(None)])
        case ast.Subscript(value=ast.Name(id="list"), slice=item):
            return list[_type(item)]  # type: ignore[misc]
        case ast.Subscript(value=ast.Name(id="Literal"), slice=ast.Tuple() | ast.Constant() as items):
            return Literal[ast.literal_eval(items)]
    raise InputError(f"parameter type {ast.unparse(node)}: known are {', '.join(_PLAIN)}, None, list, Literal and |")


def _value(name: str, text: str, annotation: str) -> Any:
    wanted = _type(ast.parse(annotation, mode="eval").body)
    read: Any = text
    if "list[" in annotation:
        read = [part.strip() for part in text.strip("[]").split(",") if part.strip()]
    try:
        return TypeAdapter(wanted, config=ConfigDict(allow_inf_nan=False)).validate_python(read)
    except ValidationError as error:
        said = error.errors()[0]["msg"]
        raise InputError(f"-p {name}={text}: {name} takes {annotation} ({said[0].lower()}{said[1:]})") from None
