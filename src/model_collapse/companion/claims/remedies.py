"""Claims about remedies that go for families of every kind: what it is worth to keep the old data."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import pandas as pd

from model_collapse.analysis import stats, testing
from model_collapse.analysis.stats import Estimate
from model_collapse.companion.claims import Claim, Tables, images, unsettled
from model_collapse.companion.claims.language import FOURTH, GERSTGRASSER, NO_EFFECT, to_common_end
from model_collapse.companion.records.effects import LOSS, Measure
from model_collapse.companion.studies import language_model

MEASURES: Mapping[str, Measure] = {
    "gaussian": Measure("W2 squared", "w2_squared"),
    "discrete": Measure("lost heterozygosity", "heterozygosity", falls=True),
    "regression": Measure("excess risk", "test_error"),
    "kde": Measure("KL, nats", "kl_density"),
    "ngram": LOSS,
    "lm": LOSS,
    "vae": Measure("Fréchet distance", "frechet"),
    "diffusion": Measure("Fréchet distance", "frechet"),
}
"""What gets worse, by family."""

SIZES: Mapping[str, Mapping[str, Any]] = {
    "gaussian": {"n": 100, "replicates": 1024},
    "discrete": {"n": 100, "replicates": 1024},
    "regression": {"n": 60, "replicates": 1024},
    "kde": {"n": 50, "replicates": 256, "settings": {"family.bandwidth": 0.25}},
    "ngram": {"n": 100, "replicates": 12},
}


def of_family(family: str, regime: str, generations: int = 9, **sizes: Any) -> dict[str, Any]:
    """Arguments of `plan` for one family under one regime, all but the seed. Subsample has to have rows to draw."""
    run: dict[str, Any] = {**SIZES[family], "family": family, "regime": regime, "generations": generations, **sizes}
    drawn = (
        {"family.sampling": "draw"}
        if regime == "subsample" and family in ("gaussian", "discrete", "regression")
        else {}
    )
    return {"metrics": [MEASURES[family].metric], **run, "settings": {**run.get("settings", {}), **drawn}}


def kept_over_replaced(tables: Tables, level: float) -> Estimate:
    """Damage under accumulate over that under replace, labels "FAMILY REGIME"; the largest."""
    kinds = sorted({label.rpartition(" ")[0] for label in tables})
    return testing.highest((_kept_over_replaced(kind, tables) for kind in kinds), level)


def _kept_over_replaced(kind: str, tables: Tables) -> testing.Procedure:
    ends = to_common_end(tables, *(f"{kind} {regime}" for regime in ("accumulate", "replace")))
    kept, replaced = map(MEASURES[kind].damage, ends)
    return partial(_sure_ratio, kept, replaced)


def _sure_ratio(a: pd.Series, b: pd.Series, level: float) -> Estimate:
    """Ratio of means; without interval where Fieller's is no interval."""
    found = stats.ratio(a, b, level)
    return found if found.low <= found.high else unsettled(found)


def _in_between(tables: Tables, level: float) -> Estimate:
    """Damage in nats: subsample less accumulate, or replace less subsample, the smaller."""
    kept, taken, replaced = map(LOSS.damage, to_common_end(tables, "accumulate", "subsample", "sampled"))
    return testing.lowest([partial(stats.paired, taken, kept), partial(stats.paired, replaced, taken)], level)


def _networks() -> Mapping[str, Mapping[str, Any]]:
    arms = {"replace": "full", "accumulate": "accumulate"}
    runs: dict[str, Mapping[str, Any]] = {
        f"lm {regime}": language_model.STUDY.arguments("verify", [arm])[arm]
        for regime, arm in (arms | {"replace": "sampled"}).items()
    }
    for family in ("vae", "diffusion"):
        runs |= {f"{family} {regime}": images.of_arms(family, arm)[arm] for regime, arm in arms.items()}
    return runs


CLAIMS = (
    Claim(
        id="REM-1",
        statement="keeping the old data avoids most of the damage in every one of five families of models",
        source=f"after {GERSTGRASSER}",
        measured="damage of ten fits if data accumulate over that if they are replaced, the largest of five families",
        band=(-float("inf"), 0.5),
        reason="less than half, set before any run; for regression theory has 0.55 / 9 = 0.06",
        runs={
            f"{family} {regime}": of_family(family, regime) for family in SIZES for regime in ("accumulate", "replace")
        },
        check=kept_over_replaced,
        chapter="remedies",
        figure="remedies-families",
        ends=lambda table: 9,
        definition=(2, 3),
    ),
    Claim(
        id="REM-2",
        statement="keeping the old data avoids most of the damage for neural networks, too",
        source=GERSTGRASSER,
        measured="damage if data accumulate over that if they are replaced, over all generations that both "
        "conditions have, the largest of three families",
        band=(-float("inf"), 0.5),
        reason="less than half, as in REM-1; set before these damages were computed, but of runs that had been "
        "recorded earlier",
        # Recorded, these arms lie in three records; the chapter puts them together.
        runs=_networks(),
        check=kept_over_replaced,
        chapter="remedies",
        figure="remedies-families",
        ends=lambda table: {"lm": FOURTH, "vae": 5}.get(str(table["family"].iloc[0]), 4),
        definition=(2,),
        scale="small",
    ),
    Claim(
        id="REM-3",
        statement="for a language model, training on n rows drawn from all data so far costs more than accumulating "
        "the data and less than replacing them",
        source="Kazdan et al. 2025, arXiv:2410.16713",
        measured="rise of the cross-entropy in nats per token up to the last generation that all have: subsample "
        "less accumulate, or replace less subsample, the smaller",
        band=(0, float("inf")),
        reason="accumulate < subsample < replace, as in ACC-3 for models with closed forms; set before these damages "
        "were computed, but of runs that had been recorded earlier",
        margin=NO_EFFECT,
        runs=language_model.STUDY.arguments("verify", ["accumulate", "subsample", "sampled"]),
        larger=language_model.STUDY.arguments("verify-gpu", ["accumulate", "subsample", "sampled"]),
        recorded=("wikitext",),
        check=_in_between,
        chapter="remedies",
        figure="remedies-families",
        ends=lambda table: FOURTH,
        definition=(2,),
        scale="small",
    ),
)
