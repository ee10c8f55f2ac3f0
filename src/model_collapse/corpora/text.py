"""Text from outside the package: WikiText-2 (a local folder first, else the hub) and any folder of the user."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np

from model_collapse import paths
from model_collapse.corpora import hub
from model_collapse.errors import ExternalError, InputError

SPLITS = ("train", "validation", "test")

WIKITEXT = {
    "wikitext-2-v1": "wikitext-2-v1",
    "wikitext-2-raw": "wikitext-2-raw-v1",
    "wikitext-2-raw-held-out": "wikitext-2-raw-v1",
}
"""Our name -> the hub's configuration."""

CHOSEN_BY = 6
"""Articles of the validation part that choose a checkpoint where its other 54 are trained on."""

WIKITEXT_REPOSITORY = "Salesforce/wikitext"
WIKITEXT_REVISION = "b08601e04326c79dfdd32d625aee71d232d685c3"


def _wikitext_file(configuration: str, split: str, size: int, sha256: str | None = None) -> hub.File:
    name = f"{configuration}/{split}-00000-of-00001.parquet"
    return hub.File(WIKITEXT_REPOSITORY, WIKITEXT_REVISION, name, size, sha256, "dataset")


WIKITEXT_FILES = {
    "wikitext-2-raw-v1": {
        split: _wikitext_file("wikitext-2-raw-v1", split, size, sha256)
        for split, size, sha256 in (
            ("train", 6_357_543, "e83889baabc497075506f91975be5fac0d45c5290b6b20582c8cd1e853d0c9f7"),
            ("validation", 657_209, "204929b7ff9d6184953f867dedb860e40aa69c078fc1e54b3baaa8fb28511c4c"),
            ("test", 732_610, "5f1bea067869d04849c0f975a2b29c4ff47d867f484f5010ea5e861eab246d91"),
        )
    },
    "wikitext-2-v1": {
        split: _wikitext_file("wikitext-2-v1", split, size)
        for split, size in (("train", 6_068_114), ("validation", 617_738), ("test", 685_430))
    },
}
"""The hub's configuration -> split -> its file. Where no sha256 is known the hub's own checksum is held to."""

HELD_OUT = 0.1
"""Share of a folder's training documents that becomes validation, and test, where it has no file for them."""

SPLIT_SEED = 1


@dataclass(frozen=True, eq=False)
class Text:
    """A corpus as read: training documents, each a list of rows, and the rows of the other splits."""

    name: str
    revision: str
    documents: list[list[str]]
    validation: list[str]
    test: list[str]


# WikiText-2


def wikitext(name: str) -> Text:
    """WikiText-2 by our name; `wikitext-2` is raw where all its splits can be had, else v1, never a mixture."""
    if name in WIKITEXT:
        return _wikitext(name)
    try:
        text = _wikitext("wikitext-2-raw")
    except ExternalError:
        text = _wikitext("wikitext-2-v1")
    _say(f"corpus wikitext-2: using {text.name}")
    return text


def _wikitext(name: str) -> Text:
    if name == "wikitext-2-raw-held-out":
        rows, revision = _parts(WIKITEXT[name], SPLITS[1:])
        documents = articles(rows["validation"])
        chosen_by = set(np.random.default_rng(SPLIT_SEED).permutation(len(documents))[:CHOSEN_BY].tolist())
        train = [document for i, document in enumerate(documents) if i not in chosen_by]
        validation = [row for i in sorted(chosen_by) for row in documents[i]]
        return Text(name, revision, train, validation, rows["test"])
    rows, revision = _parts(WIKITEXT[name], SPLITS)
    return Text(name, revision, articles(rows["train"]), rows["validation"], rows["test"])


def _parts(configuration: str, splits: Sequence[str]) -> tuple[dict[str, list[str]], str]:
    """Rows of these splits, and the revision they are of."""
    data = paths.data()
    local = data / "wikitext" / configuration if data else None
    # A local folder that lacks a split does not count.
    if local and all(_shards(local, split) for split in splits):
        return {
            split: [row for path in _shards(local, split) for row in read_parquet(path)] for split in splits
        }, "local"
    instead = f"set MODEL_COLLAPSE_DATA to a folder with wikitext/{configuration}/*.parquet, or use corpus embedded"
    # Read directly: the library `datasets` gives the same rows, and takes three seconds to be imported.
    files = WIKITEXT_FILES[configuration]
    return {split: read_parquet(hub.fetch(files[split], instead=instead)) for split in splits}, WIKITEXT_REVISION


def _shards(folder: Path, split: str) -> list[Path]:
    return sorted(folder.glob(f"{split}-*.parquet"))


