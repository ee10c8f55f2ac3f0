"""Where a file comes from: hashes of the code and of the lock, versions of packages, the commit."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from model_collapse import paths
from model_collapse.store.tables import SCHEMA


@cache
def source_hash() -> str:
    """sha256 over the Python files of the library, which is all but `companion/` and the command that asks for it."""
    companion, command = (paths.PACKAGE / name for name in ("companion", "cli.py"))
    own = (file for file in paths.PACKAGE.rglob("*.py") if companion not in file.parents and file != command)
    return files_hash(own)


def files_hash(files: Iterable[Path]) -> str:
    """sha256 over files of the package, by name and content."""
    total = hashlib.sha256()
    for file in sorted(files):
        total.update(str(file.relative_to(paths.PACKAGE)).encode() + b"\0" + file.read_bytes())
    return total.hexdigest()


@cache
def lock_hash() -> str:
    """sha256 of requirements.lock; away from a checkout, of the versions of what computes."""
    lock = paths.lock()
    content = lock.read_bytes() if lock else json.dumps(versions(), sort_keys=True).encode()
    return hashlib.sha256(content).hexdigest()


@cache
def versions() -> dict[str, str]:
    """Installed versions of Python and of the packages that results depend on."""
    found = {"python": platform.python_version()}
    for name in (
        "model-collapse",
        "numpy",
        "scipy",
        "pandas",
        "pyarrow",
        "torch",
        "transformers",
        "tokenizers",
        "datasets",
        "diffusers",
        "pillow",
        "scikit-learn",
    ):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


@cache
def commit() -> tuple[str, bool]:
    """(commit, dirty) of the checkout the package lies in, as first asked for; ("", False) away from one."""
    try:
        ask = ["git", "-C", str(paths.PACKAGE)]
        head = subprocess.run([*ask, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        state = subprocess.run([*ask, "status", "--porcelain"], capture_output=True, text=True, check=True).stdout
        return head, bool(state.strip())
    except (OSError, subprocess.CalledProcessError):
        return "", False


def origin() -> dict[str, Any]:
    """Who made a file: commit, dirty flag, versions, time, schema version."""
    head, dirty = commit()
    return {
        "commit": head,
        "dirty": dirty,
        "versions": versions(),
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "schema": SCHEMA,
    }
