"""Kernel density estimates against scipy, quadrature and closed forms.

Error rate: all seeded; every comparison of means is two-sided at level 1e-3 / COMPARISONS (Bonferroni), so that a
correct program fails this whole file with probability at most 1e-3 for a freshly chosen seed. Variances under a rule
grow by random factors and get heavy tails: raw means are tested only as far as a few fits.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats
from scipy.special import ndtri
from toy_comparisons import Comparisons
from toy_numbers import alone

from model_collapse import streams
from model_collapse.data import Data, Rows
from model_collapse.engine.execute import execute
from model_collapse.engine.plan import plan
from model_collapse.errors import InputError
from model_collapse.families import kde as module
from model_collapse.families.kde import Kde, Kernels, centres
from model_collapse.loop import Generation, Reference, generations
from model_collapse.metrics import Measurement
from model_collapse.metrics import gaussian as moments
from model_collapse.metrics import kde as measures
from model_collapse.regimes.accumulate import Accumulate
from model_collapse.regimes.replace import Replace
from model_collapse.regimes.subsample import Subsample
from model_collapse.regimes.weigh import Weigh
from model_collapse.theory import kde as theory

COMPARISONS = 300
compare = Comparisons(COMPARISONS)
within = compare.within


def chain(family: Kde, regime, n: int, last: int, chains: int, seed: int) -> list[Generation]:
    stream = streams.stream(seed)
    source = family.source(n, stream(-1, streams.SOURCE), chains)
    return list(generations(source, family, regime, n, stream, last=last))


def weighted(x: np.ndarray, weight: np.ndarray | None) -> Data:
    born = np.zeros(len(x), int)
    return Data(Rows(x, stacked=True), born, born, weight=weight)


# The fit -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dim", [1, 2])
@pytest.mark.parametrize("rule", ["scott", "silverman"])
@pytest.mark.parametrize("weights", ["none", "shared", "own"])
def test_rules_are_scipys(rule, dim, weights):
    """Densities at points near and far, with and without weights, correlated coordinates."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((25, 3, dim)) @ np.array([[1.0, 0.8], [0, 0.3]])[:dim, :dim]
    weight = {"none": None, "shared": rng.random(25), "own": rng.random((25, 3))}[weights]
    model = Kde(dim=dim, rule=rule).fit(weighted(x, weight), rng)
    points = 3 * rng.standard_normal((40, 3, dim))
    found = model.log_density(points)
    for r in range(3):
        own = None if weight is None else weight.reshape(25, -1)[:, min(r, weight.ndim - 1) if weight.ndim == 2 else 0]
        if weights == "own":
            own = weight[:, r]
        expected = stats.gaussian_kde(x[:, r].T, bw_method=rule, weights=own)
        np.testing.assert_allclose(found[:, r], expected.logpdf(points[:, r].T), rtol=1e-9, atol=1e-9)


def test_a_fixed_width_is_a_mixture_of_normals():
    x = np.random.default_rng(2).standard_normal((6, 2, 1))
    model = Kde(bandwidth=0.3).fit(weighted(x, None), np.random.default_rng(0))
    points = np.linspace(-2, 2, 9)[:, None, None] * np.ones((1, 2, 1))
    for r in range(2):
        expected = np.log(stats.norm.pdf(points[:, r], x[:, r, 0], 0.3).mean(axis=1))
        np.testing.assert_allclose(model.log_density(points)[:, r], expected, rtol=1e-12)


def test_densities_far_from_all_rows_do_not_underflow():
    model = Kernels(np.zeros((2, 1, 1)), np.full((1, 1, 1), 0.1))
    assert model.log_density(np.full((1, 1, 1), 100.0)).item() == pytest.approx(
        -0.5e6 - np.log(0.1 * np.sqrt(2 * np.pi))
    )


def test_memory_is_bounded_and_pieces_make_no_difference(monkeypatch):
    rng = np.random.default_rng(3)
    model = Kde(dim=2).fit(weighted(rng.standard_normal((50, 2, 2)), None), rng)
    points = rng.standard_normal((31, 2, 2))
    whole = model.log_density(points)
    for cells in (1, 60, 400):
        monkeypatch.setattr(module, "_CELLS", cells)
        np.testing.assert_allclose(model.log_density(points), whole, rtol=1e-12)


@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize("rule", ["fixed", "scott"])
def test_samples_have_the_models_mean_covariance_and_density(rule, weights):
    """2 x 50,000 rows; a row of weight 0 is never picked."""
    rng = np.random.default_rng(4)
    x = rng.standard_normal((7, 2, 2)) * 3
    weight = rng.random((7, 2)) if weights else None
    if weight is not None:
        weight[2] = weight[6] = 0
    model = Kde(dim=2, rule=rule, bandwidth=0.7).fit(weighted(x, weight), rng)
    wrote = Kde(dim=2).sample(model, 50_000, rng).x
    covariance = model.deviation @ np.swapaxes(model.deviation, -1, -2)
    for r in range(2):
        centred = wrote[:, r] - model.mean[r]
        for i in range(2):
            within("mean", centred[:, i], 0)
            for j in range(i + 1):
                within("covariance", centred[:, i] * centred[:, j], covariance[r, i, j])
    if weights:
        tight = Kde(dim=2).sample(Kernels(model.x, model.kernel * 1e-9, model.weight), 5000, rng).x
        close = np.linalg.norm(tight[:, :, None] - np.moveaxis(x, 0, 1)[None], axis=-1).argmin(axis=-1)
        assert not np.isin(close, [2, 6]).any()


