"""Closed forms of the relabelling chain and of accumulate at fixed compute, against simulation and against each other.

Error rate: all seeded; every comparison is two-sided at level 1e-3 / COMPARISONS (Bonferroni), so that a correct
program fails this whole file with probability at most 1e-3 for a freshly chosen seed. Errors with n - d - 1 < 4 have no
variance and are not averaged.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from toy_comparisons import Comparisons
from toy_numbers import alone

from model_collapse import streams
from model_collapse.families.gaussian import Gaussian
from model_collapse.families.regression import Regression
from model_collapse.loop import Generation, generations
from model_collapse.metrics import gaussian as moments
from model_collapse.regimes.accumulate import Accumulate
from model_collapse.regimes.fresh import Fresh
from model_collapse.regimes.replace import Replace
from model_collapse.regimes.subsample import Subsample
from model_collapse.theory import accumulated_mean_drift, accumulated_variance, kde
from model_collapse.theory import regression as theory
from model_collapse.theory.subsample import subsample_moments

COMPARISONS = 400
compare = Comparisons(COMPARISONS)
within = compare.within


def chain(family, regime, n: int, last: int, chains: int, seed: int, given="original") -> list[Generation]:
    stream = streams.stream(seed)
    source = family.source(n, stream(-1, streams.SOURCE), chains)
    return list(generations(source, family, regime, n, stream, last=last, given=given))


def errors(generation: Generation) -> np.ndarray:
    weights = generation.model.weights
    return np.sum((weights - weights.shape[1] ** -0.5) ** 2, axis=1)


SIZES = [(1, 8), (3, 10), (10, 111), (20, 40)]
"""(d, T)"""


@pytest.mark.parametrize("given", ["original", "fresh"])
@pytest.mark.parametrize(("d", "T"), SIZES)
def test_replace_and_accumulate_follow_the_closed_forms(d, T, given):
    """CF-L1 and CF-L2, the same noise on written labels or another one."""
    for tau in (None, 0.5):
        family = Regression(dim=d, noise=1.5, written_noise=tau)
        for regime in (Replace(), Accumulate()):
            run = chain(family, regime, T, 11, 6000, seed=d, given=given)
            for n in (1, 2, 5, 12):
                expected = (
                    theory.replaced_error(n, T, d, 1.5, tau)
                    if isinstance(regime, Replace)
                    else theory.accumulated_error(n, T, d, 1.5, tau, given)
                )
                within(f"{regime} {given} d={d} T={T} n={n}", errors(run[n - 1]), float(expected))


@pytest.mark.parametrize(("d", "T", "shift"), [(1, 10, 1.0), (3, 12, 0.3), (10, 40, 2.0)])
def test_a_biased_labeller_is_slowed_by_accumulating_and_not_stopped(d, T, shift):
    """Drift c (n - 1) under replace, whatever the x, and c (H_n - 1) under accumulate."""
    family = Regression(dim=d, shift=shift)
    for given in ("original", "fresh"):
        run = chain(family, Replace(), T, 9, 4000, seed=d, given=given)
        for n in (1, 2, 10):
            within(f"drift {given} n={n}", errors(run[n - 1]), float(theory.replaced_error(n, T, d, shift=shift)))
    run = chain(family, Accumulate(), T, 29, 4000, seed=d)
    for n in (1, 2, 10, 30):
        within(f"slowed d={d} n={n}", errors(run[n - 1]), float(theory.accumulated_error(n, T, d, shift=shift)))
    with pytest.raises(ValueError, match="known for given='original' only"):
        theory.accumulated_error(2, T, d, shift=shift, given="fresh")


def test_fresh_x_beat_reused_ones_a_little_when_data_accumulate():
    """The difference is far larger than the error of the mean: the two exact forms are told apart."""
    d, T, n = 3, 10, 12
    fresh, reused = (theory.accumulated_error(n, T, d, given=given) for given in ("fresh", "original"))
    run = chain(Regression(dim=d), Accumulate(), T, n - 1, 20_000, seed=1, given="fresh")
    found = stats.ttest_1samp(errors(run[-1]), reused)
    assert fresh < reused and found.pvalue < 1e-6 and found.statistic < 0


def test_pi_squared_over_six_bounds_what_accumulating_costs():
    n = np.arange(1, 2000)
    for given in ("original", "fresh"):
        ratio = theory.accumulated_error(n, 111, 10, given=given) / theory.first_error(111, 10)
        assert np.all(np.diff(ratio) > 0) and ratio[-1] < np.pi**2 / 6
    assert theory.accumulated_error(10, 111, 10) == pytest.approx(0.1549768)
    assert theory.accumulated_error(10, 111, 10, given="fresh") == pytest.approx(0.1513681)
    assert theory.pathway(1_000_000, "accumulate") == pytest.approx(np.pi**2 / 6, abs=2e-6)
    assert theory.pathway(1_000_000, "subsample") == pytest.approx(np.pi**2 / 2 - 2, abs=1e-5)
    assert theory.pathway([1, 7], "replace").tolist() == [1, 7]
    assert np.isinf(theory.first_error(11, 10)) and theory.first_error(12, 10) == 10


def test_shapes_of_n_are_kept():
    for shape in ((), (3,), (2, 2)):
        n = np.full(shape, 2)
        assert theory.accumulated_error(n, 20, 3).shape == theory.replaced_error(n, 20, 3).shape == shape
        assert theory.biased_error(n, 20, 3, 0.5).shape == theory.pathway(n, "subsample").shape == shape
        assert all(part.shape == shape for part in subsample_moments(n, 5))


# CF-L4 -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("real_fraction", [0.9, 0.5, 0.1])
@pytest.mark.parametrize(("d", "T", "shift"), [(1, 10, 2.0), (5, 15, 1.0), (20, 200, 1.0)])
def test_a_biased_share_follows_the_closed_form(d, T, shift, real_fraction):
    """CF-L4 with all its corrections for few rows, over several generations."""
    run = chain(Regression(dim=d, shift=shift), Fresh(real_fraction), T, 7, 6000, seed=T, given="fresh")
    for n in (1, 2, 3, 8):
        within(
            f"CF-L4 d={d} T={T} n={n}", errors(run[n - 1]), float(theory.biased_error(n, T, d, real_fraction, shift))
        )


def test_leverage_is_the_mean_over_wishart_matrices():
    """kappa from 20,000 pairs of Wishart matrices, no chain involved; all or none of the rows are 1 and 0."""
    rng = np.random.default_rng(2)
    for d, T, T2 in ((2, 8, 3), (4, 12, 1), (3, 30, 25)):
        x = rng.standard_normal((20_000, T, d))
        written = np.einsum("rni,rnj->rij", x[:, :T2], x[:, :T2])
        pulled = np.linalg.solve(np.einsum("rni,rnj->rij", x, x), written)
        within(f"kappa d={d} T={T}", np.einsum("rij,rij->r", pulled, pulled) / d, float(theory.leverage(T2, T, d)))
    assert theory.leverage(30, 30, 3) == pytest.approx(1) and theory.leverage(0, 30, 3) == 0


def test_strong_collapse_is_a_plateau():
    """To first order sigma^2 d / T + p^2 c^2: four times the rows leave more than half of it, or else a quarter."""
    assert theory.biased_error(2, 10**7, 20, 0.9, 1.0) == pytest.approx(0.01, rel=1e-3)
    ratio = theory.biased_error(2, 8000, 20, 0.9, 1.0) / theory.biased_error(2, 2000, 20, 0.9, 1.0)
    fair = theory.biased_error(2, 8000, 20, 0.9, 0.0) / theory.biased_error(2, 2000, 20, 0.9, 0.0)
    assert ratio > 0.55 and fair == pytest.approx(0.25, abs=0.01)


# CF-L5 -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("phi", "psi", "point"), [(1.0, 1.0, 0.5), (0.9, 0.3, 0.75), (0.7, 0.05, 0.9333)])
def test_selection_moves_the_breakdown_point(phi, psi, point):
    """Averaging classifiers, d = 20, 40,000 rows: above .75 just before p*, below .25 just behind it."""
    p_star = theory.breakdown_point(phi, psi)
    assert p_star == pytest.approx(point, abs=5e-5)
    d, rows, rng = 20, 40_000, np.random.default_rng(3)
    for p in (p_star - 0.1, p_star - 0.03, p_star + 0.03):
        accuracies = []
        for _ in range(30):
            x = rng.standard_normal((rows, d))
            right = rng.random(rows) >= p
            kept = rng.random(rows) < np.where(right, phi, psi)
            y = np.where(right, 1, -1) * np.sign(x[:, 0])
            w = (x * (y * kept)[:, None]).sum(axis=0)
            accuracies.append(1 - np.arccos(w[0] / np.linalg.norm(w)) / np.pi)
        expected = float(theory.averaging_accuracy(p, phi, psi, d, rows))
        assert np.mean(accuracies) == pytest.approx(expected, abs=0.02)
        assert min(accuracies) > 0.75 if p < p_star else max(accuracies) < 0.25
    assert theory.averaging_accuracy(p_star, phi, psi, d, rows) == pytest.approx(0.5)


# Subsample ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", ["mle", "unbiased"])
@pytest.mark.parametrize("M", [2, 5, 10, 100])
def test_a_subsampled_normal_distribution_follows_the_recursion(M, estimator):
    family = Gaussian(estimator=estimator, sampling="draw")
    run = chain(family, Subsample(), M, 24, 8000 if M <= 10 else 1500, seed=M)
    for n in (1, 2, 5, 25):
        mean, variance = (metric(alone(run[n - 1])) for metric in (moments.mean, moments.variance))
        drift, spread = subsample_moments(n, M, estimator=estimator)
        within(f"drift M={M} n={n}", mean**2, float(drift))
        within(f"variance M={M} n={n}", variance, float(spread))


def test_a_known_variance_too_and_its_limit_is_the_pathway():
    for M in (1, 10):
        run = chain(Gaussian(variance="known", sampling="draw"), Subsample(), M, 24, 8000, seed=4)
        for n in (1, 2, 5, 25):
            drift, spread = subsample_moments(n, M, variance="known")
            assert spread == 1
            within(f"known M={M} n={n}", moments.mean(alone(run[n - 1])) ** 2, float(drift))
    n = np.array([1, 3, 30, 3000])
    many = 10**6
    np.testing.assert_allclose(
        many * subsample_moments(n, many, variance="known")[0], theory.pathway(n, "subsample"), rtol=1e-5
    )


def test_subsample_loses_more_than_accumulate_and_never_all():
    """The mle conserves E s^2 + E mu^2 = 1; for many rows the loss is that of the pathway, over M."""
    M, n = 20, np.arange(1, 5000)
    drift, spread = subsample_moments(n, M)
    np.testing.assert_allclose(drift + spread, 1, atol=1e-12)
    assert np.all(spread <= accumulated_variance(n, M) + 1e-12) and np.all(
        drift >= accumulated_mean_drift(n, M) - 1e-12
    )
    many = 10**4
    assert many * (1 - subsample_moments(5000, many)[1]) == pytest.approx(np.pi**2 / 2 - 2, rel=1e-3)
    # Kernels of width 0 are a Gaussian.
    np.testing.assert_allclose(kde.kde_variance(n, M, 0.0, "subsample"), spread)
    np.testing.assert_allclose(kde.kde_variance(n, M, 0.0, "accumulate"), accumulated_variance(n, M), rtol=1e-12)


@pytest.mark.parametrize("given", ["original", "fresh"])
def test_subsampled_regression_follows_the_pathway_to_first_order(given):
    """No exact form is known here. T = 60 d: within 6 % of the first order at every n, over 1000 chains."""
    d, T = 2, 120
    run = chain(Regression(dim=d, sampling="draw"), Subsample(), T, 24, 1000, seed=5, given=given)
    for n in (1, 2, 5, 25):
        found = errors(run[n - 1]) / theory.first_error(T, d)
        error = found.std(ddof=1) / np.sqrt(len(found))
        compare.count("pathway")
        assert abs(found.mean() - theory.pathway(n, "subsample")) < compare.z * error + 0.06 * found.mean()
