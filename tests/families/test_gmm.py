"""The Gaussian mixtures against scikit-learn, whose estimator they are, and against closed forms.

Error rate: all seeded. Every statistical comparison is two-sided at level 1e-3 / COMPARISONS, so that a correct program
fails this whole file with probability at most 1e-3 (Bonferroni) for a freshly chosen seed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.special import digamma, polygamma
from sklearn.cluster import KMeans, kmeans_plusplus
from sklearn.mixture import GaussianMixture
from toy_comparisons import Comparisons
from toy_numbers import alone

from model_collapse import streams, theory
from model_collapse.companion import bench
from model_collapse.companion.bench.gmm import replace as ours
from model_collapse.data import Data, Rows
from model_collapse.errors import InputError
from model_collapse.families import _em
from model_collapse.families._em import Mixture
from model_collapse.families.gmm import Gmm, draw
from model_collapse.loop import Generation, Reference, generations
from model_collapse.metrics import Measurement
from model_collapse.metrics import gmm as measures
from model_collapse.regimes.replace import Replace

COMPARISONS = 200
compare = Comparisons(COMPARISONS)
within, same_distribution = compare.within, compare.same_distribution
SETTINGS = {"tol": 1e-5, "max_iter": 2000, "reg_covar": 1e-6}


def lumps(chains: int, rows: int, lumps: int, sd: float, seed: int = 3) -> np.ndarray:
    """Rows (R, 2, N) about as many centres of spread 2, the whole 3 away from the origin."""
    rng = np.random.default_rng(seed)
    centres = 2 * rng.standard_normal((chains, 2, lumps)) + 3
    label = rng.integers(0, lumps, (chains, 1, rows))
    return np.take_along_axis(centres, label, axis=2) + sd * rng.standard_normal((chains, 2, rows))


def chain(family: Any, M: int, fits: int, chains: int, seed: int, regime: Any = None) -> list[Generation]:
    """Generations 0 .. fits - 1."""
    stream = streams.stream(seed)
    source = family.source(M, stream(-1, streams.SOURCE), chains)
    return list(generations(source, family, regime or Replace(), M, stream, last=fits - 1))


def mixture(weights: Any, means: Any, covariances: Any) -> Mixture:
    """One chain's mixture from plain lists."""
    return Mixture(*(np.array([value], float) for value in (weights, means, covariances)), np.zeros(1, int))


def generation(model: Mixture) -> Generation:
    return Generation(0, None, model, None)  # type: ignore[arg-type]


TWO = mixture([0.3, 0.7], [[1, -0.5], [-1, 0.5]], [[[1.5, 0.6], [0.6, 0.8]], [[0.2, -0.1], [-0.1, 0.3]]])
NEEDLES = mixture([0.5, 0.5], [[0.2, 0], [0, 0.1]], [[[0.01, 0], [0, 0.02]], [[0.02, 0.01], [0.01, 0.02]]])


# scikit-learn ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sd", [1.0, 0.01, 0.001])
@pytest.mark.parametrize("components", [1, 2, 3, 5])
def test_the_same_seeds_give_scikit_learns_clusters_mixture_and_number_of_steps(components, sd):
    """Steps exactly; parameters to 1e-8 of their size, 1e-7 where lumps are a thousand times narrower than apart."""
    x = lumps(chains=6, rows=300, lumps=components, sd=sd)
    middle = x.mean(axis=2)
    features = _em.features_of(x - middle[..., None])
    seeds = _em.seeds(features, features, components, np.random.default_rng(4))
    share = _em.nearest(features, _em.kmeans(features, features, seeds))
    start = _em.split(features, features.sum(axis=2), share)
    statistics, steps = _em.maximise(features, features, start, **SETTINGS)
    n, means, spread = _em.parameters(statistics, SETTINGS["reg_covar"])
    for r in range(6):
        clusters = KMeans(components, init=seeds[r] + middle[r], n_init=1).fit(x[r].T)
        label = np.arange(1, components) @ share[r] if components > 1 else np.zeros(300)
        np.testing.assert_array_equal(clusters.labels_, label)
        theirs = GaussianMixture(components, **SETTINGS)
        given = np.eye(components)[clusters.labels_]
        theirs._initialize_parameters = lambda X, *_, theirs=theirs, given=given, **__: theirs._initialize(X, given)
        theirs.fit(x[r].T)
        assert steps[r] == theirs.n_iter_
        rtol = 1e-8 if sd > 0.001 else 1e-7
        np.testing.assert_allclose(n[:, r] / 300, theirs.weights_, rtol=rtol)
        np.testing.assert_allclose(means[..., r].T + middle[r], theirs.means_, rtol=rtol)
        for k in range(components):
            xx, yy, xy = spread[:, k, r]
            np.testing.assert_allclose([[xx, xy], [xy, yy]], theirs.covariances_[k], rtol=rtol, atol=rtol * (xx + yy))