# Sources and metrics -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", ["normal", "blobs", "circles", "moons"])
def test_a_source_has_the_density_it_says(shape):
    """Mass 1, and the rows have its entropy and its mean, all by quadrature."""
    family = Kde(dim=2, shape=shape)
    x = family.source(20_000, np.random.default_rng(5), 1).train.rows.x
    truth = family.truth(1)
    grid = np.linspace(-6, 6, 601)
    plane = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 1, 2)
    log = truth.log_density(plane)[:, 0]
    mass, step = np.exp(log), (grid[1] - grid[0]) ** 2
    assert mass.sum() * step == pytest.approx(1, abs=1e-6)
    within(f"entropy of {shape}", truth.log_density(x)[:, 0], float(np.sum(mass * log) * step))
    for i in range(2):
        within(f"mean of {shape}", x[:, 0, i], float(np.sum(mass * plane[:, 0, i]) * step))
    points, width = centres(shape, 2)
    assert points.shape[1] == 2 and width > 0


def test_real_rows_to_test_with_are_others_for_every_chain():
    source = Kde().source(10, np.random.default_rng(6), 3)
    test = source.test.rows.x
    assert (
        test.shape == (200, 3, 1) and len(np.unique(np.concatenate([test.ravel(), source.train.rows.x.ravel()]))) == 630
    )


def test_kl_and_likelihood_against_quadrature():
    """KL(N(0,1) || model) by integration; over 400 chains of one model the estimate is unbiased."""
    family = Kde(bandwidth=0.4)
    rows = np.array([-1.0, 0.2, 0.5, 2.0])
    model = family.fit(weighted(np.tile(rows[:, None, None], (1, 400, 1)), None), np.random.default_rng(0))
    source = family.source(5, np.random.default_rng(7), 400)
    generation = Generation(0, source.train, model, source.train)
    measured = Measurement(generation, Reference(generation, source, family))

    def log_model(x):
        return np.log(stats.norm.pdf(x, rows, 0.4).mean())

    cross = integrate.quad(lambda x: -stats.norm.pdf(x) * log_model(x), -6, 6)[0]
    within("nll", measures.nll(measured), cross)
    within("kl", measures.kl_density(measured), cross - 0.5 * np.log(2 * np.pi * np.e))


@pytest.mark.parametrize(("mean", "width"), [(0.0, 1.0), (0.7, 1.0), (-0.3, 2.0), (0.5, 0.1)])
def test_w2_of_a_single_kernel_is_that_of_two_normals(mean, width):
    model = Kernels(np.full((1, 2, 1), mean), np.full((2, 1, 1), width))
    generation = Generation(0, None, model, None)  # type: ignore[arg-type]
    found = measures.w2_marginal(Measurement(generation, Reference(generation, None, Kde())))  # type: ignore[arg-type]
    # Midpoint quantiles cut the last 1/800 of either tail.
    z = ndtri((np.arange(400) + 0.5) / 400)
    np.testing.assert_allclose(found, np.mean((mean + (width - 1) * z) ** 2), rtol=2e-3, atol=1e-5)
    np.testing.assert_allclose(found, mean**2 + (width - 1) ** 2, rtol=2e-2, atol=1e-5)


def test_w2_of_weighted_rows_is_that_of_repeated_ones():
    rng = np.random.default_rng(8)
    x, k = rng.standard_normal((6, 1, 1)), np.array([1, 2, 3, 0, 1, 1])
    family = Kde()
    models = family.fit(weighted(x, k.astype(float)), rng), family.fit(weighted(np.repeat(x, k, axis=0), None), rng)
    one, other = (Generation(0, None, model, None) for model in models)  # type: ignore[arg-type]
    reference = Reference(one, None, family)  # type: ignore[arg-type]
    # The first grid reaches the row of weight 0 as well.
    found = [measures.w2_marginal(Measurement(each, reference)) for each in (one, other)]
    np.testing.assert_allclose(*found, rtol=1e-3)


# Closed forms ------------------------------------------------------------------------------------------------------


REGIMES = {"replace": Replace(), "accumulate": Accumulate(), "subsample": Subsample()}


@pytest.mark.parametrize("M", [5, 10, 100])
@pytest.mark.parametrize("bandwidth", [0.2, 1.0])
@pytest.mark.parametrize("regime", REGIMES)
def test_fixed_widths_follow_the_closed_forms(regime, bandwidth, M):
    run = chain(Kde(bandwidth=bandwidth), REGIMES[regime], M, 19, 4000 if M <= 10 else 1000, seed=M)
    for n in (1, 2, 5, 20):
        mean, variance = (metric(alone(run[n - 1])) for metric in (moments.mean, moments.variance))
        within(f"V n={n}", variance, float(theory.kde_variance(n, M, bandwidth, regime)))
        if regime == "replace":
            within(f"drift n={n}", mean**2, float(theory.kde_mean_drift(n, M, bandwidth)))


