"""The embedded corpus: short articles about a small invented world, by a grammar whose probabilities are known.

An article is one opening that names an entity, then a few sentences in random order:

    topic ~ its share;  entity ~ its group's share, then Zipf within the group;  opening ~ Zipf over phrasings
    k ~ LENGTHS;  which k attributes, in which order ~ uniform;  each sentence's phrasing ~ Zipf

    p(article) = p(topic) p(entity | topic) p(opening) p(k) (A - k)!/A! * product of the k sentences' probabilities

No two choices write the same words, so an article can be read back and its probability is that one product. This
is the only text of the project of which the truth is known: what is rare, how rare, and what is false.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from model_collapse.corpora.encyclopedia import Attribute, Topic, topics

SEED = 20240724
"""Of the world itself (names, facts); the articles about it are drawn from other streams."""

LENGTHS = {3: 0.2, 4: 0.3, 5: 0.3, 6: 0.2}
"""How many sentences follow the opening."""

VALUE_SKEW = 0.5
"""When the world is made, a fact takes the r-th value of its list with probability ~ r**-VALUE_SKEW."""


@dataclass(frozen=True, order=True)
class Fact:
    """A statement that `attribute` of `entity` is `value`, and whether it is true of the world."""

    entity: str
    attribute: str
    value: str
    true: bool


@dataclass(frozen=True, eq=False)
class Articles:
    """One topic, laid out for writing and reading. E entities, A attributes.

    popularity  (E,) p(entity | topic)
    values      (E, A) the true value, None for a remark
    options     [a]: (p, sentences): p (J,) of the ways to state attribute a; sentences[e][j]
    """

    topic: Topic
    entities: tuple[str, ...]
    group: tuple[str, ...]
    popularity: np.ndarray
    values: list[list[str | None]]
    options: list[tuple[np.ndarray, list[list[str]]]]
    openings: list[list[str]]


@dataclass(frozen=True)
class World:
    """Entities, groups and facts of a fixed seed, and the articles that can be written about them.

    lacks  names of topics that this world has no articles about
    """

    seed: int = SEED
    lacks: tuple[str, ...] = ()

    @property
    def topic_shares(self) -> dict[str, float]:
        """Share of the articles that are about each topic."""
        return {articles.topic.name: articles.topic.share for articles in self.articles}

    @property
    def group_shares(self) -> dict[str, dict[str, float]]:
        """For each topic, the share of its articles that are about each group (one group: the topic itself)."""
        return {a.topic.name: {g.name: g.share for g in a.topic.groups} for a in self.articles}

    def topic(self, entity: str) -> str:
        """The topic of an entity."""
        return self._about[entity][0].topic.name

    def group(self, entity: str) -> str:
        """The group of an entity."""
        articles, e = self._about[entity]
        return articles.group[e]

    @cached_property
    def popularity(self) -> dict[str, float]:
        """For every entity, the probability that an article is about it."""
        return {
            entity: articles.topic.share * float(p)
            for articles in self.articles
            for entity, p in zip(articles.entities, articles.popularity, strict=True)
        }

    @cached_property
    def truths(self) -> tuple[Fact, ...]:
        """Every true fact, entity by entity."""
        return tuple(
            Fact(entity, attribute.name, value, True)
            for articles in self.articles
            for entity, values in zip(articles.entities, articles.values, strict=True)
            for attribute, value in zip(articles.topic.attributes, values, strict=True)
            if value is not None
        )

    def probability(self, fact: Fact) -> float:
        """The probability that an article states this fact; 0 if it is false."""
        if not self._true(fact.entity, fact.attribute, fact.value):
            return 0.0
        stated = sum(k * p for k, p in LENGTHS.items()) / len(self._about[fact.entity][0].options)
        return self.popularity[fact.entity] * stated

    def entropy(self) -> float:
        """Mean of -log p(article), nats per article, exactly: the entropies of the choices add up (chain rule)."""
        total = _entropy(list(self.topic_shares.values()))
        for articles in self.articles:
            count, opening = len(articles.options), zipf(len(articles.topic.openings))
            sentence = sum(_entropy(p) for p, _ in articles.options) / count
            body = sum(p * (math.log(math.perm(count, k)) + k * sentence) for k, p in LENGTHS.items())
            first = _entropy(articles.popularity) + _entropy(opening)
            total += articles.topic.share * (first + _entropy(list(LENGTHS.values())) + body)
        return total

    def documents(self, n: int, rng: np.random.Generator) -> list[str]:
        """n articles, drawn independently."""
        which = rng.choice(len(self.articles), size=n, p=list(self.topic_shares.values()))
        written: list[str] = [""] * n
        for t, articles in enumerate(self.articles):
            places = np.flatnonzero(which == t)
            for place, article in zip(places, _write(articles, len(places), rng), strict=True):
                written[place] = article
        return written

    def log_probability(self, document: str) -> float:
        """log p(article) in nats; -inf for a text that the grammar cannot write."""
        first, *rest = re.split(r"(?<=\.) ", document)
        if first not in self._openings or len(rest) not in LENGTHS:
            return -math.inf
        entity, total = self._openings[first]
        said = [self._sentences.get((entity, sentence)) for sentence in rest]
        if None in said or len({a for a, _ in said}) < len(said):  # type: ignore[misc]
            return -math.inf
        total += math.log(LENGTHS[len(rest)] / math.perm(len(self._about[entity][0].options), len(rest)))
        return float(total + sum(p for _, p in said))  # type: ignore[misc]

    def surprisal(self, documents: Sequence[str]) -> tuple[float, float]:
        """Mean of -log p over articles, nats per article, and its standard error."""
        values = -np.array([self.log_probability(document) for document in documents])
        return float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values)))

    def facts(self, text: str) -> list[Fact]:
        """The facts that any text states, in order: true, false or nonsense (an attribute of another topic).

        A statement is about the entity named last before it on its line. Broken sentences and statements without a
        name before them do not count; remarks are no facts.
        """
        return [
            Fact(subject, attribute, value, self._true(subject, attribute, value))
            for subject, attribute, value in self._read(text)
            if attribute is not None and value is not None
        ]

    def pair(self, fact: Fact) -> tuple[str, str, str]:
        """An opening and the sentence that states a fact, both in their commonest words; the same with the attribute's
        next value; the same with the two words in the middle of the sentence exchanged."""
        articles, e = self._about[fact.entity]
        attribute = next(a for a in articles.topic.attributes if a.name == fact.attribute)
        values = attribute.values
        other = values[(values.index(fact.value) + 1) % len(values)]
        said, false = (_sentence(attribute.phrasings[0], value) for value in (fact.value, other))
        words = said.split(" ")
        middle = len(words) // 2
        words[middle - 1 : middle + 1] = words[middle], words[middle - 1]
        opening = articles.openings[e][0]
        return f"{opening} {said}", f"{opening} {false}", f"{opening} {' '.join(words)}"

    def entities(self, text: str) -> list[str]:
        """The entities that any text names, in order, with repetitions."""
        return [subject for subject, attribute, _ in self._read(text) if attribute is None]

    def _read(self, text: str) -> Iterable[tuple[str, str | None, str | None]]:
        subject = None
        for match in self._pattern.finditer(text):
            if match.lastindex is None:
                subject = None
            elif match.lastindex == 1:
                subject = match[1]
                yield subject, None, None
            elif subject is not None:
                yield subject, self._statements[match.lastindex - 2][0], match[match.lastindex]

    def _true(self, entity: str, attribute: str, value: str) -> bool:
        return self._truth.get((entity, attribute)) == value

    @cached_property
    def articles(self) -> list[Articles]:
        """The articles that can be written, topic by topic."""
        rng = np.random.default_rng(self.seed)
        there = [topic for topic in topics(rng) if topic.name not in self.lacks]
        total = sum(topic.share for topic in there) if self.lacks else 1.0
        return [_lay_out(replace(topic, share=topic.share / total), rng) for topic in there]

    @cached_property
    def _about(self) -> dict[str, tuple[Articles, int]]:
        return {entity: (articles, e) for articles in self.articles for e, entity in enumerate(articles.entities)}

    @cached_property
    def _openings(self) -> dict[str, tuple[str, float]]:
        """Every opening: its entity and log p of both."""
        return {
            sentence: (entity, math.log(self.popularity[entity] * p))
            for articles in self.articles
            for entity, sentences in zip(articles.entities, articles.openings, strict=True)
            for sentence, p in zip(sentences, zipf(len(sentences)), strict=True)
        }

    @cached_property
    def _sentences(self) -> dict[tuple[str, str], tuple[int, float]]:
        """Every (entity, sentence that can be said about it): its attribute and log p."""
        return {
            (entity, sentence): (a, logp)
            for articles in self.articles
            for a, (p, sentences) in enumerate(articles.options)
            for entity, ways in zip(articles.entities, sentences, strict=True)
            for sentence, logp in zip(ways, np.log(p), strict=True)
        }

    @cached_property
    def _truth(self) -> dict[tuple[str, str], str]:
        return {(fact.entity, fact.attribute): fact.value for fact in self.truths}

    @cached_property
    def _statements(self) -> list[tuple[str, str]]:
        """Every phrasing of every fact: the attribute's name, and a pattern with one group, the value."""
        return [
            (attribute.name, f"({_any(attribute.values)})".join(map(re.escape, phrasing[:-1].split("{}"))))
            for articles in self.articles
            for attribute in articles.topic.attributes
            if attribute.kind != "remark"
            for phrasing in attribute.phrasings
        ]

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        """Finds a line break (no group), a name (group 1), or the value of statement i (group 2 + i)."""
        statements = "|".join(pattern for _, pattern in self._statements)
        return re.compile(rf"\n|\b(?:({_any(self._about)})|{statements})\b")


