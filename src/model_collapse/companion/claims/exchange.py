"""Claims about models that train on data of another AI: what it brings, what it costs, and what it cannot bring."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import scipy

from model_collapse.analysis import stats, testing
from model_collapse.analysis.stats import Estimate
from model_collapse.companion.claims import Claim, Tables, chains, unsettled
from model_collapse.companion.claims.discrete import shares
from model_collapse.companion.claims.language import NO_EFFECT, to_the_end
from model_collapse.companion.studies import language_model, other_ai

DRAW: Mapping[str, Any] = {"family.sampling": "draw"}


def distributions(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Generations (G,), and the shares of all symbols (models, G, replicates, symbols), commonest first."""
    rows = shares(table)
    wide = rows.pivot(index=["model", "generation", "replicate"], columns="item", values="value")
    wide = wide.sort_index().sort_index(axis=1)
    models, generations = (np.unique(rows[name]) for name in ("model", "generation"))
    return generations, wide.to_numpy().reshape(len(models), len(generations), -1, wide.shape[1])


def draws_that_differ(table: pd.DataFrame) -> pd.DataFrame:
    """Metrics "within" and "between": the chance that two draws differ, of one model or of two (mean over them)."""
    generations, p = distributions(table)
    alike = np.einsum("kgrs,lgrs->klgr", p, p)
    one = np.eye(len(p), dtype=bool)
    found = {"within": 1 - alike[one].mean(axis=0)}
    return _rows(generations, found | ({"between": 1 - alike[~one].mean(axis=0)} if len(p) > 1 else {}))


def concepts(table: pd.DataFrame) -> pd.DataFrame:
    """Of two models with split real data (see `modalities.Part`), each of which lacks symbols that the other knows:

    learned  share of the symbols lacking in its real data that a model has now, mean over the two
    apart    Jensen-Shannon divergence in nats of the two models' distributions of the symbols that both knew
    """
    generations, p = distributions(table)
    learned = np.mean([(p[k][..., k::3] > 0).mean(axis=-1) for k in range(2)], axis=0)
    return _rows(
        generations,
        {
            "learned": learned,
            "apart": scipy.spatial.distance.jensenshannon(p[0][..., 2::3], p[1][..., 2::3], axis=-1) ** 2,
        },
    )


