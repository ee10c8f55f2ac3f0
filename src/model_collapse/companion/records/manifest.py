"""NAME.json beside a record's tables: what it says, and whether that can be trusted."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from model_collapse import families, modalities, registry, store
from model_collapse.analysis import stats
from model_collapse.companion.records import code, identity
from model_collapse.engine.merge import dtype
from model_collapse.engine.usage import spent
from model_collapse.errors import InputError
from model_collapse.families.lm import SHAPES

FORMAT = 3
"""Version of the manifest. Earlier ones had no signature, and not what their run_ids are computed from."""

FIELDS = {
    "name": "of the record",
    "format": "version of the manifest",
    "label": "model, corpus, scale, device and date in one line; follows from the rest",
    "study": "name, size and version of the study that it is of, see `of_study`; null: of none",
    "arms": "arm -> run_id; run: all settings, hashes by their first 12 digits; hashes: those in full, see `identity`",
    "commit": "of the code that made it",
    "dirty": "whether that checkout had changes that were not committed",
    "versions": "of Python and the packages that results depend on",
    "created_at": "when the record was written, UTC",
    "schema": "version of the tables",
    "command": "what made it",
    "complete": "false: cut, with fewer generations or replicates than its runs ask for",
    "reached": "where it was cut: replicates, and the last generation; null where it is complete",
    "machine": "processor, cores, system",
    "device": "as in the tables",
    "dtype": "precision of the models' arithmetic",
    "sessions": "calls that worked on it: start, end, seconds, gigabytes of the largest process",
    "started_at": "of the first of them, UTC",
    "ended_at": "of the last of them, UTC",
    "seconds": "of wall clock, all of them together",
    "peak_memory_gb": "the largest of them",
    "rows_per_second": "rows of training sets over the seconds of all generations, evaluation included",
    "tokens_per_second": "of text: tokens trained on, as often as they were, and written, over the same seconds",
    "disk_mb": "megabytes of its runs' states when they were finished",
    "inputs": "corpus or file -> sha256",
    "code": "file of the package that decides its numbers -> hash, without comments and docstrings",
    "not_finite": "metric -> how many of its values are no finite number",
    "files": "of the record -> sha256",
    "values": "file of the record -> sha256 of its values, see `signature`",
    "signature": "sha256 of all the rest of the manifest",
}
"""What a manifest says. What is not known is null; further entries count what was trained and written."""

LAST = ("files", "values", "signature")
"""What is known last."""

NAME = re.compile(r"(?!verify-)(?!(?:sabotage|alarms|bench)\b)[a-z][a-z0-9-]*")
"""Names that other files of records/ have are no record's."""

_LABEL = re.compile(r"[^\n\r<>{}`\[\]\\]{1,300}")
"""One line without markup: it is shown on pages, and a record may come from anywhere."""

LARGEST = 2**20
"""Bytes of a manifest at most, so that a foreign file is not read whole to find that out."""

CORPORA = {
    "embedded": "invented corpus",
    "embedded-other": "other invented corpus",
    "wikitext-2-v1": "WikiText-2-v1",
    "wikitext-2-raw": "WikiText-2",
    "digits": "scikit-learn's digits",
    "mnist": "MNIST",
}


def made(
    name: str,
    arms: Mapping[str, Mapping[str, Any]],
    tables: Mapping[str, pd.DataFrame],
    provenance: Mapping[str, Any],
    about: Mapping[str, Any],
) -> dict[str, Any]:
    """The manifest without its files, in the order of FIELDS.

    arms        condition -> run_id and run
    provenance  of the runs, or of now: commit, dirty, versions, created_at, schema
    about       what else is known
    """
    runs = {arm: described["run"] for arm, described in arms.items()}
    known = {
        "name": name,
        "format": FORMAT,
        "arms": arms,
        "dtype": precision(runs, tables),
        "code": code.of(runs.values()) if all(run["source"] == here() for run in runs.values()) else None,
        **spent(about.get("sessions") or []),
    }
    said = dict.fromkeys(FIELDS) | known | dict(provenance) | dict(about)
    said |= derived(runs, tables, said)
    return {key: said[key] for key in (*FIELDS, *sorted(set(said) - set(FIELDS))) if key not in LAST}