def _lay_out(topic: Topic, rng: np.random.Generator) -> Articles:
    entities = tuple(name for group in topic.groups for name in group.names)
    group = tuple(group.name for group in topic.groups for _ in group.names)
    popularity = np.concatenate([group.share * zipf(len(group.names)) for group in topic.groups])
    columns = [_values(attribute, group, rng) for attribute in topic.attributes]
    values = [list(row) for row in zip(*columns, strict=True)]
    options = [_options(attribute, column) for attribute, column in zip(topic.attributes, columns, strict=True)]
    openings = [[_sentence(opening, entity) for opening in topic.openings] for entity in entities]
    return Articles(topic, entities, group, popularity, values, options, openings)


def _values(attribute: Attribute, group: Sequence[str], rng: np.random.Generator) -> list[str | None]:
    """What is true of each entity."""
    if attribute.kind == "remark":
        return [None] * len(group)
    if attribute.kind == "group":
        return list(group)
    distribution = zipf(len(attribute.values), VALUE_SKEW)
    return [attribute.values[v] for v in rng.choice(len(distribution), size=len(group), p=distribution)]


def _options(attribute: Attribute, column: Sequence[str | None]) -> tuple[np.ndarray, list[list[str]]]:
    """The ways to state an attribute: their probabilities (J,), and for each entity the J sentences."""
    phrasing = zipf(len(attribute.phrasings))
    if attribute.kind != "remark":
        return phrasing, [[_sentence(p, str(value)) for p in attribute.phrasings] for value in column]
    every = [_sentence(p, value) for p in attribute.phrasings for value in attribute.values]
    return np.outer(phrasing, zipf(len(attribute.values))).ravel(), [every] * len(column)


