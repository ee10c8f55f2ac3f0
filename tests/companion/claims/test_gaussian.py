"""Each check on the Gaussian chain refuses what is not so, and takes a chapter's tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from model_collapse.companion.claims import LEVEL, known, runs_of
from model_collapse.engine.execute import execute
from model_collapse.engine.plan import plan

KNOWN = known()


def run(regime: str = "replace", *, n: int = 20, fits: int = 40, chains: int = 4096, every: int = 1, **settings: Any):
    """The table of a run; `settings` are those of the family, power the regime's."""
    named = {f"{'regime' if key == 'power' else 'family'}.{key}": value for key, value in settings.items()}
    planned = plan(
        "gaussian", regime, n=n, generations=fits - 1, every=every, replicates=chains, seed=5, settings=named
    )
    return execute(planned, jobs=1)[0]


SABOTAGED = {
    "GA-1, data accumulate": ("GA-1", lambda: {"a": run("accumulate")}),
    "GA-1, variance known": ("GA-1", lambda: {"a": run(variance="known")}),
    "GA-1, sampling too wide": ("GA-1", lambda: {"a": run(bias=1.02, fits=100, every=99)}),
    "GA-1, one table of two": (
        "GA-1",
        lambda: {"a": run(fits=100, every=99), "b": run("accumulate", fits=100, every=99)},
    ),
    "GA-2, maximum likelihood": ("GA-2", lambda: {"a": run(estimator="mle", n=100, fits=50, every=24, chains=16384)}),
    "GA-2, data accumulate": ("GA-2", lambda: {"a": run("accumulate", estimator="unbiased")}),
    "GA-2, noise": ("GA-2", lambda: {"a": run(estimator="unbiased", noise=0.1)}),
    "GA-3, variance known": ("GA-3", lambda: {"a": run(variance="known", n=100)}),
    "GA-3, two peaks": ("GA-3", lambda: {"a": run(truth="bimodal", n=100)}),
    "GA-4, data accumulate": ("GA-4", lambda: {"a": run("accumulate", estimator="unbiased")}),
    "GA-4, beyond the bound": ("GA-4", lambda: {"a": run(noise=0.5)}),
    "GA-5, both constant": ("GA-5", lambda: dict.fromkeys(("growing", "constant"), run(estimator="unbiased", n=100))),
    "GA-5, growing too slowly": (
        "GA-5",
        lambda: {"growing": run("grow", power=0.5, n=100), "constant": run(estimator="unbiased", n=100)},
    ),
    "GA-5, nothing grows": ("GA-5", lambda: dict.fromkeys(("growing", "constant"), run("accumulate", n=100))),
    "GA-6, data accumulate": ("GA-6", lambda: {M: run("accumulate", n=M, fits=M, every=M // 10) for M in (10, 100)}),
    "GA-6, one rate for all sizes": (
        "GA-6",
        lambda: {
            M: run(n=20, fits=30).assign(n_train=M)  # the same chain under three names
            for M in (10, 100, 1000)
        },
    ),
    "GA-7, few rows": ("GA-7", lambda: {"a": run(truth="bimodal", n=100, fits=11, chains=256)}),
    "GA-7, noise": ("GA-7", lambda: {"a": run(truth="bimodal", n=10**6, noise=0.05, fits=11, chains=128)}),
    "GA-7, nothing to express": ("GA-7", lambda: {"a": run(n=10**6, fits=11, chains=128)}),
    "ACC-2, data replaced": ("ACC-2", lambda: {"a": run(n=100, fits=100, every=99)}),
    "ACC-2, sampling too narrow": ("ACC-2", lambda: {"a": run("accumulate", n=100, fits=20, bias=0.97)}),
}


@pytest.mark.parametrize("name", SABOTAGED)
def test_what_is_not_so_is_not_reproduced(name: str):
    claim, tables = SABOTAGED[name]
    verdict = KNOWN[claim].judge(tables())
    assert not verdict.holds, str(verdict)
    assert verdict.outcome in ("contradicted", "undecided") and f": {verdict.outcome} (" in str(verdict)


def test_every_check_is_sabotaged():
    mine = {
        name for name, claim in KNOWN.items() if claim.check.__module__ == "model_collapse.companion.claims.gaussian"
    }
    assert {claim for claim, _ in SABOTAGED.values()} == mine


def test_too_few_chains_give_no_verdict():
    """Two chains have no such interval; nothing is reproduced then, and nothing raises."""
    tables = {"growing": run("grow", n=100, chains=2), "constant": run(estimator="unbiased", n=100, chains=2)}
    for name in ("GA-1", "GA-2", "GA-3", "GA-4", "GA-5", "GA-6", "ACC-2"):
        assert not KNOWN[name].judge(tables).holds, name


@pytest.mark.parametrize("name", ["GA-1", "GA-2", "GA-3", "GA-4", "GA-6", "ACC-2"])
def test_a_chapters_tables_can_be_asked(name: str):
    """Other sizes and more generations than in the official runs; both estimators where that is asked."""
    regime = "accumulate" if name == "ACC-2" else "replace"
    estimators = {"GA-4": ("mle", "unbiased"), "GA-2": ("unbiased",), "GA-3": ("unbiased",)}.get(name, ("mle",))
    tables = {
        (e, M): run(regime, n=M, fits=2 * M, every=max(M // 20, 1), chains=1024, estimator=e)
        for e in estimators
        for M in (20, 80)
    }
    estimate = KNOWN[name].judge(tables).estimate
    assert estimate.level >= LEVEL and estimate.low <= estimate.high
    # Means that the claim says are near 1 are, within what a thousand chains tell.
    assert estimate.low < (2 if name == "GA-4" else 1.05) and estimate.high > 0.95


def test_the_crossing_is_interpolated():
    """A straight log-variance -2 n / M crosses ln(1/4) at M ln 2, between the generations that are noted."""
    tables = {}
    for M in (10, 1000):
        n = np.arange(1, 101) * M // 50 + 1
        rows = [(r, k - 1, M, "log_det", "", -2 * k / M) for k in np.union1d(1, n) for r in range(50)]
        columns = ["replicate", "generation", "n_train", "metric", "item", "value"]
        tables[M] = pd.DataFrame(rows, columns=columns)
    estimate = KNOWN["GA-6"].check(tables, LEVEL)
    assert estimate.value == pytest.approx(1, abs=1e-9) and estimate.low == pytest.approx(estimate.high)


def test_the_official_runs_have_seeds_from_outside_only():
    for name in ("GA-1", "ACC-2"):
        assert {planned.seed for planned in runs_of(KNOWN[name], 9).values()} == {9}
