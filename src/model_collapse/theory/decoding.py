"""What ways of writing do to a distribution that is known exactly, without samples and without training, CF-D*.

The distribution is a Markov chain of K symbols, P[i, j] the probability that j follows i; each row sums to 1. The next
model is fitted to infinitely many texts, so that what is lost here is lost to the way of writing alone.
"""

from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import ArrayLike


def wordy_distribution(symbols: int, rng: np.random.Generator, zipf: float = 1.0, spread: float = 1.5) -> np.ndarray:
    """A distribution (K, K) like that of text: P[i, j] ~ (j + 1)^-zipf w_ij, ln w_ij normal with deviation `spread`."""
    weight = np.arange(1.0, symbols + 1) ** -zipf * rng.lognormal(0, spread, (symbols, symbols))
    return weight / weight.sum(axis=1, keepdims=True)


def stationary(distribution: ArrayLike) -> np.ndarray:
    """pi (K,) with pi P = pi: how often each symbol stands in a long text."""
    p = np.asarray(distribution, float)
    equations = np.vstack([p.T - np.eye(len(p)), np.ones(len(p))])
    return np.linalg.lstsq(equations, np.append(np.zeros(len(p)), 1.0), rcond=None)[0]


def sharpened(distribution: ArrayLike, temperature: float) -> np.ndarray:
    """CF-D1. p^(1/T) / sum p^(1/T), row by row. Writing and fitting g times is a temperature of T^g."""
    p = np.asarray(distribution, float)
    scaled = (p / p.max(axis=-1, keepdims=True)) ** (1 / temperature)
    return scaled / scaled.sum(axis=-1, keepdims=True)


def cut(distribution: ArrayLike, top_k: int = 0, top_p: float = 1.0) -> np.ndarray:
    """CF-D2. Rows without their tails, renormalised: the `top_k` likeliest symbols, or the fewest of mass `top_p`.

    Cut to k symbols again, nothing more is lost; cut to a share of the mass, it is a share of what was left.
    """
    p = np.asarray(distribution, float)
    order = np.argsort(-p, axis=-1, kind="stable")
    ranked = np.take_along_axis(p, order, axis=-1)
    kept = np.cumsum(ranked, axis=-1) - ranked < top_p
    kept[..., 0] = True
    if top_k:
        kept[..., top_k:] = False
    found = np.zeros_like(p)
    np.put_along_axis(found, order, ranked * kept, axis=-1)
    return found / found.sum(axis=-1, keepdims=True)


def beam_texts(distribution: ArrayLike, steps: int, beams: int) -> tuple[np.ndarray, np.ndarray]:
    """CF-D3. The text (K, steps) that a beam search writes after each symbol, and its log-probability (K,).

    One beam is greedy decoding; from K^steps beams on the text is the likeliest of all.
    """
    with np.errstate(divide="ignore"):
        chances = np.log(np.asarray(distribution, float))
    size = len(chances)
    texts = np.arange(size)[:, None, None]
    score = np.zeros((size, 1))
    for _ in range(steps):
        total = (score[..., None] + chances[texts[..., -1]]).reshape(size, -1)
        best = np.argsort(-total, axis=1, kind="stable")[:, :beams]
        score = np.take_along_axis(total, best, axis=1)
        earlier = np.take_along_axis(texts, (best // size)[..., None], axis=1)
        texts = np.concatenate([earlier, (best % size)[..., None]], axis=2)
    return texts[:, 0, 1:], score[:, 0]


def beam_distribution(distribution: ArrayLike, prompts: ArrayLike, steps: int, beams: int) -> np.ndarray:
    """CF-D3. The distribution fitted to what a beam search writes after prompts; their last symbols have shares (K,).

    Shares have to be above 0; then every symbol is followed by something, at least in the first place after a prompt.
    """
    written, _ = beam_texts(distribution, steps, beams)
    size = len(written)
    texts = np.concatenate([np.arange(size)[:, None], written], axis=1)
    counts = np.zeros((size, size))
    np.add.at(counts, (texts[:, :-1], texts[:, 1:]), np.asarray(prompts, float)[:, None])
    return counts / counts.sum(axis=1, keepdims=True)


def next_entropy(distribution: ArrayLike, contexts: ArrayLike) -> float:
    """Entropy in nats of the next symbol, mean over contexts of these shares (K,)."""
    p = np.asarray(distribution, float)
    return float(np.asarray(contexts, float) @ -scipy.special.xlogy(p, p).sum(axis=1))


def shared_mass(distribution: ArrayLike, truth: ArrayLike, contexts: ArrayLike) -> float:
    """1 - total variation distance: sum over the next symbol of min(distribution, truth), mean over contexts (K,)."""
    return float(np.asarray(contexts, float) @ np.minimum(distribution, truth).sum(axis=1))


def penalised(values: ArrayLike, seen: ArrayLike, penalty: float) -> np.ndarray:
    """The repetition penalty's rule: values of tokens seen are divided where positive, multiplied where negative.

    In beam search of the transformers library the values are log-probabilities, never positive; elsewhere they are
    logits, whose sign depends on a constant that has no meaning for the probabilities.
    """
    x = np.asarray(values, float)
    return np.where(np.asarray(seen, bool), np.where(x < 0, x * penalty, x / penalty), x)


def penalised_distribution(logits: ArrayLike, seen: ArrayLike, penalty: float, *, of_logits: bool = True) -> np.ndarray:
    """Probabilities (..., K) of the next token under a repetition penalty theta, from logits (..., K).

    of_logits  whether the penalty acts on the logits themselves (sampling) or on log-probabilities (beams)

    Adding a constant c to all logits changes no probability, softmax(l + c) = softmax(l), and so nothing where the
    penalty acts on log-probabilities. Where it acts on logits, the log-odds of a token that was seen against one that
    was not change by c (theta - 1) as long as its logit stays negative and by -c (1 - 1/theta) as long as it stays
    positive: what is written is no function of the model's probabilities. transformers issue 47595; arXiv:2607.09791
    (not read).
    """
    x = np.asarray(logits, float)
    values = x if of_logits else scipy.special.log_softmax(x, axis=-1)
    return scipy.special.softmax(penalised(values, seen, penalty), axis=-1)
