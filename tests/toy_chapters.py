"""Small chapters for the tests of the runner and the book."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

PARAMETERS = 'profile: str = "laptop"\nn: int | None = None\nshare: float = 0.5\nwords: str | None = None'
COST = {"device": "cpu", "minutes": 0.05, "disk_mb": 1}


def chapter(
    root: Path,
    name: str,
    cells: Sequence[str] = ("print(profile, n, share)",),
    *,
    parameters: str = PARAMETERS,
    profiles: Sequence[str] = ("smoke", "laptop"),
    device: str = "cpu",
) -> Path:
    """Write `notebooks/<name>.ipynb` below `root`; a cell that begins with `#md ` is Markdown, `#in-page` is a tag."""
    title = name.partition("_")[2].replace("_", " ").capitalize()
    notebook = new_notebook(
        metadata={
            "chapter": {"cost": {profile: COST | {"device": device} for profile in profiles}},
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        },
        cells=[
            new_markdown_cell(f"# {title}\n\nWhat does this show?", id="title"),
            new_code_cell(parameters, id="parameters", metadata={"tags": ["parameters"]}),
        ],
    )
    for index, text in enumerate(cells):
        kind = new_markdown_cell if text.startswith("#md ") else new_code_cell
        tags = {"tags": ["in-page"]} if text.startswith("#in-page") else {}
        notebook.cells.append(kind(text.removeprefix("#md "), id=f"cell-{index}", metadata=tags))
    target = root / "notebooks" / f"{name}.ipynb"
    target.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, target)
    return target
