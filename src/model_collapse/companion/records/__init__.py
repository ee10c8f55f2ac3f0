"""Recorded runs: the tables of a heavy study, small enough for the repository's folder records/.

    recorded = records.read("cpu")              checked against its manifest
    recorded.label                              one line: model, corpus, scale, device, date
    recorded.tables["A"]                        the tidy table of a condition, as `run_all` returns it

records/NAME.parquet holds the tidy tables of all conditions, told apart by run_id; NAME.texts.parquet or
NAME.images.parquet a few generated rows; NAME.json names the condition of each run, how it was made, and the sha256
of the other files.

A record is read only if it is consistent:

manifest.py    the entries of NAME.json, and those that follow from the rest
identity.py    run_ids, computed again from the settings
check.py       tables against settings; replay.py how many rows each training set has
of_study.py    the study that it is of, as it is now
serves.py      which claims its settings can answer
signature.py   that nobody edited a part of it
again.py       a part of it run again
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from model_collapse import hardware, paths, registry, store
from model_collapse.companion.records import check, code, identity, manifest, of_study, signature
from model_collapse.companion.records.check import BINS
from model_collapse.engine import spec
from model_collapse.engine.spec import Run
from model_collapse.errors import ExternalError, InputError

FIRST_ROWS = {"texts": 8, "images": 10}
"""Number of written rows of the first replicate that are kept, the first ones: chosen before anybody looked."""

_PART = re.compile(r"(?P<name>[^.]*)\.(?:json|parquet|[a-z]+\.parquet)")


@dataclass(frozen=True, eq=False)
class Recorded:
    """A recorded run.

    about    the manifest, see `manifest.FIELDS`
    tables   condition -> tidy table, rectangular: every replicate has the same generations
    written  condition -> texts or images of the first replicate, the first rows of each generation; none for numbers
    """

    name: str
    about: Mapping[str, Any]
    tables: dict[str, pd.DataFrame]
    written: dict[str, pd.DataFrame]

    @property
    def label(self) -> str:
        """Model, corpus, scale, device and date in one line, and whether earlier code made it."""
        label, commit = self.about["label"], (self.about["commit"] or "unknown")[:7]
        if self.older:
            which = "earlier code" if self.changed else "code that nobody noted"
            changes = " with changes" if self.about["dirty"] else ""
            label += f", made by {which}, commit {commit}{changes}"
        return f"{label}, {self.otherwise}" if self.otherwise else label

    @cached_property
    def otherwise(self) -> str:
        """How it differs from its study as it is now, in a few words; "" if it does not, or is of no study."""
        return of_study.otherwise(self.about)

    @cached_property
    def changed(self) -> list[str] | None:
        """Files of the package that decide its numbers and have changed since; None if nobody knows which made it."""
        kept = self.about["code"]
        return code.changed(kept, code.of(arm["run"] for arm in self.about["arms"].values())) if kept else None

    @property
    def older(self) -> bool:
        """Whether other code than the present made it, or nobody knows which."""
        return self.changed is None or bool(self.changed)


def names(folder: Path | None = None) -> list[str]:
    """Names of the recorded runs that are there."""
    folder = where(folder)
    return sorted(file.stem for file in folder.glob("*.json") if file.with_suffix(".parquet").exists())


def begun(name: str, folder: Path | None = None) -> bool:
    """Whether a record of that name exists, even in part; if so, `read` returns it or reports what is wrong."""
    if folder is None:
        _note(name)
    return bool(_files(name, where(folder)))


def checksum(name: str, folder: Path | None = None) -> str:
    """sha256 over the names and contents of all files of a record, be they whole or not; "" if there is none."""
    files = [(file.name, store.checksum(file)) for file in _files(name, where(folder))]
    return hashlib.sha256(json.dumps(files).encode()).hexdigest() if files else ""


def read(name: str, folder: Path | None = None) -> Recorded:
    """A recorded run, from the repository unless another folder is named.

    InputError in one line if there is none of that name, or anything in it is missing, damaged, of another run or of
    a newer version; ExternalError where the package is installed without the repository.
    """
    folder = where(folder)
    if not begun(name, folder):
        raise InputError(f"recorded run {name}: there are {', '.join(names(folder)) or 'none'}")
    said = manifest.read(folder / f"{name}.json", name)
    about = manifest.renamed(said)
    known = {f"{name}.parquet", *(f"{name}.{kind}.parquet" for kind in store.WRITTEN)}
    for file, digest in about["files"].items():
        if file not in known:
            raise InputError(f"recorded run {name}: {file!r} is not the name of a file of it")
        if (folder / file).is_symlink() or not (folder / file).is_file():
            raise InputError(f"recorded run {name}: {file} is missing")
        if store.checksum(folder / file) != digest:
            raise InputError(f"recorded run {name}: {file} is damaged or of another run; its checksum differs")
    main, *others = sorted(about["files"], key=lambda file: file != f"{name}.parquet")
    frames = {main: _table(folder / main, store.COLUMNS)}
    frames |= {file: _table(folder / file, store.WRITTEN[file.split(".")[1]]) for file in others}
    tables = dict(_by_arm(frames[main], about["arms"], name))
    written = {arm: rows for file in others for arm, rows in _by_arm(frames[file], about["arms"], name)}
    try:
        wrong = check.wrong(about, tables, written, FIRST_ROWS) or of_study.wrong(about) or _edited(said, frames)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        wrong = f"has a manifest that is damaged ({type(error).__name__}: {error})"
    if wrong:
        raise InputError(f"recorded run {name}: {wrong}")
    return Recorded(name, about, tables, written)


def _edited(about: Mapping[str, Any], frames: Mapping[str, pd.DataFrame]) -> str:
    """Whether somebody changed a part of a record and left the rest, in a few words; "" if not."""
    provenance = ("commit", "dirty", "versions", "created_at", "schema")
    for file, frame in frames.items():
        if about["values"].get(file) != signature.of_values(frame):
            return f"{file} has other values than its manifest was made for"
        if odd := next((key for key in provenance if frame.attrs.get(key) != about[key]), None):
            return f"{file} has another {odd} than its manifest"
    if set(about["values"]) != set(frames) or about["signature"] != signature.of_manifest(about):
        return "its manifest was changed after it was written"
    return ""


def write(
    name: str,
    runs: Mapping[str, Run],
    tables: Mapping[str, pd.DataFrame],
    written: Mapping[str, pd.DataFrame],
    folder: Path | None = None,
    *,
    bins: tuple[str, ...] = (),
    **about: Any,
) -> Recorded:
    """Keep tables, and texts or images, of several runs by condition, and read them back.

    bins   conditions whose histograms are kept
    about  further entries of the manifest (how it was made, what it cost)
    """
    arms = {
        arm: {"run_id": run.run_id, "run": spec.describe(run), "hashes": identity.hashes(run)}
        for arm, run in runs.items()
    }
    read_in = {key: own for run in runs.values() for key, own in manifest.inputs(vars(run), run.content).items()}
    about = {**about, "inputs": {**read_in, **about.get("inputs", {})}}
    about.setdefault("machine", hardware.machine())
    return keep(name, arms, tables, written, folder, bins=bins, provenance=store.origin(), about=about)


def keep(
    name: str,
    arms: Mapping[str, Mapping[str, Any]],
    tables: Mapping[str, pd.DataFrame],
    written: Mapping[str, pd.DataFrame],
    folder: Path | None = None,
    *,
    bins: tuple[str, ...] = (),
    provenance: Mapping[str, Any],
    about: Mapping[str, Any],
) -> Recorded:
    """As `write`, of arms that are only described: run_id, run as `spec.describe` has it, and hashes in full.

    provenance  of the code that made them, see `store.origin`

    Of the generated rows only the FIRST_ROWS of the first replicate are kept. The manifest is written last.
    """
    folder = where(folder)
    if not manifest.NAME.fullmatch(name):
        raise InputError(
            f"recorded run {name}: lower-case letters, digits and hyphens, and no name of another file there"
        )
    if len({arm["run_id"] for arm in arms.values()}) < len(arms):
        raise InputError(f"recorded run {name}: two arms are the same run")
    kept = {
        arm: table if arm in bins else table[~table["item"].astype(str).str.contains(f"(?:^|/){BINS}")]
        for arm, table in tables.items()
    }
    parts = {f"{name}.parquet": [table[store.COLUMNS] for table in kept.values()]}
    for kind, columns in store.WRITTEN.items():
        of_kind = [rows for rows in written.values() if list(rows.columns) == columns]
        first = [rows[(rows["replicate"] == 0) & (rows["row"] < FIRST_ROWS[kind])] for rows in of_kind]
        if first:
            parts[f"{name}.{kind}.parquet"] = first
    said = manifest.made(name, arms, kept, provenance, about)
    files, values = {}, {}
    for file, tables_of in parts.items():
        whole = pd.concat(tables_of, ignore_index=True)
        store.write_table(folder / file, _arrow(whole), provenance)
        files[file], values[file] = store.checksum(folder / file), signature.of_values(whole)
    put(said | {"files": files, "values": values}, folder)
    return read(name, folder)


def put(about: Mapping[str, Any], folder: Path) -> None:
    """Write the manifest of a record, signed."""
    about = {**about, signature.FIELD: signature.of_manifest(about)}
    with store.whole_file(folder / f"{about['name']}.json") as temporary:
        temporary.write_text(json.dumps(about, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def where(named: Path | None = None) -> Path:
    """Where records lie: the repository's records/ unless another folder is named."""
    found = named or paths.records()
    if found is None:
        raise ExternalError("recorded runs lie in the repository's folder records/; get a copy of the repository")
    return found


