"""The book as an EPUB: its pages as they were built, without scripts, and with equations as MathML.

Equal books give equal files, so that no time stands in them.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

from bs4 import BeautifulSoup, Tag
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml

from model_collapse.errors import InputError
from model_collapse.store.archive import write_zip

UNWANTED = "script, .headerlink, .only-dark, .live, .legend:has(a.download), summary .expanded"
"""Parts of a page that an e-book has no use for; in the place of an element with sliders is a link to it."""

SPELLINGS = {
    r"\{(?:gathered|split)\}": "{aligned}",
    r"\\[bB]igg?[lrm]?(?![a-zA-Z])|\\textstyle": "",
    r"\\dots(?![a-zA-Z])": r"\\ldots",
    r"\\(t?frac)(\d)(\d)": r"\\\1{\2}{\3}",
}
"""TeX that docutils does not know -> the same in words that it knows."""

KINDS = {".svg": "image/svg+xml", ".png": "image/png", ".jpg": "image/jpeg"}

CONTAINER = """\
<?xml version="1.0" encoding="UTF-8"?>
<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">
<rootfiles><rootfile full-path="book/package.opf" media-type="application/oebps-package+xml"/></rootfiles>
</container>
"""
XHTML = """\
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE html>
<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops" lang="en" xml:lang="en">
<head><title>{title}</title><link rel="stylesheet" href="epub.css"/></head>
<body>{body}</body>
</html>
"""


class Page(NamedTuple):
    """A page in the book: its file, its title, its content as XHTML, and the pictures on it, by path in the site."""

    file: str
    title: str
    body: str
    pictures: list[str]


def write(html: Path, pages: Sequence[str], file: Path, title: str, address: str) -> None:
    """Write the EPUB of these pages of a built site, in this order.

    address  of the published site, where links lead to what the book does not have

    InputError for an equation that cannot be shown.
    """
    read = [_page(html, page, pages, address) for page in pages]
    pictures = sorted({picture for page in read for picture in page.pictures})
    contents: dict[str, bytes | Path] = {
        "mimetype": b"application/epub+zip",
        "META-INF/container.xml": CONTAINER.encode(),
        "book/package.opf": _package(read, pictures, title, address).encode(),
        "book/nav.xhtml": _contents(read).encode(),
        "book/epub.css": html / "_static" / "epub.css",
        **{f"book/{page.file}": XHTML.format(title=escape(page.title), body=page.body).encode() for page in read},
        **{f"book/{_picture(path)}": html / path for path in pictures},
    }
    write_zip(file, contents, compress=True, stored=["mimetype"])


def _page(html: Path, page: str, pages: Sequence[str], address: str) -> Page:
    """One page, cleaned and led to its neighbours."""
    soup = BeautifulSoup((html / f"{page}.html").read_text(encoding="utf-8"), "html.parser")
    article = soup.select_one("article")
    assert article is not None
    for live in article.select(".live"):
        live.insert_before(_link(soup, f"{address}/{page}.html#{live['id']}", live.select(".live-title")[0].text))
    for part in article.select(UNWANTED):
        part.decompose()
    for math in article.select(".math"):
        _set_equation(math)
    for folded in article.select("details"):
        folded["open"] = ""
    for link in article.select("a[href]"):
        link["href"] = _led(page, str(link["href"]), pages, address)
    pictures = []
    for image in article.select("img"):
        path = _within(page, str(image["src"]))
        image["src"] = _picture(path)
        pictures.append(path)
    _make_valid(article)
    title = article.select("h1")[0].text.strip()
    return Page(_file(page), title, article.decode_contents(), pictures)


def _make_valid(article: Tag) -> None:
    """What browsers let pass and EPUB does not: an id twice, a paragraph as a summary, a role that is withdrawn."""
    seen = set()
    for part in article.select("[id]"):
        if part["id"] in seen:
            del part["id"]
        else:
            seen.add(part["id"])
    for part in article.select("summary p"):
        part.name = "span"
    for part in article.select("[role=doc-biblioentry]"):
        del part["role"]


def _link(soup: BeautifulSoup, to: str, text: str) -> Tag:
    paragraph, link = soup.new_tag("p"), soup.new_tag("a", href=to)
    link.string = text
    paragraph.append(link)
    return paragraph


# Equations


def mathml(tex: str, *, block: bool = False) -> str:
    """MathML of a formula in TeX. InputError for one that docutils cannot read."""
    known = tex
    for pattern, spelling in SPELLINGS.items():
        known = re.sub(pattern, spelling, known)
    try:
        return tex2mathml(known, as_block=block)
    except MathError as error:
        raise InputError(f"the EPUB cannot show the equation {tex}: {error}") from None


def _set_equation(math: Tag) -> None:
    r"""Puts MathML in the place of \( \) and \[ \]; the number of an equation stays."""
    for text in math.find_all(string=re.compile(r"^\s*\\[(\[]")):
        tex = text.strip()
        made = BeautifulSoup(mathml(tex[2:-2], block=tex.startswith(r"\[")), "html.parser")
        # MathML 3, which EPUB has, knows these of mstyle only.
        for part in made.select("mfrac[displaystyle], mfrac[scriptlevel]"):
            style = made.new_tag("mstyle")
            style.attrs, part.attrs = part.attrs, {}
            part.wrap(style)
        text.replace_with(made)


# Links


def _file(page: str) -> str:
    return f"{page.replace('/', '-')}.xhtml"


def _picture(path: str) -> str:
    return f"images/{posixpath.basename(path)}"


def _within(page: str, link: str) -> str:
    """The path within the site that a link on a page leads to."""
    return urlsplit(urljoin(f"/{page}.html", link)).path.removeprefix("/")


def _led(page: str, link: str, pages: Sequence[str], address: str) -> str:
    """The same link in the book: to one of its pages, or to the published site."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return link
    target = _within(page, link)
    place = f"#{parts.fragment}" if parts.fragment else ""
    name = target.removesuffix(".html")
    return f"{_file(name) if name in pages else f'{address}/{target}'}{place}"


