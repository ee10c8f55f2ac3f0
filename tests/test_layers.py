"""Two buildings with one door: the library imports nothing of the companion, and no package another in a circle."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from model_collapse import paths, store
from model_collapse.companion.records import code

COMPANION = "companion"
DOORS = ("cli", "__main__")
"""Modules of the library's own floor that may ask for the companion, inside functions."""


@dataclass(frozen=True)
class Arrow:
    """One import: the module that asks and the one that is asked, below the package ("engine.plan"), and where."""

    source: str
    target: str
    where: str
    lazy: bool

    def __str__(self) -> str:
        return f"{self.where}: {self.source} imports {self.target}"


def modules(package: Path) -> dict[str, Path]:
    """Name below the package ("engine.plan"; "" for the package itself) -> file."""
    found = {}
    for file in sorted(package.rglob("*.py")):
        parts = file.relative_to(package).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def arrows(package: Path) -> list[Arrow]:
    """Every import of one module of the package by another, also inside functions and for the type checker alone."""
    known = modules(package)
    return [arrow for name, file in known.items() for arrow in _of(name, file, package, known)]


def _of(name: str, file: Path, package: Path, known: dict[str, Path]) -> Iterator[Arrow]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    lazy = {id(inner) for function in functions for inner in ast.walk(function)}
    for node in ast.walk(tree):
        for asked in _asked(node, name, file, package.name):
            first, _, below = asked.partition(".")
            if first != package.name:
                continue
            target = below if below in known else below.rpartition(".")[0]
            if target != name:
                where = f"{file.relative_to(package.parent)}:{node.lineno}"  # type: ignore[attr-defined]
                yield Arrow(name, target, where, id(node) in lazy)


