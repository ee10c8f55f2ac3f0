"""Text to train on: a corpus by name, as documents, and as the blocks of tokens that language models read.

corpora.load("embedded").source(n=1000)     a TextSource: train, validation, test, web, fresh(n, rng)
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import chain, count
from pathlib import Path
from typing import cast

import numpy as np

from model_collapse.corpora import embedded, folder, text, tokens
from model_collapse.corpora.continuation import Continuation
from model_collapse.corpora.embedded import World
from model_collapse.corpora.text import Text
from model_collapse.corpora.tokens import Own, Tokenizer, Words
from model_collapse.data import Data, Rows, Source
from model_collapse.errors import InputError

NAMES = {
    "embedded": "articles about a small invented world, written by this package; every probability is known",
    "embedded-other": "articles about another such world, with other names and facts and no dogs; to pre-train on",
    "wikitext-2-raw": "WikiText-2 as Wikipedia spells it, the paper's data",
    "wikitext-2-raw-held-out": "its validation articles, all but six to train on, and its test articles",
    "wikitext-2-v1": "WikiText-2 with rare words as <unk>; its perplexities do not compare with those of raw",
    "wikitext-2": "wikitext-2-raw; wikitext-2-v1 only where a local folder has that alone; says which",
    "FOLDER": "a file or a folder of .parquet, .jsonl, .csv or .txt files, the last three also as .gz",
}

WORLDS = {"embedded": World(), "embedded-other": World(embedded.SEED + 1, lacks=("breeds",))}
"""The world that each embedded corpus is about."""

DOCUMENTS = {"train": 10_000, "web": 10_000, "validation": 1_000, "test": 1_000}
"""Embedded articles drawn for each part. More training articles are written when more are asked for."""

WEB_SHARE = 0.5
"""Share of the training documents that is set aside to pre-train on."""

WEB_SEED = 2


@dataclass(frozen=True, eq=False, kw_only=True)
class TextSource(Source):
    """Real text as blocks of tokens; all rows are int32 (n, block).

    corpus       name of the corpus the blocks are from
    fingerprint  sha256 of its content
    tokenizer    turns blocks into text and back
    continued    (n,) for each training block whether the next one goes on with its text; not the last one's
    world        the distribution the text was drawn from, or None where nobody knows it
    """

    corpus: str
    fingerprint: str
    tokenizer: Tokenizer | Words | Own
    continued: np.ndarray
    world: World | None = None


def as_text(source: Source) -> TextSource:
    """The same: the real data of a family of text are text."""
    return cast(TextSource, source)


def world_of(source: Source) -> World:
    """The world that a text was written about. InputError where nobody knows it."""
    world = as_text(source).world
    if world is None:
        raise InputError("the corpus must be one whose true distribution is known (embedded)")
    return world


@dataclass(frozen=True, eq=False)
class Corpus:
    """Text in four parts, cut between documents.

    name        the name that `load` was given, or what an alias stands for
    train, web  rows of text to train on and to pre-train on: two parts of `whole`, which is in the original order
    revision    of the hub's repository, or "local", or the embedded world's seed
    world       the distribution the text was drawn from, or None
    """

    name: str
    revision: str
    whole: list[str]
    train: list[str]
    web: list[str]
    validation: list[str]
    test: list[str]
    world: World | None = None

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of all the text and of how it is split."""
        digest = hashlib.sha256()
        for part in (self.train, self.validation, self.test, self.web):
            digest.update(f"{len(part)}\n".encode())
            for row in part:
                content = row.encode()
                digest.update(f"{len(content)}\n".encode() + content)
        return digest.hexdigest()

    def source(
        self,
        n: int | None = None,
        *,
        block: int = 64,
        tokenizer: str = "corpus",
        vocabulary: int = 1024,
        evaluate: int | None = None,
        web: str = "web",
        pretrain: int | None = None,
        topics: Collection[str] | None = None,
        articles: int | None = None,
        order: np.random.Generator | None = None,
    ) -> TextSource:
        """The corpus as blocks of tokens.

        n           training blocks, the first ones; None: all there are
        block       tokens in a block
        tokenizer   "corpus" (a byte-level BPE trained on this corpus), "words" (cut at white space), "opt", or a
                    folder with its tokenizer files
        vocabulary  size of the corpus' own tokenizer, or how many different words are kept
        evaluate    maximum number of blocks of validation and of test; None: all
        web         text to pre-train on: "web" (the part set aside), another corpus, or "none"; unless "web", the
                    part set aside is trained on like the rest
        pretrain    maximum number of its blocks; None: all
        topics      only training documents about these, `fresh` ones included, where the distribution is known
        articles    maximum number of training blocks per article (0: all), with articles in a random order drawn from
                    `order`; `fresh` takes the remaining articles, and validation and test blocks are spread over all
                    of theirs. Where the distribution of the text is known and there is no maximum, blocks are cut from
                    articles in a row, as articles are no longer than blocks, and `fresh` writes new ones. None: the
                    first blocks of each part
        """
        _at_least(1, n=n, evaluate=evaluate, pretrain=pretrain)
        _at_least(2, block=block)
        rows = self.train if web == "web" else self.whole
        if topics is not None:
            rows = [row for row in rows if self._about(row) in topics]
        apart = self.web if web == "web" else [] if web == "none" else self._another(web)
        bpe = self._tokenizer(tokenizer, vocabulary)
        if articles == 0 and self.world is not None:
            shuffled = cast(np.random.Generator, order).permutation(len(rows))
            rows, articles = [rows[i] for i in shuffled], None

        if articles is None:
            train = tokens.blocks(bpe, self._endless(rows, topics) if n is not None else rows, block, n)
            continued = np.arange(len(train)) < len(train) - 1
        else:
            train, continued, left = self._drawn(bpe, rows, block, n, articles, cast(np.random.Generator, order))
        if n is not None and len(train) < n:
            raise InputError(f"n must be at most {len(train)}, the training blocks corpus {self.name} has; got {n}")

        def part(name: str, texts: list[str], most: int | None = None) -> Data:
            # Pre-training reads neighbouring blocks together.
            spread = articles is not None and most is not None and name != "web"
            ids = self._spread(bpe, texts, block, most or 0) if spread else tokens.blocks(bpe, texts, block, most)
            if not len(ids):
                raise InputError(f"corpus {self.name}: its {name} part is too short for one block of {block} tokens")
            return Data.real(Rows(ids))

        @cache
        def unused() -> np.ndarray:
            if articles is not None:
                parts = (tokens.blocks(bpe, document, block, articles or None) for document in left)
                return np.concatenate([np.zeros((0, block), np.int32), *parts])
            return tokens.blocks(bpe, rows if n is not None else [], block)[len(train) :]

        def fresh(m: int, rng: np.random.Generator) -> Rows:
            if self.world is not None and articles is None:
                return Rows(tokens.blocks(bpe, self._written(rng, topics), block, m))
            if m > len(unused()):
                raise InputError(f"corpus {self.name} has only {len(unused())} unused blocks; {m} were asked for")
            return Rows(unused()[np.sort(rng.permutation(len(unused()))[:m])])

        if not len(train):
            raise InputError(f"corpus {self.name}: its train part is too short for one block of {block} tokens")
        return TextSource(
            train=Data.real(Rows(train)),
            fresh=fresh,
            validation=part("validation", self.validation, evaluate),
            test=part("test", self.test, evaluate),
            web=part("web", apart, pretrain) if apart else None,
            corpus=self.name,
            fingerprint=self.fingerprint,
            tokenizer=bpe,
            continued=continued,
            world=self.world,
        )

    def continuation(self, tokenizer: str, vocabulary: int) -> Continuation:
        """What draws continuations of blocks of this text from its distribution; arguments as those of `source`."""
        if self.world is None:
            raise InputError(
                f"continuations need a corpus whose true distribution is known (embedded), not {self.name}"
            )
        key = (tokenizer, vocabulary)
        if key not in self._continuations:
            self._continuations[key] = Continuation(self.world, self._tokenizer(tokenizer, vocabulary))
        return self._continuations[key]

    def _documents(self, rows: list[str]) -> list[list[str]]:
        """Rows by article: WikiText's, or each row is one."""
        return text.articles(rows) if self.name in text.WIKITEXT else [[row] for row in rows]

    def _drawn(
        self,
        bpe: Tokenizer | Words | Own,
        rows: list[str],
        block: int,
        n: int | None,
        most: int,
        order: np.random.Generator,
    ) -> tuple[np.ndarray, np.ndarray, list[list[str]]]:
        """n blocks, at most `most` per article, with articles in random order; whether the next block goes on with
        each; and the other articles."""
        documents = self._documents(rows)
        drawn = [documents[i] for i in order.permutation(len(documents))]
        parts, have = [np.zeros((0, block), np.int32)], 0
        while drawn and (n is None or have < n):
            parts.append(tokens.blocks(bpe, drawn.pop(0), block, most or None))
            have += len(parts[-1])
        blocks, article = np.concatenate(parts)[:n], np.repeat(np.arange(len(parts)), list(map(len, parts)))[:n]
        return blocks, np.append(article[1:] == article[:-1], False)[: len(blocks)], drawn

    def _spread(self, bpe: Tokenizer | Words | Own, rows: list[str], block: int, most: int) -> np.ndarray:
        """At most `most` blocks, evenly from all articles: the first block of each, then the second, and so on."""
        each = [tokens.blocks(bpe, document, block) for document in self._documents(rows)]
        turns = [part[i] for i in range(max(map(len, each), default=0)) for part in each if len(part) > i]
        return np.array(turns[:most], np.int32).reshape(-1, block)

    def _another(self, name: str) -> list[str]:
        other = load(name)
        if other.fingerprint == self.fingerprint:
            raise InputError(f'web must be another corpus than {self.name}, or "web" for the part of it set aside')
        return other.whole

    @cached_property
    def _own(self) -> dict[tuple[str, int], Tokenizer | Words]:
        """Tokenizers made of this text by name and size, kept: to count its words takes longer than a short chain."""
        return {}

    @cached_property
    def _continuations(self) -> dict[tuple[str, int], Continuation]:
        """By tokenizer and its size, kept: every sentence of the world is cut into tokens."""
        return {}

    def _tokenizer(self, name: str, vocabulary: int) -> Tokenizer | Words | Own:
        if name in ("words", "corpus"):
            made = tokens.words if name == "words" else tokens.trained
            if (name, vocabulary) not in self._own:
                self._own[name, vocabulary] = made(self.whole, vocabulary)
            return self._own[name, vocabulary]
        if name == "opt":
            return tokens.opt()
        if Path(name).is_dir():
            return tokens.read(Path(name))
        raise InputError(
            f"tokenizer must be corpus, words, opt or a folder with a model's tokenizer.json; got {name!r}"
        )

    def _about(self, document: str) -> str:
        """The topic of an embedded article, which names its entity first."""
        if self.world is None:
            raise InputError(f"topics need a corpus whose true distribution is known (embedded), not {self.name}")
        return self.world.topic(self.world.entities(document.partition(". ")[0])[0])

    def _endless(self, rows: list[str], topics: Collection[str] | None) -> Iterable[str]:
        """The rows, and after them as many more as anybody wants where the distribution of the text is known."""
        return rows if self.world is None else chain(rows, self._written(_stream("more"), topics))

    def _written(self, rng: np.random.Generator, topics: Collection[str] | None) -> Iterator[str]:
        """New embedded articles about these topics, none of which is held out."""
        assert self.world is not None
        held_out = {*self.validation, *self.test}
        for _ in count():
            new = (document for document in self.world.documents(1024, rng) if document not in held_out)
            yield from (document for document in new if topics is None or self._about(document) in topics)


