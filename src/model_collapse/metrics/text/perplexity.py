"""How well a model predicts text: perplexity is exp(nats per predicted token), entropy how sure the model is."""

from __future__ import annotations

import numpy as np

from model_collapse.corpora import as_text
from model_collapse.data import Rows
from model_collapse.families._text import Text
from model_collapse.metrics import Measurement

QUANTILES = (0.01, 0.05, 0.25, 0.50, 0.75, 0.95, 0.99)

BINS = np.arange(81) / 20
"""Edges of the histogram of `written_perplexity` in log10."""

BLOCKS = 128
"""Blocks of written text that `entropy` looks at, at most."""


def perplexity(m: Measurement[Text]) -> float:
    """exp(mean over all predicted tokens of -ln p) of this generation's model on the real test text."""
    return float(np.exp(m.once(test_losses).mean(dtype=np.float64)))


def perplexity_block_mean(m: Measurement[Text]) -> float:
    """Mean over test blocks of exp(mean -ln p in the block): never below `perplexity`, by Jensen's inequality.

    The paper does not say which of the two it reports.
    """
    return float(_by_block(m.once(test_losses)).mean())


def written_perplexity(m: Measurement[Text]) -> dict[str, float]:
    """Perplexity of every generated block of this generation, under the model of generation 0 and without its prompt.

    Items "q01" to "q99" are quantiles over blocks; item "bin 1.30" is the share of blocks with log10 perplexity in
    [1.30, 1.35), and so on from 0 to 4, where the first and the last bin also hold what lies beyond them.
    """
    values = _by_block(m.family.score(m.first.model, m.sample.drawn))
    quantiles = np.quantile(values, QUANTILES)
    place = np.clip(np.searchsorted(BINS, np.log10(values), side="right") - 1, 0, len(BINS) - 2)
    shares = np.bincount(place, minlength=len(BINS) - 1) / len(values)
    items = {f"q{round(100 * q):02d}": float(value) for q, value in zip(QUANTILES, quantiles, strict=True)}
    return items | {f"bin {low:.2f}": float(share) for low, share in zip(BINS[:-1], shares, strict=True)}


def entropy(m: Measurement[Text]) -> dict[str, float]:
    """Mean entropy in nats of this generation's next-token distribution: ln V if uniform, 0 if certain.

    Item "test": before every predicted token of the real test blocks. Item "written": before every token of what it
    wrote itself, its prompt included in what comes before, over at most `BLOCKS` blocks, evenly spread.
    """
    family, model, given = m.family, m.model, m.given
    x = m.sample.x
    some = np.unique(np.linspace(0, len(x) - 1, min(BLOCKS, len(x))).astype(int))
    own = family.entropy(model, Rows(np.concatenate([given.x[some], x[some]], axis=1)))[:, -x.shape[1] :]
    test = family.entropy(model, m.test.drawn)
    return {"test": float(test.mean(dtype=np.float64)), "written": float(own.mean(dtype=np.float64))}


def written_loss(m: Measurement[Text]) -> float:
    """Mean -ln p, nats per token, of the generated text, under its own model and after its prompts.

    Of text that is drawn from the model's distribution as it is, the expectation is the mean entropy of that
    distribution along the text (`entropy`, item "written"); what seeks likelier text, a beam or a low temperature,
    writes at a lower loss.
    """
    x = m.sample.x
    read = Rows(np.concatenate([m.given.x, x], axis=1))
    return float(m.family.score(m.model, read)[:, -x.shape[1] :].mean(dtype=np.float64))


def test_loss(m: Measurement[Text]) -> dict[str, float]:
    """-ln p of the real test text in nats: items "token", "word" (between white space) and "byte" (of UTF-8).

    The sum over all predicted tokens, divided by how many tokens, words or bytes they spell. Only the last two compare
    across tokenizers.
    """
    x = m.test.x[:, 1:]
    total = float(m.once(test_losses).sum(dtype=np.float64))
    spelt = as_text(m.source).tokenizer.decode(x)
    return {
        "token": total / x.size,
        "word": total / max(1, sum(len(text.split()) for text in spelt)),
        "byte": total / max(1, sum(len(text.encode()) for text in spelt)),
    }


def test_losses(m: Measurement[Text]) -> np.ndarray:
    """Nats per predicted token of the real test blocks under this generation's model, (n, block - 1)."""
    return m.family.score(m.model, m.test.drawn)


def _by_block(nats: np.ndarray) -> np.ndarray:
    """Perplexity of each block, shape (n,)."""
    return np.exp(nats.mean(axis=1, dtype=np.float64))


def training(m: Measurement[Text]) -> dict[str, float]:
    """What is told of this generation's training: item "tokens_seen", tokens that its weights have read, those of
    pre-training done here included; item "epoch", the one that was kept."""
    return {name: float(value) for name, value in m.model.config["training"].items()}
