"""Best weights, pools with an inflow, discounted errors and luck, against chains in plain numpy that share no code.

Error rate: all seeded. Every comparison with a simulation is two-sided at level 1e-3 / COMPARISONS, so that a correct
program fails this file with probability at most 1e-3 (Bonferroni) for a freshly chosen seed.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from toy_comparisons import Comparisons

from model_collapse import streams, theory
from model_collapse.data import Data
from model_collapse.errors import InputError
from model_collapse.families.gaussian import Gaussian
from model_collapse.interfaces import History
from model_collapse.loop import generations
from model_collapse.regimes.inflow import Inflow
from model_collapse.regimes.weigh import Weigh
from model_collapse.theory import mixed

COMPARISONS = 200
compare = Comparisons(COMPARISONS)


# The best weight of real rows --------------------------------------------------------------------------------------


def test_the_curve_of_best_weights_goes_through_known_points():
    np.testing.assert_allclose(
        mixed.best_real_weight([0.125, 0.5, 1, 2]), [0.29654, 0.5, mixed.GOLDEN, 0.73205], atol=1e-5
    )
    assert mixed.best_real_weight(1e12) == pytest.approx(1) and mixed.best_real_weight(1e-12) == pytest.approx(1e-6)


@pytest.mark.parametrize("ratio", [0.05, 0.5, 1, 3, 40])
def test_no_other_weight_has_a_smaller_drift(ratio):
    """On a grid; and what is left at the best weight is that weight, in errors of a fit to the real rows alone."""
    w = np.linspace(0.001, 1, 5000)
    drift = mixed.weigh_drift_limit(20, w, ratio=ratio)
    best = float(mixed.best_real_weight(ratio))
    assert w[drift.argmin()] == pytest.approx(best, abs=2e-4)
    assert mixed.weigh_drift_limit(20, best, ratio=ratio) == pytest.approx(best / (20 * ratio))


@pytest.mark.parametrize("ratio", [0.25, 1, 2])
def test_weights_at_any_ratio_against_a_simulation(ratio):
    rng, M, w, chains = np.random.default_rng(1), 8, 0.4, 20_000
    real, mean = round(ratio * M), rng.normal(0, 8**-0.5, 20_000)
    for _ in range(5):
        mean = w * rng.normal(0, real**-0.5, chains) + (1 - w) * rng.normal(mean, M**-0.5)
    V, S = mixed.weigh_moments(6, M, w, ratio=ratio, variance="known")
    compare.within(f"ratio {ratio}", mean**2, float(V))
    assert S == 1
    limit, _ = mixed.weigh_moments(400, M, w, ratio=ratio, variance="known")
    assert limit == pytest.approx(float(mixed.weigh_drift_limit(M, w, ratio=ratio)))


# Pools with an inflow of real rows ---------------------------------------------------------------------------------


@pytest.mark.parametrize("a", [0, 0.25, 0.5, 0.75])
@pytest.mark.parametrize("variance", ["known", "estimated"])
def test_a_pool_with_an_inflow_against_a_simulation(a, variance):
    """Every row is drawn; the pool's mean and variance are those of numpy."""
    rng, M, chains, fits = np.random.default_rng(2), 4, 8_000, 8
    pool = rng.standard_normal((M, chains))
    for n in range(1, fits + 1):
        V, S = mixed.inflow_moments(n, M, a, variance=variance)
        compare.within(f"drift a={a} {variance} n={n}", pool.mean(axis=0) ** 2, float(V))
        if variance == "estimated":
            compare.within(f"variance a={a} n={n}", pool.var(axis=0), float(S))
        sd = 1 if variance == "known" else pool.std(axis=0)
        real = round(a * M)
        written = pool.mean(axis=0) + sd * rng.standard_normal((M - real, chains))
        pool = np.concatenate([pool, rng.standard_normal((real, chains)), written])


def test_rows_added_singly_have_the_recursion_of_a_polya_urn():
    """Rows drawn from the pool itself, each real with probability a: E S^2' = E S^2 (1 + 2 (1 - a) / t) + 1."""
    rng, chains, a, start, end = np.random.default_rng(3), 20_000, 0.25, 2, 24
    pool = np.zeros((end, chains))
    pool[:start] = rng.standard_normal((start, chains))
    square = float(start)
    for t in range(start, end):
        drawn = pool[rng.integers(0, t, chains), np.arange(chains)]
        pool[t] = np.where(rng.random(chains) < a, rng.standard_normal(chains), drawn)
        square = square * (1 + 2 * (1 - a) / t) + 1
    compare.within("urn", pool.sum(axis=0) ** 2, square)


