"""Sphinx extension: a page loads only what it uses.

To every page the theme brings a script of 1.5 MB that draws icons, 300 kB of icon fonts, a name for each of 1900 icons,
and the index of the search. Here the icons come from small fonts, made of those that the book shows; only the page that
searches has the index; only pages with equations have MathJax, without its menu; and pictures are loaded when they come
into sight, so that a figure's twin for dark pages costs nothing on light ones.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pydata_sphinx_theme
from docutils import nodes
from fontTools import subset
from fontTools.ttLib import TTFont
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ExtensionError

THEME = Path(pydata_sphinx_theme.__file__).parent / "theme" / "pydata_sphinx_theme" / "static"
SHEET, FONTS, DRAWER = "styles/pydata-sphinx-theme.css", "vendor/fontawesome/webfonts", "scripts/fontawesome.js"

ICON = re.compile(r'((?:\.fa-[\w-]+:before,?)+)\{content:("\\[0-9a-f]+")\}')
"""The rule of an icon: its names, and its place in the font."""
FACE = re.compile(rf"src:url\(\.\./{FONTS}/([\w-]+)\.woff2\)[^}}]*")
PLACE = re.compile(r"\\([ef][0-9a-f]{3})\b|([\ue000-\uf8ff])")
"""A place in an icon font, as code or as it is."""


MATHJAX = ("mathjax/startup.js", {"loader": {"load": ["input/tex", "output/chtml", "a11y/assistive-mml"]}})
"""What is loaded for equations. The usual bundle has a menu of 400 kB besides."""

SEARCH = ("searchtools", "language_data", "searchindex")


def configure(app: Sphinx, config: Config) -> None:
    """Adds the folder of the layout, and chooses the parts of MathJax."""
    config.templates_path.append(str(Path(__file__).with_name("templates")))
    config.mathjax_path, config.mathjax3_config = MATHJAX


def lighten(app: Sphinx, name: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    """Gives the layout its filter, and lets pictures wait, with their sizes, so that nothing moves when they come."""
    files = ["fontawesome", *(SEARCH if name != "search" else ())]
    # Sphinx gives MathJax to a page as soon as one that it lists has an equation.
    equations = any(doctree.findall(lambda node: isinstance(node, nodes.math | nodes.math_block))) if doctree else False
    if equations:
        app.add_js_file("equations.js", loading_method="defer", priority=900)
    else:
        files.append("mathjax/startup")
    unwanted = rf'<script\b[^>]*\bsrc="[^"]*/(?:{"|".join(files)})\.js\b[^"]*"[^>]*></script>\s*'
    unwanted += "" if equations else r"|<script>window\.MathJax = [^<]*</script>\s*"
    context["light"] = lambda markup: re.sub(unwanted, "", markup)
    if body := context.get("body"):
        body = re.sub(r'(<img [^>]*)style="width: (\d+)px; height: (\d+)px;"', r'\1width="\2" height="\3"', body)
        context["body"] = body.replace("<img ", '<img loading="lazy" ')


def icons(app: Sphinx, problem: Exception | None) -> None:
    """When all pages are written: leaves of the icons those that they show."""
    if problem or app.builder.format != "html":
        return
    out, static = Path(app.outdir), Path(app.outdir) / "_static"
    pages = [file for file in out.rglob("*.html") if static not in file.parents]
    scripts = [file for file in (static / "scripts").glob("*.js") if file.name != Path(DRAWER).name]
    used = {name for file in pages + scripts for name in re.findall(r"\bfa-[\w-]+", file.read_text(encoding="utf-8"))}

    def rule(found: re.Match[str]) -> str:
        names = [name for name in re.findall(r"\.(fa-[\w-]+):before", found[1]) if name in used]
        # The text after the stroke is what a screen reader says: nothing. The first is for browsers without it.
        selector = ",".join(f".{name}:before" for name in names)
        return f'{selector}{{content:{found[2]};content:{found[2]}/""}}' if names else ""

    sheet = ICON.sub(rule, (THEME / SHEET).read_text(encoding="utf-8"))
    others = [file.read_text(encoding="utf-8") for file in static.rglob("*.css") if file != static / SHEET]
    signs = {chr(int(code, 16)) if code else sign for text in [sheet, *others] for code, sign in PLACE.findall(text)}
    faces = FACE.findall(sheet)
    if not faces or not signs:
        raise ExtensionError("light.py: the theme's icons are no longer where they were")
    for face in faces:
        _font(THEME / FONTS / f"{face}.ttf", static / FONTS / f"{face}.woff", "".join(sorted(signs)))
        for kind in ("ttf", "woff2"):
            (static / FONTS / f"{face}.{kind}").unlink(missing_ok=True)
    sheet = FACE.sub(rf'src:url(../{FONTS}/\1.woff) format("woff")', sheet)
    (static / SHEET).write_text(sheet, encoding="utf-8")
    for file in (static / DRAWER, static / f"{DRAWER}.map"):
        file.unlink(missing_ok=True)


def _font(source: Path, target: Path, signs: str) -> None:
    """A font with these signs of another one; equal signs give equal bytes."""
    font = TTFont(source, recalcTimestamp=False)
    chosen = subset.Subsetter(subset.Options(hinting=False))
    chosen.populate(text=signs)
    chosen.subset(font)
    font.flavor = "woff"
    font.save(target)


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx."""
    app.connect("config-inited", configure)
    app.connect("html-page-context", lighten, priority=900)
    app.connect("build-finished", icons)
    return {"version": "1", "parallel_read_safe": True}
