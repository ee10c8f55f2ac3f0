"""Scores of rows, by which filters select: how far a row misses the truth, or a score, the higher the better."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from model_collapse import corpora
from model_collapse.data import Rows
from model_collapse.errors import InputError
from model_collapse.interfaces import Family, Reference

if TYPE_CHECKING:
    from model_collapse.interfaces import Corpus

Score = Callable[[Rows, Reference, float], np.ndarray]
"""(rows, reference, bias) -> (n,), or (n, R) for stacked chains. `bias`: how far the selector's own belief is off."""


def miss(rows: Rows, reference: Reference, bias: float) -> np.ndarray:
    """How far each row is from right, 0 for right: as the family says, or the false share of what a text states.

    A text is scored without its prompt: what it states before it names anybody does not count. One that states
    nothing that can be checked misses by 1, as if all were false; else silence would be the safest text.
    """
    if "truth" in reference.family.scores:
        return np.asarray(reference.family.miss(rows, bias))
    world, decode = corpora.world_of(reference.source), corpora.as_text(reference.source).tokenizer.decode
    stated = [world.facts(text) for text in decode(rows.x)]
    return np.array([sum(not fact.true for fact in facts) / len(facts) if facts else 1.0 for facts in stated])


def surprise(rows: Rows, reference: Reference) -> np.ndarray:
    """Mean negative log-likelihood of each text under generation 0's model, nats per predicted token, shape (n,).

    Of stacked rows of numbers that of each row, shape (n, R).
    """
    nats = np.asarray(reference.family.score(reference.first.model, rows))
    return nats if rows.stacked else nats.mean(axis=1)


def _right(rows: Rows, reference: Reference, bias: float) -> np.ndarray:
    return -miss(rows, reference, bias)


def _likely(rows: Rows, reference: Reference, bias: float) -> np.ndarray:
    return -surprise(rows, reference)


def _certain(rows: Rows, reference: Reference, bias: float) -> np.ndarray:
    return np.asarray(reference.family.certainty(rows, bias))


def _liked(rows: Rows, reference: Reference, bias: float) -> np.ndarray:
    return np.asarray(reference.family.reward(rows))


def _alike(rows: Rows, reference: Reference, bias: float) -> np.ndarray:
    return np.zeros(rows.x.shape[: 2 if rows.stacked else 1])


SCORES: Mapping[str, Score] = {
    "oracle": _right,
    "learned": _right,
    "likelihood": _likely,
    "certainty": _certain,
    "reward": _liked,
    "random": _alike,
}
"""What `curate.by` may be; "learned" has the oracle's score of the rows that it may look at, and predicts the
others."""

_USE = {"likelihood": "lm, ngram or discrete", "certainty": "classifier", "reward": "discrete"}
"""Families whose rows have such a score."""


def check(setting: str, by: str, family: Family, corpus: Corpus | None) -> None:
    """InputError unless rows of this family, and of this corpus, have such a score."""
    known = corpus is not None and corpus.world is not None
    if by in ("oracle", "learned") and not ("truth" in family.scores or known):
        raise InputError(
            f"--filter {setting}: right and wrong must be known; use text of the embedded corpus (lm, ngram), "
            "classifier or regression"
        )
    if by == "learned" and not known:
        raise InputError(f"--filter {setting}: only scores of text are learned; use lm or ngram")
    if by in _USE and by not in family.scores:
        raise InputError(f"--filter {setting}: this family's rows have no such score; use {_USE[by]}")


def learned(rows: Rows, known: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Scores (n,) of all rows, predicted from those `known`, a mask (n,), by ridge regression on pairs of words.

    A row is the set of its tokens; the kernel (1 + cosine)^2 has a weight for every token and every pair of them,
    because whether a statement is true depends on who it is about. Known rows keep their own score.
    """
    from scipy.sparse import csr_array
    from sklearn.kernel_ridge import KernelRidge

    x = rows.x.astype(np.int64)
    place = np.unique(np.arange(len(x))[:, None] * (x.max() + 1) + x)
    row, token = np.divmod(place, x.max() + 1)
    length = np.sqrt(np.bincount(row, minlength=len(x)))
    words = csr_array((1 / length[row], (row, token)), shape=(len(x), int(x.max()) + 1))
    average = score[known].mean()
    model = KernelRidge(kernel="polynomial", degree=2, gamma=1, coef0=1)
    model.fit(words[known], score[known] - average)
    return np.where(known, score, average + model.predict(words))