def load(name: str) -> Corpus:
    """A corpus by name (`NAMES`) or folder.

    InputError lists the names, or says in one line what is wrong with a file; ExternalError if the hub is needed and
    cannot be reached.
    """
    if name in WORLDS:
        return _embedded(name)
    if name in NAMES and name != "FOLDER":
        return _split(text.wikitext(name))
    place, column = folder.parted(name)
    if name and place.exists():
        try:
            name.encode()
        except UnicodeEncodeError:
            raise InputError(f"corpus {name!r}: the name must be UTF-8, to be written down; rename it") from None
        return _split(folder.read(place, column))
    known = ", ".join(known for known in NAMES if known != "FOLDER")
    raise InputError(f"corpus must be one of {known}, or an existing file or folder; got {name!r}")


@cache
def _embedded(name: str) -> Corpus:
    world = WORLDS[name]
    parts = {part: world.documents(n, _stream(part)) for part, n in DOCUMENTS.items()}
    whole = parts["train"] + parts["web"]
    # An article drawn twice is rare (about one in a thousand), but then one held out would have been trained on.
    seen = set(whole)
    held_out = {part: [document for document in parts[part] if document not in seen] for part in ("validation", "test")}
    return Corpus(name, f"seed {world.seed}", whole, parts["train"], parts["web"], **held_out, world=world)


def _stream(part: str) -> np.random.Generator:
    """Where the embedded articles of one part come from."""
    return np.random.default_rng([WEB_SEED, *part.encode()])


def _split(read: Text) -> Corpus:
    """Set a seeded share of the training documents aside for pre-training."""
    documents = read.documents
    aside = np.zeros(len(documents), bool)
    aside[np.random.default_rng(WEB_SEED).permutation(len(documents))[: round(WEB_SHARE * len(documents))]] = True

    def rows(keep: np.ndarray) -> list[str]:
        return [row for document, kept in zip(documents, keep, strict=True) if kept for row in document]

    return Corpus(read.name, read.revision, rows(aside | ~aside), rows(~aside), rows(aside), read.validation, read.test)


def _at_least(least: int, **settings: int | None) -> None:
    for name, value in settings.items():
        if value is not None and value < least:
            raise InputError(f"{name} must be at least {least}; got {value}")
