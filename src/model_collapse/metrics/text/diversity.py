"""How varied the written text is: in words, phrases, sentences, and in what the model of generation 0 makes of it.

Most of these depend on how much is written, so compare equal n. What real text of the same size has is the yardstick:
a control that goes on reading real text, as `mix` with real_fraction=1 does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import scipy

from model_collapse.corpora import as_text
from model_collapse.data import Rows
from model_collapse.interfaces import Reference
from model_collapse.metrics import Measurement
from model_collapse.metrics.text.continuation import states
from model_collapse.ngrams import grams

BLOCKS = 100
"""Written blocks that `self_bleu` reads, the first ones: its time grows with their square."""

RANKS = 100
"""Ranks, the commonest token first, that `zipf` is fitted to, and tokens that `skeletons` leaves as they are."""


def vocabulary(m: Measurement) -> float:
    """Number of different tokens in the generated text."""
    return float(len(np.unique(m.sample.x)))


def type_token_ratio(m: Measurement) -> float:
    """Different tokens / all generated tokens. It falls with the length of the text, even if nothing collapses."""
    x = m.sample.x
    return len(np.unique(x)) / x.size


def distinct_2(m: Measurement) -> float:
    """Different 2-grams of tokens / all 2-grams, over all generated blocks; none crosses the end of a block."""
    return _different(grams(m.sample.x, 2))


def distinct_3(m: Measurement) -> float:
    """Different 3-grams of tokens / all 3-grams, over all generated blocks; none crosses the end of a block."""
    return _different(grams(m.sample.x, 3))


def repeated_3(m: Measurement) -> float:
    """Share of the generated 3-grams of tokens that occur earlier in the same block."""
    ordered = np.sort(grams(m.sample.x, 3), axis=1)
    return float((ordered[:, 1:] == ordered[:, :-1]).sum() / ordered.size) if ordered.size else float("nan")


def self_bleu(m: Measurement) -> float:
    """Mean BLEU-4 of each of the first 100 generated blocks against all the others of them, in tokens, from 0 to 1.

    1 where all are the same (Zhu et al. 2018, doi:10.1145/3209978.3210080); by sacrebleu, with its exponential
    smoothing. nan for a single block.
    """
    from sacrebleu.metrics.bleu import BLEU

    blocks = [" ".join(map(str, row)) for row in m.sample.x[:BLOCKS].tolist()]
    if len(blocks) < 2:
        return float("nan")
    # Ids are words to it: nothing may split them.
    bleu = BLEU(tokenize="none", effective_order=True)
    scores = [bleu.sentence_score(block, blocks[:i] + blocks[i + 1 :]).score for i, block in enumerate(blocks)]
    return float(np.mean(scores)) / 100


def unique_sentences(m: Measurement) -> float:
    """Share of the generated sentences that are different from each other; nan without a whole one.

    A sentence ends at the end of a line, or at . ! or ? before white space. One that the block's end cuts does not
    count, nor what stands before a block's first such end, unless the prompt ended with a sentence too.
    """
    decode, given = as_text(m.source).tokenizer.decode, m.generation.given
    prompts = decode(given.x) if isinstance(given, Rows) else [""] * len(m.sample)
    texts = zip(prompts, decode(m.sample.x), strict=True)
    sentences = [sentence for prompt, text in texts for sentence in _whole(prompt, text)]
    return len(set(sentences)) / len(sentences) if sentences else float("nan")


def zipf(m: Measurement) -> float:
    """Exponent s of Zipf's law p(r) ~ r**-s for the ranks r = 1 ... 100 of the generated tokens, by count.

    Maximum likelihood of the distribution cut off at rank 100 (or at the last token, where fewer different ones were
    written): s solves E_s[ln r] = mean of ln r over the tokens written. Least squares on the logarithms would give rank
    100 the weight of rank 1, though its count is noisier. nan where only one token was written.
    """
    counts = np.sort(np.bincount(m.sample.x.ravel()))[::-1][:RANKS].astype(float)
    counts = counts[counts > 0]
    if len(counts) < 2:
        return float("nan")
    logs = np.log(np.arange(1, len(counts) + 1))
    target = np.average(logs, weights=counts)

    def excess(s: float) -> float:
        return float(np.average(logs, weights=np.exp(-s * logs)) - target)

    # Counts that are all equal have s = 0; no count below 2**60 is as steep as s = 60.
    return float(scipy.optimize.brentq(excess, 0, 60)) if excess(0) > 0 else 0.0


def skeletons(m: Measurement) -> float:
    """Different sentence patterns / all, without a parser: a proxy for how varied the syntax is.

    Every token but the 100 commonest of the real training text (mostly function words, endings and punctuation)
    becomes one symbol; counted are the 4-grams of what is left, none across the end of a block.
    """
    frame = m.reference.once(_frame)
    return _different(grams(frame[np.minimum(m.sample.x, len(frame) - 1)], 4))


def state_diversity(m: Measurement) -> float:
    """1 - mean cosine of two different generated blocks, each by its mean hidden state: 0 if these are the same.

    States are those of generation 0's model, for every generation. With unit vectors u_i and their mean m the mean
    cosine over all pairs i != j is (n |m|^2 - 1) / (n - 1); nan for a single block. A block that repeats one phrase has
    a mean state of its own, so loops raise this number: read it beside `repeated_3`.
    """
    vectors = m.once(states)
    n = len(vectors)
    if n < 2:
        return float("nan")
    # As what is missing from |m| = 1, which does not cancel where all blocks are nearly alike.
    centre = vectors.mean(axis=0)
    return float(np.sum((vectors - centre) ** 2) / (n - 1))


def real_text(m: Measurement) -> dict[str, float]:
    """What the real training text has of all that is counted in tokens, items named as these metrics.

    The yardstick of a written text with as many blocks. The same for every generation.
    """
    real = replace(m, generation=replace(m.generation, sample=m.source.train))
    counted = (vocabulary, type_token_ratio, distinct_2, distinct_3, repeated_3, zipf, skeletons)
    return {metric.__name__: metric(real) for metric in counted}


def _different(codes: np.ndarray) -> float:
    """Different codes / all; nan where there are none."""
    return len(np.unique(codes)) / codes.size if codes.size else float("nan")


def _whole(prompt: str, text: str) -> Iterator[str]:
    """The sentences of a text that neither its beginning nor its end cuts."""
    *ended, _ = re.split(r"\n|(?<=[.!?])(?:\s+|$)", text)
    begun = prompt.endswith("\n") or prompt.rstrip().endswith((".", "!", "?"))
    yield from filter(None, (sentence.strip() for sentence in (ended if begun else ended[1:])))


def _frame(reference: Reference) -> np.ndarray:
    """For each token of the real training text, and one beyond them: its rank from 1 if that is at most 100, else 0."""
    counts = np.append(np.bincount(reference.source.train.x.ravel()), 0)
    common = np.argsort(-counts, kind="stable")[:RANKS]
    frame = np.zeros(len(counts), np.int64)
    frame[common] = np.arange(1, len(common) + 1)
    return np.where(counts > 0, frame, 0)
