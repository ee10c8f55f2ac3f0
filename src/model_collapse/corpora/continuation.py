"""Continuations of the embedded corpus, drawn from its own distribution: the text that a perfect model would write.

    continued = Continuation(world, tokenizer)
    continued(prompts, 64, rng)                 the next 64 tokens of every prompt, (n, 64)

A prompt is a piece cut from articles in a row, each after </s>. All articles of which it can be a piece have a
probability in closed form (`World`), so the article that it breaks off in is drawn from its posterior, given the
prompt, and written to its end; new articles follow. Tokens never lie across two sentences, so this is exact for
sequences of tokens too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from model_collapse.corpora.embedded import LENGTHS, Articles, World, zipf
from model_collapse.corpora.tokens import Own, Tokenizer, Words
from model_collapse.errors import InputError

Tokens = tuple[int, ...]


@dataclass(frozen=True)
class _Topic:
    """A topic in tokens. openings[e][o] and options[a][e][j] as in `Articles`; p (J,) of the ways to state each a."""

    share: float
    popularity: np.ndarray
    openings: list[list[Tokens]]
    options: list[list[list[Tokens]]]
    p: list[np.ndarray]


@dataclass(frozen=True)
class _Reading:
    """One way to read the end of a prompt.

    weight   its probability, up to a factor that all readings of a prompt share
    stated   attributes of `entity` that the prompt states, in part perhaps
    rest     tokens that complete the sentence that the prompt breaks off in
    more     (k,) how probable k more sentences are after that, k = 0, 1, ...
    """

    weight: float
    topic: _Topic
    entity: int
    stated: tuple[int, ...]
    rest: Tokens
    more: np.ndarray


class Continuation:
    """Continues text about `world`. InputError for a tokenizer whose tokens lie across sentences."""

    def __init__(self, world: World, tokenizer: Tokenizer | Words | Own) -> None:
        self.world, self.tokenizer = world, tokenizer
        self._topics = [self._in_tokens(articles) for articles in world.articles]
        pieces = [piece for topic in self._topics for piece in _pieces(topic)]
        self._lasts = {piece[-1] for piece in pieces}
        probe = world.documents(8, np.random.default_rng(0))
        for ids in tokenizer.encode(probe):
            if ids[0] != tokenizer.end or not self._readings(tuple(ids)):
                raise InputError("family.decoding=truth: needs family.tokenizer=corpus or words")

    def __call__(self, prompts: np.ndarray, length: int, rng: np.random.Generator) -> np.ndarray:
        """The next `length` tokens after each prompt (n, m): int32 (n, length). InputError for a prompt that is no
        piece of such articles."""
        new, rows = self._articles(rng), [tuple(prompt) for prompt in prompts.tolist()]
        known = {prompt: self._readings(prompt) for prompt in set(rows) if prompt[-1] != self.tokenizer.end}
        return np.array([_after(known.get(prompt), length, rng, new) for prompt in rows], np.int32)

    def _articles(self, rng: np.random.Generator) -> Iterator[list[int]]:
        """New articles without end."""
        while True:
            yield from self.tokenizer.encode(self.world.documents(64, rng))

    def _readings(self, prompt: Tokens) -> list[_Reading]:
        """All ways to read a prompt that does not end with </s>."""
        ends = [i for i, token in enumerate(prompt) if token == self.tokenizer.end]
        if ends:
            return [reading for topic in self._topics for reading in _begun(topic, prompt[ends[-1] + 1 :])]
        first = next((i + 1 for i, token in enumerate(prompt) if token in self._lasts), len(prompt))
        return [r for topic in self._topics for r in _within(topic, prompt[:first], prompt[first:])]

    def _in_tokens(self, articles: Articles) -> _Topic:
        def encoded(sentences: list[list[str]], before: str) -> list[list[Tokens]]:
            flat = self.tokenizer.encode([before + sentence for ways in sentences for sentence in ways])
            each = iter([tuple(ids[1:]) for ids in flat])
            return [[next(each) for _ in ways] for ways in sentences]

        return _Topic(
            articles.topic.share,
            articles.popularity,
            encoded(articles.openings, ""),
            [encoded(sentences, " ") for _, sentences in articles.options],
            [p for p, _ in articles.options],
        )


def _after(
    readings: list[_Reading] | None, length: int, rng: np.random.Generator, new: Iterator[list[int]]
) -> list[int]:
    """What follows a prompt with these readings; None: it ends with </s>."""
    if readings is None:
        written = next(new)[1:]
    else:
        weights = np.array([reading.weight for reading in readings])
        if not weights.sum():
            raise InputError("family.decoding=truth: a prompt is no text of the embedded corpus")
        written = _completed(readings[int(rng.choice(len(readings), p=weights / weights.sum()))], rng)
    while len(written) < length:
        written += next(new)
    return written[:length]


def _pieces(topic: _Topic) -> Iterator[Tokens]:
    yield from (opening for ways in topic.openings for opening in ways)
    yield from (sentence for options in topic.options for ways in options for sentence in ways)


def _begun(topic: _Topic, text: Tokens) -> Iterator[_Reading]:
    """Readings of a text that is the beginning of an article."""
    chance = zipf(len(topic.openings[0]))
    for entity, ways in enumerate(topic.openings):
        for opening, p in zip(ways, chance, strict=True):
            weight = topic.share * float(topic.popularity[entity] * p)
            if opening[: len(text)] == text:
                yield _reading(weight, topic, entity, (), opening[len(text) :], hidden=0)
            elif text[: len(opening)] == opening:
                yield from _sentences(topic, entity, weight, (), text[len(opening) :], hidden=0)


def _within(topic: _Topic, fragment: Tokens, text: Tokens) -> Iterator[_Reading]:
    """Readings of the end of a sentence, or of what lies within one if `text` is empty, and the text after it."""
    for reading in _begun_before(topic, fragment):
        if not text:
            yield reading
        elif not reading.rest:
            hidden = None if reading.stated else 0
            yield from _sentences(topic, reading.entity, reading.weight, reading.stated, text, hidden)


def _begun_before(topic: _Topic, fragment: Tokens) -> Iterator[_Reading]:
    """Readings of a fragment of one sentence."""
    chance = zipf(len(topic.openings[0]))
    for entity, ways in enumerate(topic.openings):
        weight = topic.share * float(topic.popularity[entity])
        for opening, p in zip(ways, chance, strict=True):
            for rest in _rests(opening, fragment):
                yield _reading(weight * float(p), topic, entity, (), rest, hidden=0)
        for a, options in enumerate(topic.options):
            for sentence, p in zip(options[entity], topic.p[a], strict=True):
                for rest in _rests(sentence, fragment):
                    yield _reading(weight * float(p) / len(topic.options), topic, entity, (a,), rest, hidden=None)


def _rests(sentence: Tokens, fragment: Tokens) -> Iterator[Tokens]:
    """What follows the fragment wherever it stands in the sentence."""
    if fragment[-1] == sentence[-1]:
        # A sentence ends with what stands nowhere else in it.
        if sentence[-len(fragment) :] == fragment:
            yield ()
        return
    for start in range(len(sentence) - len(fragment) + 1):
        if sentence[start : start + len(fragment)] == fragment:
            yield sentence[start + len(fragment) :]


def _sentences(
    topic: _Topic, entity: int, weight: float, stated: tuple[int, ...], text: Tokens, hidden: int | None
) -> Iterator[_Reading]:
    """Readings of whole sentences about an entity, and of one that may be cut, after those `stated`."""
    if not text:
        yield _reading(weight, topic, entity, stated, (), hidden)
        return
    left = [a for a in range(len(topic.options)) if a not in stated]
    for a in left:
        for sentence, p in zip(topic.options[a][entity], topic.p[a], strict=True):
            chance = weight * float(p) / len(left)
            if text[: len(sentence)] == sentence:
                yield from _sentences(topic, entity, chance, (*stated, a), text[len(sentence) :], hidden)
            elif sentence[: len(text)] == text:
                yield _reading(chance, topic, entity, (*stated, a), sentence[len(text) :], hidden)


def _reading(
    weight: float, topic: _Topic, entity: int, stated: tuple[int, ...], rest: Tokens, hidden: int | None
) -> _Reading:
    """Weighed by how many sentences an article may have.

    hidden  sentences of the article before those stated; None: any number, all equally probable beforehand, because a
            prompt begins at any token of a row of articles alike
    """
    more = np.zeros(max(LENGTHS) + 1)
    for length, p in LENGTHS.items():
        for before in range(length) if hidden is None else (hidden,):
            if before + len(stated) <= length:
                more[length - before - len(stated)] += p
    return _Reading(weight * float(more.sum()), topic, entity, stated, rest, more)


def _completed(reading: _Reading, rng: np.random.Generator) -> list[int]:
    """The end of the article that a prompt breaks off in."""
    topic, written = reading.topic, list(reading.rest)
    count = int(rng.choice(len(reading.more), p=reading.more / math.fsum(reading.more)))
    left = [a for a in range(len(topic.options)) if a not in reading.stated]
    for a in rng.permutation(left)[:count]:
        ways = topic.options[a][reading.entity]
        written += ways[int(rng.choice(len(ways), p=topic.p[a]))]
    return written
