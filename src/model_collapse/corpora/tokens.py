"""Tokenisers: OPT's own, a small byte-level BPE trained on the corpus, and plain words.

All follow OPT's conventions: <s> 0, <pad> 1, </s> 2, <unk> 3, and one </s> in front of every text.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from model_collapse import paths
from model_collapse.corpora import hub
from model_collapse.errors import InputError

if TYPE_CHECKING:
    import tokenizers

SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
END = "</s>"

SMALLEST = len(SPECIAL) + 256
"""Tokens a byte-level vocabulary needs before any merge."""

OPT_REPOSITORY = "facebook/opt-125m"
OPT_REVISION = "27dcfa74d334bc871f3234de431e71c6eeba5dd6"

FILES = ("vocab.json", "merges.txt")


@dataclass(frozen=True, eq=False)
class Tokenizer:
    """A byte-level BPE.

    vocabulary  token -> id
    merges      pairs of tokens, the first merged first
    folder      where it was read from (hub layout), or None if it was trained here
    """

    vocabulary: dict[str, int]
    merges: list[tuple[str, str]]
    folder: Path | None = None

    @property
    def size(self) -> int:
        """Ids run from 0 to size - 1."""
        return max(self.vocabulary.values()) + 1

    @property
    def end(self) -> int:
        """Id of </s>, which stands in front of every text."""
        return self.vocabulary[END]

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of every text, </s> first. A special token spelt out in a text is ordinary text here."""
        encodings = self._engine.encode_batch(list(texts), add_special_tokens=False)
        return [[self.end, *encoding.ids] for encoding in encodings]

    def decode(self, ids: np.ndarray) -> list[str]:
        """Text of every row of `ids`, shape (n, length). </s> becomes a line break; other ids without text, nothing."""
        return ["\n".join(map(self._text, _cut(row.tolist(), self.end))) for row in np.asarray(ids)]

    def _text(self, ids: list[int]) -> str:
        return self._engine.decode([i for i in ids if i in self._plain])

    def save(self, folder: Path) -> None:
        """Write vocab.json and merges.txt, as transformers and `read` expect them, into an existing folder."""
        lines = ["#version: 0.2", *(" ".join(pair) for pair in self.merges)]
        (folder / FILES[0]).write_text(json.dumps(self.vocabulary, ensure_ascii=False), encoding="utf-8")
        (folder / FILES[1]).write_text("\n".join(lines) + "\n", encoding="utf-8")

    @cached_property
    def _plain(self) -> frozenset[int]:
        """Ids that stand for bytes."""
        specials = (*SPECIAL, "<mask>")
        return frozenset(i for token, i in self.vocabulary.items() if token not in specials)

    @cached_property
    def _engine(self) -> tokenizers.Tokenizer:
        from tokenizers import Tokenizer as Engine
        from tokenizers import decoders, models

        engine = Engine(models.BPE(vocab=self.vocabulary, merges=self.merges))
        engine.pre_tokenizer = _bytes()
        engine.decoder = decoders.ByteLevel()
        return engine


@dataclass(frozen=True, eq=False)
class Words:
    """One token per word, cut at white space: what n-gram models count. A word it does not know is <unk>.

    vocabulary  word -> id; the specials are there under their names
    """

    vocabulary: dict[str, int]

    @property
    def size(self) -> int:
        """Ids run from 0 to size - 1."""
        return len(self.vocabulary)

    @property
    def end(self) -> int:
        """Id of </s>, which stands in front of every text."""
        return self.vocabulary[END]

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of every text, </s> first."""
        unknown = self.vocabulary["<unk>"]
        return [[self.end, *(self.vocabulary.get(word, unknown) for word in text.split())] for text in texts]

    def decode(self, ids: np.ndarray) -> list[str]:
        """Text of every row of `ids`, shape (n, length): words with a space between, </s> as a line break."""
        words = list(self.vocabulary)
        return [
            "\n".join(" ".join(words[i] for i in line) for line in _cut(row.tolist(), self.end))
            for row in np.asarray(ids)
        ]


def words(texts: Iterable[str], size: int) -> Words:
    """The `size` commonest words of `texts`, the specials among them; equally common ones in alphabetical order."""
    counts = Counter(word for text in texts for word in text.split())
    common = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    # WikiText-2-v1 spells <unk> out.
    names = [*SPECIAL, *(word for word, _ in common if word not in SPECIAL)]
    return Words({word: i for i, word in enumerate(names[:size])})


def _cut(ids: list[int], end: int) -> list[list[int]]:
    """The ids between the ends."""
    ends = [-1, *(i for i, token in enumerate(ids) if token == end), len(ids)]
    return [ids[a + 1 : b] for a, b in pairwise(ends)]


def _bytes() -> tokenizers.pre_tokenizers.PreTokenizer:
    from tokenizers import pre_tokenizers

    return pre_tokenizers.ByteLevel(add_prefix_space=False)


def opt() -> Tokenizer:
    """OPT's tokenizer: $MODEL_COLLAPSE_DATA/opt-125m-tokenizer first, else the hub."""
    data = paths.data()
    if data is not None and all((data / "opt-125m-tokenizer" / name).is_file() for name in FILES):
        return read(data / "opt-125m-tokenizer")
    instead = "set MODEL_COLLAPSE_DATA to a folder that holds opt-125m-tokenizer/"
    return read(hub.fetch(OPT_REPOSITORY, FILES, OPT_REVISION, instead=instead))


