"""Records of what was run without a script of its own: the runs of a chapter, or files of `model-collapse chain`."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from model_collapse import archive, notebook, paths, record, records
from model_collapse.chapters import chapter, executed
from model_collapse.errors import InputError
from model_collapse.records import taking
from model_collapse.records.manifest import inputs
from model_collapse.run import sessions


def make(places: Sequence[str], profile: str, name: str | None, out: Path | None) -> tuple[records.Recorded, Path]:
    """Record a chapter, by its slug, or runs, by file or folder; the record and the folder or zip it lies in.

    out  the folder, there or not, or FILE.zip; None: the checkout's records/

    InputError in one line for anything that is no finished run, and for runs that cannot be one record.
    """
    slugs = {known.slug: known for known in chapter.find()} if paths.project() else {}
    if len(places) == 1 and places[0] in slugs:
        arms, about = of_chapter(slugs[places[0]], profile)
    elif odd := next((place for place in places if not Path(place).exists()), None):
        raise InputError(f"{odd}: neither a chapter nor a file; chapters: {', '.join(slugs) or 'none, no checkout'}")
    else:
        files = archive.tables([Path(place) for place in places])
        arms, about = {file.stem: file for file in files}, {}
        if len(arms) < len(files):
            raise InputError(f"{', '.join(places)}: two files of one name; arms are called by it")
    if not arms:
        raise InputError(f"{', '.join(places)}: no finished runs there")
    stem = Path(places[0]).stem.lower().replace("_", "-")
    if out is not None and out.suffix == ".zip":
        archive.must_be_there("--out", out.parent)
        with tempfile.TemporaryDirectory() as staged:
            made = of_files(name or stem, arms, Path(staged), about)
            taking.pack(made.name, Path(staged), out)
        return made, out
    folder = records.where(out)
    archive.must_be_there("--out", folder.parent)
    if any(file.resolve() == (folder / f"{name or stem}.parquet").resolve() for file in arms.values()):
        raise InputError(
            f"--out {folder}: {name or stem}.parquet there is the run itself; name another folder or --name"
        )
    with tempfile.TemporaryDirectory() as staged:
        made = of_files(name or stem, arms, Path(staged), about)
        folder.mkdir(exist_ok=True)
        taking.copy([made], Path(staged), folder)
    return made, folder


def of_chapter(chosen: chapter.Chapter, profile: str) -> tuple[dict[str, Path], dict[str, Any]]:
    """Arm -> file of the runs that the executed copy of a chapter is made of, and what is known of how."""
    chapter.select([chosen], [chosen.slug], profile)
    again = f"model-collapse run {chosen.slug} --profile {profile}"
    if problem := executed.problem(chosen, profile):
        raise InputError(f"chapter {chosen.slug} {problem}; run: {again}")
    studied = executed.manifest(executed.copy(chosen, profile)).get("runs")
    if not studied:
        raise InputError(f"chapter {chosen.slug}: its executed copy names no runs; run: {again} --force")
    files = {arm: notebook.runs_folder() / f"{run_id}.parquet" for arm, run_id in studied.items()}
    if lost := next((file for file in files.values() if not file.is_file()), None):
        raise InputError(f"chapter {chosen.slug}: its run {lost} is gone; run: {again} --force")
    return files, {"command": again}


def of_files(name: str, arms: Mapping[str, Path], folder: Path, about: Mapping[str, Any]) -> records.Recorded:
    """The record of finished runs, arm -> FILE.parquet, written to `folder`.

    Runs of several versions of the package are no record. What their files do not know is null in the manifest.
    """
    described: dict[str, dict[str, Any]] = {}
    tables, written, told = {}, {}, []
    for arm, file in arms.items():
        own = archive.checked(file)
        told.append(own)
        described[arm] = {"run_id": own["run_id"], "run": own["run"]}
        _names_no_place(file, own["run"])
        tables[arm] = record.read(file)
        for texts in record.written_files(file):
            if archive.checked(texts)["run_id"] != own["run_id"]:
                raise InputError(f"{texts} holds what another run wrote than {file}")
            written[arm] = record.read(texts)
    for key in ("source", "lock"):
        if len({own["run"][key] for own in told}) > 1:
            other = {"source": "versions of this package", "lock": "sets of installed packages"}[key]
            raise InputError(f"{', '.join(arms)}: runs of several {other}; record them apart")
    last = max(told, key=lambda own: str(own["created_at"]))
    took = sessions.together(own.get("sessions", [sessions.UNKNOWN]) for own in told)
    disk: list[Any] = [own.get("disk_mb") for own in told]
    known = {
        "machine": _same(own.get("machine") for own in told),
        "dtype": _joined(own.get("dtype") for own in told),
        "sessions": took,
        **sessions.spent(took),
        "disk_mb": None if None in disk else round(sum(disk), 3),
        "inputs": {
            key: total
            for own in told
            for key, total in inputs(own["run"], own.get("content", own["run"]["content"])).items()
        },
    }
    provenance = {key: last[key] for key in ("commit", "versions", "created_at", "schema")}
    provenance["dirty"] = any(own["dirty"] for own in told)
    return records.keep(name, described, tables, written, folder, provenance=provenance, about=known | dict(about))


def _names_no_place(file: Path, run: Mapping[str, Any]) -> None:
    """InputError for a run whose settings name a folder by its place on this machine, which a record would tell."""
    for key, value in run.items():
        if isinstance(value, str) and Path(value).is_absolute():
            shown = key if key != "corpus" else "--corpus"
            raise InputError(f"{file}: its {shown} is {value}, a place on its machine; run it with a relative path")


def _same(values: Any) -> Any:
    distinct = set(values)
    return distinct.pop() if len(distinct) == 1 else None


def _joined(values: Any) -> str | None:
    distinct = set(values)
    return None if None in distinct else ", ".join(sorted(distinct))
