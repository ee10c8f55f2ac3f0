"""A real share that falls or returns: the regimes' rows, closed forms against the loop, and presence by enumeration.

Error rate: all seeded. Every comparison with a simulation is two-sided at level 1e-3 / COMPARISONS, so that a correct
program fails this file with probability at most 1e-3 (Bonferroni) for a freshly chosen seed. Real rows bound the tails
of what is averaged; the unbiased estimator goes without them for no more than M / 2 fits.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise, product
from math import comb
from typing import Any

import numpy as np
import pytest
from toy_comparisons import Comparisons
from toy_numbers import alone

from model_collapse import streams, theory
from model_collapse.families.discrete import Discrete
from model_collapse.families.gaussian import Gaussian
from model_collapse.loop import Generation, generations
from model_collapse.metrics import gaussian as measures
from model_collapse.regimes.fill import Fill
from model_collapse.regimes.fixed import Fixed
from model_collapse.regimes.fresh import Fresh
from model_collapse.regimes.heal import Heal
from model_collapse.regimes.mix import Mix
from model_collapse.regimes.replace import Replace
from model_collapse.theory import mixed, real_share

COMPARISONS = 1500
compare = Comparisons(COMPARISONS)
within = partial(compare.within, slack=1e-12)
SIZES = [5, 10, 100]
SETTINGS: list[dict[str, Any]] = [
    {"estimator": "mle"},
    {"estimator": "unbiased"},
    {"variance": "known"},
    {"estimator": "mle", "bias": 0.8},
]
AT = [1, 2, 4, 7, 25]


def chain(family: Any, regime: Any, M: int, fits: int, chains: int, seed: int) -> list[Generation]:
    stream = streams.stream(seed)
    source = family.source(M, stream(-1, streams.SOURCE), chains)
    return list(generations(source, family, regime, M, stream, last=fits - 1))


# What the regimes read ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampling", ["exact", "draw"])
def test_fill_reads_ever_fewer_real_rows(sampling):
    """Share 1 / (1 + t / 2), worked out by hand, and with a floor of a half: half way between that and one half."""
    for floor, real in ((0.0, [10, 7, 5, 4, 3, 3, 2]), (0.5, [10, 8, 8, 7, 7, 6, 6])):
        made = chain(Gaussian(sampling=sampling), Fill(floor, 2.0), 10, 7, 3, seed=1)
        assert [round(10 * float(np.mean(g.train.share_real))) for g in made] == real
        assert all(len(g.train) == 10 for g in made)
        for before, after, k in zip(made, made[1:], real[1:], strict=False):
            assert len(before.sample) == 10 - k, "a model writes what the next one reads"
            assert set(np.unique(after.train.born)) == {0, after.t}


@pytest.mark.parametrize("sampling", ["exact", "draw"])
def test_heal_reads_no_real_rows_and_then_new_ones(sampling):
    made = chain(Gaussian(sampling=sampling), Heal(3, 0.4), 10, 8, 3, seed=1)
    assert [round(10 * float(np.mean(g.train.share_real))) for g in made] == [10, 0, 0, 0, 4, 4, 4, 4]
    assert [len(g.sample) for g in made] == [10, 10, 10, 6, 6, 6, 6, 6]
    if sampling == "draw":
        seen: set[float] = set()
        for before, after in pairwise(made):
            seen |= set(before.train.rows.x.ravel()) | set(before.sample.rows.x.ravel())
            real = after.train.rows.x[np.asarray(after.train.born) == 0]
            assert not seen & set(real.ravel()), "real rows are new in every generation"


def test_a_chain_before_it_heals_is_replace_and_one_that_never_falls_ill_is_fresh():
    family = Gaussian()
    for regime, other in ((Heal(30, 0.4), Replace()), (Heal(0, 0.4), Fresh(0.4)), (Fill(1.0, 3.0), Fresh(1.0))):
        for one, two in zip(*(chain(family, r, 10, 8, 3, seed=2) for r in (regime, other)), strict=True):
            np.testing.assert_array_equal(one.model.mean, two.model.mean)


# The recursion against the loop ------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda s: "-".join(str(v) for v in s.values()))
@pytest.mark.parametrize("M", SIZES)
def test_gaussian_chains_follow_the_recursion(M, settings):
    """E mu^2 and E s^2 under both regimes, three schedules each; M = 5 rounds 0.1 to no real row at all."""
    illness = 1 if settings.get("estimator") == "unbiased" else 3
    arms = [
        (Fill(floor, half), mixed.fill_moments(AT, M, floor, half, **settings))
        for floor, half in ((0.0, 3.0), (0.2, 1.0), (0.4, 10.0))
    ]
    arms += [
        (Heal(until, g), mixed.heal_moments(AT, M, until, g, **settings))
        for until, g in ((illness, 0.2), (illness, 1.0), (1, 0.6))
    ]
    for i, (regime, (V, S)) in enumerate(arms):
        run = chain(Gaussian(**settings), regime, M, AT[-1], 20_000, seed=100 * i + M)
        for n, drift, scatter in zip(AT, V, S, strict=True):
            mean, variance = measures.mean(alone(run[n - 1])), measures.variance(alone(run[n - 1]))
            within(f"V {regime} n={n}", mean**2, drift)
            within(f"S {regime} n={n}", variance, scatter)


@pytest.mark.parametrize("counts", ["exact", "draw"])
@pytest.mark.parametrize("M", [5, 10, 50])
def test_discrete_chains_follow_the_same_recursion(M, counts):
    """E[H_n] = H_0 S_n and Var(p_i) = q (1 - q) V_n, under all regimes here, for a common and a rare symbol."""
    at = [1, 2, 5, 12]
    family = Discrete(symbols=6, zipf=1, sampling=counts)
    q = theory.zipf_law(6, 1)
    arms = [
        (Fresh(0.2), mixed.fresh_moments(at, M, 0.2)),
        (Fill(0.1, 3.0), mixed.fill_moments(at, M, 0.1, 3.0)),
        (Heal(4, 0.4), mixed.heal_moments(at, M, 4, 0.4)),
        (Fixed(1.6), mixed.fixed_moments(at, M, 1.6)),
    ]
    if counts == "draw":
        arms.append((Mix(0.2), mixed.mix_moments(at, M, 0.2)))
    for i, (regime, (V, S)) in enumerate(arms):
        run = chain(family, regime, M, at[-1], 10_000 if counts == "exact" else 3_000, seed=10 * M + i)
        for n, drift, left in zip(at, V, S, strict=True):
            p = run[n - 1].model.shares
            within(f"H {regime} n={n}", np.sum(p * (1 - p), axis=1), (1 - np.sum(q**2)) * left)
            for rank in (0, 5):
                within(f"Var {regime} n={n}", (p[:, rank] - q[rank]) ** 2, q[rank] * (1 - q[rank]) * drift)


@pytest.mark.parametrize("regime", [Fill(0.1, 2.0), Heal(3, 0.3)], ids=["fill", "heal"])
@pytest.mark.parametrize("estimator", ["mle", "unbiased"])
def test_exact_and_drawn_chains_have_one_distribution(regime, estimator):
    """Kolmogorov-Smirnov on mean, variance and their ratio at several generations."""
    M, chains = 8, 8_000
    one, two = (
        chain(Gaussian(sampling=sampling, estimator=estimator), regime, M, 9, chains, seed)
        for sampling, seed in (("exact", 5), ("draw", 6))
    )
    for t in (0, 1, 4, 8):
        for what in ("mean", "variance", "ratio"):
            left, right = (_statistic(run[t], what) for run in (one, two))
            compare.same_distribution(f"{what} at generation {t}", left, right)


def _statistic(generation: Generation, what: str) -> np.ndarray:
    mean, variance = measures.mean(alone(generation)), measures.variance(alone(generation))
    return {"mean": mean, "variance": variance, "ratio": mean / np.sqrt(variance)}[what]


# Limits ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", ["mle", "unbiased"])
def test_healing_forgets_the_illness_at_the_rate_of_fresh(estimator):
    """V_n - V is multiplied by 1 - D in every generation of healing, D = 1 - (1 - g)^2 + (1 - g) / M for the mle."""
    M, g = 20, 0.1
    limit = mixed.fresh_moments(100_000, M, g, estimator=estimator)[0]
    for until in (5, 60):
        n = np.arange(until + 1, until + 40)
        V, S = mixed.heal_moments(n, M, until, g, estimator=estimator)
        if estimator == "mle":
            D = 1 - (1 - g) ** 2 + (1 - g) / M
            np.testing.assert_allclose((V[1:] - limit) / (V[:-1] - limit), 1 - D, rtol=1e-9)
            np.testing.assert_allclose(V + S, 1, rtol=1e-12)
        assert mixed.heal_moments(10_000, M, until, g, estimator=estimator)[0] == pytest.approx(limit, rel=1e-9)


def test_without_a_floor_the_mean_wanders_for_ever_only_more_slowly():
    """Known sigma: V_n -> n / (M (1 + 2 half)); with the mle everything is lost in the end, with a floor it is not."""
    M, n = 10**6, 20_000
    for half in (0.5, 2.0, 10.0):
        V, _ = mixed.fill_moments(n, M, 0.0, half, variance="known")
        assert V * M / n == pytest.approx(1 / (1 + 2 * half), rel=0.02)
    assert mixed.fill_moments(20_000, 100, 0.0, 5.0)[1] < 1e-6
    assert mixed.fill_moments(20_000, 100, 0.1, 5.0)[0] == pytest.approx(mixed.fresh_drift_limit(100, 0.1), rel=0.01)


@pytest.mark.parametrize("M", [100, 1_000, 100_000])
def test_it_is_the_number_of_real_rows_that_keeps_the_variance(M):
    """k new real rows per generation keep 2 k / (2 k + 1) of the variance, whatever M: Wright's island model."""
    for k in (1, 2, 5):
        kept = mixed.fresh_moments(100 * M, M, k / M)[1] if M < 10**5 else 1 - mixed.fresh_drift_limit(M, k / M)
        assert kept == pytest.approx(2 * k / (2 * k + 1), rel=3 * k / M)


