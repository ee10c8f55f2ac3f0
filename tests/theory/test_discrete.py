"""The closed forms of the discrete chain against numbers worked out elsewhere, by enumeration, and by each other."""

from __future__ import annotations

from itertools import product
from math import comb

import numpy as np
import pytest
from scipy import stats

from model_collapse import theory

ZIPF = theory.zipf_law(20, 1)


def test_zipf_law():
    np.testing.assert_allclose(theory.zipf_law(3, 1), np.array([6, 3, 2]) / 11)
    np.testing.assert_allclose(theory.zipf_law(4, 0), 0.25)
    assert theory.zipf_law(1, 7) == [1]
    assert theory.zipf_law(10**5, 100)[0] == 1


@pytest.mark.parametrize(
    ("value", "recorded", "tolerance"),
    [
        (theory.expected_heterozygosity(20, 50, ZIPF), 0.58528, 5e-6),
        (theory.loss_probability(5e-4, 1000), 0.606, 5e-4),
        (theory.expected_support(1, ZIPF, 50), 15.08, 5e-3),
        (theory.expected_support(5, ZIPF, 50), 8.69, 5e-3),
        (theory.expected_support(20, ZIPF, 50), 3.91, 5e-3),
        (theory.survival_bounds(1, ZIPF, 50)[0].sum(), 15.01, 5e-3),
        (theory.survival_bounds(5, ZIPF, 50)[0].sum(), 8.51, 5e-3),
        (theory.survival_bounds(20, ZIPF, 50)[0].sum(), 3.61, 5e-3),
        (theory.absorption_time(0.1, 50), 31.18, 5e-3),
        (theory.absorption_time(0.5, 50), 67.5, 5e-2),
        (theory.absorption_time_approximation([0.1, 0.9], 50), 32.5, 5e-2),
        (theory.absorption_time_approximation([0.5, 0.5], 50), 69.3, 5e-2),
        (theory.absorption_time_approximation(np.full(10, 0.1), 50), 94.8, 5e-2),
        (theory.absorption_time_approximation(np.full(50, 0.02), 50), 99.0, 5e-2),
        (theory.stationary_variance(0.3, 50, 0.1, "bernoulli"), 0.0204, 5e-5),
        (theory.stationary_variance(0.3, 50, 1, "bernoulli"), 0.0042, 5e-5),
        (theory.stationary_variance(0.5, 10, 0.1, "fresh"), 0.0893, 5e-5),
        (theory.accumulated_heterozygosity(50, 20, [0.5, 0.5]) * 2, 0.9207, 5e-5),
    ],
)
def test_recorded_values(value, recorded, tolerance):
    assert float(value) == pytest.approx(recorded, rel=0, abs=tolerance)


def test_survival_rate():
    np.testing.assert_allclose(theory.survival_rate([1, 2, 3, 4, 5]), [1, 0.6321, 0.4685, 0.3741, 0.3121], atol=5e-5)
    k = np.array([10, 100, 1000, 100_000])
    g = theory.survival_rate(k)
    assert np.all((1 / k <= g) & (g <= 3 / k)) and g[-1] * k[-1] == pytest.approx(2, rel=1e-3)
    with pytest.raises(ValueError, match="starts at 1"):
        theory.survival_rate(0)


@pytest.mark.parametrize("M", [1, 2, 5, 60])
def test_transition_matrix(M):
    """Rows are binomial distributions with mean x: counts are a martingale; 0 and M are never left."""
    T = theory.transition_matrix(M)
    x = np.arange(M + 1)
    np.testing.assert_allclose(T, stats.binom.pmf(x, M, x[:, None] / M), atol=1e-13)
    np.testing.assert_allclose(T @ x, x, atol=1e-12)
    assert T[0, 0] == 1 and T[M, M] == 1


