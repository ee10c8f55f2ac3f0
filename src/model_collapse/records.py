"""Recorded runs: what a heavy study left behind, small enough to lie in the repository's folder records/.

    recorded = records.read("cpu")              checked against its checksums
    recorded.label                              one line: model, corpus, scale, device, date
    recorded.tables["A"]                        the tidy table of an arm, as `run.study` returns it

records/NAME.parquet holds the tidy tables of all arms, told apart by run_id; NAME.texts.parquet or NAME.images.parquet
a little of what was written; NAME.json says which run is which arm, how it was made, and the sha256 of the other files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from model_collapse import families, paths, record, registry
from model_collapse.errors import InputError, OutsideError
from model_collapse.families.opt import SHAPES
from model_collapse.record import Run

FIRST_ROWS = {"texts": 8, "images": 10}
"""Of what was written so many rows of the first replicate are kept, the first ones: chosen before anybody looked."""

BINS = "bin "
"""Items of histograms begin with it. They are most of a table, and kept only of the arms that ask for them."""

CORPORA = {
    "embedded": "invented corpus",
    "wikitext-2-v1": "WikiText-2-v1",
    "wikitext-2-raw": "WikiText-2",
    "digits": "scikit-learn's digits",
    "mnist": "MNIST",
}

_NAME = re.compile(r"[a-z][a-z0-9-]*")


@dataclass(frozen=True, eq=False)
class Recorded:
    """A recorded run.

    about    the manifest: label, arms, commit, versions, time and cost
    tables   arm -> tidy table, rectangular: every replicate has the same generations
    written  arm -> texts or images of the first replicate, the first rows of each generation; arms of numbers have none
    """

    name: str
    about: Mapping[str, Any]
    tables: dict[str, pd.DataFrame]
    written: dict[str, pd.DataFrame]

    @property
    def label(self) -> str:
        """Model, corpus, scale, device and date in one line."""
        return str(self.about["label"])


def names(folder: Path | None = None) -> list[str]:
    """Names of the recorded runs that are there."""
    folder = _folder(folder)
    return sorted(file.stem for file in folder.glob("*.json") if file.with_suffix(".parquet").exists())


def read(name: str, folder: Path | None = None) -> Recorded:
    """A recorded run, from the repository unless another folder is named.

    InputError if there is none of that name, or a file of it is missing, damaged or of another run; OutsideError where
    the package is installed without the repository.
    """
    folder = _folder(folder)
    manifest = folder / f"{name}.json"
    if not _NAME.fullmatch(name) or not manifest.is_file():
        raise InputError(f"recorded run {name}: there are {', '.join(names(folder)) or 'none'}")
    try:
        about = json.loads(manifest.read_text(encoding="utf-8"))
        arms = {arm: str(described["run_id"]) for arm, described in about["arms"].items()}
        sums = dict(about["files"])
        str(about["label"]), sums[f"{name}.parquet"]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(f"recorded run {name}: {manifest.name} is damaged, or no manifest of a recorded run") from None
    for file, digest in sums.items():
        if Path(file).name != file or not (folder / file).is_file():
            raise InputError(f"recorded run {name}: {file} is missing")
        if record.checksum(folder / file) != digest:
            raise InputError(f"recorded run {name}: {file} is damaged or of another run; its checksum differs")
    table = record.read(folder / f"{name}.parquet")
    parts = [folder / file for kind in record.WRITTEN if (file := f"{name}.{kind}.parquet") in sums]
    written = {arm: rows for part in parts for arm, rows in _by_arm(record.read(part), arms, name)}
    return Recorded(name, about, dict(_by_arm(table, arms, name)), written)


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
    """Keep tables, and texts or images, of several runs by arm, and read them back.

    bins   arms whose histograms are kept
    about  further entries of the manifest (how it was made, what it cost)

    Of what was written only the FIRST_ROWS of the first replicate are kept. The manifest is written last.
    """
    folder = _folder(folder)
    if not _NAME.fullmatch(name):
        raise InputError(f"recorded run {name}: lower-case letters, digits and hyphens")
    if len({run.run_id for run in runs.values()}) < len(runs):
        raise InputError(f"recorded run {name}: two arms are the same run")
    kept = {
        arm: table if arm in bins else table[~table["item"].astype(str).str.contains(f"(?:^|/){BINS}")]
        for arm, table in tables.items()
    }
    provenance = record.provenance()
    parts = {f"{name}.parquet": [table[record.COLUMNS] for table in kept.values()]}
    for kind, columns in record.WRITTEN.items():
        of_kind = [rows for rows in written.values() if list(rows.columns) == columns]
        first = [rows[(rows["replicate"] == 0) & (rows["row"] < FIRST_ROWS[kind])] for rows in of_kind]
        if first:
            parts[f"{name}.{kind}.parquet"] = first
    files = {}
    for file, tables_of in parts.items():
        record.write_table(folder / file, _arrow(pd.concat(tables_of, ignore_index=True)), provenance)
        files[file] = record.checksum(folder / file)
    manifest = {
        "name": name,
        "label": label(runs, kept, provenance["created_at"][:10]),
        "arms": {arm: {"run_id": run.run_id, "run": record.describe(run)} for arm, run in runs.items()},
        **provenance,
        **about,
        "files": files,
    }
    with record.whole_file(folder / f"{name}.json") as temporary:
        temporary.write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    return read(name, folder)


def label(runs: Mapping[str, Run], tables: Mapping[str, pd.DataFrame], date: str) -> str:
    """Model, corpus, scale, device and date of a study in one line; its arms differ in these by their sizes at most."""
    run, rows = next(iter(runs.values())), next(iter(tables.values()))
    preset = run.family_args.get("preset")
    model = run.family
    if run.family == "opt" and preset in SHAPES:
        shape = SHAPES[preset]
        model = f"{preset} OPT ({shape['hidden_size']} wide, {shape['num_hidden_layers']} layers)"
    elif preset:
        model = f"{run.family}, preset {preset}"
    unit = {"text": "blocks", "images": "images", "numbers": "rows"}[registry.member(families, run.family).reads]
    seeds, last = rows["replicate"].nunique(), rows["generation"].max()
    device = str(rows["device"].iloc[0])
    if device == "cpu":
        device = f"CPU ({record.machine()})"
    sizes = " to ".join(
        str(n) for n in sorted({min(own.n for own in runs.values()), max(own.n for own in runs.values())})
    )
    scale = f"{sizes} {unit}, {seeds} seed{'s' if seeds > 1 else ''}, generations 0-{last}"
    corpus = [CORPORA.get(run.corpus, run.corpus)] if run.corpus else []
    return ", ".join([model, *corpus, scale, device, date])


def _folder(folder: Path | None) -> Path:
    found = folder or paths.records()
    if found is None:
        raise OutsideError("recorded runs lie in the repository's folder records/; get a copy of the repository")
    return found


def _arrow(frame: pd.DataFrame) -> pa.Table:
    """A table with its text columns dictionary-encoded."""
    table = pa.Table.from_pandas(frame, preserve_index=False)
    for place, field in enumerate(table.schema):
        if pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
            table = table.set_column(place, field.name, table[field.name].dictionary_encode())
    return table


def _by_arm(frame: pd.DataFrame, arms: Mapping[str, str], name: str) -> Iterator[tuple[str, pd.DataFrame]]:
    """The rows of each arm that has some."""
    whose = frame["run_id"].astype(str)
    if foreign := set(whose) - set(arms.values()):
        raise InputError(f"recorded run {name}: run {min(foreign)} is none of its arms")
    for arm, run_id in arms.items():
        rows = frame[whose == run_id].reset_index(drop=True)
        if len(rows):
            yield arm, rows