def _write(articles: Articles, n: int, rng: np.random.Generator) -> Iterable[str]:
    entity = rng.choice(len(articles.entities), size=n, p=articles.popularity).tolist()
    opening = rng.choice(len(articles.topic.openings), size=n, p=zipf(len(articles.topic.openings))).tolist()
    length = rng.choice(list(LENGTHS), size=n, p=list(LENGTHS.values())).tolist()
    order = rng.permuted(np.tile(np.arange(len(articles.options)), (n, 1)), axis=1).tolist()
    way = np.stack([rng.choice(len(p), size=n, p=p) for p, _ in articles.options], axis=1).tolist()
    sentences = [sentences for _, sentences in articles.options]
    for i, e in enumerate(entity):
        said = [sentences[a][e][way[i][a]] for a in order[i][: length[i]]]
        yield " ".join([articles.openings[e][opening[i]], *said])


def _sentence(pattern: str, word: str) -> str:
    sentence = pattern.format(word)
    return sentence[0].upper() + sentence[1:]


def _any(words: Iterable[str]) -> str:
    """A pattern for one of the words, the longest that fits."""
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


def zipf(size: int, exponent: float = 1.0) -> np.ndarray:
    """Shape (size,): p(r) proportional to r**-exponent, r = 1 ... size."""
    weight = np.arange(1, size + 1) ** -exponent
    return weight / weight.sum()


def _entropy(p: Sequence[float] | np.ndarray) -> float:
    return float(-np.sum(p * np.log(p)))
