"""Sphinx extension: code that runs in its page, in the reader's browser, by Pyodide.

A code cell tagged `in-page` gets a button. Nothing is loaded before it is pressed; then Python and its packages come
from `pyodide_address` of `_config.yml`, and this package from a zip that is written beside the pages.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

from model_collapse import paths
from model_collapse.store.archive import write_zip

ARCHIVE = "model_collapse.zip"
"""The package's source, among the static files."""


def script(app: Sphinx, name: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    """Loads the script on pages that have such a cell, and tells it where Pyodide is."""
    if doctree is not None and any("tag_in-page" in cell["classes"] for cell in doctree.findall(nodes.container)):
        address = {"data-pyodide": app.config.pyodide_address}
        app.add_js_file("in_page.js", loading_method="defer", **address)


def package(app: Sphinx, problem: Exception | None) -> None:
    """When all pages are written: the package beside them."""
    if problem or app.builder.format != "html":
        return
    root = paths.PACKAGE.parent
    files = (file for file in sorted(paths.PACKAGE.rglob("*")) if file.is_file() and file.suffix != ".pyc")
    contents = {file.relative_to(root).as_posix(): file for file in files}
    write_zip(Path(app.outdir) / "_static" / ARCHIVE, contents, compress=True)


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx."""
    app.add_config_value("pyodide_address", "", "html")
    app.connect("html-page-context", script)
    app.connect("build-finished", package)
    return {"version": "1", "parallel_read_safe": True}
