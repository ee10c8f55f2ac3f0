"""Scaling laws: exact sums against enumeration and simulation, power laws against the sums over their stated range.

Error rate: seeded; every comparison with a simulation is two-sided at 1e-3 / COMPARISONS (Bonferroni).
"""

from __future__ import annotations

from itertools import product
from math import comb

import numpy as np
import pytest
from toy_comparisons import Comparisons

from model_collapse import theory
from model_collapse.theory import scaling

COMPARISONS = 100
compare = Comparisons(COMPARISONS)
within = compare.within


def lost(counts: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Lost mass of chains with these counts (R, K)."""
    return (counts == 0) @ p


# Exact sums --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("symbols", "beta", "T"), [(3, 1.0, 5), (20, 1.5, 10), (200, 2.0, 100), (1000, 1.5, 2000)])
def test_expected_loss_and_its_recursion_follow_simulation(symbols, beta, T):
    """CF-T1 for one fit, CF-T4 for 1, 3 and T fits (at most 30): plain multinomial chains."""
    rng, p = np.random.default_rng(symbols), theory.zipf_law(symbols, beta)
    last = min(T, 30)
    exact = scaling.recursive_loss(np.arange(1, last + 1), T, p)
    assert exact[0] == pytest.approx(float(scaling.expected_loss(T, p)), rel=1e-9)
    counts = rng.multinomial(T, p, size=4000)
    for n in range(1, last + 1):
        if n in (1, 3, last):
            within(f"recursive loss n={n}", lost(counts, p), exact[n - 1])
        counts = rng.multinomial(T, counts / T)
    assert np.all(np.diff(exact) > 0)


@pytest.mark.parametrize(
    ("symbols", "k", "T", "real"), [(5, 2, 6, 0), (5, 2, 6, 2), (50, 10, 30, 3), (300, 20, 400, 40)]
)
def test_a_cut_tail_and_a_share_of_clean_data_follow_simulation(symbols, k, T, real):
    """CF-T2 (real = 0) and TT-4."""
    rng, p = np.random.default_rng(k), theory.zipf_law(symbols, 1.5)
    cut = np.where(np.arange(symbols) < k, p, 0)
    counts = rng.multinomial(T - real, cut / cut.sum(), size=6000) + rng.multinomial(real, p, size=6000)
    within("clean share", lost(counts, p), float(scaling.clean_share_loss(T, real, k, p)))
    if real == 0:
        assert scaling.cut_loss(T, k, p) == scaling.clean_share_loss(T, 0, k, p)


@pytest.mark.parametrize(("symbols", "T0", "T", "n"), [(4, 5, 20, 1), (30, 10, 10, 2), (100, 50, 500, 3)])
def test_a_learner_of_a_finite_sample_follows_simulation(symbols, T0, T, n):
    """CF-T3 and the way down to the floor."""
    rng, p = np.random.default_rng(T), theory.zipf_law(symbols, 1.5)
    counts = rng.multinomial(T0, p, size=6000)
    for _ in range(n - 1):
        counts = rng.multinomial(T0, counts / T0)
    learned = rng.multinomial(T, counts / T0)
    within("learner", lost(learned, p), float(scaling.learner_loss(T, n, T0, p)))
    assert scaling.learner_loss(T0, n, T0, p) == pytest.approx(float(scaling.recursive_loss(n + 1, T0, p)))
    assert scaling.learner_loss(10**7, n, T0, p) == pytest.approx(float(scaling.recursive_loss(n, T0, p)), rel=1e-5)


def test_two_fits_by_enumeration():
    """All counts of one symbol in two fits of five rows, in plain Python."""
    M, p = 5, [0.6, 0.3, 0.1]
    expected = 0.0
    for q in p:
        for x, y in product(range(M + 1), repeat=2):
            first = comb(M, x) * q**x * (1 - q) ** (M - x)
            expected += q * first * comb(M, y) * (x / M) ** y * (1 - x / M) ** (M - y) * (y == 0)
    assert scaling.recursive_loss(2, M, p) == pytest.approx(expected)
    assert scaling.expected_loss([0, 1], p) == pytest.approx([1, 1 - 0.46])
    np.testing.assert_allclose(scaling.tail_mass([0, 1, 2, 3, 9], p), [1, 0.4, 0.1, 0, 0], atol=1e-15)


# Power laws --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("beta", "symbols"), [(1.2, 10**5), (1.5, 10**6), (1.5, 1000), (2.0, 10**5), (3.0, 10**4)])
def test_power_laws_hold_where_they_say(beta, symbols):
    p = theory.zipf_law(symbols, beta)
    for aT, tolerance in ((10, 0.025), (50, 0.01), (1000, 0.002)):
        T = np.ceil(np.array([1, 3]) * aT / p[0])
        np.testing.assert_allclose(
            scaling.expected_loss_power_law(T, symbols, beta), scaling.expected_loss(T, p), rtol=tolerance
        )
    if beta <= 2:
        k = np.array([3, 10, 100])
        np.testing.assert_allclose(scaling.tail_mass_power_law(k, symbols, beta), scaling.tail_mass(k, p), rtol=0.01)


@pytest.mark.parametrize(("beta", "recorded"), [(1.5, -0.336), (2.0, -0.499)])
def test_slopes(beta, recorded):
    """Exponents of CF-T1 as recorded, and of the pure power laws of CF-T1, CF-T2 and CF-T3."""
    T = np.array([100, 1000, 10_000])
    exact = scaling.expected_loss(T, theory.zipf_law(10**6 if beta == 1.5 else 10**5, beta))
    assert np.polyfit(np.log(T), np.log(exact), 1)[0] == pytest.approx(recorded, abs=6e-4)
    pure = scaling.expected_loss_power_law(T, np.inf, beta)
    assert np.diff(np.log(pure)) / np.log(10) == pytest.approx(-scaling.loss_exponent(beta))
    tail = scaling.tail_mass_power_law(np.array([10**4, 10**6]), np.inf, beta)
    assert np.diff(np.log(tail))[0] / np.log(100) == pytest.approx(1 - beta, abs=1e-4)
    cut = scaling.equivalent_cut_power_law(T, np.inf, beta) + 0.5
    assert np.diff(np.log(cut)) / np.log(10) == pytest.approx(1 / beta)


@pytest.mark.parametrize("beta", [1.5, 2.0, 3.0])
def test_a_finite_sample_is_a_cut(beta):
    """CF-T3: the cut at the equivalent rank loses what the sample loses, and the power law is near it."""
    p = theory.zipf_law(10**6, beta)
    T0 = np.ceil(np.array([50, 500, 5000]) / p[0])
    k = scaling.equivalent_cut(T0, p)
    low, high = (scaling.tail_mass(edge.astype(int), p) for edge in (np.floor(k), np.ceil(k)))
    loss = scaling.expected_loss(T0, p)
    assert np.all((high <= loss) & (loss <= low))
    np.testing.assert_allclose(scaling.equivalent_cut_power_law(T0, 10**6, beta), k, rtol=0.01)


@pytest.mark.parametrize(("T0", "beta"), [(5, 1.5), (10, 2.0), (200, 1.5), (1000, 2.0)])
def test_the_bound_on_the_recursive_loss(T0, beta):
    """CF-T4: above the exact sum always, by less than 1 % while n < T0 / 20; exact for Poisson counts."""
    p = theory.zipf_law(2000, beta)
    n = np.array([1, 2, 5, 10, 40])
    exact, bound = scaling.recursive_loss(n, T0, p), scaling.recursive_loss_bound(n, T0, p)
    assert np.all(bound >= exact)
    early = n < T0 / 20
    np.testing.assert_allclose(bound[early], exact[early], rtol=0.01)
    np.testing.assert_allclose(bound, p @ (1 - theory.poisson_survival(n, p, T0)).T)
    rng = np.random.default_rng(T0)
    counts = rng.poisson(T0 * p, (3000, 2000))
    for _ in range(4):
        counts = rng.poisson(counts)
    within("Poisson loss", lost(counts, p), float(bound[2]))


def test_the_price_of_tokens():
    """1 / g_n times the rows give the same loss after n fits, exactly so for the bound; n/2 + ln(n)/6 + 0.4."""
    n = np.array([1, 2, 5, 10, 40, 1000])
    price = scaling.token_price(n)
    np.testing.assert_allclose(price[:3], [1, 1.5820, 3.2043], atol=1e-4)
    np.testing.assert_allclose(price[2:], n[2:] / 2 + np.log(n[2:]) / 6 + 0.4, rtol=0.02)
    p = theory.zipf_law(5000, 1.5)
    for fits, factor in zip(n, price, strict=True):
        bought = scaling.recursive_loss_bound(int(fits), 300 * factor, p)
        assert bought == pytest.approx(float(scaling.recursive_loss_bound(1, 300, p)))
    # And the exact chains, by interpolation, at five fits.
    exact = float(scaling.recursive_loss(5, 960, p))
    assert exact == pytest.approx(float(scaling.expected_loss(960 / price[2], p)), rel=0.01)


def test_clean_data_bring_the_power_law_back():
    """No plateau for pi > 0: for pi T p_k >> 1 the error is that of the real rows alone; without them it stays."""
    p, k, T = theory.zipf_law(10**4, 1.5), 20, 100_000
    plateau = scaling.tail_mass(k, p)
    assert scaling.cut_loss(T, k, p) == pytest.approx(float(plateau))
    mixed = scaling.clean_share_loss(T, T // 10, k, p)
    assert mixed < plateau / 3 and mixed == pytest.approx(float(scaling.expected_loss(T // 10, p)), rel=1e-6)
    np.testing.assert_allclose(
        scaling.clean_share_loss([100, 1000], [100, 1000], k, p), scaling.expected_loss([100, 1000], p)
    )
