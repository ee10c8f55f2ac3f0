"""Tokenisers: a small byte-level BPE trained on the corpus, OPT's own, plain words, and any other model's own.

The first three follow OPT's conventions: <s> 0, <pad> 1, </s> 2, <unk> 3, and one </s> in front of every text. Any
other adds what its model was trained with.
"""

from __future__ import annotations

import hashlib
import importlib.util
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
from model_collapse.errors import ExternalError, InputError

if TYPE_CHECKING:
    import tokenizers

SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
END = "</s>"

SMALLEST = len(SPECIAL) + 256
"""Tokens a byte-level vocabulary needs before any merge."""

OPT_REPOSITORY = "facebook/opt-125m"
OPT_REVISION = "27dcfa74d334bc871f3234de431e71c6eeba5dd6"

FILES = ("vocab.json", "merges.txt")
OPT_SHA256 = "2a079fa35624dc62806d14d1a284ae0380d38cd3c0f0d201f7e7c52583468acf"
"""Fingerprint of OPT's tokenizer."""

OPT_FILES = tuple(hub.File(OPT_REPOSITORY, OPT_REVISION, name) for name in FILES)

OWN = "tokenizer.json"
"""A whole tokenizer in one file, as the library `tokenizers` writes it."""

PROBES = (
    "The church tower was built in 1415, and restored 3.5 times.",
    " a  b   c ",
    "one\ntwo\n\n\tthree\r\n",
    " = Title = \n",
    "naïve façade, Čech, ﬁne, e\u0301",
    "漢字かな交じり文 한국어",
    "emoji 🙂👩‍👩‍👧 and <unk> </s> <|endoftext|>",
)
"""Texts that a model's own tokenizer has to give back unchanged."""


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

    @property
    def ends(self) -> tuple[int, ...]:
        """Ids that end a text."""
        return (self.end,)

    @property
    def writable(self) -> np.ndarray:
        """Ids that stand for a token, in order; int32."""
        return np.array(sorted(self.vocabulary.values()), np.int32)

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of the tokens, their ids and the merges."""
        content = json.dumps([sorted(self.vocabulary.items()), self.merges])
        return hashlib.sha256(content.encode()).hexdigest()

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

    @property
    def ends(self) -> tuple[int, ...]:
        """Ids that end a text."""
        return (self.end,)

    @property
    def writable(self) -> np.ndarray:
        """Ids that stand for a token, in order; int32."""
        return np.arange(self.size, dtype=np.int32)

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


@dataclass(frozen=True, eq=False)
class Own:
    """The tokenizer that a pre-trained model came with.

    engine       of the library `tokenizers`; special tokens that are spelt out in a text are text to it
    ends         ids that end a text, the first of them the model's end token
    first, last  ids that this tokenizer puts before and after every text
    folder       where it was read from
    """

    engine: tokenizers.Tokenizer
    ends: tuple[int, ...]
    first: tuple[int, ...] = ()
    last: tuple[int, ...] = ()
    folder: Path | None = None

    @cached_property
    def vocabulary(self) -> dict[str, int]:
        """Token -> id."""
        return self.engine.get_vocab(with_added_tokens=True)

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of the whole tokenizer."""
        return hashlib.sha256(self.engine.to_str().encode()).hexdigest()

    @cached_property
    def size(self) -> int:
        """Ids run from 0 to size - 1; there may be some without a token, see `writable`."""
        return max(self.vocabulary.values()) + 1

    @property
    def end(self) -> int:
        """Id of the model's end token."""
        return self.ends[0]

    @cached_property
    def writable(self) -> np.ndarray:
        """Ids that stand for a token, in order; int32. Further rows of a model's vocabulary stand for none."""
        return np.array(sorted(self.vocabulary.values()), np.int32)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of every text, with what the model's own tokenizer adds and no more."""
        encodings = self.engine.encode_batch(list(texts), add_special_tokens=False)
        return [[*self.first, *encoding.ids, *self.last] for encoding in encodings]

    def decode(self, ids: np.ndarray) -> list[str]:
        """Text of every row of `ids`, shape (n, length). An end becomes a line break; ids without text, nothing."""
        return ["\n".join(map(self._text, _cut(row.tolist(), *self.ends))) for row in np.asarray(ids)]

    def _text(self, ids: list[int]) -> str:
        return self.engine.decode([i for i in ids if i in self._plain], skip_special_tokens=False)

    def save(self, folder: Path) -> None:
        """Write what `read` and transformers read into an existing folder."""
        self.engine.save(str(folder / OWN))
        (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": list(self.ends)}), encoding="utf-8")

    @cached_property
    def _plain(self) -> frozenset[int]:
        """Ids that stand for text."""
        special = {i for i, token in self.engine.get_added_tokens_decoder().items() if token.special}
        return frozenset(self.vocabulary.values()) - special


def words(texts: Iterable[str], size: int) -> Words:
    """The `size` commonest words of `texts`, the specials among them; equally common ones in alphabetical order."""
    counts = Counter(word for text in texts for word in text.split())
    common = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    # WikiText-2-v1 spells <unk> out.
    names = [*SPECIAL, *(word for word, _ in common if word not in SPECIAL)]
    return Words({word: i for i, word in enumerate(names[:size])})


def _cut(ids: list[int], *ends: int) -> list[list[int]]:
    """The ids between the ends."""
    places = [-1, *(i for i, token in enumerate(ids) if token in ends), len(ids)]
    return [ids[a + 1 : b] for a, b in pairwise(places)]


def _bytes() -> tokenizers.pre_tokenizers.PreTokenizer:
    from tokenizers import pre_tokenizers

    return pre_tokenizers.ByteLevel(add_prefix_space=False)


def opt() -> Tokenizer | Own:
    """OPT's tokenizer: $MODEL_COLLAPSE_DATA/opt-125m-tokenizer first, else the hub."""
    if (local := _local_opt()) is not None:
        return read(local)
    instead = "set MODEL_COLLAPSE_DATA to a folder that holds opt-125m-tokenizer/"
    vocabulary, merges = (hub.fetch(file, instead=instead) for file in OPT_FILES)
    return _opt(vocabulary, merges)


def instead_of_opt() -> str:
    """sha256 of the tokenizer that lies in the place of OPT's under $MODEL_COLLAPSE_DATA; "" for OPT's own, or none."""
    found = "" if (local := _local_opt()) is None else read(local).fingerprint
    return "" if found == OPT_SHA256 else found


def _local_opt() -> Path | None:
    data = paths.data()
    folder = data / "opt-125m-tokenizer" if data is not None else None
    return folder if folder is not None and all((folder / name).is_file() for name in FILES) else None


def read(folder: Path) -> Tokenizer | Own:
    """The tokenizer in a model's folder: tokenizer.json, or what transformers reads there (vocab.json and merges.txt,
    tokenizer.model).

    InputError for one that is damaged, or that does not give a text back as it was.
    """
    if (folder / OWN).is_file():
        return _own(_whole(folder), folder)
    if all((folder / name).is_file() for name in FILES):
        tokenizer = _opt(*(folder / name for name in FILES))
        if END in tokenizer.vocabulary:
            return tokenizer
    elif not (folder / "tokenizer.model").is_file():
        raise InputError(
            f"tokenizer: {folder} has none; it must hold {OWN}, or {' and '.join(FILES)}, or tokenizer.model"
        )
    return _own(_by_transformers(folder), folder)


def _opt(vocabulary: Path, merges: Path) -> Tokenizer:
    """A byte-level BPE from its two files."""
    folder = vocabulary.parent
    try:
        known = json.loads(vocabulary.read_text(encoding="utf-8"))
        lines = merges.read_text(encoding="utf-8").split("\n")
        pairs = [_pair(line) for line in lines if line and not line.startswith("#version")]
    except ValueError as error:
        raise InputError(f"tokenizer: the files in {folder} are damaged") from error
    return Tokenizer(known, pairs, folder)


def _whole(folder: Path) -> tokenizers.Tokenizer:
    from tokenizers import Tokenizer as Engine

    try:
        return Engine.from_file(str(folder / OWN))
    except Exception as error:  # the library raises nothing more special
        raise InputError(f"tokenizer: {folder / OWN} is damaged ({str(error)[:120]})") from None


def _by_transformers(folder: Path) -> tokenizers.Tokenizer:
    if (folder / "tokenizer.model").is_file() and importlib.util.find_spec("sentencepiece") is None:
        raise ExternalError(
            f"tokenizer: reading tokenizer.model in {folder} needs the package sentencepiece; pip install it, "
            f"or give a folder with {OWN}"
        )
    from transformers import AutoTokenizer
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.CRITICAL)
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True).backend_tokenizer
    except Exception as error:  # of several libraries; for the user they all mean the same
        said = (str(error).strip() or type(error).__name__).splitlines()[0][:120]
        raise InputError(f"tokenizer: the one in {folder} cannot be read ({said})") from None
    finally:
        logging.set_verbosity(verbosity)


