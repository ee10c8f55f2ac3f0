"""How close a model's continuation is to the real continuation of the same prompt."""

from __future__ import annotations

from collections import Counter

import numpy as np

from model_collapse.corpora import as_text
from model_collapse.data import Rows
from model_collapse.families._text import Text
from model_collapse.interfaces import Reference
from model_collapse.metrics import Measurement
from model_collapse.ngrams import grams


def similarity(m: Measurement) -> dict[str, float]:
    """Mean similarity of each generated block to the real block that follows its prompt; 1 where they are the same.

    A row counts if its prompt is the real training block in its place and the next training block goes on with it, as
    all but the last of an article do: with given=original, these are all that can be compared. nan where none does.

    Items "overlap_1" and "overlap_2": n-grams of tokens that both have, counted with repetitions, over those of one
    (both are equally long, so that precision, recall and F1 of ROUGE-n are this one number; Lin 2004). Item "states",
    for a family with hidden states: cosine of the mean states under generation 0's model.
    """
    real, given, x = m.source.train.x, m.given.x, m.sample.x
    continued = as_text(m.source).continued
    place = np.array([i for i in np.flatnonzero(continued[: len(x)]) if np.array_equal(given[i], real[i])], int)
    items = {f"overlap_{n}": _mean(_overlap(x[place], real[place + 1], n)) for n in (1, 2)}
    if m.family.has_states:
        ours, theirs = m.once(states), m.reference.once(_real_states)
        items["states"] = _mean(np.sum(ours[place] * theirs[place + 1], axis=1))
    return items


def mauve(m: Measurement[Text]) -> float:
    """MAUVE of the generated text against the real training text, from 0 to 1, where the two are alike.

    The area under the curve of exp(-5 KL(p | r)) and exp(-5 KL(q | r)) over mixtures r of p and q, the shares of both
    in clusters of their mean hidden states in generation 0's model (Pillutla et al. 2021, arXiv:2102.01454; library
    mauve-text, with its settings). Written and real blocks answer to the same prompts. The value depends on how many
    there are, so compare equal n; below some hundreds it is rough.
    """
    from mauve import compute_mauve

    theirs = m.reference.once(_real_states)
    return float(compute_mauve(p_features=theirs, q_features=m.once(states), verbose=False).mauve)


def states(m: Measurement[Text]) -> np.ndarray:
    """Mean hidden state of each generated block under generation 0's model, as a unit vector: (n, width), float64."""
    return _states(m.reference, m.sample.drawn)


def _real_states(reference: Reference[Text]) -> np.ndarray:
    """The same of the real training text."""
    return _states(reference, reference.source.train.drawn)


def _states(reference: Reference[Text], rows: Rows) -> np.ndarray:
    vectors = reference.family.states(reference.first.model, rows).astype(np.float64)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _overlap(one: np.ndarray, other: np.ndarray, n: int) -> np.ndarray:
    """Share of the n-grams of each row that both arrays (rows, m) have there, shape (rows,)."""
    if not len(one):
        return np.zeros(0)
    codes = grams(np.concatenate([one, other]), n)
    pairs = zip(codes[: len(one)].tolist(), codes[len(one) :].tolist(), strict=True)
    return np.array([(Counter(a) & Counter(b)).total() for a, b in pairs]) / codes.shape[1]


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")