def _rows(generations: np.ndarray, values: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """A table of metrics (generations, replicates)."""
    parts = []
    for metric, value in values.items():
        g, r = np.meshgrid(generations, np.arange(value.shape[1]), indexing="ij")
        columns = {"generation": g.ravel(), "replicate": r.ravel(), "value": value.ravel()}
        parts.append(pd.DataFrame(columns).assign(metric=metric, item=""))
    return pd.concat(parts, ignore_index=True)


def _helped_and_alike(tables: Tables, level: float) -> Estimate:
    """`learned` in an exchange less half of what models know of the same symbols whose own data have them, and what the
    exchange takes from `apart`, at the last generation: the smaller.

    A chain in which a model has lost all that both knew has no divergence, and is left out of `apart`. No interval
    unless generation 0 of an exchange knows nothing of what is said to be lacking.
    """
    own, mixed, whole = (concepts(tables[arm]) for arm in ("own", "exchange", "whole"))
    last = stats.last_of(own)
    learned, known = (stats.per_replicate(table, "learned", last) for table in (mixed, whole))
    apart, alike = (stats.per_replicate(table, "apart", last).dropna() for table in (own, mixed))
    found = testing.lowest([partial(stats.paired, learned, known / 2), partial(stats.paired, apart, alike)], level)
    lacking = (stats.per_replicate(mixed, "learned", 0) == 0).all()
    return found if lacking else unsettled(found)


def best(tables: Tables) -> list[int]:
    """For each generation, of how many models the mean cross-entropy on real text is lowest."""
    nats = pd.DataFrame({_count(arm): _nats(table).mean() for arm, table in tables.items()})
    return nats.idxmin(axis=1).tolist()


def _more_models_later(tables: Tables, level: float) -> Estimate:
    """Nats by which one model is best at first, and by which several are at the end: the smaller.

    At first it has to beat every other number of models; at the end some number has to beat it, which is looked for and
    allows for how many there are (Bonferroni). No interval if the best number falls from one generation to the next.
    """
    nats = {_count(arm): _nats(table) for arm, table in tables.items()}
    alone, others = nats.pop(1), list(nats.values())

    def end(level: float) -> Estimate:
        sure = testing.bonferroni(level, len(others))
        found = (stats.paired(alone.iloc[:, -1], other.iloc[:, -1], sure) for other in others)
        return max(found, key=lambda e: np.nan_to_num(e.low, nan=-np.inf))

    found = testing.lowest([end, *(partial(stats.paired, other[0], alone[0]) for other in others)], level)
    return found if best(tables) == sorted(best(tables)) else unsettled(found)


def _count(arm: str) -> int:
    """The number of models of a condition, "M4"."""
    return int(arm.removeprefix("M"))


def _nats(table: pd.DataFrame) -> pd.DataFrame:
    """Cross-entropy on real test text by chain and generation, mean over the models."""
    items = sorted(set(stats.pick(table, "perplexity")["item"].astype(str)))
    return sum(np.log(chains(table, "perplexity", item)) for item in items) / len(items)  # type: ignore[return-value]


def _between_self_and_real(tables: Tables, level: float) -> Estimate:
    """ln of symbols left in an exchange over those left to a model alone, and of real data's over it: the smaller."""
    alone, mixed, real = (chains(stats.over_models(tables[arm]), "support") for arm in ("self", "exchange", "real"))
    last = alone.columns[-1]
    pairs = ((mixed, alone), (real, mixed))
    return testing.lowest(
        [partial(stats.paired, np.log(more[last]), np.log(less[last])) for more, less in pairs], level
    )


_SPLIT: Mapping[str, Any] = {
    "family": "discrete",
    "n": 200,
    "generations": 20,
    "every": 20,
    "replicates": 256,
    "metrics": ["share"],
    "settings": {**DRAW, "family.zipf": 0.5},
    "models": 2,
    "real": "split",
}

_TAIL: Mapping[str, Any] = {
    "family": "discrete",
    "n": 100,
    "generations": 20,
    "every": 20,
    "replicates": 256,
    "metrics": ["support"],
    "settings": {**DRAW, "family.symbols": 200},
}


CLAIMS = (
    Claim(
        id="XM-1",
        statement="two models that train on each other's output learn symbols that their own real data lacked, and "
        "become more alike in those that both knew",
        source="Vu, Reeves & Wenger 2025, arXiv:2505.21677",
        measured="the smaller of two: share of the missing symbols that a model has in the last generation of an "
        "exchange, less half of that of models whose own data had them; Jensen-Shannon divergence over the symbols "
        "that both knew, without exchange less with (nats)",
        band=(0, np.inf),
        reason="at least half as much as if the symbols had been in their own data (without exchange it is nothing "
        "by construction), and more alike in what both know",
        runs={
            "own": {**_SPLIT, "reads": "own"},
            "exchange": {**_SPLIT, "reads": "all", "share": 0.5},
            "whole": {**_SPLIT, "reads": "own", "real": "own"},
        },
        check=_helped_and_alike,
        chapter="other_ai",
        figure="exchange-concepts",
        ends=lambda table: 20,
        definition=(6,),
    ),
    Claim(
        id="XM-2",
        statement="one large language model is best at first, but after some generations several small ones that "
        "train on each other's output are better, and the best number of models grows",
        source="Hodel & West 2025, arXiv:2512.15011",
        measured="of one, two and four models, nats per token on real test text: lead of the single model in "
        "generation 0, or of the best number of several over it in the last, the smaller",
        band=(0, np.inf),
        reason="both in the published direction, and the best number never falls from generation to generation, set "
        "before any run; that it never falls would hold by itself if one model were always best",
        # A model alone is the arm that other claims read.
        margin=NO_EFFECT,
        runs={
            **other_ai.STUDY.arguments("verify", other_ai.FEW),
            "M1": language_model.STUDY.arguments("verify", ["sampled"])["sampled"],
        },
        larger=other_ai.STUDY.arguments("paper", other_ai.FEW),
        recorded=("exchange",),
        check=_more_models_later,
        chapter="other_ai",
        figure="exchange-opt",
        ends=to_the_end,
        definition=(2,),
        scale="small",
    ),
    Claim(
        id="XM-3",
        statement="training on the output of another model besides its own keeps more symbols than training on its "
        "own alone, and fewer than training on real data",
        source="derived; theory.exchange.survival_bounds",
        measured="ln of the ratio of the numbers of symbols left in the last generation: two models with a common "
        "pool over one alone, or real data over two models, the smaller",
        band=(0, np.inf),
        reason="more than one model alone, fewer than real data: the claim is about the order, set before any run",
        runs={
            "self": _TAIL,
            "exchange": {**_TAIL, "models": 2, "reads": "deal"},
            "real": {**_TAIL, "regime": "fresh", "settings": {**_TAIL["settings"], "regime.real_fraction": 1.0}},
        },
        check=_between_self_and_real,
        chapter="other_ai",
        figure="exchange-survivors",
        ends=lambda table: 20,
        definition=(7,),
    ),
)
