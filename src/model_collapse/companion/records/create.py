"""Records made of finished runs: what their files say is put together, and laid where records lie."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from model_collapse import store
from model_collapse.companion import records
from model_collapse.companion.records import identity, transfer
from model_collapse.companion.records.manifest import inputs
from model_collapse.engine import usage
from model_collapse.errors import InputError
from model_collapse.store import archive


def lay_down(
    name: str, arms: Mapping[str, Path], about: Mapping[str, Any], out: Path | None
) -> tuple[records.Recorded, Path]:
    """Record finished runs, condition -> FILE.parquet, as `of_files` does; the record and the folder or zip it lies in.

    out  the folder, there or not, or FILE.zip; None: the checkout's records/
    """
    if out is not None and out.suffix == ".zip":
        archive.must_be_there("--out", out.parent)
        with tempfile.TemporaryDirectory() as staged:
            made = of_files(name, arms, Path(staged), about)
            transfer.pack(made.name, Path(staged), out)
        return made, out
    folder = records.where(out)
    archive.must_be_there("--out", folder.parent)
    if any(file.resolve() == (folder / f"{name}.parquet").resolve() for file in arms.values()):
        raise InputError(f"--out {folder}: {name}.parquet there is the run itself; name another folder or --name")
    with tempfile.TemporaryDirectory() as staged:
        made = of_files(name, arms, Path(staged), about)
        folder.mkdir(exist_ok=True)
        transfer.copy([made], Path(staged), folder)
    return made, folder


def of_files(name: str, arms: Mapping[str, Path], folder: Path, about: Mapping[str, Any]) -> records.Recorded:
    """The record of finished runs, condition -> FILE.parquet, written to `folder`.

    Runs of several versions of the package are no record. What their files do not know is null in the manifest.
    """
    tables, written, told = {}, {}, []
    for arm, file in arms.items():
        own = archive.checked(file)
        told.append(own)
        _names_no_place(file, own["run"])
        tables[arm] = store.read(file)
        for texts in store.written_files(file):
            if archive.checked(texts)["run_id"] != own["run_id"]:
                raise InputError(f"{texts} holds what another run wrote than {file}")
            written[arm] = store.read(texts)
    for key in ("source", "lock"):
        if len({own["run"][key] for own in told}) > 1:
            other = {"source": "versions of this package", "lock": "sets of installed packages"}[key]
            raise InputError(f"{', '.join(arms)}: runs of several {other}; record them apart")
    described = {
        arm: {"run_id": own["run_id"], "run": own["run"], "hashes": _hashes(file, own)}
        for (arm, file), own in zip(arms.items(), told, strict=True)
    }
    last = max(told, key=lambda own: str(own["created_at"]))
    took = usage.together(own.get("sessions", [usage.UNKNOWN]) for own in told)
    disk: list[Any] = [own.get("disk_mb") for own in told]
    known = {
        "machine": _same(own.get("machine") for own in told),
        "dtype": _joined(own.get("dtype") for own in told),
        "sessions": took,
        **usage.spent(took),
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


def _hashes(file: Path, own: Mapping[str, Any]) -> dict[str, str]:
    """What the run_id of a file's run is computed from beside its settings, in full."""
    run, here = own["run"], {"source": store.source_hash(), "lock": store.lock_hash(), "content": ""}
    # Files have not always said it; of code and packages that are the present ones it is known.
    found = {name: own.get(name) or here[name] for name in identity.HASHES}
    if odd := next((name for name, full in found.items() if full[:12] != run[name]), None):
        raise InputError(f"{file}: it does not say all of its {odd} hash; run it again to record it")
    return found


def _same(values: Any) -> Any:
    distinct = set(values)
    return distinct.pop() if len(distinct) == 1 else None


def _joined(values: Any) -> str | None:
    distinct = set(values)
    return None if None in distinct else ", ".join(sorted(distinct))
