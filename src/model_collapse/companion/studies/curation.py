"""Curation: people, verifiers and readers who choose what is published.

Language models and word models, of whose texts one of eight is chosen; classifiers that learn labels which a verifier
has checked; regressions that are verified in many rounds; symbols that readers prefer. Each has sizes of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from model_collapse import corpora, streams
from model_collapse.analysis import stats
from model_collapse.companion.studies import language_model
from model_collapse.companion.studies.language_model import SMOKE
from model_collapse.companion.studies.study import Condition, Record, Study
from model_collapse.data import Rows
from model_collapse.families.ngram import Ngram
from model_collapse.filters._scores import miss
from model_collapse.loop import Reference, step
from model_collapse.theory import curation as theory

RATES = ((1.0, 1.0), (0.9, 0.3), (0.7, 0.05))
"""(phi, psi) of the verifiers whose breakdown points are looked for."""

BEYOND = 0.03
"""How far below and above a breakdown point the share of wrong labels lies."""

BIAS = 0.3
"""How far the centre of the many-round verifier lies from the truth, whose length is 1."""

WEAK, STRONG = 0.727, 0.1
"""Bias of two selectors; the own accuracy of such a selector is 1 - atan(bias) / pi: 0.80 and 0.97."""

CHOICE: Mapping[str, Any] = {"curate.by": "reward", "curate.candidates": 4, "curate.noise": 0.5, "curate.share": 1.0}
"""The best of four by the Bradley-Terry choice; the most liked symbol has e^2 times the odds of the least liked."""

SYMBOLS = 10


def verified(error: float, right: float, wrong: float) -> dict[str, Any]:
    """Settings of a classifier, for a share of wrong labels and a verifier's keep rates."""
    return {"family.error": error, "verifier.right": right, "verifier.wrong": wrong}


OFFSETS = (-0.1, -BEYOND, BEYOND, 0.06)
"""From a breakdown point to the shares of wrong labels that are tried."""

VERIFIERS: Mapping[str, Condition] = {
    f"{right:g}, {wrong:g}, {offset:+g}": Condition(
        f"keeps {right:.0%} of the right labels and {wrong:.0%} of the wrong, {offset:+g} from the breakdown point",
        settings=verified(float(theory.breakdown_point(right, wrong)) + offset, right, wrong),
        filters=("verifier",),
    )
    for right, wrong in RATES
    for offset in OFFSETS
}
"""Verifiers by their keep rates and the share of wrong labels, counted from the breakdown point."""

MAJORITY_WRONG: Mapping[str, Any] = {"family.error": 0.5 + BEYOND}

SELECTORS: Mapping[str, Condition] = {
    "certain": Condition(
        "keeps what the selector is sure about",
        settings={**MAJORITY_WRONG, "curate.by": "certainty", "curate.share": 0.5, "curate.bias": STRONG},
        filters=("curate",),
    ),
    "random": Condition(
        "keeps a random half",
        settings={**MAJORITY_WRONG, "curate.by": "random", "curate.share": 0.5},
        filters=("curate",),
    ),
    "checker": Condition(
        "rejects what contradicts the selector",
        settings={**MAJORITY_WRONG, "verifier.bias": WEAK},
        filters=("verifier",),
    ),
}
"""Selectors of labels of which 53 % are wrong."""

ORACLE = Condition("keeps all right labels and no wrong one", settings=verified(0.6, 1.0, 0.0), filters=("verifier",))


def _rounds(title: str, radius: float, bias: float) -> Condition:
    """Many rounds of verified regression: 100 real rows, then 5000 generated ones a round."""
    settings = {"verifier.radius": radius, "verifier.bias": bias, "verifier.candidates": 50}
    return Condition(title, settings=settings, filters=("verifier",))


ROUNDS: Mapping[str, Condition] = {
    **{f"radius {radius:g}": _rounds(f"radius {radius:g}", radius, BIAS) for radius in (0.1, 0.3)},
    "unbiased": _rounds("centre = truth, radius 0.3", 0.3, 0.0),
}

PREFERENCES: Mapping[str, Condition] = {
    "preference": Condition("by preference", settings=CHOICE, filters=("curate",)),
    "half real": Condition("by preference, half real", "fixed", CHOICE, filters=("curate",)),
    "no preference": Condition(
        "at random (control)", settings={**CHOICE, "curate.by": "random", "curate.noise": 0.0}, filters=("curate",)
    ),
}
"""Readers who choose one of four drawn symbols, all equally common at first."""


def _judged(by: str, share: float) -> Condition:
    """One of eight texts for each prompt is chosen, and a share of all is scored."""
    settings = {"curate.by": by, "curate.judged": share, "curate.candidates": 8, "curate.share": 1.0}
    return Condition(f"{by}, {share:.0%} scored", settings=settings, filters=("curate",))


def budget(shares: Iterable[float]) -> dict[str, Condition]:
    """By an oracle, or by a selector that learns from it, for every share of the texts that is scored.

    Nothing scored is a choice at random; with everything scored there is nothing left to learn.
    """
    between = [share for share in shares if 0 < share < 1]
    return {
        "oracle 0": replace(_judged("random", 1.0), title="one of eight at random"),
        "oracle 1": _judged("oracle", 1.0),
        **{f"{by} {share:g}": _judged(by, share) for by in ("oracle", "learned") for share in between},
    }


