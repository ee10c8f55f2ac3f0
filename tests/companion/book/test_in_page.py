"""Code that runs in its page: where it is offered, what it loads and when, and that it computes what Python does."""

from __future__ import annotations

import ast
import contextlib
import io
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from conftest import Once
from toy_site import Site, serve

from companion.book.test_book import made
from companion.book.test_layout import loaded
from model_collapse import paths

ROOT = Path(__file__).parents[3]
ADDRESS = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["sphinx"]["config"]["pyodide_address"]
WORKER = (ROOT / "book" / "_static" / "in_page_worker.js").read_text(encoding="utf-8")
CHAPTER = "notebooks/01_toy.html"
UNREACHED = f"Python could not be loaded from {ADDRESS}; is there a network?"


def offered() -> dict[str, str]:
    """Notebook -> its code that runs in its page."""
    found = {}
    for file in sorted((ROOT / "notebooks").glob("*.ipynb")):
        cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
        if own := ["".join(cell["source"]) for cell in cells if "in-page" in cell["metadata"].get("tags", ())]:
            (found[file.stem],) = own
    return found


OFFERED = offered()

PYODIDE = os.environ.get("MODEL_COLLAPSE_PYODIDE", "")
"""A folder with Pyodide, 200 MB that are not part of this repository; the weekly workflow has one."""
needs_pyodide = pytest.mark.skipif(not PYODIDE, reason="MODEL_COLLAPSE_PYODIDE names no folder with Pyodide")


@pytest.fixture
def site(once: Once, browser: object) -> Iterator[Site]:
    """The toy book; its chapter has a cell that runs in the page."""
    yield from serve(once("toy-book", made) / "_build" / "html", browser)


def status(site: Site) -> str:
    return site.page.inner_text(".in-page [role=status]")


def press(site: Site) -> None:
    """Press the button as a keyboard does."""
    site.page.focus(".in-page button")
    site.page.keyboard.press("Enter")


def ended(site: Site) -> str:
    """What is said when it no longer loads or runs."""
    site.page.wait_for_function("!/^(Loading|Running|$)/.test(document.querySelector('.in-page p').textContent)")
    return status(site)


# What every suite checks ---------------------------------------------------------------------------------------------


def test_every_chapter_of_theory_offers_it_and_no_other() -> None:
    theory = {file.stem for file in (ROOT / "notebooks").glob("0*.ipynb")}
    assert set(OFFERED) == theory and len(theory) == 8


def test_the_button_is_on_pages_with_such_a_cell_only(site: Site) -> None:
    site.open(CHAPTER)
    assert site.page.locator(".in-page button").count() == 1
    assert site.page.get_attribute("script[src*='in_page.js']", "data-pyodide") == ADDRESS
    assert site.page.get_attribute(".in-page p", "aria-live") == "polite"
    assert site.page.inner_text(".cell.tag_in-page .cell_output").strip() == "42", "what the build printed"
    site.open("book/intro.html")
    assert site.page.locator(".in-page, script[src*='in_page']").count() == 0
    assert site.complaints == []


def test_a_chapter_that_was_not_run_yet_has_the_button_too(site: Site) -> None:
    page = (site.html / CHAPTER).read_text(encoding="utf-8")
    without = re.sub(r'<div class="cell_output[^"]*">', "<div>", page)
    assert without != page
    site.page.route(f"**/{CHAPTER}", lambda route: route.fulfill(body=without, content_type="text/html"))
    site.open(CHAPTER)
    assert site.page.locator(".in-page button").count() == 1
    assert site.complaints == []


def test_nothing_is_loaded_before_the_button_is_pressed(site: Site) -> None:
    paths = loaded(site, CHAPTER)
    assert "_static/in_page.js" in paths
    assert not [path for path in paths if "worker" in path or path.endswith(".zip")]
    assert site.complaints == []


def test_an_address_that_cannot_be_reached_is_one_line_and_may_be_tried_again(site: Site) -> None:
    site.open(CHAPTER)
    for _ in range(2):
        press(site)
        assert ended(site) == UNREACHED
    assert site.complaints and all(ADDRESS in line or "net::ERR" in line for line in site.complaints)
    assert site.page.inner_text(".cell.tag_in-page .cell_output").strip() == "42"


def test_a_page_from_the_disk_says_how_to_serve_it(site: Site) -> None:
    site.page.goto((site.html / CHAPTER).as_uri())
    press(site)
    assert "python -m http.server" in ended(site) and "\n" not in status(site)
    assert site.complaints == []


def test_the_zip_holds_the_package(site: Site) -> None:
    with zipfile.ZipFile(site.html / "_static" / "model_collapse.zip") as packed:
        there = {name: packed.read(name) for name in packed.namelist()}
    wanted = {file.relative_to(paths.PACKAGE.parent).as_posix(): file for file in paths.PACKAGE.rglob("*.py")}
    assert {name: there.get(name) for name in wanted} == {name: file.read_bytes() for name, file in wanted.items()}
    assert not [name for name in there if "__pycache__" in name]


ALONE = """
import sys

class Absent:
    def find_spec(self, name, *_):
        if name.partition(".")[0] not in known and not name.startswith("_"):
            raise ModuleNotFoundError(name)

known = {*sys.stdlib_module_names, *sys.argv[3:]}
sys.meta_path.insert(0, Absent())
sys.path.insert(0, sys.argv[1])
exec(sys.argv[2])
import model_collapse
assert model_collapse.__file__.startswith(sys.argv[1])
"""


