"""The closed forms against numbers worked out elsewhere: recorded values, quadrature, and each other."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from scipy import integrate, stats
from scipy.special import poch

from model_collapse import theory

RECORDED = [
    # (function, n or t, M, estimator, value, half a unit of its last digit)
    (theory.expected_variance, 20, 10, "mle", 0.1216, 5e-5),
    (theory.expected_variance, 200, 100, "mle", 0.1340, 5e-5),
    (theory.expected_variance, 200, 100, "unbiased", 1.0, 0),
    (theory.expected_deviation, 1, 10, "unbiased", 0.972659, 5e-7),
    (theory.expected_deviation, 1, 100, "unbiased", 0.997478, 5e-7),
    (theory.expected_deviation, 1, 1000, "unbiased", 0.999750, 5e-7),
    (theory.expected_deviation, 200, 100, "unbiased", 0.6035, 5e-5),
    (theory.expected_w2_squared, 10, 100, "unbiased", 0.1499, 5e-5),
    (theory.expected_w2_squared, 20, 10, "mle", 1.599, 5e-4),
    (theory.accumulated_variance, 50, 5, "mle", 0.7048, 5e-5),
    (theory.accumulated_variance, 50, 5, "unbiased", 0.8729, 5e-5),
    # The standard deviations that 1000 refits of the paper's supplementary figure lead to (np.std, so mle).
    (theory.expected_deviation, 1000, 100, "mle", 0.001, 5e-4),
    (theory.expected_deviation, 1000, 500, "mle", 0.223, 5e-4),
    (theory.expected_deviation, 1000, 1000, "mle", 0.472, 5e-4),
    (theory.expected_deviation, 1000, 10000, "mle", 0.928, 5e-4),
]


@pytest.mark.parametrize(("form", "n", "M", "estimator", "value", "tolerance"), RECORDED)
def test_recorded_values(form, n, M, estimator, value, tolerance):
    assert form(n, M, estimator) == pytest.approx(value, rel=0, abs=tolerance or 1e-15)


@pytest.mark.parametrize(("M", "value"), [(500, 0.135), (1000, 0.368), (10000, 0.905)])
def test_median_deviation_after_a_thousand_fits(M, value):
    """The log-variance is a sum of many independent terms, so its median is close to its mean."""
    assert np.exp(theory.expected_log_variance(1000, M) / 2) == pytest.approx(value, abs=6e-4)


@pytest.mark.parametrize(("M", "value"), [(5, 0.7020), (10, 0.8434), (100, 0.98363), (500, 0.99671), (1000, 0.99836)])
def test_limits_of_the_accumulated_variance(M, value):
    assert theory.accumulated_variance_limit(M) == pytest.approx(value, abs=5e-5)
    assert theory.accumulated_variance(20000, M) == pytest.approx(theory.accumulated_variance_limit(M), rel=2e-5)


@pytest.mark.parametrize("estimator", ["mle", "unbiased"])
@pytest.mark.parametrize("M", [2, 5, 10, 100])
def test_one_fit_against_quadrature(M, estimator):
    """Moments of scatter / c by numerical integration of the chi-square density; chains multiply them n times."""
    divisor = M if estimator == "mle" else M - 1
    distribution = stats.chi2(M - 1)

    def mean(f) -> float:
        # In the logarithm of the variate, where the density has no pole at 0 for M = 2.
        return integrate.quad(
            lambda u: f(np.exp(u) / divisor) * distribution.pdf(np.exp(u)) * np.exp(u), -60, 9, limit=400
        )[0]

    log_mean = mean(np.log)
    assert theory.expected_variance(1, M, estimator) == pytest.approx(mean(lambda v: v), rel=1e-6)
    assert theory.expected_deviation(1, M, estimator) == pytest.approx(mean(np.sqrt), rel=1e-6)
    assert theory.expected_fourth_moment(1, M, estimator) == pytest.approx(mean(np.square), rel=1e-6)
    assert theory.expected_log_variance(1, M, estimator) == pytest.approx(log_mean, rel=1e-6)
    spread = mean(lambda v: (np.log(v) - log_mean) ** 2)
    assert theory.variance_of_log_variance(1, M) == pytest.approx(spread, rel=1e-6)


@pytest.mark.parametrize("M", [1e7, 1e8, 1e9])
def test_large_samples_do_not_cancel(M):
    """ln a(M) = -1 / (4 M) to first order: a difference of log-Gammas of size M ln M would have lost it all."""
    assert np.log(theory.expected_deviation(M / 100, M, "unbiased")) == pytest.approx(-1 / 400, rel=3e-7)


@pytest.mark.parametrize("estimator", ["mle", "unbiased"])
@pytest.mark.parametrize("M", [2, 5, 10, 100])
def test_one_bimodal_fit_against_a_sum(M, estimator):
    """E[s_1]: noncentral chi-squares by scipy, weighed by the binomial number of rows on the right."""
    a, b = theory.BIMODAL
    assert a**2 + b**2 == pytest.approx(1, rel=1e-15)
    # A handful of the ways to split 100 rows carries all the weight; the rest is skipped.
    ways = [(k, stats.binom.pmf(k, M, 0.5)) for k in range(M + 1) if stats.binom.pmf(k, M, 0.5) > 1e-9]
    total = sum(p * root_of_noncentral(M - 1, 4 * k * (M - k) / M * (a / b) ** 2) for k, p in ways)
    divisor = M if estimator == "mle" else M - 1
    assert theory.first_deviation(M, estimator, "bimodal") == pytest.approx(b * total / np.sqrt(divisor), rel=1e-6)
    assert theory.first_deviation(M, estimator) == pytest.approx(theory.expected_deviation(1, M, estimator))


def root_of_noncentral(k: int, noncentrality: float) -> float:
    """E[sqrt X], X noncentral chi-square: a Poisson mixture of central ones."""
    j = np.arange(stats.poisson.isf(1e-13, noncentrality / 2) + 2)
    central = np.sqrt(2) * poch((k + 2 * j) / 2, 0.5)
    return float(stats.poisson.pmf(j, noncentrality / 2) @ central)


def test_the_overlap_of_a_truth_by_its_quantiles():
    """c = E[Phi^-1(F(X)) X] by quadrature over x; and 1 for the normal truth, whose expressivity error is 0."""
    a, b = theory.BIMODAL

    def integrand(x: float) -> float:
        u = (stats.norm.cdf(x, -a, b) + stats.norm.cdf(x, a, b)) / 2
        return stats.norm.ppf(u) * x * (stats.norm.pdf(x, -a, b) + stats.norm.pdf(x, a, b)) / 2

    # Even in x: the left half, where the distribution function is small and exact.
    c = 2 * integrate.quad(integrand, -a - 12 * b, 0, points=(-a,), limit=400)[0]
    assert theory.overlap("bimodal") == pytest.approx(c, rel=1e-7)
    assert theory.overlap("normal") == 1


@pytest.mark.parametrize("estimator", ["mle", "unbiased"])
@pytest.mark.parametrize("M", [5, 10, 100])
def test_sources_of_error_alone(M, estimator):
    """Each source without the other two: CF-G5; a constant; a straight line."""
    n = np.array([1, 2, 10, 50])
    plain = theory.w2_sources(n, M, estimator)
    np.testing.assert_allclose(plain["statistical"], theory.expected_w2_squared(n, M, estimator), rtol=1e-12)
    assert not plain["expressivity"].any() and not plain["approximation"].any()
    endless = theory.w2_sources(n, 10**8, estimator, truth="bimodal", noise=0.1)
    np.testing.assert_allclose(endless["expressivity"], 2 * (1 - theory.overlap("bimodal")))
    np.testing.assert_allclose(endless["statistical"], 0, atol=1e-6)
    np.testing.assert_allclose(endless["approximation"], 0.01 * n)


@pytest.mark.parametrize("estimator", ["mle", "unbiased"])
def test_bounds_in_d_dimensions_close_in_on_one(estimator):
    """Both are CF-G5 for d = 1; with rows they approach each other and lie about the first order; low > d n / M."""
    n, M = np.array([1, 5, 20])[:, None], np.array([10, 100, 10_000])
    for bound in theory.w2_squared_bounds(n, M, 1, estimator):
        np.testing.assert_allclose(bound, theory.expected_w2_squared(n, M, estimator), rtol=1e-8, atol=1e-13)
    low, high = theory.w2_squared_bounds(n, M, 3, estimator)
    assert np.all(low <= high)
    first = theory.w2_squared_first_order(n, M, 3)
    assert np.all((low < first) & (first < high) | (n * 3 > M / 10))
    if estimator == "unbiased":
        assert np.all(low > 3 * n / M)
    np.testing.assert_allclose(theory.w2_squared_first_order(n, M), 1.5 * n / M)


@pytest.mark.parametrize("M", [5, 10, 100])
def test_the_median_lies_above_the_exponential_of_the_mean_log(M):
    """By 1 / (3 M) or so in the logarithm, whatever n is: the skewness of a log chi-square."""
    for n in (M, 10 * M):
        gap = np.log(theory.variance_quantile(0.5, n, M)) - theory.expected_log_variance(n, M)
        assert gap == pytest.approx(1 / (3 * (M - 2)), rel=0.07)


@pytest.mark.parametrize("estimator", ["mle", "unbiased"])
def test_chains_multiply(estimator):
    n, M = np.array([0, 1, 7, 100]), 12
    for form in (theory.expected_variance, theory.expected_deviation, theory.expected_fourth_moment):
        np.testing.assert_allclose(form(n, M, estimator), form(1, M, estimator) ** n, rtol=1e-12)
    np.testing.assert_allclose(
        theory.expected_log_variance(n, M, estimator), n * theory.expected_log_variance(1, M, estimator), rtol=1e-12
    )


def test_what_the_variance_loses_the_mean_gains():
    """CF-G4's conservation law, replace and accumulate; with the unbiased estimator the total grows by 1/M a fit."""
    n, M = np.arange(1, 60), 10
    np.testing.assert_allclose(theory.expected_variance(n, M) + theory.mean_drift(n, M), 1, rtol=1e-14)
    np.testing.assert_allclose(theory.accumulated_variance(n, M) + theory.accumulated_mean_drift(n, M), 1, rtol=1e-14)
    total = theory.expected_variance(n, M, "unbiased") + theory.mean_drift(n, M, "unbiased")
    np.testing.assert_allclose(total, 1 + n / M, rtol=1e-14)


