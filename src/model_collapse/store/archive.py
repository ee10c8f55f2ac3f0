"""Results as one file: finished runs with their texts, packed into a zip and read back.

    model-collapse pack _build/runs --out results.zip      here
    model-collapse unpack results.zip                      there, to where chapters look for their runs

A run is known by its run_id, and is called by it in the zip. The zip is stored, not compressed, with names in order
and without times, so that equal results are equal files; `manifest.json` in it has the sha256 of every file and says
of every run what it is and who made it. A run_id covers the package's code: a chapter of another version of the
package looks for other runs, and computes them.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from model_collapse import store
from model_collapse.errors import InputError

MANIFEST = "manifest.json"
KIND = "model-collapse runs"

_NAME = re.compile(rf"[0-9a-f]{{16}}\.parquet(\.({'|'.join(store.WRITTEN)})\.parquet)?")
_LARGEST = 2**20
"""Bytes of a manifest at most, so that a foreign file is not read whole to find that out."""


def pack(places: Sequence[Path], out: Path) -> list[str]:
    """Write the finished runs of `places`, files or folders of them, into the zip `out`; their ids, in order.

    InputError for what is no table of a run, for no runs at all, and for two results of one run that differ.
    """
    must_be_there("--out", out.parent)
    if out.suffix != ".zip":
        raise InputError(f"--out {out}: name a .zip file")
    found: dict[str, Path] = {}
    for table in tables(places):
        name = checked(table)["run_id"]
        if _differ(table, found.setdefault(name, table)):
            raise InputError(f"{table} and {found[name]} have other numbers for the same run {name}; pack one of them")
    if not found:
        raise InputError(f"{', '.join(map(str, places))}: no finished runs there")
    files: dict[str, Path] = {}
    runs: dict[str, Any] = {}
    for name, table in sorted(found.items()):
        files[f"{name}.parquet"] = table
        runs[name] = store.about(table)
        for file in store.written_files(table):
            kind = str(store.written_kind(file))
            if checked(file)["run_id"] != name:
                raise InputError(f"{file} holds the {kind} of another run than {table}")
            files[store.written_file(Path(f"{name}.parquet"), kind).name] = file
    sums = {name: store.checksum(file) for name, file in files.items()}
    manifest = {"kind": KIND, "schema": store.SCHEMA, "files": sums, "runs": runs}
    first = {MANIFEST: json.dumps(manifest, indent=1, sort_keys=True).encode()}
    write_zip(out, first | {name: file.read_bytes() for name, file in sorted(files.items())})
    return list(runs)


def unpack(file: Path, folder: Path) -> list[str]:
    """Put the runs of a zip that `pack` wrote into `folder`, and give their ids.

    Everything is checked before anything is written: checksums, names, schema and run_ids. A run that is there with
    the same numbers is left alone. InputError for any other file, and for a run that is there with other numbers.
    """
    must_be_there("--to", folder)
    with tempfile.TemporaryDirectory() as place:
        with opened(file, "model-collapse pack") as archive:
            runs = _extract(file, archive, Path(place))
        # What was written before tables, because a run is there when its table is.
        staged = sorted(Path(place).iterdir(), key=lambda staged: (store.written_kind(staged) is None, staged.name))
        new = [part for part in staged if not (folder / part.name).exists()]
        for part in staged:
            if part not in new and _differ(part, folder / part.name):
                raise InputError(f"{folder / part.name} is there with other numbers than in {file}; move it away first")
        for part in new:
            with store.whole_file(folder / part.name) as temporary:
                shutil.copyfile(part, temporary)
    return runs


def foreign(folder: Path, runs: Iterable[str]) -> list[str]:
    """Those of the runs in `folder` that chapters here will not ask for: other code or other packages made them."""
    here = {"source": store.source_hash()[:12], "lock": store.lock_hash()[:12]}
    described = {name: store.about(folder / f"{name}.parquet").get("run", {}) for name in runs}
    return [name for name, run in described.items() if {key: run.get(key) for key in here} != here]


def write_zip(
    out: Path, contents: Mapping[str, bytes | Path], *, compress: bool = False, stored: Sequence[str] = ()
) -> None:
    """Write a zip of these files in this order and without times: the same files give the same bytes.

    contents  name -> content, or the file that has it
    stored    names that are not compressed all the same
    """
    with store.whole_file(out) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, content in contents.items():
            # The format's first date, and a file that its owner may write and all may read.
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED if compress and name not in stored else zipfile.ZIP_STORED
            archive.writestr(entry, content.read_bytes() if isinstance(content, Path) else content)


@contextmanager
def opened(file: Path, maker: str) -> Iterator[zipfile.ZipFile]:
    """A zip to read from. InputError in one line for what cannot be read; `maker` is the command that writes such."""
    try:
        with zipfile.ZipFile(file) as archive:
            yield archive
    except FileNotFoundError:
        raise InputError(f"{file}: no such file") from None
    except IsADirectoryError:
        raise InputError(f"{file} is a folder; name a file that `{maker}` wrote") from None
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError) as error:
        # zipfile raises a RuntimeError for an encrypted member, and for a compression that it does not know.
        raise InputError(f"{file}: not a readable zip file ({str(error).splitlines()[0]})") from None


def _extract(file: Path, archive: zipfile.ZipFile, place: Path) -> list[str]:
    """Write the files of the zip into `place`, all of them checked; the run_ids."""
    manifest = _manifest(file, archive)
    sums = manifest["files"]
    names = sorted(entry.filename for entry in archive.infolist() if entry.filename != MANIFEST)
    if odd := next((name for name in (*names, *sums) if not _NAME.fullmatch(name)), None):
        raise InputError(f"{file}: {odd!r} is not the name of a run's file; nothing was unpacked")
    if names != sorted(sums):
        raise InputError(f"{file}: its files are not those of its manifest; nothing was unpacked")
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
        raise InputError(f"{file}: compressed, so not written by `model-collapse pack`")
    for name, wanted in sums.items():
        content = archive.read(name)
        if hashlib.sha256(content).hexdigest() != wanted:
            raise InputError(f"{file}: {name} is damaged (its checksum differs); nothing was unpacked")
        (place / name).write_bytes(content)
    runs = sorted(name.removesuffix(".parquet") for name in sums if not store.written_kind(Path(name)))
    for name in sums:
        run_id = name.partition(".")[0]
        if run_id not in runs or checked(place / name)["run_id"] != run_id:
            raise InputError(f"{file}: {name} holds another run than its name says, or texts without their table")
    return runs


def _manifest(file: Path, archive: zipfile.ZipFile) -> dict[str, Any]:
    try:
        entry = archive.getinfo(MANIFEST)
        manifest = json.loads(archive.read(entry)) if entry.file_size <= _LARGEST else {}
        if manifest["kind"] != KIND or not all(isinstance(name, str) for name in manifest["files"].values()):
            raise KeyError("kind")
    except (KeyError, ValueError, TypeError, AttributeError):
        raise InputError(f"{file}: a zip file, but not written by `model-collapse pack`") from None
    if manifest.get("schema") != store.SCHEMA:
        found = manifest.get("schema")
        raise InputError(f"{file}: tables of schema {found}; this version reads schema {store.SCHEMA}")
    return manifest


def must_be_there(argument: str, folder: Path) -> None:
    """InputError where a folder is not there."""
    if not folder.is_dir():
        raise InputError(f"{argument}: the folder {folder} does not exist")


def tables(places: Iterable[Path]) -> list[Path]:
    """The tables among the given files and in the given folders, what was written left out."""
    listed = []
    for place in places:
        inside = sorted(place.glob("[!.]*.parquet")) if place.is_dir() else [place]
        listed += [table for table in inside if not (place.is_dir() and store.written_kind(table))]
    return listed


def checked(file: Path) -> dict[str, Any]:
    """The provenance of a table or of texts. InputError unless it is one, of this schema."""
    about, columns = store.about(file), store.read(file).columns
    if about.get("schema") != store.SCHEMA:
        raise InputError(f"{file.name}: schema {about.get('schema')}; this version reads schema {store.SCHEMA}")
    kind = store.written_kind(file)
    if list(columns) != (store.WRITTEN[kind] if kind else store.COLUMNS) or "run_id" not in about:
        raise InputError(f"{file.name}: not a table{f' of {kind}' if kind else ''} of a run")
    return about


def _differ(one: Path, other: Path) -> bool:
    """Whether two files of a run say different things; how long it took is not among them."""
    if store.checksum(one) == store.checksum(other):
        return False
    return other_numbers(store.read(one), store.read(other))


def other_numbers(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Whether two tables differ in more than how long it took."""
    mine, theirs = (frame.drop(columns="seconds", errors="ignore") for frame in (one, other))
    try:
        pd.testing.assert_frame_equal(mine, theirs, check_exact=True, check_categorical=False)
    except AssertionError:
        return True
    return False