def test_a_fit_is_one_of_those_that_scikit_learn_finds():
    """From the same data but other random seeds: two lumps far apart have one answer, in either order."""
    x = lumps(chains=5, rows=200, lumps=2, sd=0.05)
    fitted = Gmm().fit(Data.real(Rows(np.moveaxis(x, 2, 0), stacked=True)), np.random.default_rng(1))
    for r in range(5):
        theirs = GaussianMixture(2, **SETTINGS, random_state=0).fit(x[r].T)
        order = np.argsort(fitted.means[r, :, 0])
        other = np.argsort(theirs.means_[:, 0])
        np.testing.assert_allclose(fitted.weights[r, order], theirs.weights_[other], rtol=1e-8)
        np.testing.assert_allclose(fitted.means[r, order], theirs.means_[other], rtol=1e-8)
        np.testing.assert_allclose(fitted.covariances[r, order], theirs.covariances_[other], rtol=1e-8, atol=1e-10)
    assert np.all(fitted.iterations >= 2)


def test_empty_clusters_are_filled_as_scikit_learn_does():
    """Seeds far from all rows: of six clusters all but one are empty after the first assignment."""
    x = lumps(chains=4, rows=60, lumps=2, sd=0.3)
    features = _em.features_of(x - x.mean(axis=2, keepdims=True))
    far = np.stack([np.full(4, 20.0), np.zeros(4)], axis=1)[:, None] + np.arange(6)[:, None] * np.array([5.0, 0.0])
    share = _em.nearest(features, _em.kmeans(features, features, far))
    for r in range(4):
        clusters = KMeans(6, init=far[r], n_init=1).fit(features[r, 1:3].T)
        np.testing.assert_array_equal(clusters.labels_, np.arange(1, 6) @ share[r])


@pytest.mark.parametrize("components", [2, 3])
def test_seeds_are_drawn_with_scikit_learns_probabilities(components):
    """Which rows of five k-means++ picks, and in which order: chi-square on the table of counts."""
    x = np.array([[0.0, 0.0], [1.0, 0.2], [3.0, -1.0], [0.5, 2.0], [-2.0, 0.7]])
    draws = 3000
    features = _em.features_of(np.broadcast_to(x.T, (draws, 2, 5)))
    found = _em.seeds(features, features, components, np.random.default_rng(5))
    picked = np.square(found[:, :, None] - x).sum(axis=3).argmin(axis=2)
    rng = np.random.RandomState(6)
    theirs = np.array([kmeans_plusplus(x, components, random_state=rng)[1] for _ in range(draws)])
    codes = [rows @ 5 ** np.arange(components) for rows in (picked, theirs)]
    counts = np.array([np.bincount(code, minlength=5**components) for code in codes])
    compare.count("seeds")
    counts = counts[:, counts.sum(axis=0) >= 20]
    assert counts.shape[1] >= 10 and stats.chi2_contingency(counts).pvalue > compare.level


def test_chains_have_the_distribution_of_the_published_loop():
    """L2 and component sd at generations 0, 10 and 50, N = 50, against scikit-learn refitted in every generation."""
    rng = np.random.RandomState(7)
    published = bench.published("gmm")
    plain = np.array([published.replace(rng.normal(size=(50, 2)), 51, rng) for _ in range(50)])
    fast = ours(np.random.default_rng(8).standard_normal((50, 1000, 2)), 51, seed=9)
    assert fast.shape == (51, 2, 1000) and np.all(fast[0, 0] == 0)
    for g in (10, 50):
        same_distribution(f"L2, generation {g}", fast[g, 0], plain[:, g, 0])
    for g in (0, 10, 50):
        same_distribution(f"component sd, generation {g}", fast[g, 1], plain[:, g, 1])


