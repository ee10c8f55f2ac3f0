"""Claims about what perplexity hides: how sure models get, how varied and how true what they write stays."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd

from model_collapse.analysis import stats, testing
from model_collapse.analysis.stats import Estimate
from model_collapse.companion.claims import Claim, Tables, chains
from model_collapse.companion.claims.language import FOURTH, to_the_end
from model_collapse.companion.studies import language_model


def decline(table: pd.DataFrame, metric: str, item: str = "") -> pd.Series:
    """1 - value at the last generation / value at generation 0, by chain."""
    values = chains(table, metric, item)
    return 1 - values.iloc[:, -1] / values[0]


def _surer(tables: Tables, level: float) -> Estimate:
    """Entropy on real text at the last common generation, fed surprising text less fed unsurprising text, in nats."""
    high, low = (chains(tables[arm], "entropy", "test") for arm in ("surprising", "unsurprising"))
    last = min(high.columns[-1], low.columns[-1])
    return stats.paired(high[last], low[last], level)


def _order_of_decline(tables: Tables, level: float) -> Estimate:
    """Relative decline of words, phrases and syntax: the smallest."""
    form = [decline(tables["sampled"], metric) for metric in ("type_token_ratio", "distinct_2", "skeletons")]
    return testing.lowest([partial(stats.mean, one) for one in form], level)


def _true_but_few(tables: Tables, level: float) -> Estimate:
    """Gain of the share of true statements, or relative loss of different true facts: the smaller."""
    true = chains(tables["sampled"], "facts", "true")
    gain, loss = true.iloc[:, -1] - true[0], decline(tables["sampled"], "facts", "different")
    return testing.lowest([partial(stats.mean, gain), partial(stats.mean, loss)], level)


CLAIMS = (
    Claim(
        id="SUR-1",
        statement="language models that train on the less surprising half of the generated text become more certain "
        "than those that train on the more surprising half",
        source="Gambetta et al. 2024, arXiv:2410.12341",
        measured="entropy of the next token on real test text in nats, trained on the surprising half less trained "
        "on the unsurprising half, in the last generation that both have",
        band=(0, np.inf),
        reason="lower entropy after unsurprising text, set before any run",
        runs=language_model.STUDY.arguments("verify", ["surprising", "unsurprising"]),
        larger=language_model.STUDY.arguments("verify-gpu", ["surprising", "unsurprising"]),
        recorded=("wikitext",),
        check=_surer,
        chapter="diversity",
        figure="diversity-surprise",
        ends=lambda table: FOURTH,
        definition=(4,),
        scale="small",
    ),
    Claim(
        id="DIV-1",
        statement="the words, phrases and syntax of sampled text lose variety from generation to generation",
        source="Guo et al. 2024, arXiv:2311.09807",
        measured="relative decline since generation 0 of type-token ratio, distinct 2-grams and patterns of syntax, "
        "the smallest",
        band=(0, np.inf),
        reason="all three fall. Text is sampled, because a search for the likeliest text costs variety by itself. "
        "Until November 2026 the claim also said that meaning loses least; that part was dropped because the measure "
        "for meaning, the spread of a model's hidden states, rises by four fifths in the recorded run and so "
        "measures something else",
        runs=language_model.STUDY.arguments("verify", ["sampled"]),
        larger=language_model.STUDY.arguments("verify-gpu", ["sampled"]),
        recorded=("wikitext",),
        check=_order_of_decline,
        chapter="diversity",
        figure="diversity-kinds",
        ends=lambda table: 5,
        published="news, 6 iterations: type-token ratio −50 %, syntax −74 %, meaning most stable",
        definition=(4,),
        scale="small",
    ),
    Claim(
        id="COR-1",
        statement="the text of a language model that is trained on its own output stays as true as before while the "
        "number of different facts in it falls",
        source="Briesch et al. 2023, arXiv:2311.16822",
        measured="gain of the share of true statements, or relative loss of different true facts, from generation 0 "
        "to 9, the smaller",
        band=(0, np.inf),
        reason="at least as true as at the start, and fewer different facts, set before any run; only a gain can "
        "show that nothing is lost. Text is sampled here, because beam search prefers probable text already in "
        "generation 0",
        # Only of the embedded corpus true is known from false, so there are no runs on real text.
        runs=language_model.STUDY.arguments("verify", ["sampled"]),
        recorded=("curation",),
        check=_true_but_few,
        chapter="diversity",
        figure="diversity-facts",
        ends=to_the_end,
        definition=(4,),
        scale="small",
    ),
)
