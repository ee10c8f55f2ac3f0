"""Divergence of a model's distribution of articles from the true one, where that is known: as a whole and by group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model_collapse import streams
from model_collapse.analysis import stats
from model_collapse.corpora import as_text, world_of
from model_collapse.corpora.embedded import World
from model_collapse.corpora.tokens import Own, Tokenizer, Words
from model_collapse.data import Rows
from model_collapse.errors import InputError
from model_collapse.families._text import Text
from model_collapse.interfaces import Reference
from model_collapse.metrics import Measurement

ARTICLES = 256
"""New articles that `kl` draws from the true distribution, the same ones for every generation and every run."""

PER_GROUP = 48
"""New articles about each group that `group_loss` scores."""


def kl(m: Measurement[Text]) -> dict[str, float]:
    """KL(truth || model) = E[ln p(article) - ln q(article)] in nats per article, by Monte Carlo over true articles.

    p is the distribution of the embedded world, exactly. q is the product over the article's tokens, and the </s> that
    ends it, of the model's probability given the </s> before the article and what has been written of it so far (of
    articles longer than a prompt and its continuation, 2 * block tokens: at least the last `block` of it).

    It is the divergence of the model as a distribution of articles, not of the blocks that it is trained on, and not of
    what beams or another temperature make of it. Only the usual cut of an article into tokens counts for q, which
    therefore sums to less than 1: what is measured is an upper bound. inf where q is 0 for an article.

    Items "mean", "low" and "high": Student's 95 % interval over the articles, which are the same for every generation.
    Item "end": how much of the mean is -ln q(</s>), large for a model that learned from text without it
    (lm with end=forbidden, from generation 1 on).
    """
    cut, truth = m.reference.once(_articles)
    nats = np.asarray(m.family.score(m.model, cut.windows), float)
    cost = np.bincount(cut.article, np.where(cut.counted, nats, 0).sum(axis=1))
    estimate = stats.mean(truth + cost) if np.all(np.isfinite(cost)) else stats.Estimate(np.inf, np.inf, np.inf, 0)
    ends = nats[cut.last]
    return {"mean": estimate.value, "low": estimate.low, "high": estimate.high, "end": float(ends.mean())}


def group_loss(m: Measurement[Text]) -> dict[str, float]:
    """Nats per token of this generation's model on true articles about each group: the error on that group.

    Items "people/island" and so on, of every topic with several groups. New articles of the true distribution,
    PER_GROUP about each group, the same ones for every generation and every run; counted as in `kl`, the </s> that ends
    one included; a word that the tokenizer does not know is <unk>, here as in any text.
    """
    losses = {}
    for item, cut in m.reference.once(_by_group).items():
        losses[item] = float(np.asarray(m.family.score(m.model, cut.windows), float)[cut.counted].mean())
    return losses


@dataclass(frozen=True, eq=False)
class Cut:
    """Articles, cut for scoring.

    windows  (W, m) token ids, m <= 2 * block, at the right filled up with </s>, which no token before it sees
    counted  (W, m - 1) whether a predicted token counts here: each of an article in exactly one window
    article  (W,) which article a window is of
    last     index of each article's last </s> in (W, m - 1)
    """

    windows: Rows
    counted: np.ndarray
    article: np.ndarray
    last: tuple[np.ndarray, np.ndarray]


def _articles(reference: Reference[Text]) -> tuple[Cut, np.ndarray]:
    """True articles, and ln p of each, (ARTICLES,)."""
    world, tokenizer = world_of(reference.source), as_text(reference.source).tokenizer
    documents = world.documents(ARTICLES, streams.stream(0)(-1, streams.METRIC))
    unknown = tokenizer.vocabulary.get("<unk>")
    if any(unknown in ids for ids in tokenizer.encode(documents)):
        raise InputError("family.vocabulary: the metric kl needs a tokenizer that knows every word; raise it")
    truth = np.array([world.log_probability(document) for document in documents])
    return _cut(tokenizer, reference.family.block, documents), truth


def _by_group(reference: Reference[Text]) -> dict[str, Cut]:
    """True articles about each group, by "topic/group"."""
    tokenizer, block = as_text(reference.source).tokenizer, reference.family.block
    drawn = _articles_by_group(world_of(reference.source))
    return {item: _cut(tokenizer, block, documents) for item, documents in drawn.items()}


def _articles_by_group(world: World) -> dict[str, list[str]]:
    """PER_GROUP true articles about each group, by "topic/group"."""
    rng = streams.stream(1)(-1, streams.METRIC)
    drawn: dict[str, list[str]] = {
        f"{topic}/{group}": [] for topic, shares in world.group_shares.items() if len(shares) > 1 for group in shares
    }
    while any(len(documents) < PER_GROUP for documents in drawn.values()):
        for document in world.documents(1024, rng):
            (entity,) = set(world.entities(document))
            item = f"{world.topic(entity)}/{world.group(entity)}"
            if len(drawn.get(item, range(PER_GROUP))) < PER_GROUP:
                drawn[item].append(document)
    return drawn


def _cut(tokenizer: Tokenizer | Words | Own, block: int, documents: Sequence[str]) -> Cut:
    encoded, end = tokenizer.encode(documents), tokenizer.end
    if any(ids[:1] != [end] for ids in encoded):
        raise InputError("family.tokenizer: metrics of whole articles need a tokenizer that marks where each begins")
    parts, first, article, last = [], [], [], []
    for number, ids in enumerate(encoded):
        text = [*ids, end]
        # The first window counts all its tokens, each later one those that the one before did not reach.
        for begin in range(0, max(len(text) - 2 * block, 0) + block, block):
            parts.append(text[begin : begin + 2 * block])
            first.append(0 if begin == 0 else block - 1)
            article.append(number)
        last.append((len(parts) - 1, len(parts[-1]) - 2))
    windows = np.full((len(parts), max(map(len, parts))), end, np.int32)
    for row, part in zip(windows, parts, strict=True):
        row[: len(part)] = part
    place, reach = np.arange(windows.shape[1] - 1), np.array([len(part) - 1 for part in parts])
    counted = (place >= np.array(first)[:, None]) & (place < reach[:, None])
    return Cut(Rows(windows), counted, np.array(article), tuple(np.array(last).T))
