"""records/ as one RO-Crate (https://w3id.org/ro/crate/1.1): ro-crate-metadata.json, made from the manifests alone.

Every file of a record is a File; one CreateAction per record says with which commit of this package (instrument), out
of what (object), when, and that its files are the result. Needs the library rocrate, which reading a record does not.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rocrate.model.contextentity import ContextEntity
from rocrate.rocrate import ROCrate

from model_collapse import store
from model_collapse.companion import records
from model_collapse.companion.records import manifest
from model_collapse.corpora import licences

FILE = "ro-crate-metadata.json"
VERSION = "1.1"
TITLE = "Recorded runs of the companion to “AI models collapse when trained on recursively generated data”"
AUTHOR = "The model-collapse companion maintainers"
LICENCE = "https://spdx.org/licenses/MIT"

_FORMATS = {".parquet": "application/vnd.apache.parquet", ".json": "application/json"}


def write(folder: Path) -> None:
    """Write the metadata file of the records in `folder`."""
    said = text(folder)
    with store.disk_errors(), store.whole_file(folder / FILE) as temporary:
        temporary.write_text(said, encoding="utf-8")


def text(folder: Path) -> str:
    """What the metadata file says of the records in `folder`: the same records, the same text."""
    found = [manifest.read(folder / f"{name}.json", name) for name in records.names(folder)]
    crate = ROCrate(version=VERSION)
    crate.name = TITLE
    crate.description = "Tidy tables of runs, one record each, with a manifest that says how it was made."
    # The context of this version has no checksums.
    crate.metadata.extra_terms["sha256"] = "https://schema.org/sha256"
    crate.license = _entity(crate, LICENCE, "CreativeWork", name="MIT License")
    maintainers = _entity(crate, "#maintainers", "Organization", name=AUTHOR)
    crate.root_dataset["author"] = crate.publisher = maintainers
    # A time of its own would make every writing another file.
    crate.root_dataset["datePublished"] = max((about["created_at"] for about in found), default="2026-01-01")
    for about in found:
        _add(crate, about, folder)
    return json.dumps(crate.metadata.generate(), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _add(crate: ROCrate, about: dict[str, Any], folder: Path) -> None:
    name = about["name"]
    sums = {**about["files"], f"{name}.json": store.checksum(folder / f"{name}.json")}
    files = []
    for file, total in sums.items():
        size = (folder / file).stat().st_size
        described = {"sha256": total, "contentSize": str(size), "encodingFormat": _FORMATS[Path(file).suffix]}
        kind = store.written_kind(Path(file))
        told = f"{kind} that models wrote" if kind else "manifest" if file.endswith(".json") else "tidy table"
        described |= {"name": f"{name}: {told}", "description": about["label"]}
        if kind:
            described["license"] = _licence(crate, next(iter(about["arms"].values()))["run"]["corpus"])
        files.append(crate.add_file(dest_path=file, properties=described))
    inputs = [
        _entity(crate, f"#input-{total[:12]}", "CreativeWork", name=read_in, sha256=total)
        for read_in, total in (about["inputs"] or {}).items()
    ]
    took = {key: about[own] for key, own in (("startTime", "started_at"), ("endTime", "ended_at")) if about[own]}
    cut = "" if about["complete"] else " (cut: fewer generations or seeds than planned)"
    action = {"name": f"{name}: {about['command'] or 'model-collapse record'}", "description": about["label"] + cut}
    read = inputs[0] if len(inputs) == 1 else inputs
    crate.add_action(_package(crate, about), f"#made-{name}", read, files, properties=action | took)


def _package(crate: ROCrate, about: dict[str, Any]) -> ContextEntity:
    """This package at the commit that made a record, with what was installed beside it."""
    commit, versions = about["commit"] or "unknown", dict(about["versions"])
    said = {
        "name": "model-collapse",
        "version": versions.pop("model-collapse", "unknown"),
        "identifier": f"{commit} with changes" if about["dirty"] else commit,
        "softwareRequirements": [f"{name} {version}" for name, version in versions.items()],
    }
    number = store.digest(said)[:6]
    return _entity(crate, f"#model-collapse-{commit[:12]}-{number}", "SoftwareApplication", **said)


def _licence(crate: ROCrate, corpus: str) -> ContextEntity:
    """Of what a model wrote that was trained on this corpus, and may repeat passages of it."""
    name, note = licences.of(corpus)
    return _entity(crate, f"#licence-{corpus}", "CreativeWork", name=name, description=note)


def _entity(crate: ROCrate, place: str, kind: str, **said: Any) -> ContextEntity:
    return crate.get(place) or crate.add(ContextEntity(crate, place, properties={"@type": kind, **said}))