def test_w2_is_bounded_for_the_mle_and_not_for_the_unbiased_estimator():
    assert theory.expected_w2_squared(10**5, 10) == pytest.approx(2, rel=1e-9)
    assert theory.expected_w2_squared(10**5, 10, "unbiased") > 10**4
    small = theory.expected_w2_squared(1, 10**4, "unbiased")
    assert small == pytest.approx(1.5e-4, rel=1e-3), "3 n / (2 M) to first order"


def test_accumulate_by_recursion():
    """The product forms against second moments followed fit by fit.

    With V = E s^2, D = E mu^2 and S_t the mean square of the t M pooled rows (real ones have 1): a new batch adds rows
    of mean square V + D, so S_t = ((t - 1) S_(t-1) + V_(t-1) + D_(t-1)) / t, and V_t = (S_t - D_t) c_t. The pool's
    mean is a martingale up to the batch's own noise: D_t = D_(t-1) + V_(t-1) / (M t^2).
    """
    for estimator in ("mle", "unbiased"):
        for M in (2, 5, 100):
            deviation, drift, square = 1.0, 0.0, 0.0
            for t in range(1, 41):
                square = ((t - 1) * square + deviation + drift) / t
                drift += deviation / (M * t**2)
                deviation = (square - drift) * (1 if estimator == "mle" else t * M / (t * M - 1))
                assert theory.accumulated_variance(t, M, estimator) == pytest.approx(deviation, rel=1e-12)


def test_forms_broadcast():
    n, M = np.arange(1, 5)[:, None], np.array([5, 10, 100])
    for form in (
        theory.expected_variance,
        theory.expected_deviation,
        theory.expected_log_variance,
        theory.mean_drift,
        theory.expected_w2_squared,
        theory.expected_fourth_moment,
        theory.accumulated_variance,
        partial(theory.variance_quantile, 0.9),
    ):
        table = form(n, M, "unbiased")
        assert table.shape == (4, 3)
        assert table[2, 1] == pytest.approx(float(form(3, 10, "unbiased")), rel=1e-14)
