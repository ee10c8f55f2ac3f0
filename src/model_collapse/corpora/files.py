"""Files of text as people have them: parquet, JSON lines, CSV and plain text, the last three also packed by gzip.

All text is UTF-8; a byte order mark is no part of it. Every reader gives the documents of one file, unchanged, but for
line ends of plain text, which become "\\n".
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from model_collapse.errors import InputError

KINDS = ("parquet", "jsonl", "csv", "txt")
"""Kinds of files, in the order in which one is chosen where a folder has several."""

PACKED = ("jsonl", "csv", "txt")
COLUMN = "text"
MOST = 5
"""Columns that a message names."""


def kind(path: Path) -> str:
    """One of KINDS by the ending of the name, in capitals or not, with or without .gz; "" for any other file."""
    ends = [ending.lower().removeprefix(".") for ending in path.suffixes[-2:]]
    if ends[-1:] == ["gz"]:
        return ends[0] if len(ends) == 2 and ends[0] in PACKED else ""
    return ends[-1] if ends and ends[-1] in KINDS else ""


def read(path: Path, column: str | None = None) -> list[str]:
    """Documents of one file.

    column  that holds the text; None: `text`, or the only column that holds text

    InputError in one line where the file is damaged, is not UTF-8, or where the column is missing or not clear.
    """
    if kind(path) == "txt":
        if column:
            raise InputError(f"corpus: {path} is plain text and has no column {column}")
        return [_text(path)]
    return read_parquet(path, column) if kind(path) == "parquet" else _chosen(path, _records(path), column)


def read_parquet(path: Path, column: str | None = None) -> list[str]:
    """A column of a parquet file; see `read`."""
    import pyarrow
    import pyarrow.parquet
    from pyarrow import types

    try:
        file = pyarrow.parquet.ParquetFile(path)
        schema = file.schema_arrow
        texts = [field.name for field in schema if types.is_string(field.type) or types.is_large_string(field.type)]
        name = _column(path, schema.names, texts, column)
        rows = file.read([name])[name].to_pylist()
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(f"corpus: {path} cannot be read; it is damaged, cut short or no parquet file") from error
    return _documents(path, name, rows)


def _text(path: Path) -> str:
    """Plain text, with "\\n" for every kind of line end."""
    return io.StringIO(_decoded(path), newline=None).read()


def _decoded(path: Path) -> str:
    try:
        content = path.read_bytes()
        if path.suffix.lower() == ".gz":
            content = gzip.decompress(content)
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"corpus: {path} is not UTF-8 text (byte {error.start})") from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"corpus: {path} cannot be unpacked; it is damaged, cut short or no gzip file") from error
    except OSError as error:
        raise InputError(f"corpus: {path} cannot be read ({error.strerror})") from error


def _records(path: Path) -> list[Mapping[str, Any]]:
    content = _decoded(path)
    return list(_json_lines(path, content) if kind(path) == "jsonl" else _csv_rows(path, content))


def _json_lines(path: Path, content: str) -> Iterator[Mapping[str, Any]]:
    # Only "\n" ends a record: other line ends may stand inside of a text.
    for number, line in enumerate(content.split("\n"), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as error:
            raise InputError(f"corpus: line {number} of {path} is no JSON ({error})") from None
        if not isinstance(record, dict):
            raise InputError(f'corpus: line {number} of {path} must be an object such as {{"text": "..."}}')
        yield record


def _csv_rows(path: Path, content: str) -> Iterator[Mapping[str, Any]]:
    csv.field_size_limit(sys.maxsize)
    lines = csv.reader(io.StringIO(content, newline=""), strict=True)
    try:
        names = next(lines, [])
        for row in lines:
            if row and len(row) != len(names):
                raise InputError(
                    f"corpus: line {lines.line_num} of {path} has {len(row)} fields, its first line {len(names)}"
                )
            yield dict(zip(names, row, strict=False))
    except csv.Error as error:
        raise InputError(f"corpus: line {lines.line_num} of {path} is no CSV ({error})") from None


def _chosen(path: Path, records: list[Mapping[str, Any]], column: str | None) -> list[str]:
    names = list(dict.fromkeys(name for record in records for name in record))
    texts = [name for name in names if any(isinstance(record.get(name), str) for record in records)]
    name = _column(path, names, texts, column)
    return _documents(path, name, [record.get(name) for record in records])


def _column(path: Path, names: Iterable[str], texts: list[str], column: str | None) -> str:
    """The column that holds the text."""
    names = list(names)
    if column:
        if column not in names:
            raise InputError(f"corpus: {path} has no column {column} (it has {_listed(names)})")
        return column
    if COLUMN in names:
        return COLUMN
    if len(texts) == 1:
        return texts[0]
    if not texts:
        raise InputError(f"corpus: {path} has no column that holds text (it has {_listed(names)})")
    raise InputError(
        f"corpus: {path} has no column `text`, and {_listed(texts)} hold text; name one by --set corpus.column=NAME"
    )


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
    return (", ".join(names[:MOST]) or "no column") + more


def _documents(path: Path, name: str, rows: list[Any]) -> list[str]:
    rows = ["" if row is None else row for row in rows]
    if not all(isinstance(row, str) for row in rows):
        raise InputError(f"corpus: column `{name}` of {path} does not hold text")
    return rows
