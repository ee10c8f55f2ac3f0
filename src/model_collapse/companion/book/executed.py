"""Executed copies: where they lie, what they were made from, and whether they still hold.

`_build/executed/<profile>/notebooks/NN_slug.ipynb` with a manifest `NN_slug.json` beside it, which is written last: a
copy without a manifest was not finished. With overrides (`-p`) the folder is `<profile>-<hash>`, so that they never
reach the book.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from model_collapse import paths, store
from model_collapse.companion import records
from model_collapse.companion.book.chapter import Chapter
from model_collapse.companion.records import code


def path_of(chapter: Chapter, profile: str, values: Mapping[str, Any] | None = None) -> Path:
    """Where the executed copy of a chapter lies."""
    folder = f"{profile}-{_digest(values)[:8]}" if values else profile
    return chapter.path.parents[1] / "_build" / "executed" / folder / "notebooks" / chapter.path.name


def manifest(executed: Path) -> dict[str, Any]:
    """The manifest beside an executed copy; empty if there is none, or if it is damaged."""
    try:
        content = json.loads(executed.with_suffix(".json").read_text(encoding="utf-8"))
        return content if isinstance(content, dict) else {}
    except (OSError, ValueError):
        return {}


def inputs(chapter: Chapter, profile: str, values: Mapping[str, Any]) -> dict[str, str]:
    """Hashes of what decides a chapter's outputs, but for the records that it reads, which only its run can tell.

    Prose is not among them: the book takes it from the notebook.
    """
    named = [Path(value) for value in values.values() if isinstance(value, str)]
    folders = [*named, *([paths.data()] if paths.data() else [])]
    return {
        "notebook": _digest(chapter.cells),
        "parameters": _digest([profile, dict(values)]),
        "package source": code.whole(),
        "requirements.lock": store.lock_hash(),
        "data": _digest([_listing(folder) for folder in folders if folder is not None]),
    }


def studied(file: Path) -> dict[str, str]:
    """Condition -> run_id of what `run_all` noted in a file; a label of several runs is followed by the run_id."""
    noted = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    arms: dict[str, str] = {}
    for label, run_id in dict.fromkeys(map(tuple, noted)):
        if run_id not in arms.values():
            arms[f"{label} {run_id[:6]}" if label in arms else label] = run_id
    return arms


def records_read(file: Path) -> dict[str, str]:
    """Name -> checksum of the records that were noted in a file, as they were when first asked for."""
    found: dict[str, str] = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        found.setdefault(*json.loads(line))
    return found


def problem(chapter: Chapter, profile: str, values: Mapping[str, Any] | None = None) -> str | None:
    """Why the executed copy cannot be used, in a few words; None if it can.

    The data are not asked for: a book built where they are no longer at hand shows what was computed from them.
    """
    executed = path_of(chapter, profile, values)
    if not executed.is_file():
        return "has not been run"
    about = manifest(executed)
    if not about:
        return f"failed or was interrupted (see {relative(executed)})"
    if about.get("executed") != checksum(executed):
        return "is damaged"
    now = inputs(chapter, profile, values or {})
    changed = [name for name in now if name != "data" and now[name] != about["inputs"].get(name)]
    folder = chapter.path.parents[1] / "records"
    read = about.get("records", {}).items()
    changed += [f"record {name}" for name, digest in read if records.checksum(name, folder) != digest]
    return f"is stale ({', '.join(changed)} changed)" if changed else None


def unchanged(chapter: Chapter, profile: str, values: Mapping[str, Any]) -> bool:
    """Whether the last run succeeded and nothing it was made from has changed since."""
    if problem(chapter, profile, values):
        return False
    return manifest(path_of(chapter, profile, values))["inputs"]["data"] == inputs(chapter, profile, values)["data"]


def checksum(file: Path) -> str:
    """sha256 of a file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def relative(file: Path) -> Path:
    """A path as short as it can be told: from the current folder if it lies below it."""
    return file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file


def _listing(place: Path) -> list[tuple[str, int, int]]:
    """Names, sizes and times of the files at a place: cheap, where hashing the content is not."""
    try:
        files = sorted(file for file in place.rglob("*") if file.is_file()) if place.is_dir() else [place]
        return [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files if file.is_file()]
    except OSError:
        return []


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
