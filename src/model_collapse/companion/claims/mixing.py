"""Claims about real rows among written ones: weights, labels, pools, temperature, and each generation's own error."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from model_collapse.analysis import stats, testing
from model_collapse.analysis.stats import Estimate
from model_collapse.companion.claims import Claim, Tables, chains, family, rows, unsettled
from model_collapse.companion.claims.discrete import distribution, shares
from model_collapse.companion.claims.real_share import best_weight, least
from model_collapse.theory import mixed, temperature

ABSTRACT = "the formula is derived here, since only the abstract of the source was read"


def regime(table: pd.DataFrame) -> dict[str, Any]:
    """The settings of the regime that made a table."""
    return family(table, "regime_args")


# The curve of best weights -----------------------------------------------------------------------------------------

CURVE: Mapping[float, tuple[float, ...]] = {
    2.0: (0.58, 0.66, 0.73, 0.81, 0.88),
    0.5: (0.35, 0.42, 0.5, 0.58, 0.65),
    0.125: (0.18, 0.24, 0.3, 0.35, 0.41),
}
"""New real rows per written row -> weights about the best one."""


def weights_of(ratio: float, **changes: Any) -> dict[str, dict[str, Any]]:
    """Label -> run, one for each weight."""
    common = {"family": "gaussian", "regime": "weigh", "n": 16, "generations": 60, "every": 5, "replicates": 4096}
    return {
        f"{ratio:g} real rows per written one, w = {w:g}": {
            **common,
            "metrics": ["mean"],
            "settings": {"family.variance": "known", "regime.real_weight": w, "regime.ratio": ratio},
            **changes,
        }
        for w in CURVE[ratio]
    }


def by_ratio(tables: Tables) -> dict[float, dict[str, pd.DataFrame]]:
    """The tables of each ratio of new real rows to written ones."""
    found: dict[float, dict[str, pd.DataFrame]] = {}
    for label, table in tables.items():
        found.setdefault(float(regime(table)["ratio"]), {})[label] = table
    return found


def _off_the_curve(tables: Tables, level: float) -> Estimate:
    """Best weight less its closed form, the farthest of all ratios from 0."""
    parts = (
        testing.less(partial(best_weight, arms), float(mixed.best_real_weight(ratio)))
        for ratio, arms in by_ratio(tables).items()
    )
    return testing.farthest(parts, 0, level)


# Labels that are part real -----------------------------------------------------------------------------------------

LABEL_WEIGHTS = (0.4, 0.5, 0.6, 0.7, 0.8)


def labels_of(kind: str, **changes: Any) -> dict[str, dict[str, Any]]:
    """Label -> run of regression on 5 rows in 10 dimensions, one for each weight; kind: shortest or ridge."""
    way = {"family.interpolate": True} if kind == "shortest" else {"family.ridge": 1.0}
    return {
        f"{kind}, w = {w:g}": {
            "family": "regression",
            "regime": "replace",
            "n": 5,
            "generations": 30,
            "every": 3,
            "replicates": 1024,
            "metrics": ["test_error"],
            "settings": {"family.dim": 10, "family.noise": 3.0, "family.real_weight": w, **way},
            **changes,
        }
        for w in LABEL_WEIGHTS
    }


def error_by_weight(tables: Tables) -> pd.DataFrame:
    """Test error, late generations averaged: one row per chain, one column per weight of real labels."""
    columns = {}
    for table in tables.values():
        w, errors = float(family(table)["real_weight"]), chains(table, "test_error")
        late = [g for g in errors.columns if (1 - w) ** (2 * int(g)) < 1e-3]
        columns[w] = errors[late].mean(axis=1)
    return pd.DataFrame(columns).sort_index(axis=1)


def _golden_labels(tables: Tables, level: float) -> Estimate:
    """Best weight of real labels for the shortest fit; no interval unless that for ridge is surely above one half."""
    parts = {
        kind: error_by_weight({label: table for label, table in tables.items() if label.startswith(kind)})
        for kind in ("shortest", "ridge")
    }
    best = least(parts["shortest"], level)
    return best if least(parts["ridge"], level).low > 0.5 else unsettled(best)


# Pools with an inflow ----------------------------------------------------------------------------------------------


def inflow(share: float, **changes: Any) -> dict[str, Any]:
    """The run of a pool to which every generation adds four rows, this share of them real."""
    return {
        "family": "gaussian",
        "regime": "inflow",
        "n": 4,
        "generations": 40,
        "every": 40,
        "replicates": 32_768,
        "metrics": ["mean"],
        "settings": {"family.variance": "known", "regime.real_fraction": share},
        **changes,
    }


def drift_of_pool(table: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    """mu^2 by chain and recorded generation, and its closed form at these generations."""
    square = chains(table, "mean").dropna(axis=1, how="all") ** 2
    share, variance = float(regime(table)["real_fraction"]), family(table)["variance"]
    expected, _ = mixed.inflow_moments(square.columns.to_numpy() + 1, rows(table), share, variance=variance)
    return square, expected


def _rates(tables: Tables, level: float) -> Estimate:
    """Drift of the pool's mean at the last generation over its closed form, the farthest of all shares from 1."""
    found = []
    for table in tables.values():
        square, expected = drift_of_pool(table)
        found.append(partial(stats.mean, square.iloc[:, -1] / expected[-1]))
    return testing.farthest(found, 1, level)