def _own(engine: tokenizers.Tokenizer, folder: Path) -> Own:
    engine.no_truncation()
    engine.no_padding()
    engine.encode_special_tokens = True
    bare = engine.encode("a", add_special_tokens=False).ids
    whole = engine.encode("a").ids
    start = next((i for i in range(len(whole)) if whole[i : i + len(bare)] == bare), 0)
    first, last = tuple(whole[:start]), tuple(whole[start + len(bare) :])
    own = Own(engine, _ends(folder, engine), first, last, folder)
    for text in PROBES:
        ids = engine.encode(text, add_special_tokens=False).ids
        if (back := own._text(ids)) != text:
            raise InputError(f"tokenizer: the one in {folder} does not give texts back: {text!r} becomes {back!r}")
    return own


def _ends(folder: Path, engine: tokenizers.Tokenizer) -> tuple[int, ...]:
    """The end tokens that a model's files name, those of the generation first, which writing goes by."""
    for file, name in (
        ("generation_config.json", "eos_token_id"),
        ("config.json", "eos_token_id"),
        ("tokenizer_config.json", "eos_token"),
    ):
        try:
            named = json.loads((folder / file).read_text(encoding="utf-8")).get(name)
        except (OSError, ValueError, AttributeError):
            continue
        if name == "eos_token":
            spelt = named.get("content") if isinstance(named, dict) else named
            named = engine.token_to_id(spelt) if isinstance(spelt, str) else None
        ids = named if isinstance(named, list) else [named]
        if ids and all(isinstance(i, int) and engine.id_to_token(i) is not None for i in ids):
            return tuple(ids)
    raise InputError(f"tokenizer: {folder} names no end token (eos_token_id in config.json) that its tokenizer knows")


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


def blocks(tokenizer: Tokenizer | Words | Own, texts: Iterable[str], length: int, n: int | None = None) -> np.ndarray:
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