def test_cells_import_only_what_the_page_loads(site: Site) -> None:
    """From the zip alone, with nothing but the packages that the worker asks for and what pydantic needs."""
    asked = re.findall(r'"(\w+)"', re.search(r"const PACKAGES = \[(.*)\]", WORKER)[1])
    needs = ["pydantic_core", "annotated_types", "typing_extensions", "typing_inspection"]
    trees = [ast.parse(code) for code in OFFERED.values()]
    lines = {ast.unparse(line) for tree in trees for line in tree.body if isinstance(line, ast.Import | ast.ImportFrom)}
    archive = str(site.html / "_static" / "model_collapse.zip")
    ask = [sys.executable, "-c", ALONE, archive, "\n".join(sorted(lines)), "model_collapse", *asked, *needs]
    done = subprocess.run(ask, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": ""})
    assert done.returncode == 0, done.stderr


def here(code: str) -> str:
    """What it prints in this process."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(code, {})
    return out.getvalue()


@pytest.mark.parametrize("chapter", OFFERED)
def test_a_cell_prints_the_chain_beside_its_closed_form(chapter: str) -> None:
    lines = [line for line in here(OFFERED[chapter]).splitlines() if any(map(str.isdigit, line))]
    assert len(lines) > 2 and "nan" not in " ".join(lines)


# With Pyodide, from the folder that MODEL_COLLAPSE_PYODIDE names ------------------------------------------------------

CLOSED_FORM = """
from model_collapse import theory
print(repr(float(theory.variance_quantile(0.5, 200, 100))))
print(repr(float(theory.expected_support(50, theory.zipf_law(20, 1.0), 50))))
"""
CHAIN = """
from model_collapse import loop, streams
from model_collapse.families.gaussian import Gaussian
from model_collapse.regimes.replace import Replace

family, stream = Gaussian(), streams.stream(seed=1)
source = family.source(100, stream(-1, streams.SOURCE), replicates=3)
for generation in loop.generations(source, family, Replace(), 100, stream, last=199):
    print(*(repr(float(number)) for number in generation.model.deviation.ravel()))
"""
DRAWING = """
from matplotlib import pyplot
pyplot.plot([0, 1], [1, 0])
print("drawn")
"""


WRONG = """
print("left", end=" -> ")
print("right", end="")
def ratio(x):
    return 1 / x
ratio(0)
"""


@pytest.fixture(scope="module")
def python(once: Once, browser: object) -> Iterator[Site]:
    """The toy chapter with Python running in it; what it asks of the public address comes from a folder."""
    for site in serve(once("toy-book", made) / "_build" / "html", browser):
        site.page.set_default_timeout(600_000)
        site.page.context.route(f"{ADDRESS}**", lambda route: route.fulfill(path=there(route.request.url)))
        site.open(CHAPTER)
        press(site)
        assert ended(site).startswith("Done."), status(site)
        yield site
        assert site.complaints == []


def there(url: str) -> Path:
    """The file in the folder that an address below the public one stands for."""
    return Path(PYODIDE) / unquote(urlsplit(url).path.removeprefix(urlsplit(ADDRESS).path))


def in_page(site: Site, code: str) -> tuple[str, str]:
    """What code prints in the page, and how it ended."""
    site.page.fill(".cell.tag_in-page .cell_input pre", code)
    press(site)
    how = ended(site)
    return site.page.inner_text(".cell.tag_in-page .cell_output"), how


@needs_pyodide
@pytest.mark.parametrize(("code", "count", "error"), [(CLOSED_FORM, 2, 1e-9), (CHAIN, 600, 1e-12)])
def test_python_in_the_page_computes_what_python_computes(python: Site, code: str, count: int, error: float) -> None:
    said, how = in_page(python, code)
    found = [float(number) for number in said.split()]
    assert len(found) == count and how.startswith("Done.")
    assert found == pytest.approx([float(number) for number in here(code).split()], rel=error)


@needs_pyodide
@pytest.mark.parametrize("chapter", OFFERED)
def test_python_in_the_page_prints_what_the_chapter_prints(python: Site, chapter: str) -> None:
    said, how = in_page(python, OFFERED[chapter])
    assert said.split() == here(OFFERED[chapter]).split() and how.startswith("Done.")


@needs_pyodide
def test_python_in_the_page_draws(python: Site) -> None:
    said, _ = in_page(python, DRAWING)
    picture = python.page.locator(".cell.tag_in-page .cell_output img")
    assert said.strip() == "drawn" and picture.count() == 1 and picture.get_attribute("alt")
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 100


@needs_pyodide
def test_python_in_the_page_says_what_is_wrong_and_goes_on(python: Site) -> None:
    said, how = in_page(python, WRONG)
    assert said.startswith("left -> right") and said.strip().endswith("ZeroDivisionError: division by zero")
    assert "_pyodide" not in said and how == "The code stopped with an error."
    assert in_page(python, "print('after')")[0].strip() == "after"


@needs_pyodide
def test_python_in_the_page_can_be_stopped(python: Site) -> None:
    python.page.fill(".cell.tag_in-page .cell_input pre", "while True: pass")
    python.page.keyboard.press("Control+Enter")
    python.page.wait_for_function("document.querySelector('.in-page p').textContent.startsWith('Running')")
    press(python)
    assert ended(python) == "Stopped."
    assert in_page(python, "print('again')")[0].strip() == "again"