def _files(name: str, folder: Path) -> list[Path]:
    """All files of a record of that name, by name."""
    files = sorted(folder.glob(f"{name}.*")) if manifest.NAME.fullmatch(name) else []
    return [file for file in files if (match := _PART.fullmatch(file.name)) and match["name"] == name]


def _note(name: str) -> None:
    """Tell the runner of chapters, where it asks, what a chapter found of a record, also that there was none."""
    if file := os.environ.get(paths.READ):
        with open(file, "a", encoding="utf-8") as noted:
            noted.write(json.dumps([name, checksum(name)]) + "\n")


def _arrow(frame: pd.DataFrame) -> pa.Table:
    """A table with its text columns dictionary-encoded."""
    table = pa.Table.from_pandas(frame, preserve_index=False)
    for place, field in enumerate(table.schema):
        if pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
            table = table.set_column(place, field.name, table[field.name].dictionary_encode())
    return table


def _table(file: Path, columns: list[str]) -> pd.DataFrame:
    frame = store.read(file)
    if list(frame.columns) != columns:
        raise InputError(f"{file.name}: not a table of a recorded run (its columns are others)")
    return frame


def _by_arm(
    frame: pd.DataFrame, arms: Mapping[str, Mapping[str, Any]], name: str
) -> Iterator[tuple[str, pd.DataFrame]]:
    """The rows of each condition that has some; `.attrs` names the record and the condition, with its settings."""
    whose = frame["run_id"].astype(str)
    if foreign := set(whose) - {own["run_id"] for own in arms.values()}:
        raise InputError(f"recorded run {name}: run {min(foreign)} is none of its arms")
    for arm, own in arms.items():
        rows = frame[whose == own["run_id"]].reset_index(drop=True)
        rows.attrs = {"record": name, "arm": arm, "run": own["run"]}
        if "family" in rows:
            rows["family"] = rows["family"].astype(str).replace(registry.RENAMED)
        if len(rows):
            yield arm, rows
