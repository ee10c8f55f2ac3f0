"""What is published: archives, the PDF, checksums, and no link that leads nowhere."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import zipfile
from pathlib import Path

import pytest
from conftest import Once

import model_collapse
from companion.book.test_book import made
from model_collapse import cli
from model_collapse.companion.book import release
from model_collapse.errors import ExternalError, InputError

VERSION = model_collapse.__version__
BOOK, RECORDS = f"model-collapse-book-{VERSION}", f"model-collapse-records-{VERSION}"


@pytest.fixture
def own(once: Once, tmp_path: Path) -> Path:
    """A built toy book with a record, to be changed."""
    root = shutil.copytree(once("toy-book", made), tmp_path / "toy")
    (root / "records").mkdir()
    (root / "records" / "toy.json").write_text("{}")
    return root


def published(root: Path, **options: bool) -> Path:
    assert release.release(root=root, **options) == 0
    return root / "_build" / "release"


def test_archives_hold_the_site_and_the_records_and_are_the_same_every_time(own: Path) -> None:
    out = published(own, pdf=False)
    first = {file.name: file.read_bytes() for file in out.iterdir()}
    assert set(first) == {f"{BOOK}.zip", f"{BOOK}.epub", f"{RECORDS}.zip", release.SUMS}
    with zipfile.ZipFile(out / f"{BOOK}.zip") as archive:
        packed = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    html = own / "_build" / "html"
    there = {f"{BOOK}/{file.relative_to(html)}": file.read_bytes() for file in html.rglob("*") if file.is_file()}
    assert packed == there
    with zipfile.ZipFile(out / f"{RECORDS}.zip") as archive:
        assert archive.namelist() == [f"{RECORDS}/toy.json"]
    for file in html.rglob("*"):
        os.utime(file)
    assert {file.name: file.read_bytes() for file in published(own, pdf=False).iterdir()} == first


def test_checksums_are_those_of_the_files(own: Path) -> None:
    out = published(own, pdf=False)
    listed = dict(reversed(line.split("  ")) for line in (out / release.SUMS).read_text().splitlines())
    assert listed == {
        name: hashlib.sha256((out / name).read_bytes()).hexdigest()
        for name in (f"{BOOK}.zip", f"{BOOK}.epub", f"{RECORDS}.zip")
    }


def test_the_pdf_has_every_page_and_its_outline(own: Path, chrome: str) -> None:
    from pypdf import PdfReader

    book = PdfReader(published(own) / f"{BOOK}.pdf")
    titles = [item.title for item in book.outline]
    assert titles[-1] == "Toy" and len(titles) == 2
    first, second = (book.get_destination_page_number(item) for item in book.outline)
    assert first == 0 < second < len(book.pages)
    text = "".join(page.extract_text() for page in book.pages[second:])
    assert "It falls by 1.00" in re.sub(r"\s+", " ", text)
    links = [
        str(note.get_object()["/A"]["/URI"])
        for page in book.pages
        for note in page.get("/Annots") or ()
        if "/A" in note.get_object() and "/URI" in note.get_object()["/A"]
    ]
    assert links and not [link for link in links if link.startswith("file:")]
    assert any(link.startswith("https://example.github.io/model-collapse-companion/") for link in links)


@pytest.mark.parametrize(
    ("link", "said"),
    [
        ("nowhere.html", "leads to no file"),
        ("../notebooks/01_toy.html#nowhere", "leads to no place on its page"),
        ("#nowhere", "leads to no place on its page"),
        ("../_static/none.png", "leads to no file"),
    ],
)
def test_a_link_that_leads_nowhere_publishes_nothing(
    link: str, said: str, own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = own / "_build/html/book/intro.html"
    html = page.read_text(encoding="utf-8")
    page.write_text(html.replace("</article>", f'<a href="{link}">x</a></article>', 1), encoding="utf-8")
    assert release.release(root=own, pdf=False) == 1
    assert capsys.readouterr().err.splitlines() == [f"model-collapse: book/intro.html: {link} {said}"]
    assert not (own / "_build" / "release").exists()


def test_links_to_elsewhere_and_to_places_on_other_pages_are_fine(own: Path) -> None:
    page = own / "_build/html/book/intro.html"
    html = page.read_text(encoding="utf-8")
    fine = (
        "https://example.org/x",
        "mailto:a@b.c",
        "../notebooks/01_toy.html#toy",
        "../index.html",
        "../notebooks/../",
    )
    more = "".join(f'<a href="{link}">x</a>' for link in fine)
    page.write_text(html.replace("</article>", f"{more}</article>", 1), encoding="utf-8")
    assert release.dead_links(own / "_build" / "html") == []


def test_without_a_book_or_a_browser_it_is_one_line(own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"^no book in _build/html; run `make book` first$"):
        release.release(root=tmp_path)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ExternalError, match=r"the PDF needs a browser .*--without-pdf"):
        release.release(root=own)


def test_the_command(own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {}
    monkeypatch.setattr(release, "release", lambda **options: asked.update(options) or 0)
    assert cli.main(["release", "--out", str(tmp_path), "--without-pdf"]) == 0
    assert asked == {"out": tmp_path, "pdf": False}
