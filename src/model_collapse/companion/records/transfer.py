"""Records that travel: packed into a zip, and added from a zip or a folder once they have passed all checks.

    model-collapse record gaussian --out gaussian.zip      there
    model-collapse record --add gaussian.zip               here

In the zip or folder lie the files of one record or several, each NAME.json with its NAME.parquet and generated rows.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

from model_collapse import store
from model_collapse.companion import records
from model_collapse.companion.records import crate, manifest
from model_collapse.errors import InputError
from model_collapse.store import archive

LARGEST = 2**24
"""Bytes of a file at most; what is committed with the source is kept far below it."""

_FILE = re.compile(rf"{manifest.NAME.pattern}(\.json|\.parquet|\.({'|'.join(store.WRITTEN)})\.parquet)")
_BESIDE = ("README.md", crate.FILE)
"""What may lie beside records and is left where it is."""


def pack(name: str, folder: Path, out: Path) -> None:
    """Put a record into the zip `out`; equal records are equal files."""
    archive.write_zip(out, {file: (folder / file).read_bytes() for file in _files(records.read(name, folder))})


def add(place: Path, folder: Path | None = None) -> list[records.Recorded]:
    """Take the records of a zip or a folder into `folder`, the checkout's records/ unless another is named.

    Everything is checked before anything is written: names, sizes, checksums, manifests, columns, run_ids, that the
    numbers are finite where the manifest does not say otherwise and no generation is missing. A record that is there
    with the same numbers is left alone. InputError in one line for anything else, and nothing is written.
    """
    folder = records.where(folder)
    with tempfile.TemporaryDirectory() as staged:
        there = Path(staged)
        for name, content in (_of_folder(place) if place.is_dir() else _of_zip(place)).items():
            (there / name).write_bytes(content)
        names = records.names(there)
        if not names:
            raise InputError(f"{place}: no record in it, NAME.json and NAME.parquet")
        try:
            found = [records.read(name, there) for name in names]
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{place}: a manifest in it is damaged ({type(error).__name__}: {error})") from None
        for recorded in found:
            _names_no_place(recorded)
        mine = {file for recorded in found for file in _files(recorded)}
        if stray := {file.name for file in there.iterdir()} - mine:
            raise InputError(f"{place}: {min(stray)} belongs to no record in it")
        copy(found, there, folder)
    return found


def copy(found: Iterable[records.Recorded], staged: Path, folder: Path) -> None:
    """Put records that are checked from one folder into another, each manifest last, and renew the crate.

    InputError, before anything is written, where one of that name is there with other numbers, or what is there is
    damaged.
    """
    crate.text(folder)
    new = [recorded for recorded in found if not _there(recorded, folder)]
    for recorded in new:
        for name in _files(recorded):
            with store.whole_file(folder / name) as temporary:
                shutil.copyfile(staged / name, temporary)
    crate.write(folder)


def _there(recorded: records.Recorded, folder: Path) -> bool:
    """Whether a record is there already."""
    if not records.begun(recorded.name, folder):
        return False
    other = records.read(recorded.name, folder)
    same = other.tables.keys() == recorded.tables.keys()
    if not same or any(archive.other_numbers(other.tables[arm], table) for arm, table in recorded.tables.items()):
        raise InputError(f"{folder / recorded.name}.json is there with other numbers; use another --name, or remove it")
    return True


def _files(recorded: records.Recorded) -> list[str]:
    return [*sorted(recorded.about["files"]), f"{recorded.name}.json"]


def _checked(place: Path, name: str, size: int) -> None:
    if not _FILE.fullmatch(name):
        raise InputError(f"{place}: {name!r} is not the name of a file of a record; nothing was added")
    if size > LARGEST:
        raise InputError(f"{place}: {name} has {size} bytes; {LARGEST} is the most that is kept; nothing was added")


def _of_folder(place: Path) -> dict[str, bytes]:
    files = [file for file in sorted(place.iterdir()) if file.name not in _BESIDE]
    for file in files:
        if file.is_symlink() or not file.is_file():
            raise InputError(f"{place}: {file.name} is a link or a folder, and no file; nothing was added")
        _checked(place, file.name, file.stat().st_size)
    return {file.name: file.read_bytes() for file in files}


def _of_zip(place: Path) -> dict[str, bytes]:
    with archive.opened(place, "model-collapse record ... --out FILE.zip") as content:
        entries: list[zipfile.ZipInfo] = [entry for entry in content.infolist() if entry.filename not in _BESIDE]
        for entry in entries:
            _checked(place, entry.filename, entry.file_size)
        if len({entry.filename for entry in entries}) < len(entries):
            raise InputError(f"{place}: a file is in it twice; nothing was added")
        return {entry.filename: content.read(entry) for entry in entries}


def _names_no_place(recorded: records.Recorded) -> None:
    text = str(dict(recorded.about))
    if found := re.search(r"['\"](/[^'\"]*|[A-Za-z]:\\[^'\"]*)['\"]", text):
        raise InputError(f"recorded run {recorded.name}: its manifest names {found[1]}, a place on its machine")
