"""Temperature and real rows: the fork by mean field, by its equation for two symbols, and by chains in plain numpy."""

from __future__ import annotations

import numpy as np
import pytest

from model_collapse.families.discrete import Categorical, Discrete
from model_collapse.theory import temperature


@pytest.mark.parametrize("symbols", [2, 3, 7])
@pytest.mark.parametrize("T", [0.3, 0.5, 0.8])
def test_the_uniform_distribution_holds_above_the_fork_only(symbols, T):
    edge = float(temperature.fork(T))
    assert edge == pytest.approx(1 - T)
    np.testing.assert_allclose(temperature.resting(symbols, T, edge + 0.02), 1 / symbols, atol=1e-9)
    below = temperature.resting(symbols, T, edge - 0.02)
    assert below[0] > 1 / symbols + 0.05 and np.ptp(below[1:]) < 1e-12
    # At rest: the map, written out here.
    sharp = below ** (1 / T) / np.sum(below ** (1 / T))
    np.testing.assert_allclose((edge - 0.02) / symbols + (1 - edge + 0.02) * sharp, below, atol=1e-10)


def test_hot_models_need_no_real_rows():
    assert temperature.fork([1.0, 1.7]).tolist() == [0, 0]
    np.testing.assert_allclose(temperature.resting(4, 1.3, 0.0), 0.25, atol=1e-9)
    np.testing.assert_allclose(temperature.resting(3, 0.7, 0.0), [1, 0, 0], atol=1e-9)


@pytest.mark.parametrize(("T", "a"), [(0.5, 0.3), (0.8, 0.1), (0.9, 0.05)])
def test_two_symbols_are_a_magnet(T, a):
    m = 2 * temperature.resting(2, T, a)[0] - 1
    assert m == pytest.approx((1 - a) * np.tanh(np.arctanh(m) / T), abs=1e-9) and m > 0.1


def test_small_differences_grow_by_the_closed_form():
    q = np.full(5, 0.2)
    tilt = 1e-7 * np.array([2.0, -1, 0, 1, -2])
    after = temperature.written(q + tilt, 0.6, 0.3, q)
    # First order: what is left out is of the size tilt^2 / q.
    np.testing.assert_allclose(after - q, float(temperature.growth(0.6, 0.3)) * tilt, rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize(("T", "a"), [(0.5, 0.4), (0.5, 0.6), (0.8, 0.1), (0.8, 0.3)])
def test_the_fork_against_chains_of_numpy(T, a):
    """40 chains of 20,000 rows. Above the fork the largest share is that of noise, five standard deviations at most."""
    rng, K, M = np.random.default_rng(1), 3, 20_000
    q = np.full(K, 1 / K)
    p = rng.multinomial(M, q, 40) / M
    for _ in range(150):
        sharp = p ** (1 / T)
        sharp /= sharp.sum(axis=1, keepdims=True)
        p = (rng.multinomial(round(a * M), q, 40) + rng.multinomial(M - round(a * M), sharp)) / M
    expected = temperature.resting(K, T, a)[0]
    noise = np.sqrt(1 / K * (1 - 1 / K) / M / (1 - min(float(temperature.growth(T, a)), 0.9) ** 2))
    assert np.all(np.abs(p.max(axis=1) - expected) < 5 * noise)


def test_a_model_of_symbols_writes_at_its_temperature():
    """Family `discrete`: 200,000 rows of shares ~ p^(1/T), z below 5 in every symbol; a lost symbol stays lost."""
    p = np.array([[0.6, 0.3, 0.1, 0.0]])
    model = Categorical(np.arange(4)[None], p, 4)
    for T in (0.5, 1.0, 2.0):
        wrote = Discrete(symbols=4, temperature=T).sample(model, 200_000, np.random.default_rng(2))
        sharp = p[0, :3] ** (1 / T)
        sharp /= sharp.sum()
        found = np.zeros(4)
        found[wrote.symbol[0]] = wrote.value[0] / 200_000
        assert found[3] == 0
        assert np.all(np.abs(found[:3] - sharp) < 5 * np.sqrt(sharp * (1 - sharp) / 200_000))
