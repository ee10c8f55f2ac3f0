"""Text of the user: one file, or a folder of files."""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from model_collapse.corpora import files
from model_collapse.corpora.text import SPLIT_SEED, SPLITS, Text, say
from model_collapse.errors import InputError

COLUMN = "::"
"""Between the name of a folder and that of the column that holds the text."""

HELD_OUT = 0.1
"""Share of the training documents that becomes validation, and test, where there is no file for them."""

PIECE = 2_000
"""Characters of a document that is a piece of one long line."""

_PART = re.compile(r"(train|training|validation|valid|val|dev|test)(?:[-_.]\d+(?:-of-\d+)?)?")
_SPLIT = {"training": "train", "valid": "validation", "val": "validation", "dev": "validation"}


def parted(name: str) -> tuple[Path, str | None]:
    """FOLDER or FOLDER::COLUMN as a path and a column; a folder whose own name has "::" comes first."""
    if Path(name).exists() or COLUMN not in name:
        return Path(name), None
    place, _, column = name.rpartition(COLUMN)
    return Path(place), column


def read(path: Path, column: str | None = None) -> Text:
    """Every file of one kind (parquet, else JSON lines, CSV, plain text) below `path`, or the file at `path`.

    column  of the text; None: `text`, or the only column that holds text

    A row of a table is a document, and so is a .txt file. Where there is only one .txt file to train on, documents end
    at its blank lines; if that makes too few, at its line ends; and if that makes too few, it is cut at white space
    into pieces of at most `PIECE` characters.

    A file or folder belongs to a split where its whole name without ending says so: train, validation (valid, val,
    dev) or test, with a number behind it or not (test, test-00000-of-00001); the innermost name decides, and without
    any it is to train on. A training document that occurs twice counts once. One that is in another split too is
    dropped from training, and one of validation that is in test from validation; stderr says how many. A split
    without a file gets a seeded tenth of the training documents.
    """
    name = f"{path}{COLUMN}{column}" if column else str(path)
    places = _by_split(path)
    parts = {split: [text for file in places[split] for text in files.read(file, column)] for split in SPLITS}
    if len(places["train"]) == 1 and files.kind(places["train"][0]) == "txt":
        parts |= {split: _paragraphs("\n\n".join(parts[split])) for split in SPLITS[1:]}
        parts["train"] = _cut(parts["train"][0], _needed(parts))
    parts = _apart(name, {split: [text for text in parts[split] if text.strip()] for split in SPLITS})
    train = _shuffled(list(dict.fromkeys(parts["train"])))
    missing, needed = [split for split in SPLITS[1:] if not parts[split]], _needed(parts)
    if len(train) < needed:
        many = f"{len(train)} training document" + ("" if len(train) == 1 else "s")
        raise InputError(f"corpus {name}: only {many}, too few to split; at least {needed} are needed")
    held_out = max(1, round(HELD_OUT * len(train)))
    for split in missing:
        parts[split], train = train[:held_out], train[held_out:]
    return Text(name, "local", [[text] for text in train], parts["validation"], parts["test"])


def _needed(parts: Mapping[str, list[str]]) -> int:
    """Training documents that are needed: two, to train on and to pre-train on, and one for each split without any."""
    return 2 + sum(not any(map(str.strip, parts[split])) for split in SPLITS[1:])


def _by_split(path: Path) -> dict[str, list[Path]]:
    """Files of one kind by split."""
    try:
        if path.is_file():
            found = [path]
        elif not any(path.iterdir()):
            raise InputError(f"corpus {path}: the folder is empty; it must hold {_KINDS} files")
        else:
            found = [file for file in path.rglob("*") if files.kind(file) and file.is_file()]
    except OSError as error:
        raise InputError(f"corpus {path}: the folder cannot be read ({error.strerror})") from error
    root = path.parent if path.is_file() else path
    # Sorted by name and not by path, so that a corpus is the same wherever its folder lies.
    names = sorted(file.relative_to(root) for file in found)
    names = [name for name in names if not any(part.startswith(".") for part in name.parts)]
    kinds = Counter(files.kind(name) for name in names)
    chosen = next((kind for kind in files.KINDS if kinds[kind]), None)
    if chosen is None and path.is_file():
        raise InputError(f"corpus {path}: it must be a {_KINDS} file, or a folder of such")
    if chosen is None:
        raise InputError(f"corpus {path}: no {_KINDS} file in this folder")
    if others := {kind: count for kind, count in kinds.items() if kind != chosen}:
        said = ", ".join(f"{count} .{kind}" for kind, count in sorted(others.items()))
        say(f"corpus {path}: read {kinds[chosen]} .{chosen} {'file' if kinds[chosen] == 1 else 'files'}, not {said}")
    names = [name for name in names if files.kind(name) == chosen]
    return {split: [root / name for name in names if _split_of(name) == split] for split in SPLITS}


_KINDS = ".parquet, .jsonl, .csv or .txt"


def _split_of(name: Path) -> str:
    for part in reversed([*name.parts[:-1], name.name.partition(".")[0] or name.name]):
        if said := _PART.fullmatch(part.lower()):
            return _SPLIT.get(said[1], said[1])
    return "train"


def _cut(text: str, needed: int) -> list[str]:
    """Documents of one text: its paragraphs, else its lines, else pieces of it."""
    for documents in (_paragraphs(text), text.split("\n")):
        if sum(bool(document.strip()) for document in documents) >= needed:
            return documents
    if len(text) <= PIECE:
        return _paragraphs(text)
    wrapper = textwrap.TextWrapper(
        PIECE, expand_tabs=False, replace_whitespace=False, drop_whitespace=False, break_on_hyphens=False
    )
    return wrapper.wrap(text)


def _paragraphs(text: str) -> list[str]:
    return re.split(r"\n\s*\n", text)


def _apart(name: str, parts: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """No document in two splits: what is tested on is not chosen by, and neither is trained on."""
    kept = dict(parts)
    for split, others in (("validation", ("test",)), ("train", ("validation", "test"))):
        elsewhere = {text for other in others for text in parts[other]}
        own = [text for text in parts[split] if text not in elsewhere]
        if dropped := len(parts[split]) - len(own):
            many = "documents are" if dropped > 1 else "document is"
            say(f"corpus {name}: {dropped} {many} in {split} and in {' or '.join(others)}; dropped from {split}")
        kept[split] = own
    return kept


def _shuffled(documents: list[str]) -> list[str]:
    order = np.random.default_rng(SPLIT_SEED).permutation(len(documents))
    return [documents[i] for i in order]