SHARES = (0.03, 0.1, 0.3, 1.0)
"""Of the texts of a word model that are scored."""

CONDITIONS: Mapping[str, Condition] = {
    # No choice, one of eight at random, by likelihood, by an oracle, by a learned selector; and no fine-tuning at all.
    **{
        label: language_model.CONDITIONS[label]
        for label in ("sampled", "lot", "likely", "curated", "learned-30", "zero-shot")
    },
    **VERIFIERS,
    **SELECTORS,
    "oracle": ORACLE,
    **ROUNDS,
    **PREFERENCES,
    **budget(SHARES),
}


@dataclass(frozen=True, kw_only=True)
class Size(language_model.Size):
    """What is said of OPT, and of the chapter's other models.

    points      labels in a training set of the classifier
    replicates  chains of numbers
    blocks      texts that the word model reads in each generation; it generates eight times the number
    rounds      last generation of the word model
    chains      of the word model
    shares      of the texts that are scored
    """

    points: int = 40_000
    replicates: int = 64
    blocks: int = 2000
    rounds: int = 9
    chains: int = 8
    shares: tuple[float, ...] = SHARES


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

CLASSIFIER = Size(family="classifier", n=40_000, generations=1, seeds=32, given="fresh")
"""One round, in which a classifier reads labels that the one before gave to new points."""

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
    "recorded": replace(
        PAPER,
        labels=("sampled", "lot", "likely", "curated", "learned-30", "zero-shot"),
        record=Record("curation"),
    ),
    # Models of numbers and of words.
    "labels": replace(CLASSIFIER, labels=tuple(VERIFIERS)),
    "selectors": replace(CLASSIFIER, labels=tuple(SELECTORS)),
    "oracle": replace(CLASSIFIER, n=10_000, generations=5, every=5, labels=("oracle",)),
    "rounds": Size(
        family="regression",
        n=100,
        generations=12,
        seeds=64,
        given="fresh",
        settings={"family.sampling": "draw"},
        labels=tuple(ROUNDS),
    ),
    "preference": Size(
        family="discrete",
        n=5000,
        generations=6,
        seeds=32,
        settings={"family.sampling": "draw", "family.symbols": SYMBOLS, "family.zipf": 0.0},
        metrics=("mean_reward", "entropy"),
        labels=tuple(PREFERENCES),
    ),
    "budget": Size(
        family="ngram",
        n=80,
        generations=5,
        every=5,
        seeds=16,
        settings={"family.order": 3},
        metrics=("perplexity", "facts", "rare_coverage"),
        labels=tuple(budget(SHARES)),
    ),
}

STUDY = Study("curation", SIZES, CONDITIONS, "lm")


def of_numbers(name: str, size: Size) -> Size:
    """A size of models of numbers or of words, with the rows, rounds, chains and seed that a size of the chapter says.

    The word model has twice the chains where nothing or everything is scored.
    """
    if name == "budget":
        twice = {label: {"seeds": 2 * size.chains} for label in ("oracle 0", "oracle 1")}
        return replace(
            SIZES[name],
            n=size.blocks,
            generations=size.rounds,
            every=size.rounds,
            seeds=size.chains,
            seed=size.seed,
            labels=tuple(budget(size.shares)),
            own=twice,
        )
    times = {"rounds": 3, "preference": 2}.get(name, 1)
    found = replace(SIZES[name], seeds=times * size.replicates, seed=size.seed)
    return replace(found, n=size.points) if name in ("labels", "selectors") else found


def judging(shares: Iterable[float]) -> Study[Size]:
    """The study of the word model with these shares of the texts scored."""
    return replace(STUDY, conditions=budget(shares))


def expected_choice(generations: int, *, part: float = 0) -> pd.DataFrame:
    """mean_reward and entropy by generation of the distribution of infinitely many rows of `preference`.

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
    p = np.array(shares)
    return pd.DataFrame({"mean_reward": p @ reward, "entropy": -np.sum(p * np.log(p), axis=1)})


def keep_rates(selectors: Mapping[str, Any], n: int, seed: int) -> pd.DataFrame:
    """How often each selector keeps what generation 0 of that word model generated after n prompts.

    Columns selector, right and wrong (shares kept, with 95 % intervals, of the texts of whose statements at least half
    are true, and of the others), breakdown (the breakdown point of these two rates).
    """
    kind, stream = Ngram(order=3), streams.stream(seed)
    source = corpora.load("embedded").source(n, **kind.reading())
    first = step(0, source.train, source, kind, n, stream)
    reference = Reference(first, source, kind)
    rows = first.sample.rows
    assert isinstance(rows, Rows)
    right = miss(rows, reference, 0.0) <= 0.5
    found = []
    for name, selector in selectors.items():
        kept = selector(first.sample, stream(0, streams.FILTER), reference)
        phi, psi = stats.proportion(kept[right]), stats.proportion(kept[~right])
        breakdown = float(theory.breakdown_point(phi.value, psi.value))
        found.append({"selector": name, "right": phi, "wrong": psi, "breakdown": breakdown})
    return pd.DataFrame(found)
