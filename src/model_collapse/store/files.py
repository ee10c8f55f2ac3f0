"""Files and folders that are written whole or not at all, and their checksums.

A temporary file or folder, fsync, rename, the manifest last. Formats are parquet, JSON and safetensors, which hold data
and never code.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from model_collapse.errors import ExternalError, InputError


@contextmanager
def disk_errors() -> Iterator[None]:
    """Turns a full disk into one line that says what to do, and a forbidden place into one that names it."""
    try:
        yield
    except OSError as error:
        where = error.filename or "the disk"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ExternalError(f"no space left for {where}: free some and run the same command again") from None
        raise InputError(f"--out: cannot write {where} ({error.strerror})") from None


@contextmanager
def whole_file(out: Path) -> Iterator[Path]:
    """A temporary path beside `out` that becomes `out` when the block ends well."""
    temporary = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    with disk_errors():
        try:
            yield temporary
            _sync(temporary)
            os.replace(temporary, out)
            _sync(out.parent)
        finally:
            temporary.unlink(missing_ok=True)


def write_folder(out: Path, fill: Callable[[Path], None], about: Mapping[str, Any]) -> None:
    """A folder filled by `fill`, with a manifest of checksums, whole or not at all. Replaces what was there."""
    temporary = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    with disk_errors():
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        try:
            fill(temporary)
            files = sorted(file for file in temporary.rglob("*") if file.is_file())
            sums = {str(file.relative_to(temporary)): checksum(file) for file in files}
            for file in files:
                _sync(file)
            manifest = temporary / "manifest.json"
            manifest.write_text(json.dumps({**about, "files": sums}, indent=1, sort_keys=True), encoding="utf-8")
            _sync(manifest)
            shutil.rmtree(out, ignore_errors=True)
            os.replace(temporary, out)
            _sync(out.parent)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def intact(folder: Path) -> bool:
    """Whether a folder was written whole and is undamaged. A damaged one is reported on stderr."""
    manifest = folder / "manifest.json"
    if not folder.exists():
        return False
    try:
        sums = json.loads(manifest.read_text(encoding="utf-8"))["files"]
        broken = next((name for name, digest in sums.items() if not _holds(folder / name, digest)), None)
    except (OSError, ValueError, KeyError, TypeError):
        broken = "manifest.json"
    if broken is not None:
        print(f"{folder}: {broken} is damaged; computed again", file=sys.stderr)
    return broken is None


def manifest(folder: Path) -> dict[str, Any]:
    """What was said of an intact folder when it was written, with its checksums."""
    return json.loads((folder / "manifest.json").read_text(encoding="utf-8"))


def _holds(file: Path, digest: str) -> bool:
    return file.is_file() and checksum(file) == digest


def checksum(file: Path) -> str:
    """sha256 of a file."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest(*parts: Any) -> str:
    """Sixteen hex digits of sha256 over JSON values."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some file systems (a mounted Drive among them) cannot sync a folder; the rename is then all there is.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)
