"""Claims about how text is written: repetition penalty, beams and temperature decide how fast models degrade."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from model_collapse.analysis import stats, testing
from model_collapse.analysis.stats import Estimate
from model_collapse.companion.claims import NATURE, Claim, Tables, chains, unsettled
from model_collapse.companion.claims.language import NO_EFFECT, cross_entropy, to_common_end
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


THETA, CONSTANT = 1.2, 20.0
"""Repetition penalty, and what is added to all logits, of DEC-2."""


def penalised(**changes: Any) -> dict[str, dict[str, Any]]:
    """Label -> run of generation 0 of a tiny OPT: ways of writing, with and without a constant in all logits."""
    ways: dict[str, dict[str, Any]] = {
        "sampled": {"family.decoding": "sample"},
        "sampled, penalty": {"family.decoding": "sample", "family.repetition_penalty": THETA},
        "beams, penalty": {"family.repetition_penalty": THETA},
    }
    common: dict[str, Any] = {
        "family": "lm",
        "n": 16,
        "generations": 0,
        "replicates": 4,
        "metrics": ["written_loss", "repeated_3"],
        **changes,
    }
    small = {"family.pretrain": "none", "family.evaluate": 8, "family.epochs": 5}
    return {
        f"{way}{', shifted' if constant else ''}": {
            **common,
            "settings": {**language_model.TINY, **small, **settings, "family.logit_shift": constant},
        }
        for way, settings in ways.items()
        for constant in (0.0, CONSTANT)
    }


def _constant_matters(tables: Tables, level: float) -> Estimate:
    """Nats per token of what generation 0 writes with the penalty, with a constant in the logits less without.

    No interval if that constant moves what is written without a penalty, or by beams with it, by 0.01 nats or more.
    """
    moved = {
        way: stats.per_replicate(tables[f"{way}, shifted"], "written_loss", 0)
        - stats.per_replicate(tables[way], "written_loss", 0)
        for way in ("sampled", "sampled, penalty", "beams, penalty")
    }
    found = stats.mean(moved["sampled, penalty"], level)
    same = max(moved["sampled"].abs().max(), moved["beams, penalty"].abs().max()) < 0.01
    return found if same else unsettled(found)


def _steeper(tables: Tables, level: float) -> Estimate:
    """Slope with a cold temperature, or with beams, less that of sampling at temperature 1: the smaller."""
    ends = [to_common_end(tables, arm, "sampled") for arm in ("cold", "A")]
    return testing.lowest([partial(stats.paired, slope(one), slope(pure)) for one, pure in ends], level)


CLAIMS = (
    Claim(
        id="SH-8",
        statement="a repetition penalty of 2 does not cure the collapse of language models but makes their loss larger",
        source=NATURE,
        measured="perplexity on real test text with the penalty over that without, last generation",
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
        statement="language models that train on their own output degrade faster if it is generated at a low "
        "temperature or by beam search than if it is sampled",
        source="Gerstgrasser et al. 2024, arXiv:2404.01413; Drayson et al. 2025, arXiv:2502.15654",
        measured="slope of the cross-entropy in nats per token and generation, at temperature 0.3 or with 5 beams, "
        "less that of plain sampling, the smaller",
        band=(0, np.inf),
        reason="both slopes steeper, set before any run",
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
    Claim(
        id="DEC-2",
        statement="sampling with a repetition penalty depends on more than the model's probabilities: a constant "
        "added to all logits, which leaves every probability as it is, changes the sampled text and not the text of "
        "beam search",
        source="after arXiv:2607.09791 and transformers issue 47595",
        measured="difference in nats per token of the text that generation 0 samples with repetition penalty 1.2: "
        "with 20 added to all logits less without",
        band=(0.05, np.inf),
        reason="0.05 nats or more, set before any run: on positive logits the penalty takes 3.3 nats more from a "
        "token that has occurred. Without a penalty, and with five beams and the penalty, the difference must stay "
        "below 0.01 nats. Of the sources the thread was read, not the paper; the identity is derived in the chapter",
        runs=penalised(),
        check=_constant_matters,
        chapter="decoding",
        scale="small",
    ),
)