def test_the_rate_changes_at_one_half():
    n = np.array([10_000, 40_000])
    for a in (0.1, 0.25, 0.4, 0.75, 0.9):
        V, _ = mixed.inflow_moments(n, 20, a, variance="known")
        slope = -np.log(V[1] / V[0]) / np.log(4)
        # Below one half what is added, ~ 1/n, is no small part of V_n yet.
        assert slope == pytest.approx(float(mixed.inflow_rate(a)), abs=0.06), a
        if a > 0.5:
            np.testing.assert_allclose(20 * n * V, 1 / (2 * a - 1), rtol=0.01)
    V, _ = mixed.inflow_moments(n, 20, 0.5, variance="known")
    assert np.diff(20 * n * V)[0] == pytest.approx(np.log(4), rel=1e-3), "like ln n / n"


def test_an_inflow_keeps_its_real_rows_and_adds_n_rows_each_time():
    """The regime in the loop: real rows of earlier generations stay the same rows, and the share of real ones is a."""
    stream, n = streams.stream(4), 8
    family = Gaussian(sampling="draw")
    source = family.source(n, stream(-1, streams.SOURCE), 3)
    made = list(generations(source, family, Inflow(0.25), n, stream, last=4))
    for before, after in pairwise(made):
        old, new = before.train, after.train
        assert len(new) == len(old) + n and len(before.sample) == 6
        np.testing.assert_array_equal(new.x[: len(old)], old.x)
        np.testing.assert_array_equal(new.x[len(old) : len(old) + 6], before.sample.x)
        assert np.count_nonzero(new.born == 0) == n + 2 * after.t
    assert len(np.unique(made[-1].train.x)) == made[-1].train.x.size


# Errors that add up ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("a", [0.1, 0.5])
def test_the_discounted_sum_of_own_errors_is_the_damage(a):
    """Multinomial chains of numpy, with a share a of new real rows and the others written."""
    rng, q, M, chains, fits = np.random.default_rng(5), np.array([0.5, 0.3, 0.2]), 60, 4_000, 10
    real = round(a * M)
    p = rng.multinomial(M, q, chains) / M
    own, damage = [((p - q) ** 2 / q).sum(axis=1)], [((p - q) ** 2 / q).sum(axis=1)]
    for _ in range(fits - 1):
        distribution = a * q + (1 - a) * p
        p = (rng.multinomial(real, q, chains) + rng.multinomial(M - real, p)) / M
        own.append(((p - distribution) ** 2 / q).sum(axis=1))
        damage.append(((p - q) ** 2 / q).sum(axis=1))
    summed = mixed.discounted(np.array(own), a)
    np.testing.assert_array_equal(summed[0], own[0])
    for n in (1, 4, 9):
        by_hand = sum((1 - a) ** (2 * (n - k)) * own[k] for k in range(n + 1))
        np.testing.assert_allclose(summed[n], by_hand)
        compare.within(f"a={a} n={n}", damage[n] - summed[n], 0.0)


# Luck ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [(10, 10), (10, 10, 10), (10, 40), (40, 10, 20)])
def test_how_often_a_refitted_mean_is_better(sizes):
    rng, chains = np.random.default_rng(6), 40_000
    first = rng.normal(0, sizes[0] ** -0.5, chains)
    last = first + sum(rng.normal(0, m**-0.5, chains) for m in sizes[1:])
    expected = float(theory.improvement_probability(1 / sizes[0], sum(1 / m for m in sizes[1:])))
    compare.within(str(sizes), (np.abs(last) < np.abs(first)).astype(float), expected)
    assert expected < 0.5


def test_luck_has_its_limits():
    assert theory.improvement_probability(1, 1) == pytest.approx(0.35242, abs=1e-5)
    assert theory.improvement_probability(1, 0) == 0.5 and theory.improvement_probability(1, 1e12) < 1e-5


def test_sizes_that_leave_no_real_or_no_written_row_are_refused():
    family, stream = Gaussian(), streams.stream(1)
    source = family.source(4, stream(-1, streams.SOURCE), 2)
    last = Data.of(family.sample(family.fit(source.train, stream(0, streams.FIT)), 4, stream(0, streams.SAMPLE)), 1, 1)
    with pytest.raises(
        InputError, match=r"^regime\.ratio=0\.1: not one real row beside 4 written ones; raise it, or -n$"
    ):
        Weigh(ratio=0.1)(source, History(last), 4, stream(1, streams.REGIME))
    with pytest.raises(InputError, match=r"^regime\.real_fraction=0\.9: of 4 new rows none is written; lower it$"):
        Inflow(0.9).size(0, 4)
