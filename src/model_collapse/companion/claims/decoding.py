"""Claims about how text is written: repetition penalty, beams and temperature decide how fast models degrade."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd

from model_collapse.analysis import stats, testing
from model_collapse.analysis.stats import Estimate
from model_collapse.companion.claims import NATURE, Claim, Tables, chains
from model_collapse.companion.claims.language import NO_EFFECT, cross_entropy
from model_collapse.companion.studies import language_model


def slope(table: pd.DataFrame) -> pd.Series:
    """Least-squares slope of cross-entropy over all generations, in nats per generation, by chain."""
    values = cross_entropy(table)
    g = values.columns.to_numpy(float) - values.columns.to_numpy(float).mean()
    return pd.Series(values.to_numpy() @ g / (g @ g), values.index)


def _penalised(tables: Tables, level: float) -> Estimate:
    """Perplexity with repetition penalty 2 over that without, at the last generation that both have."""
    penalised, plain = (chains(tables[arm], "perplexity") for arm in ("penalty-2", "A"))
    last = min(penalised.columns[-1], plain.columns[-1])
    return stats.times(penalised[last], plain[last], level)


def _steeper(tables: Tables, level: float) -> Estimate:
    """Slope with a cold temperature, or with beams, less that of sampling at temperature 1: the smaller."""
    pure = slope(tables["sampled"])
    return testing.lowest([partial(stats.paired, slope(tables[arm]), pure) for arm in ("cold", "A")], level)


CLAIMS = (
    Claim(
        id="SH-8",
        statement="a repetition penalty of 2 is no cure",
        source=NATURE,
        measured="perplexity with the penalty over that without, last generation",
        band=(1.3, np.inf),
        reason="30 % worse, set before any run; generation 0 is the same in both",
        runs=language_model.STUDY.arguments("verify", ["penalty-2", "A"]),
        larger=language_model.STUDY.arguments("verify-gpu", ["penalty-2", "A"]),
        recorded=("wikitext",),
        check=_penalised,
        chapter="decoding",
        figure="decoding-perplexity",
        ends=lambda table: 1,
        published="about twice",
        definition=(2,),
        scale="small",
    ),
    Claim(
        id="DEC-1",
        statement="a low temperature and beam search degrade models faster than sampling",
        source="Gerstgrasser et al. 2024, arXiv:2404.01413; Drayson et al. 2025, arXiv:2502.15654",
        measured="slope of cross-entropy in nats per generation less that of sampling, temperature 0.3 or 5 beams, "
        "the smaller",
        band=(0, np.inf),
        reason="both steeper, set before any run",
        margin=NO_EFFECT,
        runs=language_model.STUDY.arguments("verify", ["cold", "A", "sampled"]),
        larger=language_model.STUDY.arguments("verify-gpu", ["cold", "A", "sampled"]),
        recorded=("wikitext",),
        check=_steeper,
        chapter="decoding",
        figure="decoding-perplexity",
        ends=lambda table: 3,
        published="temperature 0.3: 1.33 nats per iteration up to the fourth, against 0.19",
        definition=(2, 4),
        scale="small",
    ),
)
