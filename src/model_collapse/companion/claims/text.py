"""Claims about what collapsed models write: how probable it was at first, how repetitive, how far from the prompt."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd

from model_collapse.analysis import stats, testing
from model_collapse.analysis.stats import Estimate
from model_collapse.companion.claims import NATURE, Claim, Tables, chains, rows, unsettled
from model_collapse.companion.claims.language import to_the_end
from model_collapse.companion.studies import language_model


def _more_probable(tables: Tables, level: float) -> Estimate:
    """Median perplexity of the written blocks under generation 0: last generation over generation 1."""
    median = chains(tables["A"], "written_perplexity", "q50")
    return stats.times(median.iloc[:, -1], median[1], level)


RARE, BLOCKS = 0.001, 2000
"""Share of generation 0's blocks that lie beyond the quantile, and how many blocks tell where that is."""


def beyond(table: pd.DataFrame) -> pd.DataFrame:
    """Share of written blocks whose perplexity under generation 0 lies beyond generation 0's own 99.9 % quantile, by
    chain and generation.

    The quantile is that of all chains' blocks together, rounded up to the next edge of the histogram.
    """
    bins = stats.pick(table, "written_perplexity").astype({"item": str})
    bins = bins[bins["item"].str.startswith("bin ")]
    bins = bins.assign(edge=bins["item"].str.removeprefix("bin ").astype(float))
    above = bins.pivot(index=["replicate", "generation"], columns="edge", values="value").iloc[:, ::-1].cumsum(axis=1)
    first = above[above.index.get_level_values("generation") == 0].mean()
    edge = first.index[first <= RARE].min()
    return above[[edge]].reset_index().pivot(index="replicate", columns="generation", values=edge)


def _rarer(tables: Tables, level: float) -> Estimate:
    """What the share of blocks beyond generation 0's 99.9 % quantile gains, last generation over generation 0.

    No interval from fewer than BLOCKS blocks of all seeds together: they do not tell where the quantile is.
    """
    table = tables["A"]
    share = beyond(table)
    found = stats.paired(share.iloc[:, -1], share[0], level)
    return found if rows(table) * len(share) >= BLOCKS else unsettled(found)


def _repeats(tables: Tables, level: float) -> Estimate:
    """Share of repeated 3-grams, last generation less generation 1, or generation 1 less real text: the smaller."""
    written, real = chains(tables["A"], "repeated_3"), chains(tables["A"], "real_text", "repeated_3")
    steps = ((written.iloc[:, -1], written[1]), (written[1], real[0]))
    return testing.lowest([partial(stats.paired, later, earlier) for later, earlier in steps], level)


def _drift(tables: Tables, level: float) -> Estimate:
    """Cosine with the real continuation, last generation less generation 0."""
    cosine = chains(tables["A"], "similarity", "states")
    return stats.paired(cosine.iloc[:, -1], cosine[0], level)


CLAIMS = (
    Claim(
        id="SH-5a",
        statement="the text of later generations is more probable under the first model than that of earlier ones",
        source=f"{NATURE}, Fig. 1",
        measured="median perplexity under generation 0 of generated blocks, without real text (condition A of the "
        "paper), generation 9 over generation 1",
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
        statement="later generations generate more text that the first model would hardly ever generate",
        source=f"{NATURE}, Fig. 1",
        measured="share of generated blocks whose perplexity under generation 0 exceeds the 99.9 % quantile of "
        "generation 0's own text, without real text (condition A of the paper), generation 9 less generation 0",
        band=(0, np.inf),
        reason="a larger share; all seeds together need 2,000 blocks or more to tell where the quantile lies. Until "
        "November 2026 the 99 % quantile of 192 blocks was compared, which is their second largest",
        runs=language_model.STUDY.arguments("verify", ["A"]),
        larger=language_model.STUDY.arguments("verify-gpu", ["A"]),
        recorded=(
            "wikitext",
            "cpu",
        ),
        check=_rarer,
        chapter="language_model",
        figure="language-histogram",
        ends=to_the_end,
        definition=(8,),
        scale="small",
    ),
    Claim(
        id="SH-6",
        statement="the text of language models that train on their own output repeats more and more phrases",
        source=NATURE,
        measured="share of 3-grams that repeat within their block, without real text (condition A of the paper): "
        "generation 9 less 1, or generation 1 less real text, the smaller",
        band=(0, np.inf),
        reason="more in generation 9 than in 1, and more in generation 1 than in real text, set before any run",
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
        statement="the text of later generations strays from the topic of its prompt",
        source=f"{NATURE}, the church towers",
        measured="cosine similarity of generated and real continuation, in the hidden states of generation 0, "
        "without real text (condition A of the paper), generation 9 less 0",
        band=(-np.inf, 0),
        reason="less similar, set before any run",
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
