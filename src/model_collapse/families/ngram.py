"""N-gram models: how often each word follows the words before it. All of a real corpus in seconds, no torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field
from scipy.special import entr

from model_collapse.data import Data, Rows
from model_collapse.errors import InputError
from model_collapse.families._numbers import Starting

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
class Ngram(Starting):
    """Refit the counts of n-grams to what the last model wrote; one sample continues every given block.

    With ML_k the frequencies after contexts of k - 1 tokens, P_k = (1 - b) ML_k + b P_(k-1) for k = 2 .. order where
    the context was seen, P_k = P_(k-1) where it was not, and P_1 = ML_1. Scores mix in a uniform law, so that a word
    that was lost costs much and not everything; writing never does, so that what is lost stays lost. With order=1
    the chain is the discrete one. Suresh et al. 2025, arXiv:2412.17646, ran such chains on WikiText-2.
    """

    order: Annotated[int, Field(ge=1, le=3, description="tokens in an n-gram: 1 counts words alone")] = 2
    back: Annotated[float, Field(ge=0, le=1, description="weight b of the next shorter context")] = 0.1
    smoothing: Annotated[
        float, Field(ge=0, lt=1, description="weight of the uniform law in scores, not in writing")
    ] = 1e-3
    tokenizer: Annotated[str, Field(description="words (at white space), corpus, opt, or a folder")] = "words"
    vocabulary: Annotated[int, Field(ge=5, le=10**6, description="tokens at most; rarer words are <unk>")] = 50_000
    block: Annotated[
        int, Field(ge=4, le=10**5, description="tokens in a block, in a prompt, and in what is written")
    ] = 64
    evaluate: Annotated[int, Field(ge=1, description="at most so many blocks each of validation and test")] = 256

    conditional: ClassVar[bool] = True
    reads: ClassVar[str] = "text"
    metrics: ClassVar[tuple[str, ...]] = (
        "perplexity",
        "perplexity_block_mean",
        "written_perplexity",
        "distinct_3",
        "repeated_3",
        "rare_coverage",
        "vocabulary",
    )
    more_metrics: ClassVar[tuple[str, ...]] = (
        "entropy",
        "distinct_2",
        "type_token_ratio",
        "unique_sentences",
        "zipf",
        "skeletons",
        "similarity",
        "facts",
        "groups",
        "kl",
    )
    rows: ClassVar[int] = 256
    block_size: ClassVar[int] = 1
    checkpoints: ClassVar[bool] = False

    def reading(self) -> dict[str, Any]:
        """How a corpus is to be cut for this model: the arguments of `Corpus.source` after n."""
        names = ("block", "tokenizer", "vocabulary", "evaluate")
        return {name: getattr(self, name) for name in names} | {"web": "none"}

    def contents(self) -> list[str]:
        """Nothing beside the corpus decides what is read."""
        return []

    def fit(
        self, data: Data, rng: np.random.Generator, *, start: None = None, validation: Data | None = None
    ) -> Counts:
        """Counts of rows (n, block); an n-gram lies within one row. No randomness is used."""
        x = data.rows.x.astype(np.int64)  # type: ignore[union-attr]
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
        chance = np.empty(x[:, 1:].shape)
        for j in range(1, x.shape[1]):
            p = np.zeros(len(x))
            for length in range(min(self.order - 1, j) + 1):
                seen, share = _share(model, length, x[:, j - length : j], x[:, j])
                p = np.where(seen, share if length == 0 else (1 - self.back) * share + self.back * p, p)
            chance[:, j - 1] = p
        # Uniform over the tokens there may be, whatever this model has seen of them.
        chance = (1 - self.smoothing) * chance + self.smoothing / self.vocabulary
        with np.errstate(divide="ignore"):
            return -np.log(chance)

    def entropy(self, model: Counts, rows: Rows) -> np.ndarray:
        """Entropy in nats of the law of every token but the first of each row, smoothing included: as `score`.

        A token that never followed the last one has probability b^k P_1, where k context lengths of one token and more
        were seen. So the sum over all tokens is made once for each k, and put right for those that did follow.
        """
        x, reach, size = rows.x.astype(np.int64), self.order - 1, model.vocabulary
        # What no model knows stands before a row, so that contexts are shorter there, as in `score`.
        padded = np.concatenate([np.full((len(x), reach), size), np.minimum(x, size)], axis=1)
        every = padded[:, np.arange(1, x.shape[1])[:, None] + np.arange(reach)].reshape(-1, reach)
        _, first, place = np.unique(_code(every, size + 1), return_index=True, return_inverse=True)
        contexts = every[first]

        def terms(p: np.ndarray | float) -> np.ndarray:
            return entr((1 - self.smoothing) * p + self.smoothing / self.vocabulary)

        alone = np.zeros(size)
        alone[model.levels[0].pairs] = np.diff(model.levels[0].mass) / model.levels[0].mass[-1]
        unseen = max(self.vocabulary - size, 0) * terms(0.0)
        depth = np.zeros(len(contexts), int)
        for length in range(1, self.order):
            depth += np.diff(_slice(model.levels[length], contexts[:, reach - length :], size), axis=0)[0] > 0
        total = np.array([terms(self.back**k * alone).sum() + unseen for k in range(self.order)])[depth]
        for owner, token in _followers(model, contexts) if reach else ():
            p = alone[token]
            for length in range(1, self.order):
                seen, share = _share(model, length, contexts[owner, reach - length :], token)
                p = np.where(seen, (1 - self.back) * share + self.back * p, p)
            gain = terms(p) - terms(self.back ** depth[owner] * alone[token])
            total += np.bincount(owner, gain, minlength=len(total))
        return total[place].reshape(len(x), -1)


def _followers(model: Counts, contexts: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Number of a context (C, k) and a token that followed its last one, for all of these, about PAIRS at a time."""
    low, high = _slice(model.levels[1], contexts[:, -1:], model.vocabulary)
    ends = np.cumsum(high - low)
    for part in np.split(np.arange(len(contexts)), np.flatnonzero(np.diff(ends // PAIRS)) + 1):
        owner = np.repeat(part, (high - low)[part])
        step = np.arange(len(owner)) - (ends - (high - low))[owner] + (ends - (high - low))[part[0]]
        yield owner, model.levels[1].pairs[low[owner] + step] % model.vocabulary


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


def _share(model: Counts, length: int, context: np.ndarray, token: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whether each context (n, length) was seen, and how often the token (n,) followed it, over all that did: (n,)."""
    level = model.levels[length]
    low, high = _slice(level, context, model.vocabulary)
    seen, total = high > low, level.mass[high] - level.mass[low]
    pair = level.pairs[np.minimum(low, len(level.pairs) - 1)] // model.vocabulary * model.vocabulary + token
    place = np.minimum(np.searchsorted(level.pairs, pair), len(level.pairs) - 1)
    there = seen & (token < model.vocabulary) & (level.pairs[place] == pair)
    counted = np.where(there, level.mass[place + 1] - level.mass[place], 0)
    return seen, np.divide(counted, total, out=np.zeros(len(token)), where=seen)


def _slice(level: Level, context: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the pairs of each context (n, k) begin and end; an empty slice where it was never seen."""
    code = _code(context, size)
    number = np.minimum(np.searchsorted(level.contexts, code), len(level.contexts) - 1)
    low, high = level.starts[number], level.starts[number + 1]
    return low, np.where(level.contexts[number] == code, high, low)