# Presence ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("schedule", [[(1, 3)], [(0, 4), (2, 2)], [(0, 4), (4, 0)], [(1, 1), (2, 4)]])
@pytest.mark.parametrize("q", [0.05, 0.4])
def test_presence_by_enumerating_all_paths(q, schedule):
    """Every path of counts over three fits with its probability, in plain Python; rows per fit may change."""

    def pmf(n: int, p: float, x: int) -> float:
        return comb(n, x) * p**x * (1 - p) ** (n - x)

    M, (k2, m2), (k3, m3) = 4, schedule[0], schedule[-1]
    expected = np.zeros(3)
    for x1 in range(M + 1):
        first = pmf(M, q, x1)
        expected[0] += first * (x1 > 0)
        for a2, b2 in product(range(k2 + 1), range(m2 + 1)):
            second = first * pmf(k2, q, a2) * pmf(m2, x1 / M, b2)
            expected[1] += second * (a2 + b2 > 0)
            for a3, b3 in product(range(k3 + 1), range(m3 + 1)):
                third = second * pmf(k3, q, a3) * pmf(m3, (a2 + b2) / (k2 + m2), b3)
                expected[2] += third * (a3 + b3 > 0)
    np.testing.assert_allclose(real_share.presence([1, 2, 3], q, M, schedule), expected, rtol=1e-12)


