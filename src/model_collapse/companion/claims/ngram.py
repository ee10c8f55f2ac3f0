"""Claims about n-gram models: a chain of word counts on a text with a real vocabulary."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd

from model_collapse import corpora, theory
from model_collapse.analysis import stats, testing
from model_collapse.analysis.stats import Estimate
from model_collapse.companion.claims import Claim, Tables, family
from model_collapse.companion.studies.ngram import STUDY


def word_shares(table: pd.DataFrame) -> tuple[np.ndarray, int]:
    """Shares of the words in the real training text of a run, and how many words it has."""
    settings = family(table)
    names = ("block", "tokenizer", "vocabulary")
    source = corpora.load(str(table["corpus"].iloc[0])).source(
        int(table["n_train"].iloc[0]), **{name: settings[name] for name in names}, web="none"
    )
    counts = np.unique(source.train.x, return_counts=True)[1]
    return counts / counts.sum(), int(counts.sum())


def expected_words(generation: np.ndarray, shares: np.ndarray, words: int) -> tuple[np.ndarray, np.ndarray]:
    """Bounds of the expected number of different words that generations have written, see `theory.survival_bounds`."""
    lower, upper = theory.survival_bounds(np.asarray(generation) + 1, shares, words)
    return lower.sum(axis=-1), upper.sum(axis=-1)


def vocabulary_inside_bounds(tables: Tables, level: float) -> Estimate:
    """Different words written over their expected number by the lower bound, farthest of all generations from 1."""
    estimates = []
    for table in tables.values():
        if family(table)["order"] != 1:
            continue
        shares, words = word_shares(table)
        rows = stats.pick(table, "vocabulary")
        generations = np.unique(rows["generation"])
        lower, _ = expected_words(generations, shares, words)
        for g, expected in zip(generations, lower, strict=True):
            found = stats.per_replicate(table, "vocabulary", g) / expected
            estimates.append(partial(stats.mean, found))
    return testing.farthest(estimates, 1, level)


CLAIMS = (
    Claim(
        id="WF-7",
        statement="an n-gram model that is estimated from its own text loses its vocabulary at the rate that theory "
        "predicts",
        source="Suresh, Thangaraj & Khandavally 2025, arXiv:2412.17646",
        measured="number of different generated words over its expectation, unigrams, of all generations the one "
        "farthest from 1",
        band=(0.97, 1.05),
        reason="the published bounds are a few per cent apart for words that occur a few times",
        runs={"unigrams": STUDY.arguments("verify")["order 1"]},
        check=vocabulary_inside_bounds,
        chapter="ngram",
        figure="ngram-vocabulary",
        definition=(7,),
        scale="small",
    ),
)