def articles(rows: list[str]) -> list[list[str]]:
    """WikiText's rows by article. A heading is " = Title = " between blank rows (" = = Section = = " is none)."""
    heading = re.compile(r" = [^=].* = \n?")
    starts = [
        i
        for i in range(1, len(rows) - 1)
        if not rows[i - 1] and not rows[i + 1] and heading.fullmatch(rows[i]) and not rows[i].startswith(" = = ")
    ]
    # The blank row before a heading belongs to its article; whatever precedes the first is part of the first.
    bounds = [0, *(start - 1 for start in starts[1:]), len(rows)]
    return [rows[a:b] for a, b in pairwise(bounds)]


@cache
def _say(line: str) -> None:
    """Once per process."""
    print(line, file=sys.stderr)


# A folder of the user


def folder(path: Path) -> Text:
    """Parquet files with a `text` column, else .txt files, anywhere below `path`.

    A file belongs to the split that its path below `path` contains as a word (train; validation, valid or val;
    test), else to train. A parquet row is a document, and so is a .txt file; where there is only one .txt file to
    train on, documents end at blank lines. A training document that occurs twice counts once. A split without a
    file gets a seeded tenth of the training documents.
    """
    files = _by_split(path)
    parts = {split: [document for file in files[split] for document in _read(file)] for split in SPLITS}
    if len(files["train"]) == 1 and files["train"][0].suffix == ".txt":
        parts = {split: re.split(r"\n\s*\n", "\n\n".join(parts[split])) for split in SPLITS}
    parts = {split: [document for document in parts[split] if document.strip()] for split in SPLITS}
    missing = [split for split in SPLITS[1:] if not parts[split]]
    train = _shuffled(list(dict.fromkeys(parts["train"])))
    held_out = max(1, round(HELD_OUT * len(train)))
    needed = len(missing) + 2  # one document each, and two to train on and pre-train on
    if len(train) < needed:
        many = f"{len(train)} training document" + ("" if len(train) == 1 else "s")
        raise InputError(f"corpus {path}: only {many}, too few to split; at least {needed} are needed")
    for split in missing:
        parts[split], train = train[:held_out], train[held_out:]
    return Text(str(path), "local", [[document] for document in train], parts["validation"], parts["test"])


def _by_split(path: Path) -> dict[str, list[Path]]:
    try:
        if not any(path.iterdir()):
            raise InputError(f"corpus {path}: the folder is empty; it must hold .parquet or .txt files")
    except OSError as error:
        raise InputError(f"corpus {path}: the folder cannot be read ({error.strerror})") from error
    for suffix in (".parquet", ".txt"):
        names = (file.relative_to(path) for file in path.rglob(f"*{suffix}"))
        # Sorted by name and not by path, so that a corpus is the same wherever its folder lies.
        files = [path / name for name in sorted(names) if not any(part.startswith(".") for part in name.parts)]
        if files:
            return {split: [file for file in files if _split_of(file.relative_to(path)) == split] for split in SPLITS}
    raise InputError(f"corpus {path}: no .parquet or .txt file in this folder")


def _split_of(name: Path) -> str:
    for word in reversed(re.findall(r"[a-z]+", str(name.with_suffix("")).lower())):
        if word in ("train", "test"):
            return word
        if word in ("validation", "valid", "val"):
            return "validation"
    return "train"


def _shuffled(documents: list[str]) -> list[str]:
    order = np.random.default_rng(SPLIT_SEED).permutation(len(documents))
    return [documents[i] for i in order]


# Files


def _read(path: Path) -> list[str]:
    return read_parquet(path) if path.suffix == ".parquet" else [read_txt(path)]


def read_parquet(path: Path) -> list[str]:
    """The `text` column; InputError in one line if the file is damaged or has none."""
    import pyarrow
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(path)
        columns = file.schema_arrow.names
        rows = file.read(["text"])["text"].to_pylist() if "text" in columns else None
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(f"corpus: {path} cannot be read; it is damaged, cut short or no parquet file") from error
    if rows is None:
        raise InputError(f"corpus: {path} has no column `text` (it has {', '.join(columns) or 'no column'})")
    rows = ["" if row is None else row for row in rows]
    if not all(isinstance(row, str) for row in rows):
        raise InputError(f"corpus: column `text` of {path} does not hold text")
    return rows


def read_txt(path: Path) -> str:
    """A UTF-8 file; InputError in one line if it is not."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"corpus: {path} is not UTF-8 text (byte {error.start})") from error
    except OSError as error:
        raise InputError(f"corpus: {path} cannot be read ({error.strerror})") from error
