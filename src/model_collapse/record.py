"""What is kept of a run: its settings, the tidy table, the texts, and where they came from.

Everything is written whole or not at all: a temporary file or folder, fsync, rename, the manifest last. Formats are
parquet, JSON and safetensors, which hold data and never code.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache, cached_property
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from model_collapse import paths
from model_collapse.errors import InputError, OutsideError

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = "1"
"""Version of the two tables. COLUMNS and TEXT_COLUMNS are what outsiders read; they change only with it.

Of models that read each other `item` begins with the model, "model 2" or "model 2/rare" (`stats.by_model` takes it
apart again), and texts and images are numbered in turn: row modulo K is k - 1.
"""

COLUMNS = (
    "run_id family family_args regime regime_args corpus seed replicate generation n_train share_real metric item "
    "value seconds device"
).split()
TEXT_COLUMNS = "run_id replicate generation row prompt text".split()
IMAGE_COLUMNS = "run_id replicate generation row image".split()
"""`image`: square, a byte of grey per pixel, row by row."""

WRITTEN = {"texts": TEXT_COLUMNS, "images": IMAGE_COLUMNS}
"""Kind of the second table, of what models wrote -> its columns. Families of numbers have none."""

STUDIED = "MODEL_COLLAPSE_STUDIED"
"""Environment variable that names a file to which `run.study` adds a line, [label, run_id] as JSON, for each run."""


@dataclass(frozen=True)
class Run:
    """All that decides the numbers of a run. Two runs with equal `run_id` have equal tables, bit for bit.

    The settings of family, regime and filters are complete (defaults included); `block` is the number of replicate
    chains that share one random stream; `content`, `source` and `lock` are hashes of the corpus and of weights read
    from folders ("" where there are none), of this package's code and of requirements.lock. `exchange` says how models
    read each other: models, reads, share, real and, if the first has a regime of its own, first and first_args.
    """

    family: str
    family_args: Mapping[str, Any]
    regime: str
    regime_args: Mapping[str, Any]
    n: int
    generations: int
    seed: int
    replicates: int
    given: str
    metrics: tuple[str, ...]
    every: int
    block: int
    filters: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    corpus: str = ""
    content: str = ""
    source: str = ""
    lock: str = ""
    exchange: Mapping[str, Any] | None = None

    @property
    def models(self) -> int:
        """How many models read each other; 1 where there is no exchange."""
        return self.exchange["models"] if self.exchange else 1

    @cached_property
    def run_id(self) -> str:
        """Sixteen hex digits: sha256 of the settings, the package source, the lock and the corpus content."""
        return digest(asdict(self))

    def differs(self, other: Mapping[str, Any]) -> str:
        """What a recorded description has otherwise, in a few words; "" if nothing."""
        mine = describe(self)
        keys = [key for key in {**mine, **other} if mine.get(key) != other.get(key)]
        return ", ".join(f"{key} ({other.get(key)} there, {mine.get(key)} here)" for key in keys[:3])


def describe(run: Run) -> dict[str, Any]:
    """The run as flat JSON values, hashes shortened."""
    flat: dict[str, Any] = {}
    for key, value in json.loads(json.dumps(asdict(run))).items():
        if key == "exchange":
            flat |= {f"exchange.{name}": setting for name, setting in (value or {}).items()}
        elif key in ("family_args", "regime_args"):
            flat |= {f"{key.removesuffix('_args')}.{name}": setting for name, setting in value.items()}
        else:
            flat[key] = value[:12] if key in ("content", "source", "lock") else value
    return flat


def digest(*parts: Any) -> str:
    """Sixteen hex digits of sha256 over JSON values."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


@cache
def source_hash() -> str:
    """sha256 over the package's own Python files."""
    total = hashlib.sha256()
    for file in sorted(paths.PACKAGE.rglob("*.py")):
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


def machine() -> str:
    """The processor and its cores, as far as the system tells."""
    model = platform.processor() or platform.machine()
    cpus = Path("/proc/cpuinfo")
    if cpus.is_file():
        lines = cpus.read_text(encoding="utf-8", errors="replace").splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
    return f"{model}, {os.cpu_count()} cores, {platform.system()}"


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


def provenance() -> dict[str, Any]:
    """Who made a file: commit, dirty flag, versions, time, schema version."""
    head, dirty = commit()
    return {
        "commit": head,
        "dirty": dirty,
        "versions": versions(),
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "schema": SCHEMA,
    }


# Tables ------------------------------------------------------------------------------------------------------------