@pytest.mark.parametrize(("M", "q"), [(1, 0.3), (2, 0.3), (4, 0.1), (5, 0.5)])
def test_three_fits_by_enumerating_all_paths(M, q):
    """Every path of counts (x_1, x_2, x_3) with its probability, in plain Python."""
    alive, both, spread, certain = 0.0, 0.0, 0.0, 0.0
    for path in product(range(M + 1), repeat=3):
        p, chance = q, 1.0
        for x in path:
            chance *= comb(M, x) * p**x * (1 - p) ** (M - x)
            p = x / M
        certain += chance
        alive += chance * (path[-1] > 0)
        both += chance * (0 < path[-1] < M)
        spread += chance * 2 * p * (1 - p)
    assert certain == pytest.approx(1)
    assert theory.survival(3, q, M) == pytest.approx(alive)
    assert theory.both_alive(3, q, M) == pytest.approx(both, abs=1e-15)
    assert theory.expected_heterozygosity(3, M, [q, 1 - q]) == pytest.approx(spread, abs=1e-15)
    assert theory.both_alive(3, q, M) == pytest.approx(
        theory.survival(3, q, M) + theory.survival(3, 1 - q, M) - 1, abs=1e-14
    )


@pytest.mark.parametrize("M", [5, 10, 50, 400])
def test_bounds_hold(M):
    n, q = np.arange(1, 60), np.array([1e-4, 0.01, 0.1, 0.3, 0.5, 0.9])
    exact, slack = theory.survival(n, q, M), 1e-12
    low, high = theory.survival_bounds(n, q, M)
    assert exact.shape == low.shape == (59, 6)
    assert np.all(low <= exact + slack) and np.all(exact <= high + slack)
    both = theory.both_alive(n, q, M)
    low, high = theory.both_alive_bounds(n[:, None], q, M)
    assert np.all(low <= both + slack) and np.all(both <= high + slack)
    published = 2 * M * q * (1 - q) * (1 - 1 / M) ** n[:, None]
    assert np.all(high <= published + slack)


@pytest.mark.parametrize("M", [2, 5, 50])
def test_absorption_time_is_the_sum_of_what_is_not_absorbed(M):
    q = np.array([0.0, 0.02, 0.3, 0.5, 1.0])
    n = np.arange(1, 60 * M)
    # E[T] = sum_(n >= 0) P(T > n); before the first fit both symbols live.
    expected = (q * (1 - q) > 0) + theory.both_alive(n, q, M).sum(axis=0)
    np.testing.assert_allclose(theory.absorption_time(q, M), expected, rtol=1e-9)
    if M == 50:
        approximation = theory.absorption_time_approximation(np.stack([q, 1 - q], axis=-1), M)
        np.testing.assert_allclose(approximation, expected, rtol=0.2)


@pytest.mark.parametrize("M", [1, 2, 5, 30])
def test_fixation_time_of_many_symbols(M):
    """CF-W5 for K symbols: for two it is the absorption time; else the whole chain, simulated."""
    q = np.array([0.02, 0.3, 0.5])
    np.testing.assert_allclose(theory.fixation_time(np.stack([q, 1 - q], axis=-1), M), theory.absorption_time(q, M))
    assert theory.fixation_time([1.0], M) == 0
    n, three = np.arange(1, 40 * M + 2), [0.5, 0.3, 0.2]
    alone = theory.fixed_probability(n, three, M)
    np.testing.assert_allclose(1 + np.sum(1 - alone), theory.fixation_time(three, M), rtol=1e-9)
    np.testing.assert_allclose(1 - theory.fixed_probability(n, [0.3, 0.7], M), theory.both_alive(n, 0.3, M), atol=1e-12)
    shares = theory.zipf_law(4, 1)
    rng, chains = np.random.default_rng(M), 20_000
    counts = rng.multinomial(M, shares, size=chains)
    time, several = np.ones(chains), counts.max(axis=1) < M
    while several.any():
        time += several
        counts[several] = rng.multinomial(M, counts[several] / M)
        several = counts.max(axis=1) < M
    # Four standard errors, four sizes: error rate 3e-4.
    error = max(time.std() / np.sqrt(chains), 1e-12)
    assert abs(time.mean() - float(theory.fixation_time(shares, M))) <= 4 * error
    if M == 30:
        np.testing.assert_allclose(
            theory.fixation_time(shares, M), theory.absorption_time_approximation(shares, M), rtol=0.05
        )


