"""A corpus as it is read, and WikiText-2: of a local folder, else of the hub."""

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
from model_collapse.corpora.files import read_parquet

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
    """WikiText-2 by our name; `wikitext-2` is raw, and v1 only where a local folder has all of v1 and not all of raw.

    So what is read follows from what lies here, and never from whether the hub answers.
    """
    if name in WIKITEXT:
        return _wikitext(name)
    only_v1 = _local("wikitext-2-v1", SPLITS) and not _local("wikitext-2-raw-v1", SPLITS)
    text = _wikitext("wikitext-2-v1" if only_v1 else "wikitext-2-raw")
    say(f"corpus wikitext-2: using {text.name}")
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
    if local := _local(configuration, splits):
        return {
            split: [row for path in _shards(local, split) for row in read_parquet(path)] for split in splits
        }, "local"
    instead = f"set MODEL_COLLAPSE_DATA to a folder with wikitext/{configuration}/*.parquet, or use corpus embedded"
    # Read directly: the library `datasets` gives the same rows, and takes three seconds to be imported.
    files = WIKITEXT_FILES[configuration]
    return {split: read_parquet(hub.fetch(files[split], instead=instead)) for split in splits}, WIKITEXT_REVISION


def _local(configuration: str, splits: Sequence[str]) -> Path | None:
    """The folder of a configuration under $MODEL_COLLAPSE_DATA; one that lacks a split does not count."""
    data = paths.data()
    local = data / "wikitext" / configuration if data else None
    return local if local and all(_shards(local, split) for split in splits) else None


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
def say(line: str) -> None:
    """Once per process."""
    print(line, file=sys.stderr)
