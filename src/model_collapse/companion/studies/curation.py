"""Curation: people, verifiers and readers who choose what is published.

`STUDY` has the conditions of the language model, in which one of eight texts is chosen. The functions give the
arguments of `plan` for models of numbers and of words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from model_collapse import corpora, streams
from model_collapse.analysis import stats
from model_collapse.companion.studies import language_model
from model_collapse.companion.studies.language_model import SMOKE
from model_collapse.companion.studies.study import Record, Study
from model_collapse.data import Rows
from model_collapse.families.ngram import Ngram
from model_collapse.filters._judges import miss
from model_collapse.loop import Reference, step
from model_collapse.theory import curation as theory

CONDITIONS = {
    label: language_model.CONDITIONS[label]
    for label in ("sampled", "lot", "likely", "curated", "learned-30", "zero-shot")
}
"""No choice, and one of eight at random, by likelihood, by an oracle, by a learned judge; and no fine-tuning at all."""


@dataclass(frozen=True, kw_only=True)
class Size(language_model.Size):
    """What is said of OPT, and of the chapter's other models.

    points      labels in a training set of the classifier
    replicates  chains of numbers
    blocks      texts that the word model reads in each generation; it writes eight times as many
    rounds      last generation of the word model
    chains      of the word model
    shares      of the texts that are judged
    """

    points: int = 40_000
    replicates: int = 64
    blocks: int = 2000
    rounds: int = 9
    chains: int = 8
    shares: tuple[float, ...] = (0.03, 0.1, 0.3, 1.0)


PAPER = Size(
    corpus="embedded",
    n=192,
    generations=9,
    seeds=6,
    seed=1,
    settings={**language_model.TINY, "family.pretrain_blocks": 3072, "family.evaluate": 128},
    metrics=("perplexity", "facts", "rare_coverage", "unique_sentences", "distinct_3"),
    labels=("lot", "curated", "zero-shot"),
)

LEAST: Mapping[str, Any] = {
    **SMOKE.settings,
    "family.pretrain_blocks": 64,
    "family.pretrain_epochs": 1,
    "family.steps": 1,
    "family.evaluate": 8,
}

SIZES: Mapping[str, Size] = {
    "smoke": replace(
        PAPER,
        n=4,
        generations=1,
        seeds=1,
        settings=LEAST,
        points=500,
        replicates=2,
        blocks=10,
        rounds=2,
        chains=2,
        shares=(0.1, 1.0),
    ),
    "laptop": replace(PAPER, n=48, generations=2, seeds=2, replicates=20, blocks=80, rounds=5, chains=4),
    "paper": PAPER,
    "recorded": replace(PAPER, labels=tuple(CONDITIONS), record=Record("curation")),
}

STUDY = Study("curation", SIZES, CONDITIONS, "lm")

RATES = ((1.0, 1.0), (0.9, 0.3), (0.7, 0.05))
"""(phi, psi) of the verifiers whose breakdown points are looked for."""

BEYOND = 0.03
"""How far below and above a breakdown point the share of wrong labels lies."""

BIAS = 0.3
"""How far the centre of the many-round verifier lies from the truth, whose length is 1."""

WEAK, STRONG = 0.727, 0.1
"""Bias of two judges; the own accuracy of such a judge is 1 - atan(bias) / pi: 0.80 and 0.97."""

CHOICE: Mapping[str, Any] = {"curate.by": "reward", "curate.candidates": 4, "curate.noise": 0.5, "curate.share": 1.0}
"""The best of four by the Bradley-Terry choice; the most liked symbol has e^2 times the odds of the least liked."""

SYMBOLS = 10


def labels(settings: Mapping[str, Any], filters: tuple[str, ...] = ("verifier",), **others: Any) -> dict[str, Any]:
    """Arguments of a run of one round in which a classifier reads labels that the one before wrote for new points."""
    run = {"family": "classifier", "n": 40_000, "generations": 1, "replicates": 32, "given": "fresh"}
    return {**run, "filter": filters, "settings": dict(settings), **others}


def verified(error: float, right: float, wrong: float) -> dict[str, Any]:
    """Settings of such a run, for a share of wrong labels and a verifier's keep rates."""
    return {"family.error": error, "verifier.right": right, "verifier.wrong": wrong}


def rounds(radius: float) -> dict[str, Any]:
    """Arguments of a run of many rounds of verified regression: 100 real rows, then 5000 written ones a round."""
    settings = {"family.sampling": "draw", "verifier.radius": radius, "verifier.bias": BIAS, "verifier.candidates": 50}
    run = {"family": "regression", "n": 100, "generations": 12, "replicates": 64, "given": "fresh"}
    return {**run, "filter": ("verifier",), "settings": settings}


def preference(regime: str = "replace", **changes: Any) -> dict[str, Any]:
    """Arguments of a run in which readers choose one of four drawn symbols, all equally common at first."""
    settings = {"family.sampling": "draw", "family.symbols": SYMBOLS, "family.zipf": 0.0, **CHOICE, **changes}
    run = {"family": "discrete", "regime": regime, "n": 5000, "generations": 6, "replicates": 32}
    return {**run, "metrics": ("mean_reward", "entropy"), "filter": ("curate",), "settings": settings}


def expected_choice(generations: int, *, part: float = 0) -> pd.DataFrame:
    """mean_reward and entropy of the law that infinitely many rows of `preference` would follow, by generation.

    part  share of real rows in every training set
    """
    reward = np.arange(SYMBOLS) / (SYMBOLS - 1)
    start = np.full(SYMBOLS, 1 / SYMBOLS)
    shares = [start]
    for _ in range(generations):
        chosen = theory.preferred(
            shares[-1], reward, CHOICE["curate.candidates"], CHOICE["curate.noise"], real=start, part=part
        )
        shares.append(chosen)
    laws = np.array(shares)
    return pd.DataFrame({"mean_reward": laws @ reward, "entropy": -np.sum(laws * np.log(laws), axis=1)})


def budget(by: str, judged: float, *, n: int, generations: int, replicates: int) -> dict[str, Any]:
    """Arguments of a run of a word model: one of eight texts for each prompt is chosen, a share of all is judged."""
    curate = {"curate.by": by, "curate.judged": judged, "curate.candidates": 8, "curate.share": 1.0}
    return {
        "family": "ngram",
        "n": n,
        "generations": generations,
        "every": generations,
        "replicates": replicates,
        "filter": ("curate",),
        "metrics": ("perplexity", "facts", "rare_coverage"),
        "settings": {"family.order": 3, **curate},
    }


def keep_rates(judges: Mapping[str, Any], n: int, seed: int) -> pd.DataFrame:
    """How often each judge keeps what generation 0 of that word model wrote after n prompts.

    Columns judge, right and wrong (shares kept, with 95 % intervals, of the texts of whose statements at least half are
    true, and of the others), breakdown (what the two rates make of it).
    """
    kind, stream = Ngram(order=3), streams.stream(seed)
    source = corpora.load("embedded").source(n, **kind.reading())
    first = step(0, source.train, source, kind, n, stream)
    reference = Reference(first, source, kind)
    rows = first.sample.rows
    assert isinstance(rows, Rows)
    right = miss(rows, reference, 0.0) <= 0.5
    found = []
    for name, judge in judges.items():
        kept = judge(first.sample, stream(0, streams.FILTER), reference)
        phi, psi = stats.proportion(kept[right]), stats.proportion(kept[~right])
        breakdown = float(theory.breakdown_point(phi.value, psi.value))
        found.append({"judge": name, "right": phi, "wrong": psi, "breakdown": breakdown})
    return pd.DataFrame(found)
