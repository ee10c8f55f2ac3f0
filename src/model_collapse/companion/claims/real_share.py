"""Claims about real data among synthetic ones: how far a share bounds the drift, and how much weight is best."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from model_collapse.analysis import stats, testing
from model_collapse.analysis.stats import Estimate
from model_collapse.companion.claims import Claim, Tables
from model_collapse.companion.claims.discrete import distribution, shares
from model_collapse.theory import mixed


def _settings(table: pd.DataFrame, column: str) -> dict[str, Any]:
    """The settings of a run, from its table."""
    return json.loads(str(table[column].iloc[0]))


def _late(table: pd.DataFrame, kept: float) -> pd.DataFrame:
    """Rows of generations whose drift is within 1e-3 of its limit, if every generation keeps this share of the gap."""
    return table[kept ** table["generation"].astype(float) < 1e-3]


def stationary_drift(table: pd.DataFrame) -> tuple[pd.Series, float]:
    """Drift by chain, an average over late generations, and its closed form, under `fresh`, `mix` or `fixed`.

    The drift is mu^2 for a Gaussian (mle or known variance), sum (p_i - q_i)^2 / sum q_i (1 - q_i) for the discrete
    chain. No late generation: an empty series.
    """
    settings, family = _settings(table, "family_args"), str(table["family"].iloc[0])
    synthetic = table[table["generation"] > 0]
    M, g = int(synthetic["n_train"].iloc[0]), float(synthetic["share_real"].mean())
    variance = settings.get("variance", "estimated")
    limit = {
        "fresh": lambda: mixed.fresh_drift_limit(M, g, variance=variance),
        "mix": lambda: mixed.mix_drift_limit(M, g, variance=variance),
        "fixed": lambda: mixed.fixed_drift_limit(g * M, (1 - g) / g, variance=variance),
    }[str(table["regime"].iloc[0])]
    late = _late(synthetic, 1 - float(mixed.drift_decay(M, g, variance=variance)))
    if family == "gaussian":
        drift = stats.pick(late, "mean").assign(drift=lambda rows: rows["value"] ** 2)
    else:
        q, found = distribution(table), shares(table)
        found = found[found["generation"].isin(late["generation"])]
        true = q[found["item"].to_numpy() - 1]
        # The mean over symbols is divided by that of q (1 - q).
        drift = found.assign(drift=(found["value"] - true) ** 2 / np.mean(q * (1 - q)))
    return drift.groupby("replicate")["drift"].mean(), float(limit())


def drift_over_limit(table: pd.DataFrame, level: float) -> Estimate:
    """Stationary drift over its closed form."""
    drift, limit = stationary_drift(table)
    return stats.mean(drift / limit, level)


def _bounded(tables: Tables, level: float) -> Estimate:
    return testing.farthest((partial(drift_over_limit, table) for table in tables.values()), 1.0, level)


def drift_by_weight(tables: Tables) -> pd.DataFrame:
    """M mu^2 under `weigh`, late generations averaged: one row per chain, one column per weight of real rows."""
    columns = {}
    for table in tables.values():
        w = float(_settings(table, "regime_args")["real_weight"])
        late = stats.pick(_late(table, (1 - w) ** 2), "mean")
        n = late["n_train"] / 2
        columns[w] = (n * late["value"] ** 2).groupby(late["replicate"]).mean()
    return pd.DataFrame(columns).sort_index(axis=1)


def best_weight(tables: Tables, level: float = 0.95) -> Estimate:
    """The weight of real rows at which the mean of M mu^2 under `weigh` is least, as `least` finds it."""
    return least(drift_by_weight(tables), level)


def least(drift: pd.DataFrame, level: float = 0.95) -> Estimate:
    """The weight at which the mean of a drift, a cubic through several weights, is least: chains by weights.

    Conditions of one seed share their random numbers, so a chain is resampled with its values at all weights: of the
    cubic p of the means with its minimum at w, chain i contributes w - p_i'(w) / p''(w), p_i its own cubic. That is how
    the minimum moves when chains are weighted anew (the infinitesimal jackknife). No interval, if p has no minimum
    among the weights or is not surely curved there.
    """
    if drift.empty:
        raise ValueError("no late generations")
    weights = drift.columns.to_numpy(float)
    common = np.polyfit(weights, drift.mean().to_numpy(), 3)
    turning = np.roots(np.polyder(common))
    inside = [
        float(w.real)
        for w in turning
        if np.isreal(w) and weights[0] < w.real < weights[-1] and np.polyval(np.polyder(common, 2), w.real) > 0
    ]
    if len(inside) != 1:
        return Estimate(float(weights[drift.mean().argmin()]), np.nan, np.nan, len(drift), level)
    (w,) = inside
    own = np.polyfit(weights, drift.to_numpy().T, 3)
    slopes = np.array([3 * w**2, 2 * w, 1, 0]) @ own
    curved = stats.mean(np.array([6 * w, 2, 0, 0]) @ own, level)
    # Without an effect of the weight the cubic has a minimum of rounding errors.
    if not curved.low > 1e-9 * drift.to_numpy().mean():
        return Estimate(w, np.nan, np.nan, len(drift), level)
    return stats.mean(w - slopes / np.polyval(np.polyder(common, 2), w), level)


def _fresh(family: str, n: int, g: float, generations: int, replicates: int, **settings: Any) -> dict[str, Any]:
    return {
        "family": family,
        "regime": "fresh",
        "n": n,
        "generations": generations,
        "every": generations // 60,
        "replicates": replicates,
        "metrics": ["mean"] if family == "gaussian" else ["share"],
        "settings": {"regime.real_fraction": g} | {f"family.{key}": value for key, value in settings.items()},
    }


def _weights(values: tuple[float, ...]) -> Mapping[str, Mapping[str, Any]]:
    common = {"family": "gaussian", "regime": "weigh", "n": 10, "generations": 60, "every": 5, "replicates": 4096}
    settings = {"family.variance": "known"}
    return {
        f"w = {w}": common | {"metrics": ["mean"], "settings": settings | {"regime.real_weight": w}} for w in values
    }


CLAIMS = (
    Claim(
        id="MIX-1",
        statement="a share of new real rows in every training set keeps the squared drift of a Gaussian mean at the "
        "finite value of its closed form",
        source="derived; CF-G9 and CF-W6 in their exact forms for whole rows and a fitted variance",
        measured="stationary squared drift over its closed form, of all settings the one farthest from 1",
        band=(0.95, 1.05),
        target=1,
        reason="5 % about the exact value, set before any run",
        runs={
            "gaussian, M = 10, 10 %": _fresh("gaussian", 10, 0.1, 300, 7168),
            "gaussian, M = 100, 5 %": _fresh("gaussian", 100, 0.05, 600, 4096),
            "known variance, M = 20, 5 %": _fresh("gaussian", 20, 0.05, 480, 2560, variance="known"),
            "discrete, M = 10, 10 %": _fresh("discrete", 10, 0.1, 300, 768, symbols=5),
        },
        check=_bounded,
        chapter="real_share",
        figure="real-share-drift",
        definition=(3,),
    ),
    Claim(
        id="MIX-2",
        statement="with as many new real rows as generated ones in every generation, the best weight of the real "
        "rows is 0.618, the inverse of the golden ratio",
        source="He, Xu & Cheng 2025, arXiv:2502.18049; CF-G10",
        measured="weight of the real rows at which the stationary squared drift is least",
        band=(0.58, 0.66),
        reason="0.618 within 0.04, set before any run: nearer to it than to one half or to two thirds",
        runs=_weights((0.45, 0.55, 0.65, 0.75, 0.85)),
        check=best_weight,
        chapter="real_share",
        figure="real-share-golden",
        published="0.618",
    ),
)
