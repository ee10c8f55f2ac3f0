"""Stored verifications: read, and compared with another."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from model_collapse import paths
from model_collapse.errors import InputError

PASSING = ("reproduced", "reproduced_small")
"""Verdicts of a claim that passes."""

_NUMBERS = ("estimate", "low", "high", "seconds")

_VERDICTS = (*PASSING, "not_reproduced", "undecided", "not_run")

_OUTCOMES = ("supported", "contradicted", "equivalent", "undecided", "not_run")


def read(file: Path) -> dict[str, Any]:
    """A verification that `model-collapse verify --json FILE` wrote. InputError for any other file."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        for entry in found["claims"]:
            if not isinstance(entry["id"], str) or entry["verdict"] not in _VERDICTS:
                raise ValueError
            if not all(entry[key] is None or isinstance(entry[key], int | float) for key in _NUMBERS):
                raise ValueError
            if entry.setdefault("outcome", _outcome(entry)) not in _OUTCOMES:
                raise ValueError
            entry.setdefault("at_small_scale", entry["verdict"] == "reproduced_small")
        int(found["seed"]), dict(found["made"]), dict(found["made"].get("versions", {}))
    except FileNotFoundError:
        raise InputError(f"{file}: no such file") from None
    except IsADirectoryError:
        raise InputError(f"{file} is a folder; name a file that `model-collapse verify --json` wrote") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InputError(f"{file}: damaged, or not written by `model-collapse verify --json`") from None
    return found


def _outcome(entry: Mapping[str, Any]) -> str:
    """What an entry says that was written before there were these words (November 2026): "not_reproduced" was then also
    said of what the runs did not decide."""
    if entry["verdict"] != "not_reproduced":
        return {"reproduced_small": "supported", "reproduced": "supported"}.get(entry["verdict"], entry["verdict"])
    return "contradicted" if entry.get("why") == "the whole interval lies outside" else "undecided"


def before(folder: Path | None = None) -> dict[str, dict[str, Any]]:
    """Scale -> the verification of that scale that lies in records/; those that are there.

    {} where the package is installed without the repository. InputError for a damaged one.
    """
    folder = folder or paths.records()
    files = sorted(folder.glob("verify-*.json")) if folder else []
    return {file.stem.removeprefix("verify-"): read(file) for file in files}


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """What the second verification says otherwise than the first, a line each; times are not compared."""
    lines = [
        f"{name}: {a} -> {b}"
        for name, a, b in [
            ("seed", one["seed"], other["seed"]),
            ("scale", one.get("scale"), other.get("scale")),
            ("commit", one["made"].get("commit"), other["made"].get("commit")),
            ("machine", one["made"].get("machine"), other["made"].get("machine")),
            *_versions(one["made"].get("versions", {}), other["made"].get("versions", {})),
        ]
        if a != b
    ]
    first, second = ({entry["id"]: entry for entry in found["claims"]} for found in (one, other))
    for name in sorted({*first, *second}):
        if name not in first or name not in second:
            lines.append(f"{name}: only in the {'first' if name in first else 'second'}")
            continue
        a, b = first[name], second[name]
        if a["verdict"] != b["verdict"]:
            lines.append(f"{name}: {a['verdict']} -> {b['verdict']}, {_shown(a)} -> {_shown(b)}")
        elif (changed := _shown(a)) != _shown(b):
            lines.append(f"{name}: {a['verdict']}, {changed} -> {_shown(b)}")
        if a.get("band") != b.get("band"):
            lines.append(f"{name}: band {a.get('band')} -> {b.get('band')}")
    return lines


def _versions(one: Mapping[str, str], other: Mapping[str, str]) -> list[tuple[str, str | None, str | None]]:
    return [(name, one.get(name), other.get(name)) for name in sorted({*one, *other})]


def _shown(entry: Mapping[str, Any]) -> str:
    value, low, high = ("none" if entry[k] is None else f"{entry[k]:.6g}" for k in ("estimate", "low", "high"))
    return f"{value} [{low}, {high}]"