def read(folder: Path) -> Tokenizer:
    """The tokenizer of a folder in hub layout, with vocab.json and merges.txt."""
    for name in FILES:
        if not (folder / name).is_file():
            raise InputError(f"tokenizer: {folder} has no {name}; it must hold {' and '.join(FILES)}, as OPT's does")
    try:
        vocabulary = json.loads((folder / FILES[0]).read_text(encoding="utf-8"))
        lines = (folder / FILES[1]).read_text(encoding="utf-8").split("\n")
        merges = [_pair(line) for line in lines if line and not line.startswith("#version")]
    except ValueError as error:
        raise InputError(f"tokenizer: the files in {folder} are damaged") from error
    if END not in vocabulary:
        raise InputError(f"tokenizer: the vocabulary in {folder} has no {END}; an OPT vocabulary is needed")
    return Tokenizer(vocabulary, merges, folder)


def _pair(line: str) -> tuple[str, str]:
    left, right = line.split(" ")
    return left, right


def trained(texts: Sequence[str], size: int) -> Tokenizer:
    """The byte-level BPE of at most `size` tokens that fits `texts`; the same texts always give the same one.

    Kept in the cache folder under a hash of the texts; a damaged file there is made again.
    """
    if size < SMALLEST:
        raise InputError(
            f"vocabulary must be at least {SMALLEST} (the 256 bytes and {len(SPECIAL)} specials); got {size}"
        )
    file = paths.cache() / "tokenizers" / f"{_key(texts, size)}.json"
    tokenizer = _cached(file)
    if tokenizer is None:
        tokenizer = _train(texts, size)
        _store(tokenizer, file)
    return tokenizer


def _train(texts: Iterable[str], size: int) -> Tokenizer:
    from tokenizers import Tokenizer as Engine
    from tokenizers import models, pre_tokenizers, trainers

    engine = Engine(models.BPE())
    engine.pre_tokenizer = _bytes()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    engine.train_from_iterator(texts, trainer)
    model = json.loads(engine.to_str())["model"]
    return Tokenizer(model["vocab"], [tuple(pair) for pair in model["merges"]])


def _key(texts: Iterable[str], size: int) -> str:
    import tokenizers

    digest = hashlib.sha256(f"{tokenizers.__version__} {size}".encode())
    for text in texts:
        digest.update(text.encode() + b"\0")
    return digest.hexdigest()[:32]


def _cached(file: Path) -> Tokenizer | None:
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        body = kept["tokenizer"]
        if kept["sha256"] != _checksum(body):
            return None
        return Tokenizer(body["vocabulary"], [tuple(pair) for pair in body["merges"]])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _store(tokenizer: Tokenizer, file: Path) -> None:
    body = {"vocabulary": tokenizer.vocabulary, "merges": [list(pair) for pair in tokenizer.merges]}
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=file.parent, delete=False) as part:
            json.dump({"sha256": _checksum(body), "tokenizer": body}, part)
            part.flush()
            os.fsync(part.fileno())
        os.replace(part.name, file)
    except OSError:
        pass  # A cache that cannot be written costs time, no more.


def _checksum(body: object) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def blocks(tokenizer: Tokenizer | Words, texts: Iterable[str], length: int, n: int | None = None) -> np.ndarray:
    """All texts in a row, cut into blocks: int32 (k, length), k <= n; the remainder is dropped.

    No more texts are read than n blocks need.
    """
    # A few texts of a list are often enough. What is drawn as it is read comes in batches of one size: draws after it
    # depend on how much was taken.
    size = 32 if isinstance(texts, list) else _BATCH
    texts = iter(texts)
    batches: list[np.ndarray] = []
    have = 0
    while (n is None or have < n * length) and (batch := list(islice(texts, size))):
        size = min(2 * size, _BATCH)
        tokens = [i for ids in tokenizer.encode(batch) for i in ids]
        batches.append(np.array(tokens, np.int32))
        have += len(tokens)
    k = have // length if n is None else min(n, have // length)
    row = np.concatenate(batches) if batches else np.zeros(0, np.int32)
    return row[: k * length].reshape(k, length)


_BATCH = 1024
