"""The checks of MIX-1 and MIX-2 say no where the run or the table is not what is claimed.

Seeded; that the true runs are reproduced is tested with all other claims. Sabotage moves the estimate by many interval
widths, so no test here depends on chance.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from model_collapse.companion.claims import known, runs_of
from model_collapse.companion.claims.real_share import best_weight, drift_by_weight, drift_over_limit, stationary_drift
from model_collapse.engine.execute import execute
from model_collapse.engine.plan import plan
from model_collapse.theory import mixed

MIX_1, MIX_2 = known()["MIX-1"], known()["MIX-2"]


def run(label: str, claim: Any = MIX_1, **changes: Any) -> pd.DataFrame:
    """One arm of a claim with changed arguments; settings are added to its own."""
    arguments = dict(claim.runs[label])
    settings = {**arguments["settings"], **changes.pop("settings", {})}
    return execute(plan(**{**arguments, **changes, "settings": settings, "seed": 4}))[0]


def weighted(weights: tuple[float, ...], **settings: Any) -> dict[str, pd.DataFrame]:
    family = {f"family.{key}": value for key, value in {"variance": "known", **settings}.items()}
    common: Mapping[str, Any] = {"n": 10, "generations": 60, "every": 5, "replicates": 2048, "seed": 4}
    return {
        str(w): execute(plan("gaussian", "weigh", settings={**family, "regime.real_weight": w}, **common))[0]
        for w in weights
    }


@pytest.mark.parametrize(
    "settings",
    [{"family.bias": 1.4}, {"family.estimator": "unbiased"}, {"family.bias": 0.6}],
    ids=["models write too wide", "wrong estimator", "models write too narrow"],
)
def test_drift_that_is_not_bounded_as_claimed(settings):
    """The closed form is that of unbiased sampling and of the mle."""
    tables = {"sabotaged": run("gaussian, M = 10, 10 %", settings=settings, replicates=2048)}
    assert not MIX_1.judge(tables).holds


def test_the_approximate_form_fails_at_ten_rows():
    """5.26 / M, for a known variance, is no limit of a chain that fits its variance: 3.57 / M is."""
    table = run("gaussian, M = 10, 10 %", replicates=2048)
    assert drift_over_limit(table, 0.9999).low > 0.9
    args = {**json.loads(str(table["family_args"].iloc[0])), "variance": "known"}
    wrong = drift_over_limit(table.assign(family_args=json.dumps(args)), 0.9999)
    assert wrong.high < 0.8 and wrong.value == pytest.approx(3.571 / 5.263, abs=0.05)


@pytest.mark.parametrize("regime", ["fresh", "mix"])
def test_the_discrete_chain_under_another_distribution_or_regime(regime):
    """A table of `fresh` read as one of `mix`, or the other way round, is off by 1 + 2 g (1 - g)."""
    arguments = {"regime": regime, "n": 20, "generations": 200, "every": 5, "replicates": 1024}
    settings = {"regime.real_fraction": 0.3} | ({"family.sampling": "draw"} if regime == "mix" else {})
    table = run("discrete, M = 10, 10 %", settings=settings, **arguments)
    right = drift_over_limit(table, 0.9999)
    assert right.low < 1 < right.high and right.high - right.low < 0.1
    other = drift_over_limit(table.assign(regime={"fresh": "mix", "mix": "fresh"}[regime]), 0.9999)
    assert abs(other.value - 1) > 0.2 and not other.low < 1 < other.high
    args = {**json.loads(str(table["family_args"].iloc[0])), "zipf": 0}
    assert drift_over_limit(table.assign(family_args=json.dumps(args)), 0.9999).low > 1.05


def test_a_fixed_set_drifts_with_its_real_mean():
    """(3 - 2 g) / (T D): 10 real rows beside 40 synthetic ones, against the same closed form in other letters."""
    arguments = {"n": 10, "generations": 200, "every": 10, "replicates": 2048, "metrics": ["mean"], "seed": 4}
    table, _ = execute(plan("gaussian", "fixed", settings={"regime.synthetic": 4}, **arguments))
    _, limit = stationary_drift(table)
    g, T = 0.2, 50
    assert limit == pytest.approx((3 - 2 * g) / (T * (1 - (1 - g) ** 2 + (1 - g) / T)))
    found = drift_over_limit(table, 0.9999)
    assert found.low < 1 < found.high and found.high - found.low < 0.25


def test_a_run_that_stops_before_the_plateau_has_no_verdict():
    table = run("gaussian, M = 10, 10 %", generations=8, every=1, replicates=512)
    assert np.isnan(drift_over_limit(table, 0.9999).low)
    assert not MIX_1.judge({"short": table}).holds


def test_one_arm_that_is_off_decides():
    tables = {label: execute(planned)[0] for label, planned in runs_of(MIX_1, 4).items() if "discrete" in label}
    assert MIX_1.judge(tables).holds
    tables["worse"] = run("gaussian, M = 10, 10 %", settings={"family.bias": 1.4}, replicates=1024)
    assert not MIX_1.judge(tables).holds


def test_another_best_weight_is_seen():
    """Models that write twice as wide a distribution weigh less: (w^2 + 2 (1-w)^2) / (1 - (1-w)^2) is least at 0.73."""
    wide = best_weight(weighted((0.55, 0.65, 0.75, 0.85, 0.95), bias=2.0))
    assert wide.low < 0.732 < wide.high and wide.low > 0.66
    swapped = {
        label: table.assign(regime_args=json.dumps({"real_weight": 1 - float(label)}))
        for label, table in weighted((0.45, 0.55, 0.65, 0.75)).items()
    }
    assert not MIX_2.judge(swapped).holds


def test_weights_on_one_side_of_the_minimum_have_no_verdict():
    estimate = best_weight(weighted((0.75, 0.8, 0.9, 1.0)))
    assert np.isnan(estimate.low) and estimate.value == 0.75


def test_a_weight_without_effect_has_no_best():
    arms = weighted((0.45, 0.55, 0.65, 0.75, 0.85))
    assert not MIX_2.judge({label: table.assign(value=0.3) for label, table in arms.items()}).holds
    like = arms["0.45"]["value"].to_numpy()
    assert not MIX_2.judge({label: table.assign(value=like) for label, table in arms.items()}).holds


def test_the_interval_is_that_of_resampled_chains():
    """Against the plain bootstrap over chains, all weights of a chain together."""
    tables = weighted((0.45, 0.55, 0.65, 0.75, 0.85))
    estimate, drift = best_weight(tables), drift_by_weight(tables)
    limits = 10 * mixed.weigh_drift_limit(10, drift.columns.to_numpy(float))
    np.testing.assert_allclose(drift.mean(), limits, rtol=0.05)
    rng, found = np.random.default_rng(1), []
    for _ in range(400):
        again = drift.to_numpy()[rng.integers(0, len(drift), len(drift))].mean(axis=0)
        turning = np.roots(np.polyder(np.polyfit(drift.columns, again, 3)))
        found.append(turning[np.argmin(abs(turning - 0.62))].real)
    half = (estimate.high - estimate.low) / 2
    # A standard deviation of 400 values is known within 4 % or so.
    assert half / t.ppf((1 + estimate.level) / 2, len(drift) - 1) == pytest.approx(np.std(found), rel=0.2)
    assert np.mean(found) == pytest.approx(estimate.value, abs=half / 4)