# One component is a normal distribution ------------------------------------------------------------------------------


@pytest.mark.parametrize("M", [5, 10, 100])
def test_one_component_follows_the_closed_forms_of_the_normal_distribution(M):
    """CF-G1, CF-G4 and CF-G6b in two dimensions, mle; means up to n <= M / 2, the log-determinant as far as it goes."""
    fits, chains = {5: 8, 10: 16, 100: 30}[M], {5: 6000, 10: 6000, 100: 1000}[M]
    run = chain(Gmm(components=1, reg_covar=1e-12), M, fits, chains, seed=M)
    for n in (1, 2, 5, fits):
        model = run[n - 1].model
        covariance = model.covariances[:, 0]
        half = (M - np.arange(1, 3)) / 2
        log_det = n * (np.sum(digamma(half)) + 2 * np.log(2 / M))
        within(f"CF-G6b n={n}", np.linalg.slogdet(covariance)[1], log_det, n * np.sum(polygamma(1, half)))
        if n <= M / 2:
            within(f"CF-G1 n={n}", covariance[:, 0, 0], float(theory.expected_variance(n, M)))
            within(f"xy n={n}", covariance[:, 0, 1], 0)
            drift = np.square(model.means[:, 0]).sum(axis=1)
            within(f"CF-G4 n={n}", drift, 2 * float(theory.mean_drift(n, M)))


