"""How close what a model wrote comes to how the real text went on after the same prompt."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from typing import Any

import numpy as np

from model_collapse.data import Rows
from model_collapse.loop import Generation
from model_collapse.metrics import Reference
from model_collapse.metrics.text import rows_of, written
from model_collapse.ngrams import grams


def similarity(generation: Generation, reference: Reference) -> dict[str, float]:
    """Mean likeness of each written block to the real block that follows its prompt; 1 where they are the same.

    Real blocks are running text, so after training block i comes block i + 1. A row counts if its prompt is the real
    training block in its place and not the last one: all do with given=original, and nan is the answer where none does.

    Items "overlap_1" and "overlap_2": n-grams of tokens that both have, counted with repetitions, over those of one
    (both are equally long, so that precision, recall and F1 of ROUGE-n are this one number; Lin 2004). Item "states",
    for a family with hidden states: cosine of the mean states under generation 0's model.
    """
    real, given = reference.source.train.rows, generation.given
    assert isinstance(real, Rows) and isinstance(given, Rows)
    x, last = written(generation), len(real) - 1
    place = np.array([i for i in range(min(len(x), last)) if np.array_equal(given.x[i], real.x[i])], int)
    items = {f"overlap_{n}": _mean(_overlap(x[place], real.x[place + 1], n)) for n in (1, 2)}
    if hasattr(reference.family, "states"):
        ours, theirs = (states(reference.family, reference.first.model, rows) for rows in (rows_of(generation), real))
        items["states"] = _mean(np.sum(ours[place] * theirs[place + 1], axis=1))
    return items


@lru_cache(maxsize=3)
def states(family: Any, model: Any, rows: Rows) -> np.ndarray:
    """Mean hidden state of each row, as a unit vector: (n, width), float64.

    Kept for two metrics of a generation, and for the real text that all generations are compared with.
    """
    vectors = family.states(model, rows).astype(np.float64)
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