def table(run: Run, columns: Mapping[str, Any]) -> pa.Table:
    """The tidy table of `run` from its varying columns, text columns dictionary-encoded, in the order of COLUMNS."""
    count = len(columns["value"])
    constant = {
        "run_id": run.run_id,
        "family": run.family,
        "family_args": json.dumps(run.family_args, sort_keys=True),
        "regime": run.regime,
        "regime_args": json.dumps(
            {
                **run.regime_args,
                **({"filters": run.filters} if run.filters else {}),
                **({"exchange": run.exchange} if run.exchange else {}),
            },
            sort_keys=True,
        ),
        "corpus": run.corpus,
    }
    arrays: dict[str, pa.Array] = {}
    for name in COLUMNS:
        if name in constant:
            arrays[name] = repeated(constant[name], count)
        elif name == "seed":
            arrays[name] = column(np.full(count, run.seed, np.int64))
        else:
            arrays[name] = columns[name]
    return pa.Table.from_arrays(list(arrays.values()), list(arrays))


# `pa.array` and `pq.read_table` load pandas, which takes longer than many a run; what is used here does not.


def column(x: np.ndarray) -> pa.Array:
    """A column of numbers from an array (n,), without a copy where it is contiguous."""
    return pa.Array.from_buffers(pa.from_numpy_dtype(x.dtype), len(x), [None, pa.py_buffer(np.ascontiguousarray(x))])


def labels(names: Sequence[str], times: int = 1) -> pa.DictionaryArray:
    """A text column, dictionary-encoded: each of the names `times` times over."""
    known = sorted(set(names))
    codes = np.repeat(np.array([known.index(name) for name in names], np.int32), times)
    encoded = [name.encode() for name in known]
    offsets = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded))]
    return pa.DictionaryArray.from_arrays(column(codes), pa.Array.from_buffers(pa.string(), len(known), buffers))


def repeated(text: str, count: int) -> pa.DictionaryArray:
    """A text column that says the same in every row."""
    return labels([text], count)


def read_parquet(file: Path) -> pa.Table:
    """A whole parquet file as it is."""
    with pq.ParquetFile(file) as content:
        return content.read()


def write_table(out: Path, content: pa.Table, about: Mapping[str, Any]) -> None:
    """Write a table to `out` with `about` in the file's metadata, whole or not at all."""
    described = content.replace_schema_metadata({"model_collapse": json.dumps(about, sort_keys=True)})
    with whole_file(out) as temporary:
        pq.write_table(described, temporary, compression="zstd")


def read(file: Path | str) -> pd.DataFrame:
    """A tidy table, or a table of texts, as a data frame; its provenance is in `.attrs`."""
    content = load(Path(file))
    frame = content.to_pandas()
    frame.attrs = _about(content.schema, Path(file))
    return frame


def load(file: Path) -> pa.Table:
    """As `read`, but as an Arrow table."""
    with _readable(file):
        content = read_parquet(file)
    _about(content.schema, file)
    return content


def about(file: Path) -> dict[str, Any]:
    """The provenance in a file's metadata. Only the end of the file is read."""
    with _readable(file):
        schema = pq.read_schema(file)
    return _about(schema, file)


def _about(schema: pa.Schema, file: Path) -> dict[str, Any]:
    described = (schema.metadata or {}).get(b"model_collapse")
    if not described:
        raise InputError(f"{file}: parquet, but not written by model-collapse")
    return json.loads(described)


@contextmanager
def _readable(file: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"{file}: no such file") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{file}: not a readable parquet file ({str(error).splitlines()[0]})") from None


def written_file(out: Path, kind: str) -> Path:
    """Where what the run in `out` wrote lies: its "texts" or its "images"."""
    return out.with_name(f"{out.name}.{kind}.parquet")


def written_files(out: Path) -> list[Path]:
    """What there is of them: one file, or for a family of numbers none."""
    return [file for kind in WRITTEN if (file := written_file(out, kind)).exists()]


def written_kind(file: Path) -> str | None:
    """The kind of a file that `written_file` names, None for any other."""
    return next((kind for kind in WRITTEN if file.name.endswith(f".{kind}.parquet")), None)


# Whole or not at all -----------------------------------------------------------------------------------------------


@contextmanager
def disk_errors() -> Iterator[None]:
    """Turns a full disk into one line that says what to do, and a forbidden place into one that names it."""
    try:
        yield
    except OSError as error:
        where = error.filename or "the disk"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OutsideError(f"no space left for {where}: free some and run the same command again") from None
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
