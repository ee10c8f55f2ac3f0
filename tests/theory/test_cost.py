"""Prices against plain simulations, and against the exact forms that they come from.

Error rate: seeded; every comparison with a simulation is two-sided at 1e-3 / COMPARISONS (Bonferroni).
"""

from __future__ import annotations

import numpy as np
import pytest
from toy_comparisons import Comparisons

from model_collapse import theory
from model_collapse.theory import cost, mixed, real_share, regression, scaling

COMPARISONS = 30
within = Comparisons(COMPARISONS).within


def chain(n: int, rows: int, regime: str, g: float, rng: np.random.Generator, chains: int) -> np.ndarray:
    """Squared error of the mean after n fits to rows of unit variance, written out row by row: (chains,)."""
    real = rng.normal(size=(chains, rows))
    pool, mean, k = real, real.mean(axis=1), round(g * rows)
    for _ in range(n - 1):
        wrote = mean[:, None] + rng.normal(size=(chains, rows))
        if regime in ("accumulate", "subsample"):
            pool = np.concatenate([pool, wrote], axis=1)
            read = pool if regime == "accumulate" else rng.permuted(pool, axis=1)[:, :rows]
        else:
            again = rng.permuted(real, axis=1)[:, :k] if regime == "mix" else rng.normal(size=(chains, k))
            read = np.concatenate([again, wrote[:, : rows - k]], axis=1)
        mean = read.mean(axis=1)
    return mean**2


@pytest.mark.parametrize(
    ("regime", "g"), [("replace", 0), ("accumulate", 0), ("subsample", 0), ("mix", 0.2), ("fresh", 0.2), ("fresh", 0.5)]
)
@pytest.mark.parametrize("n", [2, 5])
def test_the_price_buys_the_error_of_one_real_fit(regime, g, n):
    """r_n times 40 rows: the error after n fits is 1/40. Rounding to whole rows moves it by 1 % at most."""
    rng, price = np.random.default_rng(n), float(cost.row_price(n, regime, g))
    rows = round(price * 40 / 10) * 10
    slack = abs(rows - 40 * price) / rows / 40 + (0.01 / 40 if regime == "subsample" else 0)
    within(f"{regime} {g} {n}", chain(n, rows, regime, g, rng, 6000), 1 / 40, slack=slack)


def test_prices_of_real_shares_are_those_of_the_recursion():
    n = np.arange(1, 40)
    for g in (0.05, 0.1, 0.5, 1.0):
        for regime, moments in (("mix", mixed.mix_moments), ("fresh", mixed.fresh_moments)):
            exact = 100 * moments(n, 100, g, variance="known")[0]
            assert cost.row_price(n, regime, g) == pytest.approx(exact, rel=1e-12)
    assert cost.row_price(n, "mix", 0.0) == pytest.approx(n)
    # The negative control: real rows only cost what they cost.
    assert cost.row_price(n, "mix", 1.0) == pytest.approx(1) == cost.row_price(n, "fresh", 1.0)


@pytest.mark.parametrize("regime", ["replace", "accumulate"])
def test_rows_of_regression_have_the_error_of_one_fit(regime):
    n, T, d = np.array([1, 2, 10]), 200, 10
    errors = {"replace": regression.replaced_error, "accumulate": regression.accumulated_error}[regime]
    for fits, rows in zip(n, cost.regression_rows(n, T, d, regime), strict=True):
        # The closed form is one of real numbers, so that no row has to be rounded.
        assert errors(fits, rows, d) == pytest.approx(float(regression.first_error(T, d)), rel=1e-12)


@pytest.mark.parametrize(("g", "n"), [(0.1, 3), (0.1, 10), (0.3, 6), (0.02, 20)])
def test_the_price_of_a_tail_is_that_of_the_exact_chain(g, n):
    """A rare symbol, 2000 rows: its exact presence is that of one fit to M / r_n real rows, within 2 %."""
    M, q = 2000, 3e-4
    present = float(real_share.presence(n, q, M, real_share.fresh_schedule(M, g)))
    paid = float(cost.tail_price(n, "fresh", g))
    assert present == pytest.approx(1 - np.exp(-M * q / paid), rel=0.02)
    assert 1 < paid < float(scaling.token_price(n))


def test_tails_under_replace_accumulate_and_real_data_only():
    n = np.arange(1, 30)
    assert cost.tail_price(n, "replace") == pytest.approx(scaling.token_price(n))
    assert cost.tail_price(n, "fresh", 0.0) == pytest.approx(cost.tail_price(n, "replace"))
    assert np.all(cost.tail_price(n, "accumulate") == 1)
    assert cost.tail_price(n, "fresh", 1.0) == pytest.approx(1)


def test_the_price_of_a_tail_buys_the_lost_mass_of_one_real_fit():
    """Plain multinomial chains of r_8 times 500 rows under replace and fresh: the lost mass of 500 real rows."""
    rng, p, n, g = np.random.default_rng(1), theory.zipf_law(20_000, 1.5), 8, 0.1
    expected = float(scaling.expected_loss(500, p))
    for regime in ("replace", "fresh"):
        rows = round(500 * float(cost.tail_price(n, regime, g)))
        k = round(g * rows) if regime == "fresh" else 0
        lost = []
        for _ in range(300):
            counts = rng.multinomial(rows, p)
            for _ in range(n - 1):
                counts = rng.multinomial(k, p) + rng.multinomial(rows - k, counts / rows)
            lost.append(p[counts == 0].sum())
        # The approximation counts as lost what has taken over; 1 % at these sizes.
        within(f"tail {regime}", np.array(lost), expected, slack=0.01 * expected)


def test_rows_are_counted_as_they_are_read_and_written():
    """By hand: three fits with 10 rows."""
    assert cost.spent(3, "replace", 10) == {"read": 30, "written": 20, "real": 10}
    assert cost.spent(3, "accumulate", 10) == {"read": 60, "written": 20, "real": 10}
    assert cost.spent(3, "subsample", 10) == {"read": 30, "written": 20, "real": 10}
    assert cost.spent(3, "mix", 10, 0.2) == {"read": 30, "written": 20, "real": 10}
    assert cost.spent(3, "fresh", 10, 0.2) == {"read": 30, "written": 16, "real": 14}