def _asked(node: ast.AST, name: str, file: Path, package: str) -> Iterator[str]:
    """Full names that an import statement asks for; `from a import b` asks for a.b, be it a module or not."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        start = node.module or ""
        if node.level:
            here = f"{package}.{name}".rstrip(".").split(".")
            above = len(here) - node.level + (file.name == "__init__.py")
            start = ".".join([*here[:above], *([start] if start else [])])
        yield from (f"{start}.{alias.name}" for alias in node.names)


def room(module: str) -> str:
    """The package a module belongs to: of the companion one of its rooms, else the first part of its name."""
    parts = module.split(".")
    return ".".join(parts[:2]) if parts[0] == COMPANION else parts[0]


def wrong_ways(found: list[Arrow]) -> list[str]:
    """A line for each import of the companion by the library; a door may do so inside a function."""
    return [
        f"{arrow}; the library knows nothing of the companion"
        + " (a door imports it inside functions)" * (arrow.source in DOORS)
        for arrow in found
        if arrow.target.split(".")[0] == COMPANION
        and arrow.source.split(".")[0] != COMPANION
        and not (arrow.source in DOORS and arrow.lazy)
    ]


def circles(found: list[Arrow]) -> list[str]:
    """A few lines for each circle of packages, with an import for every step of it."""
    ways: dict[str, dict[str, Arrow]] = {}
    for arrow in found:
        # A package's own description, `companion/__init__`, belongs to no room.
        ends = room(arrow.source), room(arrow.target)
        if ends[0] != ends[1] and "" not in ends:
            ways.setdefault(ends[0], {}).setdefault(ends[1], arrow)
    lines = []
    for first, asked in ways.items():
        for second, arrow in asked.items():
            # Of every circle at least one arrow goes on in the alphabet.
            if first < second and (back := _path(ways, second, first)):
                lines.append(f"{first} -> {second} -> ... -> {first}:\n  " + "\n  ".join(map(str, [arrow, *back])))
    return lines


def _path(ways: dict[str, dict[str, Arrow]], start: str, end: str) -> list[Arrow]:
    """The shortest chain of imports from one package to another; [] if there is none."""
    reached: dict[str, list[Arrow]] = {start: []}
    waiting = [start]
    for place in waiting:
        for following, arrow in ways.get(place, {}).items():
            if following == end:
                return [*reached[place], arrow]
            if following not in reached:
                reached[following] = [*reached[place], arrow]
                waiting.append(following)
    return []


@pytest.fixture(scope="module")
def found() -> list[Arrow]:
    """The imports of the package as it is."""
    return arrows(paths.PACKAGE)


def test_imports_are_found(found: list[Arrow]):
    rooms = {room(name) for name in modules(paths.PACKAGE)} - {"", COMPANION}
    assert {
        "loop",
        "exchange",
        "engine",
        "store",
        "analysis",
        "families",
        "companion.claims",
        "companion.book",
    } <= rooms
    assert {("exchange", "loop"), ("engine.block", "exchange"), ("cli", "companion.book.runner")} <= {
        (arrow.source, arrow.target) for arrow in found
    }
    assert len(found) > 500


def test_the_library_imports_nothing_of_the_companion(found: list[Arrow]):
    assert not wrong_ways(found), "\n".join(wrong_ways(found))


def test_no_package_imports_another_in_a_circle(found: list[Arrow]):
    assert not circles(found), "\n".join(circles(found))


def test_the_idea_imports_no_family_no_regime_and_no_filter(found: list[Arrow]):
    """`loop.py` and `exchange.py` are to be read alone."""
    asked = {arrow.target for arrow in found if arrow.source in ("loop", "exchange")}
    assert asked <= {"loop", "interfaces", "data", "errors", "streams"}


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """A package with a library of two rooms, a door, and a companion of two rooms; every import is a right one."""
    files = {
        "__init__.py": "",
        "ground.py": "",
        "cli.py": "def main():\n    from toy.companion.book import page\n",
        "engine/__init__.py": "",
        "engine/plan.py": "from toy import ground\n",
        "store/__init__.py": "from toy.store.files import save\n",
        "store/files.py": "from .. import ground\n\ndef save(): ...\n",
        "companion/__init__.py": "",
        "companion/book/__init__.py": "",
        "companion/book/page.py": "from toy.companion.claims import known\nfrom toy.engine import plan\n",
        "companion/claims/__init__.py": "import toy.store.files\n\ndef known(): ...\n",
    }
    for name, text in files.items():
        place = tmp_path / "toy" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    return tmp_path / "toy"


def test_right_imports_pass(toy: Path):
    found = arrows(toy)
    assert wrong_ways(found) == [] and circles(found) == []
    assert {(arrow.source, arrow.target) for arrow in found} == {
        ("cli", "companion.book.page"),
        ("engine.plan", "ground"),
        ("store", "store.files"),
        ("store.files", "ground"),
        ("companion.book.page", "companion.claims"),
        ("companion.book.page", "engine.plan"),
        ("companion.claims", "store.files"),
    }


@pytest.mark.parametrize(
    ("file", "text", "line"),
    [
        ("engine/plan.py", "from toy.companion import claims\n", 1),
        ("engine/plan.py", "\n\ndef late():\n    from toy.companion.claims import known\n", 4),
        ("engine/plan.py", "import toy.companion.book.page\n", 1),
        ("engine/plan.py", "from ..companion import book\n", 1),
        ("ground.py", "if TYPE_CHECKING:\n    from toy.companion.claims import known\n", 2),
        ("cli.py", "from toy.companion.book import page\n", 1),
    ],
    ids=["package", "in a function", "plain", "relative", "for types alone", "a door at its top"],
)
def test_the_library_importing_the_companion_fails(toy: Path, file: str, text: str, line: int):
    (toy / file).write_text(text)
    (said,) = wrong_ways(arrows(toy))
    assert said.startswith(f"toy/{file}:{line}: ") and "imports companion" in said


@pytest.mark.parametrize(
    ("file", "text", "rooms"),
    [
        ("companion/claims/__init__.py", "def late():\n    from toy.companion.book import page\n", "companion.book"),
        ("store/files.py", "from toy.engine import plan\n", "engine -> store"),
    ],
    ids=["rooms of the companion", "packages of the library"],
)
def test_a_circle_fails(toy: Path, file: str, text: str, rooms: str):
    (toy / file).write_text(text)
    (toy / "engine/plan.py").write_text("from toy.store import files\n")
    (said,) = circles(arrows(toy))
    assert rooms in said and f"toy/{file}:" in said


def test_a_circle_of_three_is_one_circle(toy: Path):
    (toy / "engine/plan.py").write_text("from toy.store import files\n")
    (toy / "store/files.py").write_text("from toy import ground\n")
    (toy / "ground.py").write_text("from toy.engine import plan\n")
    lines = circles(arrows(toy))
    assert lines and all("toy/ground.py:1" in said and "toy/engine/plan.py:1" in said for said in lines)


def test_the_companion_and_the_command_make_no_run_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(paths, "PACKAGE", tmp_path)
    (tmp_path / "companion" / "claims").mkdir(parents=True)
    (tmp_path / "loop.py").write_text("a = 1\n")
    before = store.source_hash.__wrapped__()
    (tmp_path / "companion" / "claims" / "text.py").write_text("said = 'otherwise'\n")
    (tmp_path / "cli.py").write_text("help = 'otherwise'\n")
    assert store.source_hash.__wrapped__() == before
    (tmp_path / "loop.py").write_text("a = 2\n")
    assert store.source_hash.__wrapped__() != before


def test_what_a_chapter_shows_of_the_companion_makes_it_stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(paths, "PACKAGE", tmp_path)
    for folder in ("claims", "verify"):
        (tmp_path / "companion" / folder).mkdir(parents=True)
    before = code._companion.__wrapped__()
    (tmp_path / "companion" / "verify" / "power.py").write_text("a = 1\n")
    assert code._companion.__wrapped__() == before
    (tmp_path / "companion" / "claims" / "text.py").write_text("a = 1\n")
    assert code._companion.__wrapped__() != before


@pytest.mark.parametrize("name", code.ASKED)
def test_what_is_asked_of_the_companion_is_there(name: str):
    assert (paths.PACKAGE / "companion" / name).exists()


def test_the_tree_of_tests_is_that_of_the_package():
    tests = Path(__file__).parent
    folders = {file.parent.relative_to(tests) for file in tests.rglob("test_*.py")}
    assert {folder for folder in folders if not (paths.PACKAGE / folder / "__init__.py").is_file()} == set()
    untested = {file.parent.relative_to(paths.PACKAGE) for file in paths.PACKAGE.rglob("__init__.py")} - folders
    # What is left is tested with the folder that it lies in.
    assert {folder for folder in untested if folder.parent not in folders} <= {Path("companion")}