def derived(
    runs: Mapping[str, Mapping[str, Any]], tables: Mapping[str, pd.DataFrame], about: Mapping[str, Any]
) -> dict[str, Any]:
    """What of a manifest follows from settings and tables.

    about  has machine and created_at, which the label names
    """
    return {
        "label": label(runs, tables, about["created_at"][:10], about["machine"]),
        "complete": complete(runs, tables),
        "reached": reached(runs, tables),
        "device": devices(tables),
        "not_finite": not_finite(tables),
        **rates(runs, tables),
    }


def here() -> str:
    """The first digits of the hash of the present code, as `spec.describe` has them."""
    return store.source_hash()[:12]


def read(file: Path, name: str) -> dict[str, Any]:
    """A manifest, every field there. InputError in one line for what is no manifest of the record `name`."""
    damaged = InputError(f"recorded run {name}: {file.name} is damaged, or no manifest of a recorded run")
    if file.is_symlink() or not file.is_file():
        raise InputError(f"recorded run {name}: {file.name} is missing")
    if file.stat().st_size > LARGEST:
        raise damaged
    try:
        about = json.loads(file.read_text(encoding="utf-8"))
        arms = [(str(arm["run_id"]), arm["run"]) for arm in about["arms"].values()]
        version = about.get("format", 1)
        well = about["name"] == name and bool(_LABEL.fullmatch(about["label"])) and isinstance(about["schema"], str)
        well &= (
            all(isinstance(run, dict) and isinstance(run["family"], str) for _, run in arms)
            and f"{name}.parquet" in about["files"]
        )
        well &= all(isinstance(total, str) for total in about["files"].values())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise damaged from None
    if not well or not isinstance(version, int):
        raise damaged
    if version > FORMAT or about["schema"] != store.SCHEMA:
        found = f"format {version}, tables of schema {about['schema']}"
        known = f"format {FORMAT} and schema {store.SCHEMA}"
        raise InputError(f"recorded run {name}: {found}; this version of the package reads up to {known}")
    if version < FORMAT:
        raise InputError(f"recorded run {name}: its manifest is of an earlier format, {version}; record it again")
    if lacking := [field for field in FIELDS if field not in about]:
        raise InputError(f"recorded run {name}: {file.name} lacks {', '.join(lacking[:3])}")
    if len({run_id for run_id, _ in arms}) < len(arms):
        raise InputError(f"recorded run {name}: two arms are the same run")
    try:
        said = next((f"arm {arm} {said}" for arm, own in about["arms"].items() if (said := identity.wrong(own))), "")
    except (KeyError, ValueError, TypeError, AttributeError):
        raise damaged from None
    if said:
        raise InputError(f"recorded run {name}: {said}")
    return dict(about)


