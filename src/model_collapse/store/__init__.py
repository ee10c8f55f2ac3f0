"""What is kept: tidy tables, whole files and folders with checksums, and where they came from.

store.read(file)              a table as a data frame
store.whole_file(out)         a file that is there whole or not at all
store.origin()                who makes a file: commit, versions, time

files.py        atomic writing, checksums
tables.py       the columns of a tidy table, reading and writing it
provenance.py   hashes of the code and of the lock, versions, commit
archive.py      runs packed into one file
"""

from model_collapse.store.files import checksum, digest, disk_errors, intact, manifest, whole_file, write_folder
from model_collapse.store.provenance import commit, files_hash, lock_hash, origin, source_hash, versions
from model_collapse.store.tables import (
    COLUMNS,
    IMAGE_COLUMNS,
    SCHEMA,
    TEXT_COLUMNS,
    WRITTEN,
    about,
    column,
    labels,
    load,
    read,
    read_parquet,
    repeated,
    write_table,
    written_file,
    written_files,
    written_kind,
)

__all__ = [
    "COLUMNS",
    "IMAGE_COLUMNS",
    "SCHEMA",
    "TEXT_COLUMNS",
    "WRITTEN",
    "about",
    "checksum",
    "column",
    "commit",
    "digest",
    "disk_errors",
    "files_hash",
    "intact",
    "labels",
    "load",
    "lock_hash",
    "manifest",
    "origin",
    "read",
    "read_parquet",
    "repeated",
    "source_hash",
    "versions",
    "whole_file",
    "write_folder",
    "write_table",
    "written_file",
    "written_files",
    "written_kind",
]
