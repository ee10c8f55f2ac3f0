"""Records of what was run without a script of its own: the runs of a chapter, or files of `model-collapse chain`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from model_collapse import paths
from model_collapse.companion import records
from model_collapse.companion.book import chapter, executed, notebook
from model_collapse.companion.records import create
from model_collapse.errors import InputError
from model_collapse.store import archive


def make(places: Sequence[str], profile: str, name: str | None, out: Path | None) -> tuple[records.Recorded, Path]:
    """Record a chapter, by its slug, or runs, by file or folder; the record and the folder or zip it lies in.

    out  the folder, there or not, or FILE.zip; None: the checkout's records/

    InputError in one line for anything that is no finished run, and for runs that cannot be one record.
    """
    arms, about = _asked(places, profile)
    if not arms:
        raise InputError(f"{', '.join(places)}: no finished runs there")
    return create.lay_down(name or Path(places[0]).stem.lower().replace("_", "-"), arms, about, out)


def _asked(places: Sequence[str], profile: str) -> tuple[dict[str, Path], dict[str, Any]]:
    """Condition -> file of the runs that are asked for, and what is known of how they were made."""
    slugs = {known.slug: known for known in chapter.find()} if paths.project() else {}
    if len(places) == 1 and places[0] in slugs:
        return of_chapter(slugs[places[0]], profile)
    if odd := next((place for place in places if not Path(place).exists()), None):
        raise InputError(f"{odd}: neither a chapter nor a file; chapters: {', '.join(slugs) or 'none, no checkout'}")
    files = archive.tables([Path(place) for place in places])
    arms = {file.stem: file for file in files}
    if len(arms) < len(files):
        raise InputError(f"{', '.join(places)}: two files of one name; arms are called by it")
    return arms, {}


def of_chapter(chosen: chapter.Chapter, profile: str) -> tuple[dict[str, Path], dict[str, Any]]:
    """Condition -> file of the runs that the executed copy of a chapter is made of, and what is known of how."""
    chapter.select([chosen], [chosen.slug], profile)
    again = f"model-collapse run {chosen.slug} --profile {profile}"
    if problem := executed.problem(chosen, profile):
        raise InputError(f"chapter {chosen.slug} {problem}; run: {again}")
    studied = executed.manifest(executed.path_of(chosen, profile)).get("runs")
    if not studied:
        raise InputError(f"chapter {chosen.slug}: its executed copy names no runs; run: {again} --force")
    files = {arm: notebook.runs_folder() / f"{run_id}.parquet" for arm, run_id in studied.items()}
    if lost := next((file for file in files.values() if not file.is_file()), None):
        raise InputError(f"chapter {chosen.slug}: its run {lost} is gone; run: {again} --force")
    return files, {"command": again}