@pytest.mark.parametrize(("M", "reg_covar"), [(5, 0.02), (10, 0.1), (30, 1e-3)])
def test_a_regularised_variance_falls_to_a_floor(M, reg_covar):
    """Early, and after so many fits that only the floor M reg_covar is left of the closed form."""
    run = chain(Gmm(components=1, reg_covar=reg_covar), M, 8 * M, 2000, seed=20 + M)
    for n in (1, M // 2, 8 * M):
        variance = run[n - 1].model.covariances[:, 0, 1, 1]
        within(f"M={M}, n={n}", variance, float(theory.regularised_variance(n, M, reg_covar)))
    assert theory.regularised_variance(8 * M, M, reg_covar) == pytest.approx(M * reg_covar, abs=4e-4)
    assert theory.regularised_variance(3, M, 0) == theory.expected_variance(3, M)


def test_the_l2_distance_of_two_normal_distributions_is_the_metric_and_grows_as_a_needle():
    for variance, shift in ((1.0, 0.0), (0.25, 0.0), (1e-4, 1.5), (4.0, 2.0)):
        needle = mixture([1], [[shift, 0]], [np.eye(2) * variance])
        first = Reference(generation(mixture([1], [[0, 0]], [np.eye(2)])), None, Gmm())  # type: ignore[arg-type]
        expected = theory.l2_of_normals(variance, shift**2)
        found = measures.l2(Measurement(generation(needle), first))[0]
        assert found == pytest.approx(float(expected), rel=1e-12, abs=1e-16)
    assert theory.l2_of_normals(1e-8) * 4 * np.pi * 1e-8 == pytest.approx(1, rel=1e-6)
    assert theory.l2_of_normals(0.25, dim=1) == pytest.approx(_quadrature_1d(0.5), rel=1e-10)


def _quadrature_1d(sd: float) -> float:
    x = np.linspace(-12, 12, 20_001)
    return float(np.sum((stats.norm.pdf(x) - stats.norm.pdf(x, scale=sd)) ** 2) * (x[1] - x[0]))


# Metrics -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("now", "then"), [(TWO, NEEDLES), (NEEDLES, TWO), (TWO, TWO)])
def test_l2_against_a_sum_over_a_grid(now, then):
    """A sum over a fine grid of smooth functions that vanish at its edge is as exact as any quadrature."""
    side = np.linspace(-9, 9, 901)
    points = np.stack(np.meshgrid(side, side), axis=-1)

    def density(distribution: Mixture) -> np.ndarray:
        parts = zip(distribution.weights[0], distribution.means[0], distribution.covariances[0], strict=True)
        return sum(w * stats.multivariate_normal(m, c).pdf(points) for w, m, c in parts)

    grid = np.sum((density(now) - density(then)) ** 2) * (side[1] - side[0]) ** 2
    value = measures.l2(Measurement(generation(now), Reference(generation(then), None, Gmm())))[0]  # type: ignore[arg-type]
    assert value == pytest.approx(grid, rel=1e-9, abs=1e-15)
    assert (value == 0) == (now is then)


def test_deviations_and_parameters_against_a_large_sample_and_by_hand():
    model = generation(TWO)
    assert measures.component_sd(alone(model))[0] == pytest.approx((np.sqrt(2.3 / 2) + np.sqrt(0.5 / 2)) / 2)
    x = draw(TWO, 400_000, np.random.default_rng(10)).x[:, 0]
    pooled = measures.pooled_sd(alone(model))[0]
    within("pooled", np.square(x - [-0.4, 0.2]).sum(axis=1), 2 * pooled**2)
    items = measures.component(alone(model))
    assert {name: float(value[0]) for name, value in items.items()} == {
        "1 weight": 0.3, "1 x": 1, "1 y": -0.5, "1 xx": 1.5, "1 xy": 0.6, "1 yy": 0.8,
        "2 weight": 0.7, "2 x": -1, "2 y": 0.5, "2 xx": 0.2, "2 xy": -0.1, "2 yy": 0.3,
    }  # fmt: skip


# Sampling and sources ----------------------------------------------------------------------------------------------


def test_rows_of_a_mixture_have_its_distribution():
    """First coordinate against the exact distribution function; two chains, each with its own; three components."""
    distribution = Mixture(
        np.array([[0.2, 0.5, 0.3], [0.6, 0.0, 0.4]]),
        np.array([[[0, 0], [3, 1], [-2, 5]], [[1, 1], [50, 50], [-1, 0]]], float),
        np.array([[*TWO.covariances[0].tolist(), [[0.5, 0.4], [0.4, 0.9]]]] * 2),
        np.zeros(2, int),
    )
    x = draw(distribution, 40_000, np.random.default_rng(11)).x
    assert x.shape == (40_000, 2, 2) and not np.any(x > 40)
    for r in range(2):
        for direction in ([1, 0], [0, 1], [1, 1]):
            centre, spread = (
                distribution.means[r] @ direction,
                np.sqrt(np.einsum("i,kij,j->k", direction, distribution.covariances[r], direction)),
            )

            def below(v: np.ndarray, r: int = r, centre: Any = centre, spread: Any = spread) -> np.ndarray:
                return stats.norm.cdf((v[:, None] - centre) / spread) @ distribution.weights[r]

            compare.count("rows")
            assert stats.kstest(x[:, r] @ direction, below).pvalue > compare.level


def test_real_data_are_one_blob_or_two_clusters_four_apart():
    for name, variance in (("blob", 1), ("clusters", 5)):
        family: Any = Gmm(source=name)
        assert family.source == name
        source = family.source(20_000, np.random.default_rng(12), 2)
        for data in (source.train, source.draw(20_000, np.random.default_rng(13))):
            x = data.rows.x
            assert x.shape == (20_000, 2, 2) and data.share_real == 1
            within(f"{name} x", x[:, 0, 0], 0)
            within(f"{name} xx", x[:, 0, 0] ** 2, variance)
            within(f"{name} yy", x[:, 1, 1] ** 2, 1)
            within(f"{name} xy", x[:, 1, 0] * x[:, 1, 1], 0)
        # Where clusters are, few rows lie in between.
        between = np.mean(np.abs(x[:, 0, 0]) < 0.5)
        assert between < 0.1 if name == "clusters" else between > 0.3


# Weights -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("components", [1, 2, 3])
def test_a_weight_of_k_counts_as_k_rows(components):
    """From the same centres; every chain with weights of its own, some of them 0."""
    rng = np.random.default_rng(14)
    x, k = lumps(chains=3, rows=80, lumps=components, sd=0.4), rng.integers(0, 4, (3, 80))
    for r in range(3):
        rows = np.repeat(x[r], k[r], axis=1)[None]
        plain = _em.features_of(rows)
        weighed = _em.features_of(x[[r]])
        heavy = weighed * k[[r], None]
        fits = []
        for features, heavier in ((plain, plain), (weighed, heavy)):
            seeds = x[[r], :, 10 : 10 + components].swapaxes(1, 2)
            centres = _em.kmeans(features, heavier, seeds)
            start = _em.split(heavier, heavier.sum(axis=2), _em.nearest(features, centres))
            statistics, steps = _em.maximise(features, heavier, start, **SETTINGS)
            fits.append((centres, statistics, steps))
        for one, other in zip(*fits, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-8)


def test_rows_without_weight_are_never_seeds_and_do_not_count():
    """A lump far away with weight 0 changes nothing; weights (n,) hold for all chains, (n, R) for one each."""
    x = np.moveaxis(lumps(chains=2, rows=100, lumps=2, sd=0.1), 2, 0)
    far = np.concatenate([x, x + 100])
    weight = np.repeat([2.0, 0.0], 100)
    born = np.zeros(200, int)
    plain = Gmm().fit(Data.real(Rows(x, stacked=True)), np.random.default_rng(15))
    for given in (weight, np.stack([weight, weight], axis=1)):
        other = Gmm().fit(Data(Rows(far, stacked=True), born, born, weight=given), np.random.default_rng(16))
        for r in range(2):
            order, same = np.argsort(plain.means[r, :, 0]), np.argsort(other.means[r, :, 0])
            np.testing.assert_allclose(other.means[r, same], plain.means[r, order], rtol=1e-6)
            np.testing.assert_allclose(other.covariances[r, same], plain.covariances[r, order], rtol=1e-3, atol=1e-6)


# Edges -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rows", "components"), [(1, 2), (2, 3), (12, 13)])
def test_fewer_rows_than_components_are_refused_in_one_line(rows, components):
    with pytest.raises(InputError, match=rf"^-n: family\.components={components} needs as many rows .*, not {rows}$"):
        chain(Gmm(components=components), rows, 1, 2, seed=0)


@pytest.mark.parametrize(("rows", "components"), [(1, 1), (2, 2), (3, 3), (3, 2), (12, 5)])
def test_as_many_rows_as_components_work_for_ever(rows, components):
    """Every component sits on few rows, with reg_covar on top of their spread; measures stay finite."""
    run = chain(Gmm(components=components), rows, 40, 20, seed=17)
    reference = Reference(run[0], None, None)  # type: ignore[arg-type]
    for turn in run:
        assert np.allclose(turn.model.weights.sum(axis=1), 1) and np.all(turn.model.weights > 0)
        assert np.all(np.linalg.eigvalsh(turn.model.covariances) > 0.99e-6)
        for metric in (measures.l2, measures.component_sd, measures.pooled_sd):
            assert np.all(np.isfinite(metric(Measurement(turn, reference))))
    if rows == components:
        np.testing.assert_allclose(
            run[0].model.covariances, np.broadcast_to(np.eye(2) * 1e-6, (20, rows, 2, 2)), atol=1e-15
        )


@pytest.mark.parametrize("components", [1, 2, 4])
def test_identical_rows_leave_one_component_with_all_weight(components):
    x = np.broadcast_to(np.array([3.0, -1.0]), (30, 2, 2))
    fitted = Gmm(components=components).fit(Data.real(Rows(x, stacked=True)), np.random.default_rng(18))
    assert np.all(fitted.weights.max(axis=1) > 0.999) and np.all(fitted.weights > 0)
    np.testing.assert_allclose(np.einsum("rk,rki->ri", fitted.weights, fitted.means), [[3, -1]] * 2, atol=1e-12)
    np.testing.assert_allclose(
        fitted.covariances, np.broadcast_to(np.eye(2) * 1e-6, fitted.covariances.shape), atol=1e-12
    )


def test_steps_end_at_the_given_number():
    """As in scikit-learn the last step then stands, without a warning."""
    run = chain(Gmm(max_iter=3, tol=0), 50, 2, 5, seed=19)
    assert np.all(run[0].model.iterations == 3)