# Temperature and real rows -----------------------------------------------------------------------------------------

FORKS = ((2, 0.5, 0.4), (2, 0.5, 0.6), (2, 0.8, 0.1), (2, 0.8, 0.3), (5, 0.8, 0.1), (5, 0.8, 0.3))
"""Symbols, temperature, share of new real rows: either side of 1 - T."""


def fork(symbols: int, T: float, share: float, **changes: Any) -> dict[str, Any]:
    """Arguments of `plan`: a uniform distribution over K symbols, written at temperature T, and new real rows."""
    return {
        "family": "discrete",
        "regime": "fresh",
        "n": 100_000,
        "generations": 160,
        "every": 160,
        "replicates": 64,
        "metrics": ["share"],
        "settings": {
            "family.symbols": symbols,
            "family.zipf": 0.0,
            "family.temperature": T,
            "regime.real_fraction": share,
        },
        **changes,
    }


def largest_share(table: pd.DataFrame) -> pd.DataFrame:
    """Share of the commonest symbol by chain and recorded generation."""
    return shares(table).pivot_table("value", "replicate", "generation", aggfunc="max", observed=True)


def _sides(tables: Tables, level: float) -> Estimate:
    """Share of the commonest symbol at the last generation less that at rest by mean field, farthest from 0."""
    found = []
    for table in tables.values():
        settings = family(table)
        rest = temperature.resting(
            settings["symbols"], settings["temperature"], float(regime(table)["real_fraction"])
        ).max()
        found.append(partial(stats.mean, largest_share(table).iloc[:, -1] - rest))
    return testing.farthest(found, 0, level)


# Each generation's own error ---------------------------------------------------------------------------------------