@pytest.mark.parametrize(("M", "shares"), [(3, [1.0]), (4, [0.7, 0.3]), (5, [0.5, 0.3, 0.2])])
def test_variance_within_breeds_by_enumerating_all_paths(M, shares):
    """Three fits: paths of one breed's counts, each with the factors (x - 1) / x that the mle leaves on average."""
    expected = np.zeros(3)
    for n, q in product((1, 2, 3), shares):
        for path in product(range(M + 1), repeat=n):
            p, chance, kept = q, 1.0, 1.0
            for x in path:
                chance *= comb(M, x) * p**x * (1 - p) ** (M - x)
                p, kept = x / M, kept * ((x - 1) / x if x else 0)
            expected[n - 1] += chance * p * kept
    np.testing.assert_allclose(theory.expected_within_variance([1, 2, 3], shares, M), expected)
    np.testing.assert_allclose(theory.expected_within_variance([1, 7], [1.0], M), (1 - 1 / M) ** np.array([1, 7]))


def test_one_row_is_absorbed_at_once():
    assert theory.absorption_time(0.3, 1) == 1 and theory.both_alive(1, 0.3, 1) == pytest.approx(0, abs=1e-15)
    np.testing.assert_allclose(theory.survival([1, 5], 0.3, 1), 0.3)
    assert theory.expected_heterozygosity(1, 1, ZIPF) == 0 and theory.inbreeding(3, 1) == 1


def test_heterozygosity_is_what_inbreeding_leaves():
    n, M = np.arange(1, 300)[:, None], np.array([2, 10, 1000])
    F = theory.inbreeding(n, M)
    np.testing.assert_allclose(F, 1 - (1 - 1 / M) ** n, rtol=1e-12)
    # Two draws share their source row now (1/M), or did so before.
    np.testing.assert_allclose(F[1:], 1 / M + (1 - 1 / M) * F[:-1], rtol=1e-12)
    left = theory.expected_heterozygosity(n, M, ZIPF) / (1 - np.sum(ZIPF**2))
    np.testing.assert_allclose(left, 1 - F, atol=1e-15)


def test_forgetting_time_is_the_poisson_median_and_linear():
    counts = np.array([0.1, 0.7, 1, 3, 10, 100, 1000])
    n = theory.forgetting_time(counts)
    assert n[0] == 1 and np.all(np.diff(n) > 0)
    for count, time in zip(counts[2:], n[2:], strict=True):
        M = 10**9
        assert theory.poisson_survival(int(time), count / M, M) >= 0.5 - 1e-9
        assert theory.poisson_survival(int(time) + 1, count / M, M) <= 0.5
    np.testing.assert_allclose(n[-1] / counts[-1], 2 / np.log(2), rtol=2e-2)
    # And the multinomial chain with the same expected counts, many symbols.
    M = 400
    for count in (1, 2, 5, 10):
        k = theory.forgetting_time(count)
        assert theory.survival(int(np.floor(k)), count / M, M) > 0.49
        assert theory.survival(int(np.ceil(k)), count / M, M) < 0.52


def test_only_real_rows_leave_one_sampling_error():
    """g = 1: Var = q (1 - q) / M in every regime; and the finite set keeps more of its error than new rows do."""
    for regime in ("fresh", "mix", "bernoulli"):
        assert theory.stationary_variance(0.3, 20, 1.0, regime) == pytest.approx(0.21 / 20)
    g = np.linspace(0.05, 0.95, 10)
    assert np.all(theory.stationary_variance(0.3, 20, g, "mix") > theory.stationary_variance(0.3, 20, g, "fresh"))