# What an EPUB says of itself


def _contents(pages: Sequence[Page]) -> str:
    """The table of contents."""
    lines = "\n".join(f'<li><a href="{page.file}">{escape(page.title)}</a></li>' for page in pages)
    body = f'<nav epub:type="toc" id="toc"><h1>Contents</h1>\n<ol>\n{lines}\n</ol></nav>'
    return XHTML.format(title="Contents", body=body)


def _package(pages: Sequence[Page], pictures: Sequence[str], title: str, address: str) -> str:
    """Metadata, the files, and the order in which they are read."""
    files: Mapping[str, tuple[str, str]] = {
        "nav.xhtml": ("application/xhtml+xml", ' properties="nav"'),
        "epub.css": ("text/css", ""),
        **{page.file: ("application/xhtml+xml", _properties(page)) for page in pages},
        **{_picture(path): (KINDS[Path(path).suffix], "") for path in pictures},
    }
    items = "\n".join(
        f'<item id="file-{i}" href="{name}" media-type="{kind}"{more}/>'
        for i, (name, (kind, more)) in enumerate(files.items())
    )
    numbers = {name: i for i, name in enumerate(files)}
    spine = "".join(f'<itemref idref="file-{numbers[page.file]}"/>' for page in pages)
    return f"""\
<?xml version="1.0" encoding="UTF-8"?>
<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="address" xml:lang="en">
<metadata xmlns:dc="http://purl.org/dc/elements/1.1/">
<dc:identifier id="address">{escape(address)}</dc:identifier>
<dc:title>{escape(title)}</dc:title>
<dc:language>en</dc:language>
<dc:rights>text CC BY 4.0, code MIT</dc:rights>
<meta property="dcterms:modified">1980-01-01T00:00:00Z</meta>
</metadata>
<manifest>
{items}
</manifest>
<spine>{spine}</spine>
</package>
"""


def _properties(page: Page) -> str:
    """What a reading system has to be told of a page."""
    return ' properties="mathml"' if "<math" in page.body else ""
