"""Tidy tables in parquet: their columns, what a file says of itself, and what lies beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from model_collapse.errors import InputError
from model_collapse.store.files import whole_file

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
    """A whole parquet file as it is. OSError where a page of it is damaged."""
    with pq.ParquetFile(file, page_checksum_verification=True) as content:
        return content.read()


def write_table(out: Path, content: pa.Table, about: Mapping[str, Any]) -> None:
    """Write a table to `out` with `about` in the file's metadata, whole or not at all."""
    described = content.replace_schema_metadata({"model_collapse": json.dumps(about, sort_keys=True)})
    with whole_file(out) as temporary:
        pq.write_table(described, temporary, compression="zstd", write_page_checksum=True)


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
