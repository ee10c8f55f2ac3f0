"""The Gaussian chains against closed forms, and against a ten-line loop that shares no code with the package.

Error rate: all seeded. Every comparison below is two-sided at level 1e-3 / COMPARISONS, so that a correct program fails
this whole file with probability at most 1e-3 (Bonferroni) for a freshly chosen seed. Raw means over chains are tested
only up to n <= M / 2 fits: beyond, a few chains carry the mean and its standard error says nothing. Log-variances have
light tails and a known spread, and are tested as far as the chain goes.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy import stats
from scipy.special import digamma, polygamma
from toy_comparisons import Comparisons
from toy_numbers import alone

from model_collapse import streams, theory
from model_collapse.data import Data, Moments, Rows
from model_collapse.engine.execute import execute
from model_collapse.engine.plan import plan
from model_collapse.errors import InputError
from model_collapse.families.gaussian import Gaussian, Normal
from model_collapse.loop import Generation, Reference, generations
from model_collapse.metrics import Measurement
from model_collapse.metrics import gaussian as measures
from model_collapse.regimes.accumulate import Accumulate
from model_collapse.regimes.fixed import Fixed
from model_collapse.regimes.fresh import Fresh
from model_collapse.regimes.grow import Grow
from model_collapse.regimes.mix import Mix
from model_collapse.regimes.replace import Replace
from model_collapse.theory import mixed

COMPARISONS = 1000
compare = Comparisons(COMPARISONS)
within, same_distribution = compare.within, compare.same_distribution


def chain(family: Gaussian, regime, M: int, fits: int, chains: int, seed: int) -> list[Generation]:
    """Generations 0 .. fits - 1."""
    stream = streams.stream(seed)
    source = family.source(M, stream(-1, streams.SOURCE), chains)
    return list(generations(source, family, regime, M, stream, last=fits - 1))


def measure(generation: Generation) -> tuple[np.ndarray, np.ndarray]:
    """Mean (first coordinate) and variance of every chain."""
    return measures.mean(alone(generation)), measures.variance(alone(generation))


# Closed forms ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampling", ["exact", "draw"])
@pytest.mark.parametrize("estimator", ["mle", "unbiased"])
@pytest.mark.parametrize("M", [5, 10, 100])
def test_replace_follows_the_closed_forms(M, estimator, sampling):
    """CF-G1 to CF-G6: moments up to n <= M / 2, fourth moments up to M / 5, log-variance up to 2 M."""
    long = {"exact": 2 * M, "draw": max(M // 2, 20)}[sampling]
    chains = {"exact": 20_000, "draw": 20_000 if M <= 10 else 4_000}[sampling]
    run = chain(Gaussian(estimator=estimator, sampling=sampling), Replace(), M, long, chains, seed=M)
    for n in sorted({1, 2, M // 10 or 1, M // 5, M // 2, M, long}):
        if n > long:
            continue
        mean, variance = measure(run[n - 1])
        log = measures.log_det(alone(run[n - 1]))
        spread = theory.variance_of_log_variance(n, M)
        within(f"CF-G3 n={n}", log, theory.expected_log_variance(n, M, estimator), spread)
        # The variance of ln s^2 itself: its fourth moment is known too (a sum of n independent log chi-squares).
        kurtosis = 3 * spread**2 + n * polygamma(3, (M - 1) / 2)
        centred = (log - theory.expected_log_variance(n, M, estimator)) ** 2
        within(f"spread n={n}", centred, spread, kurtosis - spread**2)
        if n > M / 2:
            continue
        w2 = measures.w2_squared(alone(run[n - 1]))
        within(f"CF-G1 n={n}", variance, theory.expected_variance(n, M, estimator))
        within(f"CF-G2 n={n}", np.sqrt(variance), theory.expected_deviation(n, M, estimator))
        within(f"E mu n={n}", mean, 0)
        within(f"CF-G4 n={n}", mean**2, theory.mean_drift(n, M, estimator))
        within(f"CF-G5 n={n}", w2, theory.expected_w2_squared(n, M, estimator))
        if n <= max(M / 5, 1):
            within(f"CF-G6 n={n}", variance**2, theory.expected_fourth_moment(n, M, estimator))


@pytest.mark.parametrize("sampling", ["exact", "draw"])
@pytest.mark.parametrize("estimator", ["mle", "unbiased"])
@pytest.mark.parametrize("M", [5, 10, 100])
def test_accumulate_follows_the_closed_forms(M, estimator, sampling):
    """CF-G7 and CF-G8. The pooled variance stays bounded away from 0 in the mean, so raw means are safe."""
    fits, chains = {"exact": (50, 20_000), "draw": (12, 8_000 if M <= 10 else 2_000)}[sampling]
    run = chain(Gaussian(estimator=estimator, sampling=sampling), Accumulate(), M, fits, chains, seed=M)
    for t in (1, 2, 5, fits):
        mean, variance = measure(run[t - 1])
        assert len(run[t - 1].train) == t * M
        within(f"CF-G7/8 t={t}", variance, theory.accumulated_variance(t, M, estimator))
        if estimator == "mle":
            within(f"CF-G7 drift t={t}", mean**2, theory.accumulated_mean_drift(t, M))


@pytest.mark.parametrize("M", [10, 30])
def test_mix_reaches_the_stationary_spread_of_its_mean(M):
    """M Var(mu) -> (1 + 2 g (1 - g)) / D with D = 1 - (1 - g)^2 + (1 - g) / M, for a finite real set and the mle."""
    g = 0.1
    limit = (1 + 2 * g * (1 - g)) / (1 - (1 - g) ** 2 + (1 - g) / M)
    if M == 10:
        assert limit == pytest.approx(4.214, abs=5e-4)
    run = chain(Gaussian(sampling="draw"), Mix(g), M, fits=90, chains=12_000 * 10 // M, seed=3)
    # Memory fades as (1 - g)^2 per generation, so 60 generations leave 3e-6 of the start.
    late = np.mean([measure(generation)[0] ** 2 for generation in run[60:]], axis=0)
    within("mix, M Var(mu)", M * late, limit)


@pytest.mark.parametrize("sampling", ["exact", "draw"])
def test_a_known_variance_makes_the_mean_a_plain_random_walk(sampling):
    """M mu_n^2 / n is chi-square with one degree of freedom; nothing else moves."""
    M, n = 10, 40
    run = chain(Gaussian(variance="known", sampling=sampling), Replace(), M, n, 10_000, seed=4)
    mean, variance = measure(run[-1])
    assert np.all(variance == 1)
    within("known: drift", mean**2, n / M, 2 * (n / M) ** 2)
    same_distribution("known: normal", mean, np.sqrt(n / M) * np.random.default_rng(5).standard_normal(100_000))


@pytest.mark.parametrize("sampling", ["exact", "draw"])
def test_biased_sampling_multiplies_the_variance(sampling):
    """CF-G11: generation g has been sampled g times with variance times lambda; unbiased fits keep its mean."""
    M, factor = 40, 0.9
    run = chain(Gaussian(estimator="unbiased", sampling=sampling, bias=factor), Replace(), M, 21, 8_000, seed=6)
    for g in (0, 1, 10, 20):
        within(f"CF-G11 g={g}", measure(run[g])[1], factor**g)


# Several dimensions ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampling", ["exact", "draw"])
@pytest.mark.parametrize("estimator", ["mle", "unbiased"])
def test_three_dimensions_follow_the_wishart_distribution(estimator, sampling):
    """CF-G6b: E and Var of ln det; E Sigma; E |mu|^2. Raw means up to n <= M / 2."""
    M, d, chains = 12, 3, 10_000
    run = chain(Gaussian(dim=d, estimator=estimator, sampling=sampling), Replace(), M, 24, chains, seed=8)
    half = (M - np.arange(1, d + 1)) / 2
    divisor = M if estimator == "mle" else M - 1
    for n in (1, 3, 6, 24):
        generation = run[n - 1]
        log_det = measures.log_det(alone(generation))
        expected = n * (np.sum(digamma(half)) + d * np.log(2 / divisor))
        within(f"CF-G6b n={n}", log_det, expected, n * np.sum(polygamma(1, half)))
        if n > M / 2:
            continue
        shrink = ((M - 1) / divisor) ** n
        root = generation.model.root
        covariance = root @ np.swapaxes(root, -1, -2)
        within(f"E tr n={n}", measure(generation)[1], shrink)
        for i in range(d):
            for j in range(i + 1):
                within(f"E Sigma_{i}{j} n={n}", covariance[:, i, j], shrink if i == j else 0)
        drift = d * theory.mean_drift(n, M, estimator)
        within(f"E |mu|^2 n={n}", np.sum(generation.model.mean**2, axis=-1), drift)


@pytest.mark.parametrize("sampling", ["exact", "draw"])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_too_few_rows_make_a_singular_covariance_at_once(n, sampling):
    """n <= d: rank n - 1, ln det = -inf in every chain and for ever, and the distances stay finite."""
    for generation in chain(Gaussian(dim=3, sampling=sampling), Replace(), n, 3, 50, seed=9):
        assert np.all(measures.log_det(alone(generation)) == -np.inf)
        rank = np.linalg.matrix_rank(generation.model.root, tol=1e-9)
        assert np.all(rank <= n - 1)
        assert np.all(rank == n - 1) or generation.t > 0
        assert np.all(np.isfinite(measures.w2_squared(alone(generation))))


@pytest.mark.parametrize("n", [2, 3, 4, 20])
def test_exact_and_drawn_samples_have_one_distribution(n):
    """Sufficient statistics of n rows from a skew N(mu, L L'), exact against drawn, singular cases among them."""
    chains, d = 6_000, 3
    lower = np.array([[2.0, 0, 0], [1.0, 0.5, 0], [-1.0, 0.3, 0.1]])
    model = _normal(np.array([1.0, -2.0, 0.0]), lower, chains)
    distributions = []
    for sampling, seed in (("exact", 1), ("draw", 2)):
        family = Gaussian(dim=d, sampling=sampling)
        rng = np.random.default_rng(seed)
        fitted = family.fit(Data.real(family.sample(model, n, rng)), rng)
        covariance = fitted.root @ np.swapaxes(fitted.root, -1, -2)
        values = np.sort(np.linalg.eigvalsh(covariance), axis=-1)[:, ::-1]
        flat = [fitted.mean[:, 0], fitted.mean[:, 2], covariance[:, 0, 0], covariance[:, 0, 2], covariance[:, 1, 2]]
        # Only the first n - 1 eigenvalues are not rounding.
        distributions.append(
            flat + [values[:, i] for i in range(min(d, n - 1))] + [fitted.mean[:, 0] * covariance[:, 0, 1]]
        )
    for i, (one, other) in enumerate(zip(*distributions, strict=True)):
        same_distribution(f"n={n}, statistic {i}", one, other)


def _normal(mean: np.ndarray, root: np.ndarray, chains: int):
    return Normal(np.tile(mean, (chains, 1)), np.tile(root, (chains, 1, 1)))


# An implementation of its own --------------------------------------------------------------------------------------


@cache
def independent(regime: str, M: int, fits: int, ddof: int, chains: int = 1500) -> np.ndarray:
    """Mean and variance at every fit, (chains, fits, 2): one chain after the other, plain numpy."""
    rng = np.random.RandomState(1234)  # another generator than the package's, on purpose
    out = np.empty((chains, fits, 2))
    for r in range(chains):
        real = data = rng.normal(size=M)
        for t in range(fits):
            out[r, t] = np.mean(data), np.var(data, ddof=ddof)
            new = rng.normal(out[r, t, 0], np.sqrt(out[r, t, 1]), M)
            kept = {"replace": 0, "mix": round(0.3 * M), "accumulate": len(data)}[regime]
            old = data if regime == "accumulate" else rng.choice(real, kept, replace=False)
            data = np.concatenate([old, new if regime == "accumulate" else new[kept:]])
    return out


@pytest.mark.parametrize("sampling", ["exact", "draw"])
@pytest.mark.parametrize("estimator", ["mle", "unbiased"])
@pytest.mark.parametrize("regime", [Replace(), Accumulate(), Mix(0.3)], ids=["replace", "accumulate", "mix"])
def test_the_loop_has_the_distribution_of_a_plain_per_chain_loop(regime, estimator, sampling):
    M, fits = 8, 13
    family = Gaussian(estimator=estimator, sampling=sampling)
    if isinstance(regime, Mix) and sampling == "exact":
        with pytest.raises(InputError, match=r"set family\.sampling=draw"):
            chain(family, regime, M, fits, 4, seed=1)
        return
    plain = independent(type(regime).__name__.lower(), M, fits, 0 if estimator == "mle" else 1)
    run = chain(family, regime, M, fits, 10_000, seed=11)
    for t in (0, 1, 4, 12):
        mean, variance = measure(run[t])
        same_distribution(f"mean t={t}", mean, plain[:, t, 0])
        same_distribution(f"variance t={t}", variance, plain[:, t, 1])
        # Jointly: how far the mean has gone in units of its own variance.
        same_distribution(f"both t={t}", mean / np.sqrt(variance), plain[:, t, 0] / np.sqrt(plain[:, t, 1]))


def test_chains_of_one_block_are_independent():
    """Neighbouring chains are uncorrelated at generation 5, in mean and in log-variance, whatever the regime.

    4000 pairs each; correlation times sqrt(pairs) is standard normal.
    """
    for regime in (Replace(), Accumulate(), Mix(0.5)):
        run = chain(Gaussian(sampling="draw"), regime, 10, 6, 8_000, seed=12)
        mean, variance = measure(run[-1])
        for value in (mean, np.log(variance)):
            left, right = value[::2], value[1::2]
            compare.count("independent chains")
            assert abs(np.corrcoef(left, right)[0, 1]) * np.sqrt(len(left)) < compare.z


# Fitting -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dim", [1, 3])
@pytest.mark.parametrize("estimator", ["mle", "unbiased"])
def test_a_fit_is_numpys_mean_and_covariance(estimator, dim):
    x = 1e3 + np.random.default_rng(13).standard_normal((9, 4, dim))
    fitted = Gaussian(dim=dim, estimator=estimator).fit(Data.real(Rows(x, stacked=True)), np.random.default_rng(0))
    for r in range(4):
        expected = np.atleast_2d(np.cov(x[:, r], rowvar=False, bias=estimator == "mle"))
        np.testing.assert_allclose(fitted.mean[r], x[:, r].mean(axis=0), rtol=1e-14)
        np.testing.assert_allclose(fitted.root[r] @ fitted.root[r].T, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dim", [1, 3])
@pytest.mark.parametrize("estimator", ["mle", "unbiased"])
def test_a_weight_of_k_counts_as_k_rows(estimator, dim):
    """Weights (n, R), another row of weights for every chain; and (n,), one for all. A weight of 0 is no row."""
    rng = np.random.default_rng(14)
    x, k = rng.standard_normal((6, 3, dim)), rng.integers(0, 4, (6, 3))
    k[0] += 2
    family = Gaussian(dim=dim, estimator=estimator)
    born = np.zeros(6, int)
    own = family.fit(Data(Rows(x, stacked=True), born, born, weight=k.astype(float)), rng)
    for r in range(3):
        repeated = np.repeat(x[:, [r]], k[:, r], axis=0)
        one = family.fit(Data.real(Rows(repeated, stacked=True)), rng)
        np.testing.assert_allclose(own.mean[r], one.mean[0], atol=1e-13)
        np.testing.assert_allclose(own.root[r] @ own.root[r].T, one.root[0] @ one.root[0].T, atol=1e-12)
    shared = family.fit(Data(Rows(x, stacked=True), born, born, weight=k[:, 0].astype(float)), rng)
    np.testing.assert_allclose(shared.mean[0], own.mean[0], atol=1e-14)
    np.testing.assert_allclose(shared.root[0], own.root[0], atol=1e-14)


def test_one_row_has_no_unbiased_variance():
    with pytest.raises(InputError, match=r"family\.estimator=unbiased divides by n - 1: n must be at least 2"):
        chain(Gaussian(estimator="unbiased"), Replace(), 1, 1, 2, seed=0)
    assert np.all(measure(chain(Gaussian(), Replace(), 1, 1, 2, seed=0)[0])[1] == 0)


# Numbers at their ends ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", ["mle", "unbiased"])
@pytest.mark.parametrize(("M", "d", "fits"), [(2, 1, 5000), (10, 1, 20_000), (5, 3, 3000)])
def test_the_determinant_survives_where_the_deviation_underflows(M, d, fits, estimator):
    """Far below the smallest number: ln det follows CF-G6b, the typical variance is 0, W2^2 is |mu|^2 + d."""
    family, stream = Gaussian(dim=d, estimator=estimator), streams.stream(15)
    source = family.source(M, stream(-1, streams.SOURCE), 400)
    for last in generations(source, family, Replace(), M, stream, last=fits - 1):  # noqa: B007
        pass
    log = measures.log_det(alone(last))
    expected = mixed.expected_log_det(fits, M, d, estimator)
    assert expected < -2 * d * 750, "the smallest number is exp(-745)"
    within(f"ln det, M={M} d={d}", log, float(expected), float(mixed.variance_of_log_det(fits, M, d)))
    spread = float(mixed.variance_of_log_det(fits, M, d))
    kurtosis = 3 * spread**2 + fits * polygamma(3, (M - np.arange(1, d + 1)) / 2).sum()
    within(f"its spread, M={M} d={d}", (log - expected) ** 2, spread, kurtosis - spread**2)
    variance = measures.variance(alone(last))
    assert np.median(variance) == 0 and np.max(variance) < 1e-200
    mu = last.model.mean
    np.testing.assert_allclose(measures.w2_squared(alone(last)), np.sum(mu**2, axis=-1) + d, rtol=1e-14)


@pytest.mark.parametrize(("dim", "M"), [(1, 4), (3, 6)])
@pytest.mark.parametrize("regime", [Replace(), Accumulate(), Fresh(0.5), Fixed()], ids=lambda r: type(r).__name__)
def test_exponents_kept_apart_change_no_digit(monkeypatch, regime, dim, M):
    """Splitting by powers of two is exact: a chain that splits all the time has the bits of one that never does."""
    runs = []
    for tiny in (0, 1e9):
        monkeypatch.setattr("model_collapse.families.gaussian.TINY", tiny)
        runs.append(chain(Gaussian(dim=dim), regime, M, 25, 50, seed=21))
    plain, split = (run[-1].model for run in runs)
    assert plain.power is None and (split.power is not None or not isinstance(regime, Replace))
    assert np.array_equal(plain.mean, split.mean) and np.array_equal(plain.deviation, split.deviation)


def test_real_rows_bring_a_vanished_chain_back():
    """What has underflown still merges: with new real rows beside it, the next fit is a number again."""
    dead = Normal(np.ones((3, 2)), np.broadcast_to(np.eye(2), (3, 2, 2)), np.full((3, 2), -5000))
    family, rng = Gaussian(dim=2), np.random.default_rng(22)
    wrote = Data.of(family.sample(dead, 10, rng), 1, 1)
    assert np.all(wrote.rows.mean == 1)
    fitted = family.fit(Data.concat([family.source(10, rng, 3).train, wrote]), rng)
    assert fitted.power is None and np.all(np.isfinite(fitted.root))
    assert np.all(np.abs(measures.variance(alone(Generation(0, None, fitted, None))) - 0.75) < 0.6)


def test_drawn_rows_refuse_before_rounding_shows():
    """Just above the limit the variance is right to a tenth of a per cent; below it one line says what to do."""
    M, chains = 100, 20_000
    limit = 10 * M * np.finfo(float).eps
    rng, family = np.random.default_rng(23), Gaussian(sampling="draw")
    # Means across a binade, where the grain is coarsest.
    mean = np.linspace(1, 2, chains)[:, None]
    fitted = family.fit(Data.real(family.sample(Normal(mean, 1.01 * limit * mean[..., None]), M, rng)), rng)
    ratio = (fitted.root / (1.01 * limit * mean[..., None])).ravel() ** 2
    # One generation of the M / 2 over which errors add up.
    compare.count("grain")
    assert abs(np.mean(ratio) / (1 - 1 / M) - 1) < compare.z * np.std(ratio) / np.sqrt(chains) + 1e-3 / (M / 2)
    with pytest.raises(
        InputError, match=r"^family\.sampling=draw: .* of the mean, .* set family\.sampling=exact or "
    ) as no:
        family.sample(Normal(mean, 0.99 * limit * mean[..., None]), M, rng)
    assert "\n" not in str(no.value)


@pytest.mark.parametrize("estimator", ["mle", "unbiased"])
def test_a_drawn_chain_is_right_until_it_is_refused(estimator):
    """M = 5: drawn until a chain gets too narrow; up to there ln s^2 has the distribution of the exact chain."""
    M, chains = 5, 2_000
    family, stream = Gaussian(sampling="draw", estimator=estimator), streams.stream(24)
    source, fits = family.source(M, stream(-1, streams.SOURCE), chains), 0
    with pytest.raises(InputError, match=r"family\.sampling=draw"):
        for last in generations(source, family, Replace(), M, stream, last=1000):
            fits += 1
            if fits in (10, 20, 30):
                log = measures.log_det(alone(last))
                within(f"drawn n={fits}", log, float(theory.expected_log_variance(fits, M, estimator)))
    assert fits >= 30
    within("the last one", measures.log_det(alone(last)), float(theory.expected_log_variance(fits, M, estimator)))


@pytest.mark.parametrize("sampling", ["exact", "draw"])
@pytest.mark.parametrize("dim", [1, 2])
def test_one_row_has_no_variance_and_goes_on(dim, sampling):
    """M = 1: variance 0 at once, ln det -inf, the mean stays where the one real row was."""
    run = chain(Gaussian(dim=dim, sampling=sampling), Replace(), 1, 50, 100, seed=25)
    for generation in run:
        assert np.all(measures.variance(alone(generation)) == 0)
        assert np.all(measures.log_det(alone(generation)) == -np.inf)
        assert np.array_equal(generation.model.mean, run[0].model.mean)


@pytest.mark.parametrize("regime", [Accumulate(), Grow(2)], ids=["accumulate", "grow"])
def test_a_singular_start_stays_singular(regime):
    """Two real rows in three dimensions span a line: exact chains never leave it, however many rows come later."""
    for generation in chain(Gaussian(dim=3), regime, 2, 12, 50, seed=26):
        assert np.all(measures.log_det(alone(generation)) == -np.inf)
        assert np.all(measures.variance(alone(generation)) > 0)


def test_a_growing_variance_is_refused_before_it_overflows():
    with pytest.raises(
        InputError, match=r"^family\.bias=3: the variance has grown beyond 1e200; fewer generations \(-g\)$"
    ):
        chain(Gaussian(bias=3.0), Replace(), 20, 1000, 5, seed=27)


def test_a_hundred_thousand_chains():
    """In one run, by blocks of their own; the interval of a mean is as narrow as so many chains make it."""
    table, _ = execute(plan("gaussian", n=10, generations=5, every=5, replicates=100_000, metrics=["log_det"], seed=28))
    values = table.loc[table["generation"] == 5, "value"].to_numpy()
    assert len(values) == 100_000 and len(np.unique(values)) == 100_000
    within("CF-G3", values, float(theory.expected_log_variance(6, 10)), float(theory.variance_of_log_variance(6, 10)))


# Other errors ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("M", [1, 2, 3, 10, 100])
def test_bimodal_real_data_have_one_distribution_exact_and_drawn(M):
    """Mean and scatter of M rows of the mixture, jointly; and the moments that the mixture has."""
    chains, distributions = 20_000, []
    for sampling, seed in (("exact", 30), ("draw", 31)):
        family, rng = Gaussian(truth="bimodal", sampling=sampling), np.random.default_rng(seed)
        fitted = family.fit(family.source(M, rng, chains).train, rng)
        mean, deviation = fitted.mean[:, 0], fitted.root[:, 0, 0]
        distributions.append([mean, deviation, np.abs(mean) - deviation, mean + deviation])
        within(f"E mean M={M}", mean, 0, 1 / M)
        within(f"E mean^2 M={M}", mean**2, 1 / M)
        if M > 1:
            within(f"E s^2 M={M}", deviation**2, 1 - 1 / M)
            for estimator, scale in (("mle", 1), ("unbiased", np.sqrt(M / (M - 1)))):
                within(f"E s M={M}", scale * deviation, theory.first_deviation(M, estimator, "bimodal"))
        else:
            assert np.all(deviation == 0)
    for i, (one, other) in enumerate(zip(*distributions, strict=True)):
        if M > 1 or i != 1:
            same_distribution(f"bimodal M={M}, statistic {i}", one, other)


def test_new_real_rows_are_bimodal_too():
    source = Gaussian(truth="bimodal", sampling="draw").source(10, np.random.default_rng(32), 4)
    rows = source.draw(20_000, np.random.default_rng(33)).rows
    assert isinstance(rows, Rows)
    a, b = theory.BIMODAL
    p = stats.kstest(rows.x.ravel(), lambda x: (stats.norm.cdf(x, -a, b) + stats.norm.cdf(x, a, b)) / 2).pvalue
    compare.count("bimodal rows")
    assert p > compare.level


def test_a_bimodal_truth_has_one_dimension():
    with pytest.raises(
        InputError, match=r"^family\.truth=bimodal is a distribution in one dimension; set family\.dim=1$"
    ):
        Gaussian(truth="bimodal", dim=2)


@pytest.mark.parametrize(("mu", "s"), [(0.0, 1.0), (0.7, 0.4), (-1.0, 0.0)])
def test_the_distance_to_a_bimodal_truth_by_quantiles(mu, s):
    """W2^2 in one dimension is the mean squared distance of equal quantiles, here by the midpoint rule."""
    a, b = theory.BIMODAL
    x = np.linspace(-a - 9 * b, a + 9 * b, 400_001)
    u = (stats.norm.cdf(x, -a, b) + stats.norm.cdf(x, a, b)) / 2
    weight, middle = np.diff(u), (x[1:] + x[:-1]) / 2
    quantile = stats.norm.ppf((u[1:] + u[:-1]) / 2)
    inside = np.isfinite(quantile)
    expected = np.sum(weight[inside] * (mu + s * quantile[inside] - middle[inside]) ** 2)
    generation = Generation(0, None, Normal(np.array([[mu]]), np.array([[[s]]])), None)  # type: ignore[arg-type]
    reference = Reference(generation, None, Gaussian(truth="bimodal"))  # type: ignore[arg-type]
    assert measures.w2_squared(Measurement(generation, reference)).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("estimator", ["mle", "unbiased"])
@pytest.mark.parametrize("M", [5, 10, 100])
def test_three_sources_of_error_add_up(M, estimator):
    """E[W2^2] with every combination of sources, up to M / 2 fits; the noise alone with the variance known."""
    for truth, noise in (("normal", 0.0), ("bimodal", 0.0), ("normal", 0.3), ("bimodal", 0.1)):
        family = Gaussian(estimator=estimator, truth=truth, noise=noise)
        fits = max(M // 2, 2)
        run = chain(family, Replace(), M, fits, 20_000, seed=34)
        reference = Reference(run[0], None, family)  # type: ignore[arg-type]
        for n in sorted({1, 2, fits}):
            parts = theory.w2_sources(n, M, estimator, truth=truth, noise=noise)
            measured = Measurement(run[n - 1], reference)
            within(f"sources n={n}", measures.w2_squared(measured), float(sum(parts.values())))
            drift = theory.mean_drift(n, M, estimator) + parts["approximation"]
            within(f"noisy drift n={n}", measures.mean(measured) ** 2, float(drift))


@pytest.mark.parametrize("sampling", ["exact", "draw"])
def test_noise_enters_every_coordinate_of_every_fit(sampling):
    """M = 50 rows in two dimensions, variance known: each coordinate of mu_n is N(0, n / M + n noise^2)."""
    M, n, noise = 50, 6, 0.2
    run = chain(Gaussian(dim=2, variance="known", noise=noise, sampling=sampling), Replace(), M, n, 5_000, seed=35)
    spread = n / M + n * noise**2
    for i in range(2):
        within(f"noise, coordinate {i}", run[-1].model.mean[:, i] ** 2, spread, 2 * spread**2)
    product = run[-1].model.mean[:, 0] * run[-1].model.mean[:, 1]
    within("coordinates apart", product, 0, spread**2)


# Tails and more dimensions -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", ["mle", "unbiased"])
@pytest.mark.parametrize("M", [5, 10, 100])
def test_quantiles_of_the_variance_over_chains(M, estimator):
    """The share of chains below each quantile, at n = 2 M fits and later; what is left out is of order 1/n."""
    chains, fits = 20_000, 4 * M
    run = chain(Gaussian(estimator=estimator), Replace(), M, fits, chains, seed=36)
    for n in (2 * M, fits):
        value = measure(run[n - 1])[1]
        for p in (0.05, 0.5, 0.95):
            compare.count("quantile")
            share = np.mean(value < theory.variance_quantile(p, n, M, estimator))
            assert abs(share - p) < compare.z * np.sqrt(p * (1 - p) / chains) + 0.05 / n
        for eps in (0.1, 0.5):
            bound, markov = theory.deviation_tail_bound(eps, n, M), theory.expected_deviation(n, M, estimator) / eps
            assert np.mean(np.sqrt(value) > eps) <= markov <= bound


@pytest.mark.parametrize("estimator", ["mle", "unbiased"])
@pytest.mark.parametrize(("M", "d"), [(10, 2), (20, 5), (100, 3)])
def test_the_distance_in_d_dimensions_lies_between_its_bounds(M, d, estimator):
    """Up to M / 2 fits, and close to first order where n d / M is small."""
    fits = M // 2
    run = chain(Gaussian(dim=d, estimator=estimator), Replace(), M, fits, 4_000, seed=37)
    for n in (1, 2, fits):
        w2 = measures.w2_squared(alone(run[n - 1]))
        error = compare.z * np.std(w2) / np.sqrt(len(w2))
        low, high = theory.w2_squared_bounds(n, M, d, estimator)
        compare.count("bounds")
        assert low - error <= np.mean(w2) <= high + error
        # What is left out of the first order is at most its square, over d.
        first = float(theory.w2_squared_first_order(n, M, d))
        if n * d <= M / 10:
            compare.count("first order")
            assert abs(np.mean(w2) - first) < error + first**2


# Metrics -----------------------------------------------------------------------------------------------------------


def test_metrics_against_dense_linear_algebra():
    """|mu|^2 + tr(Sigma + I - 2 Sigma^(1/2)) by an eigendecomposition; ln det and trace from the covariance."""
    rng = np.random.default_rng(16)
    mean, root = rng.standard_normal((5, 4)), np.tril(rng.standard_normal((5, 4, 4)))
    generation = Generation(0, None, Normal(mean, root), None)  # type: ignore[arg-type]
    measured = Measurement(generation, Reference(generation, None, Gaussian(dim=4)))  # type: ignore[arg-type]
    for r in range(5):
        sigma = root[r] @ root[r].T
        values = np.linalg.eigvalsh(sigma)
        w2 = mean[r] @ mean[r] + np.trace(sigma) + 4 - 2 * np.sum(np.sqrt(values))
        assert measures.w2_squared(measured)[r] == pytest.approx(w2, rel=1e-10)
        assert measures.log_det(measured)[r] == pytest.approx(np.sum(np.log(values)), rel=1e-9)
        assert measures.variance(measured)[r] == pytest.approx(np.trace(sigma) / 4, rel=1e-12)
        assert measures.mean(measured)[r] == mean[r, 0]


def test_w2_does_not_cancel_close_to_the_truth():
    """At distance 1e-9 the naive sum of four terms would have lost everything."""
    near = Generation(0, None, Normal(np.array([[1e-9]]), np.array([[[1 + 1e-9]]])), None)  # type: ignore[arg-type]
    assert measures.w2_squared(alone(near)).item() == pytest.approx(2e-18, rel=1e-6)


def test_exact_samples_merge_like_rows():
    """The pool of an exact chain stays one set of moments, whatever the generation."""
    run = chain(Gaussian(), Accumulate(), 10, 5, 3, seed=17)
    for generation in run:
        moments = generation.train.rows
        assert isinstance(moments, Moments) and moments.root.shape == (3, 1, 1)