def own_errors(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(own, damage), chi-square distances by chain and generation, under `fresh`.

    own     of each fit to the distribution of its own training set, a q + (1 - a) p of the fit before
    damage  of each fit to the true distribution q

    ValueError unless all generations from 0 on are recorded: each error is one against the fit before.
    """
    q, a = distribution(table), float(regime(table)["real_fraction"])
    wide = shares(table).pivot(index=["replicate", "generation"], columns="item", values="value").sort_index()
    generations = wide.index.get_level_values("generation").unique()
    if list(generations) != list(range(len(generations))):
        raise ValueError("own errors need every generation from 0 on")
    p = wide.to_numpy().reshape(-1, len(generations), len(q))
    trained = np.concatenate([np.broadcast_to(q, p[:, :1].shape), a * q + (1 - a) * p[:, :-1]], axis=1)
    index = wide.index.get_level_values("replicate").unique()
    made = (((p - trained) ** 2 / trained).sum(axis=2), ((p - q) ** 2 / q).sum(axis=2))
    own, damage = (pd.DataFrame(each, index, generations) for each in made)
    return own, damage


def summed(table: pd.DataFrame) -> pd.DataFrame:
    """The discounted sum of own errors by chain and generation."""
    own, _ = own_errors(table)
    share = float(regime(table)["real_fraction"])
    return pd.DataFrame(mixed.discounted(own.to_numpy().T, share).T, own.index, own.columns)


def _discounted(tables: Tables, level: float) -> Estimate:
    """Mean damage at the last generation over the mean discounted sum of own errors, the farthest from 1."""
    found = []
    for table in tables.values():
        _, damage = own_errors(table)
        last = damage.columns[-1]
        found.append(partial(stats.ratio, damage[last], summed(table)[last]))
    return testing.farthest(found, 1, level)


CLAIMS = (
    Claim(
        id="MIX-5",
        statement="with k new real rows per generated row, the best weight of the real rows is (√(k² + 4k) − k) / 2, "
        "which is the inverse of the golden ratio at k = 1",
        source="derived, after He, Xu & Cheng 2025, arXiv:2502.18049v5",
        measured="weight of the real rows at which the stationary squared drift is least, less its closed form, the "
        "farthest from 0 of k = 2, 1/2, 1/8",
        band=(-0.04, 0.04),
        target=0,
        reason=f"0.04 on either side of 0.732, 0.500 and 0.297, set before any run, as for MIX-2; {ABSTRACT}",
        runs={label: run for ratio in CURVE for label, run in weights_of(ratio).items()},
        check=_off_the_curve,
        chapter="real_share",
        figure="real-share-curve",
    ),
    Claim(
        id="MIX-6",
        statement="in a regression with more dimensions than rows, the best weight of real labels beside generated "
        "ones is the inverse of the golden ratio for the least-norm fit, and more than one half for ridge regression",
        source="Garg, Bhattacharya & Sur 2025, arXiv:2509.22341",
        measured="weight of real labels at which the test error of the least-norm fit is least",
        band=(0.58, 0.66),
        reason="0.618 within 0.04, set before any run, as for MIX-2; the interval for ridge has to lie above 1/2. "
        f"Every label is generated for the x of generation 0; for that case {ABSTRACT}",
        runs={**labels_of("shortest"), **labels_of("ridge")},
        check=_golden_labels,
        chapter="real_share",
        figure="real-share-labels",
        published="0.618, and at least 1/2",
        ends=lambda table: 30,
    ),
    Claim(
        id="MIX-7",
        statement="if data accumulate and a share a of every new batch is real, the error falls with the generations "
        "at a rate that stops rising at a = 1/2",
        source="Wang, Niu & Li 2026, arXiv:2602.16065",
        measured="mean square of the accumulated data's mean after 41 fits over its closed form, the farthest from 1 "
        "of a = 1/4, 1/2, 3/4",
        band=(0.94, 1.06),
        target=1,
        reason="6 % about the exact recursion, set before any run; its rate is 2a below one half and 1 above, so "
        "that the three values differ by factors of 3.5 and 2.5. The formula is derived here, since only the "
        "abstract of the source was read",
        runs={f"a = {share:g}": inflow(share) for share in (0.25, 0.5, 0.75)},
        check=_rates,
        chapter="real_share",
        figure="real-share-inflow",
        ends=lambda table: 40,
        definition=(2,),
    ),
    Claim(
        id="MIX-8",
        statement="models that sample at a temperature T below 1 keep a uniform distribution if the share of new "
        "real data exceeds 1 − T, and concentrate on one symbol if it is smaller",
        source="derived, after Marchi et al. 2024, arXiv:2404.02325",
        measured="share of the commonest symbol after 160 generations, less the stationary share of the mean-field "
        "equation, the farthest from 0 of six settings",
        band=(-0.01, 0.01),
        target=0,
        reason="0.01 on either side, set before any run; on the two sides of 1 − T the stationary shares differ by "
        "0.2 or more. The formula is derived here: only the abstract of the source was read, which says that any "
        "temperature degenerates without enough real data, and whether its condition is this one is not known",
        runs={f"{K} symbols, T = {T:g}, {share:.0%} real": fork(K, T, share) for K, T, share in FORKS},
        check=_sides,
        chapter="real_share",
        figure="real-share-fork",
        ends=lambda table: 160,
        definition=(6,),
    ),
    Claim(
        id="MIX-9",
        statement="the distance of a model from the truth is the sum of each generation's own error, discounted by "
        "the square of the synthetic share once per later generation",
        source="Khelifa, Turner & Venkataramanan 2026, arXiv:2602.16601",
        measured="mean χ² distance to the truth over that sum after 21 fits, with 10 % or 30 % real rows, the one "
        "farther from 1",
        band=(0.9, 1.1),
        reason="10 % on either side, set before any run: with each generation's own error measured from the "
        "distribution of its training set, the sum is right to first order, and in these runs a few per cent too "
        "large. A summary of the source was read; the identity is derived here",
        runs={
            f"{share:.0%} real": {
                "family": "discrete",
                "regime": "fresh",
                "n": 400,
                "generations": 20,
                "replicates": 3072,
                "metrics": ["share"],
                "settings": {"family.symbols": 8, "regime.real_fraction": share},
            }
            for share in (0.1, 0.3)
        },
        check=_discounted,
        chapter="real_share",
        figure="real-share-own-errors",
        ends=lambda table: 20,
        definition=(2,),
    ),
)