@pytest.mark.parametrize("M", [5, 10, 100])
@pytest.mark.parametrize("rule", ["scott", "silverman"])
@pytest.mark.parametrize("regime", ["replace", "accumulate"])
def test_widths_by_rule_follow_the_closed_forms(regime, rule, M):
    run = chain(Kde(rule=rule), REGIMES[regime], M, 11, 6000 if M <= 10 else 1000, seed=M + 1)
    for n in (1, 2, 4) if regime == "replace" else (1, 2, 5, 12):
        variance = moments.variance(alone(run[n - 1]))
        within(f"V n={n}", variance, float(theory.kde_rule_variance(n, M, rule, regime)))


def test_in_the_plane_every_coordinate_follows_them_whatever_the_shape():
    """Variances relative to those of the shape."""
    for shape in ("blobs", "moons"):
        points, width = centres(shape, 2)
        real = float(np.mean(np.var(points, axis=0))) + width**2
        run = chain(Kde(dim=2, shape=shape, rule="scott"), Replace(), 20, 3, 2000, seed=9)
        for n in (1, 2, 4):
            variance = moments.variance(alone(run[n - 1]))
            within(f"{shape} n={n}", variance / real, float(theory.kde_rule_variance(n, 20, "scott", dim=2)))


def test_the_closed_forms_know_their_limits():
    M, h, n = 50, 0.3, np.array([1, 10, 1000, 4000])
    assert theory.kde_variance(n, M, h)[-1] == pytest.approx(M * h**2)
    # Accumulating: h^2 ln n in the long run.
    grown = theory.kde_variance(n, M, h, "accumulate")
    assert (grown[3] - grown[2]) / (h**2 * np.log(4)) == pytest.approx(1, abs=1e-3)
    # A rule: geometric under replace, bounded under accumulate.
    assert theory.kde_rule_variance(40, 100) / theory.kde_rule_variance(39, 100) == pytest.approx(1 - 0.01 + 100**-0.4)
    assert theory.kde_rule_variance(4000, 100, regime="accumulate") < 1.6


# Edges -------------------------------------------------------------------------------------------------------------


def test_one_row_is_a_normal_distribution_and_no_rule():
    run = chain(Kde(bandwidth=0.5), Replace(), 1, 3, 4, seed=1)
    np.testing.assert_allclose(moments.variance(alone(run[-1])), 0.25)
    for rule in ("scott", "silverman"):
        with pytest.raises(
            InputError, match=rf"^-n 2: family\.rule={rule} needs at least 3 rows; set family\.rule=fixed$"
        ):
            chain(Kde(dim=2, rule=rule), Replace(), 2, 1, 2, seed=1)


def test_rows_that_shrink_or_spread_without_end_are_one_line():
    """Two rows by rule shrink until they are equal, twenty spread; until then no measure is nan."""
    for n, last, pattern in ((2, 6000, "-n 2"), (20, 20_000, "-n 20")):
        family = Kde(rule="scott")
        stream = streams.stream(3)
        source = family.source(n, stream(-1, streams.SOURCE), 2)
        seen = []
        with pytest.raises(
            InputError, match=rf"^{pattern}: family\.rule=scott has let the rows spread or shrink"
        ) as refused:
            for generation in generations(source, family, Replace(), n, stream, last=last):
                seen.append(generation)
        assert "\n" not in str(refused.value) and len(seen) > 50
        reference = Reference(seen[0], source, family)
        for metric in (measures.nll, measures.kl_density, measures.w2_marginal, moments.variance):
            assert not np.any(np.isnan(metric(Measurement(seen[-1], reference))))


def test_a_shape_of_the_plane_needs_two_dimensions():
    with pytest.raises(InputError, match=r"^family\.shape=moons lies in the plane: set family\.dim=2$"):
        Kde(shape="moons")


def test_weighted_generations_run_and_stay_where_they_should():
    run = chain(Kde(bandwidth=0.2), Weigh(0.6), 30, 5, 500, seed=2)
    within("mean under weigh", moments.mean(alone(run[-1])), 0)
    assert run[-1].model.weight.shape == (60, 500)
    np.testing.assert_allclose(run[-1].model.weight.sum(axis=0), 1)


def test_by_name_in_two_blocks():
    arguments = {"n": 12, "generations": 2, "replicates": 70, "settings": {"family.dim": 2, "family.shape": "moons"}}
    table, _ = execute(plan("kde", "accumulate", **arguments))
    assert set(table["metric"]) == set(Kde.metrics) and np.all(np.isfinite(table["value"]))
    again, _ = execute(plan("kde", "accumulate", **arguments), jobs=2)
    np.testing.assert_array_equal(again["value"], table["value"])
