"""Metrics of text: how well a language model predicts real text, and what has become of the text it writes.

A block of m tokens has m - 1 predicted ones: the first has nothing before it. Logarithms are natural unless said
otherwise; perplexity is exp(nats per predicted token).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import lru_cache
from typing import Any

import numpy as np

from model_collapse.data import Rows, Source
from model_collapse.loop import Generation
from model_collapse.metrics import Reference

QUANTILES = (0.01, 0.05, 0.25, 0.50, 0.75, 0.95, 0.99)

BINS = np.arange(81) / 20
"""Edges of the histogram of `written_perplexity` in log10."""

COMMON, MEDIUM = 0.5, 0.9
"""Where the bands of `rare_coverage` end, in shares of all that is said, the most frequent first."""


def perplexity(generation: Generation, reference: Reference) -> float:
    """exp(mean over all predicted tokens of -ln p) of this generation's model on the real test text."""
    return float(np.exp(_on_test(reference.family, generation.model, reference.source).mean(dtype=np.float64)))


def perplexity_block_mean(generation: Generation, reference: Reference) -> float:
    """Mean over test blocks of exp(mean -ln p in the block): never below `perplexity`, by Jensen's inequality.

    The paper does not say which of the two it reports.
    """
    return float(_by_block(_on_test(reference.family, generation.model, reference.source)).mean())


def written_perplexity(generation: Generation, reference: Reference) -> dict[str, float]:
    """Perplexity of every block this generation wrote, under the model of generation 0 and without its prompt.

    Items "q01" to "q99" are quantiles over blocks; item "bin 1.30" is the share of blocks with log10 perplexity in
    [1.30, 1.35), and so on from 0 to 4, where the first and the last bin also hold what lies beyond them.
    """
    values = _by_block(reference.family.score(reference.first.model, generation.sample.rows))
    quantiles = np.quantile(values, QUANTILES)
    place = np.clip(np.searchsorted(BINS, np.log10(values), side="right") - 1, 0, len(BINS) - 2)
    shares = np.bincount(place, minlength=len(BINS) - 1) / len(values)
    items = {f"q{round(100 * q):02d}": float(value) for q, value in zip(QUANTILES, quantiles, strict=True)}
    return items | {f"bin {low:.2f}": float(share) for low, share in zip(BINS[:-1], shares, strict=True)}


def vocabulary(generation: Generation, reference: Reference) -> float:
    """Number of different tokens in all that was written."""
    return float(len(np.unique(_written(generation))))


def distinct_3(generation: Generation, reference: Reference) -> float:
    """Different 3-grams of tokens / all 3-grams, over all written blocks; none crosses the end of a block."""
    grams = _trigrams(_written(generation))
    return len(np.unique(grams)) / grams.size


def repeated_3(generation: Generation, reference: Reference) -> float:
    """Share of the written 3-grams of tokens that stand earlier in the same block too."""
    grams = np.sort(_trigrams(_written(generation)), axis=1)
    return float((grams[:, 1:] == grams[:, :-1]).sum() / grams.size)


def rare_coverage(generation: Generation, reference: Reference) -> dict[str, float]:
    """Share of what the real training text says that the written text says at least once, by how rare it is.

    Where the true law is known (`source.world`), "what" are the true facts, ordered by the probability that an article
    states them; a statement is about the entity named last before it, in the block or in the block it continues (its
    prompt; for a training block, the one before it). Elsewhere it is the tokens, ordered by their count in the real
    training text.

    In that order the items are "common" for those that start before half of all that is said (of the facts'
    total probability; of the tokens), "medium" for those before 9/10, "rare" for the rest. Only what the training text
    does say is counted in either part of the share, which is nan for an empty band. It depends on how much is
    written, so compare equal n; real text of the same size is the yardstick (a control with real_fraction=1).
    """
    source: Any = reference.source
    said, bands = _said(source)
    still: Collection[Any] = set(np.unique(_written(generation)).tolist())
    if source.world is not None:
        assert isinstance(generation.given, Rows)
        still = _facts(source, generation.given.x, _written(generation))
    shares = {}
    for band in ("rare", "medium", "common"):
        members = [thing for thing in said if bands[thing] == band]
        shares[band] = sum(thing in still for thing in members) / len(members) if members else float("nan")
    return shares


@lru_cache(maxsize=1)
def _on_test(family: Any, model: Any, source: Source) -> np.ndarray:
    """Nats per predicted token of the test blocks (n, block - 1), kept for the second metric that asks."""
    assert source.test is not None
    return family.score(model, source.test.rows)


def _by_block(nats: np.ndarray) -> np.ndarray:
    """Perplexity of each block, shape (n,)."""
    return np.exp(nats.mean(axis=1, dtype=np.float64))


def _written(generation: Generation) -> np.ndarray:
    """Token ids of what was written, (n, m)."""
    rows = generation.sample.rows
    assert isinstance(rows, Rows)
    return rows.x


def _trigrams(x: np.ndarray) -> np.ndarray:
    """A number for each 3-gram, equal for equal ones: (n, m) -> (n, m - 2)."""
    x = x.astype(np.int64)
    size = int(x.max()) + 1
    return (x[:, :-2] * size + x[:, 1:-1]) * size + x[:, 2:]


@lru_cache(maxsize=1)
def _said(source: Any) -> tuple[Collection[Any], dict[Any, str]]:
    """What the real training text says, and the band of everything that can be said."""
    x = source.train.rows.x
    if source.world is not None:
        truths = source.world.truths
        # The blocks are running text, so the block before is the prompt; the first one, without any, gets the last.
        said = _facts(source, np.roll(x, 1, axis=0), x)
        return said, _bands(truths, [source.world.probability(fact) for fact in truths])
    tokens, counts = np.unique(x, return_counts=True)
    return tokens.tolist(), _bands(tokens.tolist(), counts)


def _facts(source: Any, prompts: np.ndarray, written: np.ndarray) -> set[Any]:
    """The true facts stated in what was written (n, m) after prompts (n, k)."""
    facts: set[Any] = set()
    before = source.tokenizer.decode(prompts)
    after = source.tokenizer.decode(np.concatenate([prompts, written], axis=1))
    for prompt, text in zip(before, after, strict=True):
        stated = source.world.facts(text)[len(source.world.facts(prompt)) :]
        facts.update(fact for fact in stated if fact.true)
    return facts


def _bands(things: Iterable[Any], mass: Any) -> dict[Any, str]:
    """The band of each thing, by the share of the total mass that more frequent ones take."""
    things, mass = list(things), np.asarray(mass, np.float64)
    order = np.argsort(-mass, kind="stable")
    before = (np.cumsum(mass[order]) - mass[order]) / mass.sum()
    band = np.array(["common", "medium", "rare"])[np.searchsorted([COMMON, MEDIUM], before, side="right")]
    return {things[i]: str(name) for i, name in zip(order, band, strict=True)}
