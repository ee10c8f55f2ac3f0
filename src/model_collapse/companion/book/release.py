"""What is published: the built book as one archive, one EPUB and one PDF, the records, and the checksums of all of it.

The same book gives the same files, byte for byte; only a PDF has the time at which the browser made it.
"""

from __future__ import annotations

import importlib.util
import io
import re
import shutil
import urllib.parse
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import model_collapse
from model_collapse import store
from model_collapse.companion.book import build, chapter, epub
from model_collapse.errors import ExternalError, InputError
from model_collapse.store.archive import write_zip

if TYPE_CHECKING:
    from playwright.sync_api import Browser, PdfMargins

CHROMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
SUMS = "SHA256SUMS"
FLAGS = (
    "--no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update "
    "--disable-sync"
)


def release(*, root: Path | None = None, out: Path | None = None, pdf: bool = True) -> int:
    """Publish the book that `_build/html` holds; 0, or 1 after saying which of its links lead nowhere.

    Writes to `_build/release`, or `out`: model-collapse-book-VERSION.zip (the site, which works from a folder without a
    network), model-collapse-book-VERSION.epub and .pdf, model-collapse-records-VERSION.zip (with their RO-Crate), and
    SHA256SUMS.

    InputError if the book is not built; ExternalError without a browser for the PDF.
    """
    root = root or chapter.project()
    html = root / "_build" / "html"
    if not (html / "index.html").is_file():
        raise InputError("no book in _build/html; run `make book` first")
    if wrong := dead_links(html):
        for line in wrong:
            build.complain(line)
        return 1
    out = out or root / "_build" / "release"
    name = f"model-collapse-book-{model_collapse.__version__}"
    records = f"model-collapse-records-{model_collapse.__version__}"
    pages = build.pages(root / "book" / "_toc.yml")
    title, (url, _) = build.title(root), build.repository(root)
    address = build.site(url)
    made: dict[str, Callable[[Path], None]] = {
        f"{name}.zip": lambda file: archive(html, file),
        f"{name}.epub": lambda file: epub.write(html, pages, file, title, address),
        f"{records}.zip": lambda file: archive(root / "records", file),
    }
    if pdf:
        chrome()  # before anything is written
        made[f"{name}.pdf"] = lambda file: print_pages(html, pages, file, address)
    out.mkdir(parents=True, exist_ok=True)
    for title, write in made.items():
        write(out / title)
        print(f"{title}: {(out / title).stat().st_size / 1e6:.1f} MB")
    sums = "".join(f"{store.checksum(out / title)}  {title}\n" for title in sorted(made))
    with store.whole_file(out / SUMS) as temporary:
        temporary.write_text(sums, encoding="utf-8")
    return 0


# Links


class _Page(HTMLParser):
    """Where a page leads, and which places it has."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.places: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if place := named.get("id") or (named.get("name") if tag == "a" else None):
            self.places.add(place)
        for key in ("href", "src"):
            if link := named.get(key):
                self.links.append(link)


def dead_links(html: Path) -> list[str]:
    """Links within the site that lead to no file, or to no place on its page; sorted, one line each."""
    # What themes bring along (_static) are templates and no pages.
    files = (file for file in sorted(html.rglob("*.html")) if file.relative_to(html).parts[0] != "_static")
    read = {file: _read(file) for file in files}
    wrong = []
    for file, page in read.items():
        for link in dict.fromkeys(page.links):
            parts = urllib.parse.urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            path = urllib.parse.unquote(parts.path)
            target = (file.parent / path).resolve() if path else file
            place = urllib.parse.unquote(parts.fragment)
            if target.is_dir():
                target /= "index.html"
            if not target.is_file():
                wrong.append(f"{file.relative_to(html)}: {link} leads to no file")
            elif place and target in read and place not in read[target].places:
                wrong.append(f"{file.relative_to(html)}: {link} leads to no place on its page")
    return wrong


def _read(file: Path) -> _Page:
    page = _Page()
    page.feed(file.read_text(encoding="utf-8"))
    return page


# Archives


def archive(folder: Path, file: Path) -> None:
    """Every file of a folder in one zip, below a folder that is called as the zip is."""
    members = sorted(path for path in folder.rglob("*") if path.is_file())
    names = (f"{file.stem}/{member.relative_to(folder).as_posix()}" for member in members)
    write_zip(file, dict(zip(names, members, strict=True)), compress=True)


# The PDF


def print_pages(html: Path, pages: Iterable[str], file: Path, address: str) -> None:
    """All pages of the book in reading order as one PDF with an outline, as a browser prints them.

    address  of the published site, where links to other pages lead from paper
    """
    from pypdf import PdfReader, PdfWriter

    book = PdfWriter()
    with browser() as opened:
        for page in pages:
            title, printed = _printed(opened, html, page, address)
            first = len(book.pages)
            book.append(PdfReader(io.BytesIO(printed)), import_outline=False)
            book.add_outline_item(title=title, page_number=first)
    with store.whole_file(file) as temporary:
        book.write(temporary)


def chrome() -> str:
    """A browser that can print. ExternalError if there is none."""
    if importlib.util.find_spec("playwright") is None:
        raise ExternalError("the PDF needs the package playwright; install it, or use --without-pdf")
    found = next(filter(None, map(shutil.which, CHROMES)), None)
    if found is None:
        raise ExternalError(f"the PDF needs a browser ({', '.join(CHROMES)}); install one, or use --without-pdf")
    return found


@contextmanager
def browser() -> Iterator[Browser]:
    """It, without a window, as long as it is needed."""
    found = chrome()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=found, args=FLAGS.split())
        try:
            yield launched
        finally:
            launched.close()


ELSEWHERE = """
address => {
  for (const details of document.querySelectorAll("details")) details.open = true;
  for (const image of document.images) image.loading = "eager";
  for (const link of document.querySelectorAll("a[href]")) {
    const found = link.getAttribute("href");
    if (found.startsWith("#") || /^[a-z]+:/i.test(found)) continue;
    link.href = new URL(found, address).href;
  }
  const shown = [...document.images].filter((image) => image.checkVisibility());
  return Promise.all(shown.map((image) => image.decode().catch(() => null))).then(() => null);
}
"""
"""Opens what is folded, waits for pictures, and lets links to other pages lead to the published site."""


def _printed(browser: Browser, html: Path, page: str, address: str) -> tuple[str, bytes]:
    """Title and PDF of one page."""
    opened = browser.new_page()
    try:
        opened.goto((html / f"{page}.html").resolve().as_uri())
        opened.wait_for_function("!window.MathJax || (MathJax.startup && MathJax.startup.promise)")
        opened.evaluate("window.MathJax && MathJax.startup && MathJax.startup.promise.then(() => null)")
        opened.evaluate(ELSEWHERE, f"{address}/{page}.html")
        title = opened.locator("article h1, main h1").first.inner_text()
        margin: PdfMargins = {"top": "15mm", "bottom": "15mm", "left": "12mm", "right": "12mm"}
        return re.sub(r"\s*#\s*$", "", title).strip(), opened.pdf(format="A4", margin=margin)
    finally:
        opened.close()