def renamed(about: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest with the names that families have now."""
    arms = {
        arm: {**own, "run": {**own["run"], "family": registry.RENAMED.get(own["run"]["family"], own["run"]["family"])}}
        for arm, own in about["arms"].items()
    }
    return {**about, "arms": arms}


def inputs(run: Mapping[str, Any], content: str) -> dict[str, str]:
    """Corpus -> sha256, and the folders that the family read, numbered in the order of their names -> sha256.

    content  the hashes in a row as a run has them; the first digits of it, as `spec.describe` leaves them, are the
             corpus's
    """
    if not run["corpus"]:
        return {}
    sums = [content[place : place + 64] for place in range(0, len(content), 64)]
    return {run["corpus"]: sums[0]} | {f"folder {number}": own for number, own in enumerate(sums[1:], 1)}


def label(
    runs: Mapping[str, Mapping[str, Any]],
    tables: Mapping[str, pd.DataFrame],
    date: str,
    machine: str | None = None,
) -> str:
    """Model, corpus, scale, device and date of a study in one line; its conditions differ in these at most by size."""
    run = next(iter(runs.values()))
    preset, family = run.get("family.preset"), run["family"]
    model = ", ".join(sorted({own["family"] for own in runs.values()}))
    if family == "lm" and preset in SHAPES:
        shape = SHAPES[preset]
        model = f"{preset} OPT ({shape['hidden_size']} wide, {shape['num_hidden_layers']} layers)"
    elif preset:
        model = f"{model}, preset {preset}"
    unit = modalities.of(registry.member(families, family)).unit
    # Arms of a study are alike; the runs of a chapter may not be.
    seeds = _span(table["replicate"].nunique() for table in tables.values())
    last = max(stats.last_of(table) for table in tables.values())
    device = devices(tables)
    if device == "cpu":
        device = f"CPU ({machine})" if machine else "CPU"
    # Models that read each other share the rows.
    sizes = _span(own["n"] * own.get("exchange.models", 1) for own in runs.values())
    scale = f"{sizes} {unit}, {seeds} seed{'s' if seeds != '1' else ''}, generations 0-{last}"
    corpora = list(dict.fromkeys(CORPORA.get(own["corpus"], own["corpus"]) for own in runs.values() if own["corpus"]))
    return ", ".join([model, *corpora, scale, device, date])


def _span(numbers: Iterable[int]) -> str:
    ends = sorted(set(numbers))
    return " to ".join(str(n) for n in dict.fromkeys((ends[0], ends[-1])))


def devices(tables: Mapping[str, pd.DataFrame]) -> str:
    """What the tables name, joined."""
    return ", ".join(sorted({str(name) for table in tables.values() for name in table["device"].unique()}))


def precision(runs: Mapping[str, Mapping[str, Any]], tables: Mapping[str, pd.DataFrame]) -> str | None:
    """What the models computed in, as far as settings and device tell."""
    found = {
        dtype({"precision": run.get("family.precision", "fp64")}, devices({arm: tables[arm]}), known=False)
        for arm, run in runs.items()
        if arm in tables
    }
    return None if None in found or not found else ", ".join(sorted(map(str, found)))


def complete(runs: Mapping[str, Mapping[str, Any]], tables: Mapping[str, pd.DataFrame]) -> bool:
    """Whether every run has all its generations and replicates."""
    return all(
        arm in tables
        and tables[arm]["generation"].max() == run["generations"]
        and tables[arm]["replicate"].nunique() == run["replicates"]
        for arm, run in runs.items()
    )


def reached(runs: Mapping[str, Mapping[str, Any]], tables: Mapping[str, pd.DataFrame]) -> dict[str, Any] | None:
    """Which replicates and which last generation all runs have that were cut; None where they were not."""
    if complete(runs, tables):
        return None
    chains = sorted({int(r) for table in tables.values() for r in table["replicate"].unique()})
    return {"replicates": chains, "generation": max(stats.last_of(table) for table in tables.values())}


def not_finite(tables: Mapping[str, pd.DataFrame]) -> dict[str, int]:
    """Metric -> how many of its values are nan or infinite."""
    odd = [table["metric"][~np.isfinite(table["value"])].astype(str) for table in tables.values()]
    counted = pd.concat(odd).value_counts() if odd else pd.Series(dtype=int)
    return {str(metric): int(count) for metric, count in sorted(counted.items())}


def tokens(run: Mapping[str, Any], turns: pd.DataFrame) -> tuple[int, int] | None:
    """Tokens that a run's generations were trained on, each as often as it was, and wrote; None if it is not text.

    turns  one row for each replicate and generation
    """
    if registry.member(families, run["family"]).reads != "text" or run.get("family.steps"):
        return None
    trained = int(turns["n_train"].sum()) * int(run.get("family.epochs", 1)) * int(run["family.block"])
    return trained, len(turns) * int(run["n"]) * int(run["family.block"])


def rates(runs: Mapping[str, Mapping[str, Any]], tables: Mapping[str, pd.DataFrame]) -> dict[str, float | None]:
    """rows_per_second and tokens_per_second of all conditions; None for text trained for a number of steps, where
    models read each other, whose training sets a row of the table does not tell apart, and where no row is drawn."""
    turns = {arm: table.drop_duplicates(["replicate", "generation"]) for arm, table in tables.items()}
    seconds = sum(float(rows["seconds"].sum()) for rows in turns.values())
    read = [tokens(runs[arm], rows) for arm, rows in turns.items()]
    unread = any(run.get("exchange.models", 1) > 1 or run.get("family.sampling") == "exact" for run in runs.values())
    if not seconds or unread:
        return {"rows_per_second": None, "tokens_per_second": None}
    total = None if None in read else sum(sum(both) for both in read if both)
    trained = sum(int(rows["n_train"].sum()) for rows in turns.values())
    return {
        "rows_per_second": round(trained / seconds, 1),
        "tokens_per_second": round(total / seconds, 1) if total is not None else None,
    }
