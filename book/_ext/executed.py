"""Sphinx extension: lays executed notebooks over the clean ones while the book is built.

Pages are read from `notebooks/`, so that links and edit buttons lead to the clean notebooks; this extension puts the
outputs of the executed copy in when a page is read. Prose always comes from the clean notebook. A copy that is missing,
failed or stale is a warning in one line, which fails the build. Figures made by `show` become numbered figures with
alternative text and a download of their table, `say` becomes prose, and each page ends with where it comes from.

`{figure-of} NAME` shows a chapter's figure, in its page or on another one, and its twin in dark mode.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.directives.patches import Figure
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

from model_collapse.analysis.figures import look
from model_collapse.companion.book import executed as copies
from model_collapse.companion.book.chapter import find
from model_collapse.companion.book.notebook import MARK

log = logging.getLogger(__name__)


def prepare(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    """Before any page is read: check every copy, lay it over its notebook, write the figures out."""
    profile = app.config.executed_profile
    app.executed_pages = {}  # type: ignore[attr-defined]
    names: dict[str, str] = {}
    for chapter in find(Path(app.srcdir)):
        page = f"notebooks/{chapter.path.stem}"
        if page not in env.found_docs:
            log.warning(f"chapter {chapter.slug} is not in book/_toc.yml")
            continue
        if problem := copies.problem(chapter, profile):
            again = f"model-collapse run {chapter.slug} --profile {profile}"
            log.warning(f"chapter {chapter.slug} {problem}; run: {again}", location=page)
            continue
        copy = copies.path_of(chapter, profile)
        notebook = lay_over(_json(chapter.path), _json(copy), f"/_build/figures/{profile}")
        notebook["cells"].append(_prose(provenance(copies.manifest(copy)), "provenance"))
        app.executed_pages[page] = json.dumps(notebook)  # type: ignore[attr-defined]
        for output in _outputs(_json(copy)):
            name = _mark(output).get("name")
            if name in names:
                log.warning(f"figure {name} is also in {names[name]}", location=page)
            elif name:
                names[name] = page
                _export(output, folder(app) / name)
            elif any(kind.startswith("image/") for kind in output.get("data", {})):
                log.warning("a figure without alternative text: show it with `show`", location=page)


def read(app: Sphinx, page: str, source: list[str]) -> None:
    """When a page is read: its executed text, and what it must be read again for."""
    copy = copies_folder(app) / f"{Path(page).name}.ipynb"
    if page.startswith("notebooks/"):
        app.env.note_dependency(str(copy))
        source[0] = app.executed_pages.get(page, source[0])  # type: ignore[attr-defined]
    elif "{glue" in source[0]:
        for other in copies_folder(app).glob("*.ipynb"):
            app.env.note_dependency(str(other))


def lay_over(clean: dict[str, Any], executed: dict[str, Any], figures: str) -> dict[str, Any]:
    """The clean notebook with the outputs of its executed copy; marked outputs become cells of prose."""
    cells: list[dict[str, Any]] = []
    ran = (cell for cell in executed["cells"] if cell["cell_type"] == "code")
    for cell in clean["cells"]:
        if cell["cell_type"] != "code":
            cells.append(cell)
            continue
        outputs = next(done for done in ran if _tags(done) != ["injected-parameters"])["outputs"]
        shown = not {"remove-cell", "remove-output"} & set(_tags(cell))
        cells.append(cell | {"outputs": []})
        for index, output in enumerate(outputs):
            kind = _mark(output).get("kind") if shown else None
            if kind:
                text = figure(_mark(output), figures) if kind == "figure" else "".join(output["data"]["text/markdown"])
                cells.append(_prose(text, f"{cell.get('id', len(cells))}-{index}"))
            elif cells[-1]["cell_type"] == "code":
                cells[-1]["outputs"].append(output)
            else:
                only = {"source": "# continued", "metadata": {"tags": ["remove-input"]}, "outputs": [output]}
                cells.append(cell | only | {"id": f"{cell.get('id', len(cells))}-{index}"})
        if "parameters" in _tags(cell):
            given = [done for done in executed["cells"] if _tags(done) == ["injected-parameters"]]
            told = {"tags": ["hide-input"], "mystnb": {"code_prompt_show": "Code: parameters of this build"}}
            cells.extend(done | {"metadata": told} for done in given)
    return clean | {"cells": cells}


def figure(about: dict[str, Any], folder: str) -> str:
    """A MyST figure for what `show` showed."""
    name = about["name"]
    return (
        f"``````{{figure-of}} {name}\n:name: {name}\n\n{about['caption']}\n\n"
        f"{{download}}`Data of this figure (CSV) <{folder}/{name}.csv>`\n``````"
    )


def provenance(about: dict[str, Any]) -> str:
    """A folded box: where the outputs of a page come from."""
    changed = " with uncommitted changes" if about["dirty"] else ""
    commit = f"`{about['commit'][:12]}`{changed}" if about["commit"] else "not under version control"
    given = ", ".join(f"`{name}={value}`" for name, value in about["parameters"].items())
    rows = {
        "Chapter, profile": f"`{about['chapter']}`, `{about['profile']}`",
        "Parameters": given or "as the profile says",
        "Commit": commit,
        "Device": about["device"],
        "Run": f"{about['started'].replace('T', ' ')}, {about['seconds']:g} seconds",
        "Versions": ", ".join(f"{name} {version}" for name, version in about["versions"].items()),
        "Run it again": f"`model-collapse run {about['chapter']} --profile {about['profile']} --force`",
    }
    table = "\n".join(f"| {key} | {value} |" for key, value in rows.items())
    return (
        f"````{{admonition}} Where this page comes from\n:class: dropdown provenance\n\n| | |\n|---|---|\n{table}\n````"
    )


class FigureOf(Figure):
    """`{figure-of} NAME`: a chapter's figure; another caption may stand in the body, `:name:` labels it."""

    def run(self) -> list[Any]:
        """The figure, with the alternative text and, without a body, the caption that the chapter gave it."""
        name, env = self.arguments[0], self.state.document.settings.env
        about = folder(env.app) / f"{name}.json"
        env.note_dependency(str(about))
        if not about.is_file():
            log.warning(f"no chapter shows a figure {name}", location=env.docname)
            return []
        told = _json(about)
        self.arguments[0] = f"/{about.with_suffix('.svg').relative_to(env.srcdir).as_posix()}"
        self.options |= {"alt": told["alt"], "width": f"{told['width']}px", "height": f"{told['height']}px"}
        if not self.content:
            self.content.append(told["caption"], name)
        shown = super().run()
        if told["twin"]:
            (figure,) = shown
            image = figure[0]
            twin = image.deepcopy()
            twin["uri"] = image["uri"].replace(".svg", "-dark.svg")
            image["classes"].append("only-light")
            twin["classes"].append("only-dark")
            # In a box of their own: beside a picture that is not shown the theme hides the caption too.
            figure[0] = nodes.container("", image, twin)
        return shown