def test_presence_without_real_rows_is_survival():
    n, q = np.array([1, 3, 30]), np.array([[0.01, 0.1], [0.5, 0.9]])
    found = real_share.presence(n, q, 20, real_share.fresh_schedule(20, 0))
    np.testing.assert_allclose(found, theory.survival(n, q, 20), atol=1e-12)
    only = real_share.presence([1, 7], q, 20, real_share.fresh_schedule(20, 1))
    np.testing.assert_allclose(only, [1 - (1 - q) ** 20] * 2, atol=1e-12)
    with pytest.raises(ValueError, match="starts at 1"):
        real_share.presence(0, 0.1, 20, [(1, 19)])


@pytest.mark.parametrize("M", [5, 10, 50])
def test_presence_against_the_loop(M):
    """Single symbols and the whole support under fresh, fill and heal."""
    family, q, at = Discrete(symbols=8, zipf=1), theory.zipf_law(8, 1), [1, 2, 6, 20]
    arms = [
        (Fresh(0.2), real_share.fresh_schedule(M, 0.2)),
        (Fill(0.1, 2.0), real_share.fill_schedule(at[-1], M, 0.1, 2.0)),
        (Heal(5, 0.4), real_share.heal_schedule(M, 5, 0.4)),
    ]
    for i, (regime, schedule) in enumerate(arms):
        run = chain(family, regime, M, at[-1], 10_000, seed=M + i)
        present, support = (f(at, q, M, schedule) for f in (real_share.presence, real_share.expected_presence))
        for j, n in enumerate(at):
            there = run[n - 1].model.shares > 0
            within(f"support {regime} n={n}", there.sum(axis=1), support[j])
            for rank in (0, 3, 7):
                sd = float(np.sqrt(present[j, rank] * (1 - present[j, rank])))
                within(f"presence {regime} n={n}", there[:, rank], present[j, rank], floor=sd)


def test_lost_symbols_wait_for_a_real_row():
    """First return: geometric, so q = 0.1 and one real row mean 10 generations; never without real rows."""
    np.testing.assert_allclose(real_share.first_return(0.1, [1, 2]), [10, 1 / 0.19])
    assert real_share.first_return(0.1, 0) == np.inf
    assert real_share.first_return(1e-9, 10) == pytest.approx(1e8, rel=1e-6)
