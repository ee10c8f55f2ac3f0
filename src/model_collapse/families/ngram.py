"""N-gram models: how often each word follows the words before it. All of a real corpus in seconds, no torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
import scipy
from pydantic import Field

from model_collapse.data import Data, Rows
from model_collapse.errors import InputError
from model_collapse.families._text import Text

PAIRS = 2**20
"""About how many (context, token) pairs `Ngram.entropy` looks at a time."""


@dataclass(frozen=True, eq=False)
class Level:
    """What followed every context of one length.

    contexts  codes of the contexts that were seen, sorted, (C,)
    starts    where the pairs of each context begin, and where the last ones end, (C + 1,)
    pairs     codes of the pairs that were seen, context number * V + next token, sorted, (P,)
    mass      how often all pairs before each one were seen (times the weight of their rows), (P + 1,)
    """

    contexts: np.ndarray
    starts: np.ndarray
    pairs: np.ndarray
    mass: np.ndarray


@dataclass(frozen=True, eq=False)
class Counts:
    """levels[k] has contexts of k tokens; ids run from 0 to vocabulary - 1."""

    vocabulary: int
    levels: tuple[Level, ...]


@dataclass(frozen=True)
class Ngram(Text):
    """Refit the counts of n-grams to the text of the last model; one sample continues every given block.

    With ML_k the frequencies after contexts of k - 1 tokens, P_k = (1 - b) ML_k + b P_(k-1) for k = 2 .. order where
    the context was seen, P_k = P_(k-1) where it was not, and P_1 = ML_1. Scores mix in a uniform distribution, so that
    a word that was lost costs much and not everything; writing never does, so that what is lost stays lost. With
    order=1 the chain is the discrete one. Suresh et al. 2025, arXiv:2412.17646, ran such chains on WikiText-2.
    """

    order: Annotated[int, Field(ge=1, le=3, description="tokens in an n-gram: 1 counts words alone")] = 2
    back: Annotated[float, Field(ge=0, le=1, description="weight b of the next shorter context")] = 0.1
    smoothing: Annotated[
        float, Field(ge=0, lt=1, description="weight of the uniform distribution in scores, not in sampling")
    ] = 1e-3
    tokenizer: Annotated[str, Field(description="words (at white space), corpus, opt, or a folder")] = "words"
    vocabulary: Annotated[int, Field(ge=5, le=10**6, description="tokens at most; rarer words are <unk>")] = 50_000
    block: Annotated[
        int, Field(ge=4, le=10**5, description="tokens in a block, a prompt and a generated continuation")
    ] = 64
    evaluate: Annotated[int, Field(ge=1, description="largest number of blocks each of validation and test")] = 256

    metrics: ClassVar[tuple[str, ...]] = (*Text.metrics, "vocabulary")

    def reading(self) -> dict[str, Any]:
        """How a corpus is to be cut for this model: the arguments of `Corpus.source` after n."""
        names = ("block", "tokenizer", "vocabulary", "evaluate")
        return {name: vars(self)[name] for name in names} | {"web": "none"}

    def fit(
        self, data: Data, rng: np.random.Generator, *, start: None = None, validation: Data | None = None
    ) -> Counts:
        """Counts of rows (n, block); an n-gram lies within one row. No randomness is used."""
        x = data.x.astype(np.int64)
        size = int(x.max()) + 1
        return Counts(size, tuple(_level(x, size, length, data.weight) for length in range(self.order)))

    def sample(self, model: Counts, n: int, rng: np.random.Generator, *, given: Rows | None = None) -> Rows:
        """The next `block` tokens after each of the n given blocks: Rows (n, block) of int32."""
        if given is None or len(given) != n:
            raise InputError(
                f"ngram continues prompts: it needs {n} given blocks, not {0 if given is None else len(given)}"
            )
        reach = self.order - 1
        text = np.empty((n, reach + self.block), np.int64)
        text[:, :reach] = given.x[:, given.x.shape[1] - reach :]
        for j in range(reach, text.shape[1]):
            text[:, j] = self._next(model, text[:, j - reach : j], rng)
        return Rows(text[:, reach:].astype(np.int32))

    def _next(self, model: Counts, past: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """One token after each context (n, order - 1): from the longest seen one, or with chance b from a shorter."""
        token = np.full(len(past), -1)
        for length in range(self.order - 1, -1, -1):
            level = model.levels[length]
            low, high = _slice(level, past[:, past.shape[1] - length :], model.vocabulary)
            open_ = (token < 0) & (high > low)
            # Drawn for every row, so that a row's randomness does not depend on the others.
            stay, place = rng.random((2, len(past)))
            open_ &= (stay >= self.back) | (length == 0)
            mass = level.mass[low] + place * (level.mass[high] - level.mass[low])
            index = np.searchsorted(level.mass, mass, side="right") - 1
            index = np.clip(index, low, np.maximum(high - 1, low))[open_]
            token[open_] = level.pairs[index] % model.vocabulary
        return token

    def score(self, model: Counts, rows: Rows) -> np.ndarray:
        """-ln P(token | those before it in its row) of every token but the first: rows (n, m) -> (n, m - 1), nats."""
        x = rows.x.astype(np.int64)
        columns = range(1, x.shape[1])
        chance = [self._chance(model, x[:, max(j - self.order + 1, 0) : j], x[:, j]) for j in columns]
        with np.errstate(divide="ignore"):
            return -np.log(self._smoothed(np.stack(chance, axis=1)))

    def entropy(self, model: Counts, rows: Rows) -> np.ndarray:
        """Entropy in nats of the distribution of `score`, before every token but the first: (n, m) -> (n, m - 1)."""
        x, reach = rows.x.astype(np.int64), self.order - 1
        # What no model knows stands before a row, so that contexts are shorter there, as in `score`.
        padded = np.concatenate([np.full((len(x), reach), model.vocabulary), x], axis=1)
        contexts = padded[:, np.arange(1, x.shape[1])[:, None] + np.arange(reach)]
        n, places, _ = contexts.shape
        flat = contexts.reshape(n * places, reach)
        return self._entropy(model, flat, np.zeros(n * places, int)).reshape(n, places)

    def _entropy(self, model: Counts, contexts: np.ndarray, power: np.ndarray) -> np.ndarray:
        """-sum_w q ln q over all tokens w, with q = P(w | context) times b^power, smoothed, for each context (C, k).

        Of a token that never followed a context, P is b times what it is after the next shorter one. So the sum for
        that one, with one power more, has to be put right only for those that did.
        """
        _, first, place = np.unique(
            _code(np.minimum(contexts, model.vocabulary), model.vocabulary + 1) * self.order + power,
            return_index=True,
            return_inverse=True,
        )
        contexts, power, length = contexts[first], power[first], contexts.shape[1]
        if length == 0:
            every = np.arange(max(self.vocabulary, model.vocabulary))
            alone = self._chance(model, np.empty((len(every), 0), int), every)
            return np.array([scipy.special.entr(self._smoothed(self.back**k * alone)).sum() for k in power])[place]
        low, high = _slice(model.levels[length], contexts, model.vocabulary)
        total = self._entropy(model, contexts[:, 1:], power + (high > low))
        for owner, token in _followers(model.levels[length], low, high, model.vocabulary):
            p, shorter = (self._chance(model, contexts[owner, cut:], token) for cut in (0, 1))
            without = scipy.special.entr(self._smoothed(self.back ** (power[owner] + 1) * shorter))
            gain = scipy.special.entr(self._smoothed(self.back ** power[owner] * p)) - without
            total += np.bincount(owner, gain, minlength=len(total))
        return total[place]

    def _chance(self, model: Counts, context: np.ndarray, token: np.ndarray) -> np.ndarray:
        """P(token | context) without smoothing, for each token (n,) after its context (n, k)."""
        p = np.zeros(len(token))
        for length in range(context.shape[1] + 1):
            level = model.levels[length]
            low, high = _slice(level, context[:, context.shape[1] - length :], model.vocabulary)
            seen, total = high > low, level.mass[high] - level.mass[low]
            pair = level.pairs[np.minimum(low, len(level.pairs) - 1)] // model.vocabulary * model.vocabulary + token
            place = np.minimum(np.searchsorted(level.pairs, pair), len(level.pairs) - 1)
            there = seen & (token < model.vocabulary) & (level.pairs[place] == pair)
            counted = np.where(there, level.mass[place + 1] - level.mass[place], 0)
            share = np.divide(counted, total, out=np.zeros(len(token)), where=seen)
            p = np.where(seen, share if length == 0 else (1 - self.back) * share + self.back * p, p)
        return p

    def _smoothed(self, p: np.ndarray) -> np.ndarray:
        """Mixed with the uniform distribution over the tokens there may be, whatever a model has seen of them."""
        return (1 - self.smoothing) * p + self.smoothing / self.vocabulary


def _followers(level: Level, low: np.ndarray, high: np.ndarray, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(number of a slice, token) for every pair in slices of a level, about `PAIRS` of them at a time."""
    count = high - low
    for part in np.split(np.arange(len(low)), np.flatnonzero(np.diff(np.cumsum(count) // PAIRS)) + 1):
        owner = np.repeat(part, count[part])
        step = np.arange(len(owner)) - np.repeat(np.cumsum(count[part]) - count[part], count[part])
        yield owner, level.pairs[low[owner] + step] % size


def _code(context: np.ndarray, size: int) -> np.ndarray:
    """A number for each context (n, k), unique for its length; -1 with a token that the model does not know."""
    code = np.zeros(len(context), np.int64)
    for column in context.T:
        code = code * size + column
    return np.where((context >= size).any(axis=1), -1, code)


def _level(x: np.ndarray, size: int, length: int, weight: np.ndarray | None) -> Level:
    windows = np.lib.stride_tricks.sliding_window_view(x, length + 1, axis=1).reshape(-1, length + 1)
    contexts, number = np.unique(_code(windows[:, :-1], size), return_inverse=True)
    pairs, pair, counts = np.unique(number * size + windows[:, -1], return_inverse=True, return_counts=True)
    if weight is not None:
        counts = np.bincount(pair, np.repeat(weight, len(windows) // len(x)))
    starts = np.searchsorted(pairs, np.arange(len(contexts) + 1) * size)
    return Level(contexts, starts, pairs, np.concatenate([[0.0], np.cumsum(counts)]))


def _slice(level: Level, context: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the pairs of each context (n, k) begin and end; an empty slice where it was never seen, or only in rows of
    weight 0."""
    code = _code(context, size)
    number = np.minimum(np.searchsorted(level.contexts, code), len(level.contexts) - 1)
    low, high = level.starts[number], level.starts[number + 1]
    return low, np.where((level.contexts[number] == code) & (level.mass[high] > level.mass[low]), high, low)