def folder(app: Sphinx) -> Path:
    """Where figures of the profile that is built are written."""
    return Path(app.srcdir) / "_build" / "figures" / app.config.executed_profile


def copies_folder(app: Sphinx) -> Path:
    """Where executed notebooks of the profile lie."""
    return Path(app.srcdir) / "_build" / "executed" / app.config.executed_profile / "notebooks"


def _export(output: dict[str, Any], target: Path) -> None:
    data = output["data"]
    svg = "".join(data["image/svg+xml"])
    _write(target.with_suffix(".svg"), svg.encode())
    _write(target.with_name(f"{target.name}-dark.svg"), look.dark(svg).encode())
    _write(target.with_suffix(".csv"), "".join(data["text/csv"]).encode())
    _write(target.with_suffix(".json"), json.dumps(_mark(output)).encode())


def _write(file: Path, content: bytes) -> None:
    # An equal file stays as it is: its time tells Sphinx which pages to read again.
    if not file.is_file() or file.read_bytes() != content:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


def _json(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text(encoding="utf-8"))


def _tags(cell: dict[str, Any]) -> list[str]:
    return cell["metadata"].get("tags", [])


def _mark(output: dict[str, Any]) -> dict[str, Any]:
    return output.get("metadata", {}).get(MARK, {})


def _outputs(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    return [output for cell in notebook["cells"] for output in cell.get("outputs", ())]


def _prose(text: str, name: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "id": name[:64], "metadata": {}, "source": text}


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx. The profile comes from $MODEL_COLLAPSE_PROFILE, which `model-collapse build` sets."""
    app.add_config_value("executed_profile", os.environ.get("MODEL_COLLAPSE_PROFILE", "laptop"), "env")
    app.add_directive("figure-of", FigureOf)
    app.connect("env-before-read-docs", prepare)
    app.connect("source-read", read)
    return {"version": "1", "parallel_read_safe": False}
