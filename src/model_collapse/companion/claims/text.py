"""Claims about what collapsed models write: how probable it was at first, how repetitive, how far from the prompt."""

from __future__ import annotations

import numpy as np

from model_collapse.analysis import stats
from model_collapse.analysis.stats import Estimate
from model_collapse.companion.claims import LEVEL, NATURE, Claim, Tables, chains, level, lowest, times
from model_collapse.companion.claims.language import to_the_end
from model_collapse.companion.studies import language_model


def _more_probable(tables: Tables) -> Estimate:
    """Median perplexity of the written blocks under generation 0: last generation over generation 1."""
    median = chains(tables["A"], "written_perplexity", "q50")
    return times(median.iloc[:, -1], median[1], LEVEL)


def _longer_tail(tables: Tables) -> Estimate:
    """99 % quantile, itself and over the median, last generation over generation 1: the smaller growth."""
    median, high = (chains(tables["A"], "written_perplexity", item) for item in ("q50", "q99"))
    return lowest([times(tail.iloc[:, -1], tail[1], level(2)) for tail in (high, high / median)])


def _repeats(tables: Tables) -> Estimate:
    """Share of repeated 3-grams, last generation less generation 1, or generation 1 less real text: the smaller."""
    written, real = chains(tables["A"], "repeated_3"), chains(tables["A"], "real_text", "repeated_3")
    steps = ((written.iloc[:, -1], written[1]), (written[1], real[0]))
    return lowest([stats.paired(later, earlier, level(2)) for later, earlier in steps])


def _drift(tables: Tables) -> Estimate:
    """Cosine with the real continuation, last generation less generation 0."""
    cosine = chains(tables["A"], "similarity", "states")
    return stats.paired(cosine.iloc[:, -1], cosine[0], LEVEL)


CLAIMS = (
    Claim(
        id="SH-5a",
        statement="what is written gets more probable under the first model",
        source=f"{NATURE}, Fig. 1",
        measured="median perplexity of written blocks under generation 0, A, generation 9 over generation 1",
        band=(-np.inf, 1),
        reason="lower, set before any run",
        runs=language_model.STUDY.arguments("verify", ["A"]),
        larger=language_model.STUDY.arguments("verify-gpu", ["A"]),
        recorded=(
            "wikitext",
            "cpu",
        ),
        check=_more_probable,
        chapter="language_model",
        figure="language-histogram",
        ends=to_the_end,
        definition=(4,),
        scale="small",
    ),
    Claim(
        id="SH-5b",
        statement="and gets a longer tail of what the first model would not write",
        source=f"{NATURE}, Fig. 1",
        measured="99 % quantile of that perplexity, alone or over the median, generation 9 over generation 1, "
        "the smaller",
        band=(1, np.inf),
        reason="larger, set before any run, by both readings: over a falling median alone a tail could only seem to "
        "grow",
        runs=language_model.STUDY.arguments("verify", ["A"]),
        larger=language_model.STUDY.arguments("verify-gpu", ["A"]),
        recorded=(
            "wikitext",
            "cpu",
        ),
        check=_longer_tail,
        chapter="language_model",
        figure="language-histogram",
        ends=to_the_end,
        definition=(8,),
        scale="small",
    ),
    Claim(
        id="SH-6",
        statement="repeated phrases increase",
        source=NATURE,
        measured="share of 3-grams that repeat in their block, A, generation 9 less 1 or generation 1 less real text, "
        "the smaller",
        band=(0, np.inf),
        reason="more in generation 9 than in 1, and there than in real text, set before any run",
        runs=language_model.STUDY.arguments("verify", ["A"]),
        larger=language_model.STUDY.arguments("verify-gpu", ["A"]),
        recorded=(
            "wikitext",
            "cpu",
        ),
        check=_repeats,
        chapter="text",
        figure="text-repetition",
        ends=to_the_end,
        definition=(4,),
        scale="small",
    ),
    Claim(
        id="SH-7",
        statement="continuations drift away from the topic of their prompt",
        source=f"{NATURE}, the church towers",
        measured="cosine with the real continuation by generation 0's states, A, generation 9 less 0",
        band=(-np.inf, 0),
        reason="less alike, set before any run",
        runs=language_model.STUDY.arguments("verify", ["A"]),
        larger=language_model.STUDY.arguments("verify-gpu", ["A"]),
        recorded=(
            "wikitext",
            "cpu",
        ),
        check=_drift,
        chapter="text",
        figure="text-likeness",
        ends=to_the_end,
        scale="small",
    ),
)
