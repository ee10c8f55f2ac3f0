"""The book: built from executed chapters and prose, and its repository's address, kept in one place."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from model_collapse.companion.book import chapter, executed
from model_collapse.errors import ExternalError, InputError

COLAB = """\
# On Google Colab: installs the package beside the torch and numpy that are there. Does nothing anywhere else.
import sys

if "google.colab" in sys.modules:
    import subprocess

    package = "git+{url}@{branch}"
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", package], check=True)

    from model_collapse.companion.book.colab import prepare_colab

    prepare_colab()"""
"""First code cell of every notebook, tagged `colab` and `remove-cell`."""

_DERIVED = ("README.md", "CITATION.cff", "CONTRIBUTING.md", "pyproject.toml")
_REPOSITORY = re.compile(r"https://github\.com/(?P<owner>[A-Za-z0-9-]+)/(?P<name>[A-Za-z0-9._-]+?)(\.git)?/?")
_UNWANTED = ("Traceback (most recent call last)", "Project name not set")


def build(profile: str = "laptop", *, root: Path | None = None, out: Path | None = None) -> int:
    """Build the book from the chapters executed at `profile`; 0, or 1 after saying what is wrong with it.

    Pages lie in `_build/html` of the checkout, or of `out`. A chapter whose outputs are missing, failed or stale, an
    unresolved reference and every other warning of Sphinx is a failure.
    """
    root = root or chapter.project()
    chapter.select(chapter.find(root), (), profile)
    out = out or root
    toc = root / "book" / "_toc.yml"
    options = ["--toc", str(toc), "--path-output", str(out), "-W", "-n", "--keep-going"]
    try:
        done = subprocess.run(
            [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build", str(root), *options],
            env=os.environ | {"MODEL_COLLAPSE_PROFILE": profile, "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            encoding="utf-8",
        )
    except OSError as error:
        raise ExternalError(f"jupyter-book cannot be started ({error}); install the extra `book`") from None
    said = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)
    log = out / "_build" / "book.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(said, encoding="utf-8")
    html = out / "_build" / "html"
    wrong = _complaints(said, root) if done.returncode else _missing(toc, html)
    if wrong or done.returncode:
        for line in [*wrong, f"the book was not built; all that was said: {executed.relative(log)}"]:
            complain(line)
        # Sphinx reads only changed pages again: without this the next build would forget the warnings of this one.
        shutil.rmtree(out / "_build" / ".doctrees", ignore_errors=True)
        return 1
    print(f"the book: {executed.relative(html / 'index.html')}")
    return 0


def complain(line: str) -> None:
    """Say on stderr what is wrong with the book."""
    print(f"model-collapse: {line}", file=sys.stderr)


def pages(toc: Path) -> list[str]:
    """Every page of a table of contents, in reading order, without suffix."""
    import yaml

    def files(node: Any) -> list[str]:
        if isinstance(node, list):
            return [file for item in node for file in files(item)]
        if not isinstance(node, dict):
            return []
        own = [node[key] for key in ("root", "file") if key in node]
        return own + [file for value in node.values() for file in files(value)]

    return files(yaml.safe_load(toc.read_text(encoding="utf-8")))


def address(url: str | None = None, *, root: Path | None = None) -> int:
    """Write the repository's address to `_config.yml` and to all that is derived from it; 0 when done.

    Derived are links and badges in the README and its like, and the first code cell of the notebooks. Without `url`
    the derived places are written again from what `_config.yml` says.
    """
    root = root or chapter.project()
    config = root / "_config.yml"
    before, branch = repository(root)
    old = _parts(before)
    new = _parts(url) if url else old
    _replace(config, {before: f"https://github.com/{new[0]}/{new[1]}"})
    pairs = {
        f"{old[0]}/{old[1]}": f"{new[0]}/{new[1]}",
        site(before): site(f"https://github.com/{new[0]}/{new[1]}"),
    }
    for file in [*(root / name for name in _DERIVED), *sorted((root / "book").glob("*.md"))]:
        _replace(file, pairs)
    for file in sorted((root / "notebooks").glob("*.ipynb")):
        _set_colab(file, colab_cell(f"https://github.com/{new[0]}/{new[1]}", branch))
    print(f"repository: https://github.com/{new[0]}/{new[1]}")
    return 0


def repository(root: Path) -> tuple[str, str]:
    """Address and branch (or tag) of the repository, from `_config.yml`."""
    said = _settings(root)["repository"]
    return said["url"], said["branch"]


def title(root: Path) -> str:
    """Title of the book, from `_config.yml`."""
    return _settings(root)["title"]


def site(url: str) -> str:
    """Address of the pages that GitHub publishes of the repository at an address."""
    owner, name = _parts(url)
    return f"https://{owner.lower()}.github.io/{name}"


def colab_cell(url: str, branch: str) -> str:
    """The first code cell of every notebook."""
    return COLAB.format(url=url, branch=branch)


def _settings(root: Path) -> dict[str, Any]:
    import yaml

    return yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))


def _parts(url: str) -> tuple[str, str]:
    match = _REPOSITORY.fullmatch(url)
    if not match:
        raise InputError(f"address {url}: must be https://github.com/OWNER/NAME")
    return match["owner"], match["name"]


def _replace(file: Path, pairs: dict[str, str]) -> None:
    if file.is_file():
        before = after = file.read_text(encoding="utf-8")
        for old, new in pairs.items():
            after = after.replace(old, new)
        if after != before:
            file.write_text(after, encoding="utf-8")


def _set_colab(file: Path, source: str) -> None:
    notebook = json.loads(file.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        if "colab" in cell["metadata"].get("tags", []):
            lines = source.splitlines(keepends=True)
            if "".join(cell["source"]) != source:
                cell["source"] = lines
                file.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _complaints(said: str, root: Path) -> list[str]:
    """The lines of Sphinx's output that say what is wrong, each once, with paths from the root."""
    telling = re.compile(r"\b(WARNING|ERROR|CRITICAL): |^[A-Za-z]+Error: \S")
    lines = [line.replace(f"{root}/", "") for line in said.splitlines()]
    return list(dict.fromkeys(line for line in lines if telling.search(line)))


def _missing(toc: Path, html: Path) -> list[str]:
    """What a build that called itself good lacks all the same."""
    wrong = []
    for page in [*pages(toc), "index"]:
        file = html / f"{page}.html"
        text = file.read_text(encoding="utf-8") if file.is_file() else None
        if text is None:
            wrong.append(f"{page}: no page was written")
        else:
            wrong.extend(f"{page}: contains {unwanted!r}" for unwanted in _UNWANTED if unwanted in text)
    return wrong
