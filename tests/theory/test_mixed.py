"""Real and synthetic rows together: closed forms against the loop, and limits against the recursion.

Error rate: all seeded. Every comparison with a simulation is two-sided at level 1e-3 / COMPARISONS, so that a correct
program fails this file with probability at most 1e-3 (Bonferroni) for a freshly chosen seed. Means over chains are
normal enough for that at the thousands of chains used: real rows bound their tails, and where there are none (`grow`
and `replace`) they are compared only up to sum 1/M_i <= 1/2.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from toy_comparisons import Comparisons
from toy_numbers import alone

from model_collapse import streams
from model_collapse.families.gaussian import Gaussian
from model_collapse.loop import Generation, generations
from model_collapse.metrics import gaussian as measures
from model_collapse.regimes.fixed import Fixed
from model_collapse.regimes.fresh import Fresh
from model_collapse.regimes.grow import Grow
from model_collapse.regimes.mix import Mix
from model_collapse.regimes.replace import Replace
from model_collapse.regimes.weigh import Weigh
from model_collapse.theory import mixed as theory

COMPARISONS = 2000
compare = Comparisons(COMPARISONS)
within = partial(compare.within, slack=1e-12)
SIZES = [5, 10, 100]
SETTINGS: list[dict[str, Any]] = [
    {"estimator": "mle"},
    {"estimator": "unbiased"},
    {"variance": "known"},
    {"estimator": "mle", "bias": 0.8},
    {"variance": "known", "bias": 1.3},
]


def name(settings: dict[str, Any]) -> str:
    return "-".join(str(value) for value in settings.values())


def chain(regime: Any, M: int, fits: int, chains: int, seed: int, **settings: Any) -> list[Generation]:
    stream, family = streams.stream(seed), Gaussian(**settings)
    source = family.source(M, stream(-1, streams.SOURCE), chains)
    return list(generations(source, family, regime, M, stream, last=fits - 1))


def follows(run: list[Generation], expected: tuple[np.ndarray, np.ndarray], at: list[int]) -> None:
    """E mu^2 and E s^2 at these fits."""
    V, S = expected
    for i, n in enumerate(at):
        mean, variance = measures.mean(alone(run[n - 1])), measures.variance(alone(run[n - 1]))
        within(f"V n={n}", mean**2, V[i])
        within(f"S n={n}", variance, S[i])


# The recursion against the loop ------------------------------------------------------------------------------------

AT = [1, 2, 5, 30]


@pytest.mark.parametrize("settings", SETTINGS, ids=name)
@pytest.mark.parametrize("M", SIZES)
def test_fresh(M, settings):
    """A share of a fifth and one of a half: for odd M what counts is the number of rows it is rounded to."""
    for g in (0.2, 0.5):
        run = chain(Fresh(g), M, 30, 20_000, seed=M, **settings)
        follows(run, theory.fresh_moments(AT, M, g, **settings), AT)


@pytest.mark.parametrize("settings", SETTINGS, ids=name)
@pytest.mark.parametrize("M", SIZES)
def test_mix(M, settings):
    for g in (0.2, 0.6):
        run = chain(Mix(g), M, 12, 20_000 if M < 100 else 2_000, seed=M, sampling="draw", **settings)
        follows(run, theory.mix_moments([1, 2, 5, 12], M, g, **settings), [1, 2, 5, 12])


@pytest.mark.parametrize("settings", SETTINGS, ids=name)
@pytest.mark.parametrize("M", SIZES)
def test_fixed(M, settings):
    for synthetic in (0.4, 1, 3):
        run = chain(Fixed(synthetic), M, 30, 20_000, seed=M, **settings)
        follows(run, theory.fixed_moments(AT, M, synthetic, **settings), AT)


@pytest.mark.parametrize("settings", SETTINGS, ids=name)
@pytest.mark.parametrize("M", SIZES)
def test_weigh(M, settings):
    for w in (0.3, theory.GOLDEN, 1):
        run = chain(Weigh(w), M, 30, 20_000, seed=M, **settings)
        follows(run, theory.weigh_moments(AT, M, w, **settings), AT)


@pytest.mark.parametrize("settings", SETTINGS[:3], ids=name)
@pytest.mark.parametrize("M", SIZES)
def test_grow_stays_near_the_truth_if_the_sum_of_inverse_sizes_is_finite(M, settings):
    """GA-5, M_i = M i^2: sum 1/M_i < pi^2 / (6 M), so the distance stays finite after any number of generations."""
    sizes = [M * i**2 for i in range(1, 41)]
    run = chain(Grow(2), M, 40, 20_000, seed=M, **settings)
    assert [len(generation.train) for generation in run] == sizes
    V, S = theory.grow_moments(sizes, **settings)
    follows(run, (V[[0, 4, 39]], S[[0, 4, 39]]), [1, 5, 40])
    expected = theory.grow_expected_w2_squared(sizes, **settings)
    for n in (1, 5, 40):
        within(f"GA-5 n={n}", measures.w2_squared(alone(run[n - 1])), expected[n - 1])


@pytest.mark.parametrize("sampling", ["exact", "draw"])
def test_exact_and_drawn_samples_follow_the_same_forms(sampling):
    """Each regime once more with every row drawn."""
    M, at, common = 10, [1, 2, 5, 12], {"sampling": sampling}
    follows(chain(Fresh(0.3), M, 12, 10_000, 1, **common), theory.fresh_moments(at, M, 0.3), at)
    follows(chain(Fixed(0.5), M, 12, 10_000, 2, **common), theory.fixed_moments(at, M, 0.5), at)
    follows(chain(Weigh(0.6), M, 12, 10_000, 3, **common), theory.weigh_moments(at, M, 0.6), at)
    sizes = [M * i for i in range(1, 13)]
    V, S = theory.grow_moments(sizes)
    follows(chain(Grow(1), M, 12, 5_000, 4, **common), (V[[0, 1, 4, 11]], S[[0, 1, 4, 11]]), at)


# Limits ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variance", ["estimated", "known"])
@pytest.mark.parametrize("M", [10, 100])
def test_limits_are_the_fixed_points_of_the_recursion(M, variance):
    late = 5_000
    for g in (0.1, 0.5, 1.0):
        for limit, moments in (
            (theory.fresh_drift_limit, theory.fresh_moments),
            (theory.mix_drift_limit, theory.mix_moments),
        ):
            assert moments(late, M, g, variance=variance)[0] == pytest.approx(limit(M, g, variance=variance), rel=1e-9)
    for synthetic in (0.5, 1, 9):
        reached = theory.fixed_moments(late, M, synthetic, variance=variance)[0]
        assert reached == pytest.approx(theory.fixed_drift_limit(M, synthetic, variance=variance), rel=1e-9)
    for w in (0.1, theory.GOLDEN, 1.0):
        reached = theory.weigh_moments(late, M, w, variance=variance)[0]
        assert reached == pytest.approx(theory.weigh_drift_limit(M, w, variance=variance), rel=1e-9)


def test_limits_have_the_values_of_the_literature():
    """CF-G9: 5.26 / M, 1.33 / M and 1 / M; with the mle 3.571 / M; mix 4.214 / M; a fixed set of a tenth 14.7 / M."""
    M = 10
    known = M * theory.fresh_drift_limit(M, [0.1, 0.5, 1], variance="known")
    np.testing.assert_allclose(known, [5.263, 4 / 3, 1], rtol=1e-4)
    assert M * theory.fresh_drift_limit(M, 0.1) == pytest.approx(3.571, abs=5e-4)
    assert M * theory.mix_drift_limit(M, 0.1) == pytest.approx(4.214, abs=5e-4)
    ten, g = theory.fixed_drift_limit(10, 9, variance="known"), 0.1
    assert 100 * ten == pytest.approx(1 / g + (1 - g) / (2 * g - g**2), rel=1e-12)
    assert 100 * ten == pytest.approx(14.74, abs=5e-3)


def test_known_sigma_fresh_in_closed_form():
    """V_n = (1/M) (1 - (1-g)^(2n)) / (1 - (1-g)^2): the geometric series summed."""
    n, M, g = np.arange(1, 60), 20, 0.15
    V, S = theory.fresh_moments(n, M, g, variance="known")
    np.testing.assert_allclose(V, (1 - (1 - g) ** (2 * n)) / (1 - (1 - g) ** 2) / M, rtol=1e-12)
    assert np.all(S == 1)


def test_without_real_rows_the_forms_are_those_of_replace():
    n, M = np.arange(1, 50), 10
    for V, S in (theory.fresh_moments(n, M, 0), theory.mix_moments(n, M, 0), theory.grow_moments([M] * 49)):
        np.testing.assert_allclose(S, (1 - 1 / M) ** n, rtol=1e-12)
        np.testing.assert_allclose(V + S, 1, rtol=1e-12)
    V, S = theory.fresh_moments(n, M, 0, estimator="unbiased")
    np.testing.assert_allclose(V, n / M, rtol=1e-12)
    np.testing.assert_allclose(S, 1, rtol=1e-12)


@pytest.mark.parametrize("M", [1, 10, 1000])
def test_the_golden_ratio_is_the_best_weight(M):
    """CF-G10: found by search, argument and value both 0.618; one half gives 2/3, real rows alone 1."""
    best = minimize_scalar(lambda w: float(theory.weigh_drift_limit(M, w)), bounds=(0.01, 1), method="bounded")
    assert best.x == pytest.approx(theory.GOLDEN, abs=1e-4)
    assert M * best.fun == pytest.approx(theory.GOLDEN, abs=1e-8)
    np.testing.assert_allclose(M * theory.weigh_drift_limit(M, [0.5, 1]), [2 / 3, 1])


@pytest.mark.parametrize("M", SIZES)
def test_the_best_weight_of_a_simulation_is_the_golden_ratio(M):
    """MIX-2, known sigma: stationary M Var(mu) at five weights."""
    for w in (0.4, 0.5, theory.GOLDEN, 0.75, 1.0):
        run = chain(Weigh(w), M, 40, 10_000, seed=7, variance="known")
        within("CF-G10", measures.mean(alone(run[-1])) ** 2, theory.weigh_drift_limit(M, w))


# Bias, several dimensions, growing sets ----------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", ["mle", "unbiased"])
@pytest.mark.parametrize("M", SIZES)
def test_sampling_bias(M, estimator):
    """CF-G11, lambda = 0.9 and 1.2. Raw means up to n <= M / 2, the mean log-variance as far as the chain goes."""
    for bias in (0.9, 1.2):
        run = chain(Replace(), M, 40, 20_000, seed=M, estimator=estimator, bias=bias)
        for n in (1, 2, 5, 40):
            if n <= max(M / 2, 1):
                variance = measures.variance(alone(run[n - 1]))
                within(f"CF-G11 n={n}", variance, theory.biased_variance(n, M, bias, estimator))
            log = measures.log_det(alone(run[n - 1]))
            expected = theory.expected_log_det(n, M, 1, estimator, bias)
            within(f"log CF-G11 n={n}", log, expected, theory.variance_of_log_det(n, M, 1))


@pytest.mark.parametrize("estimator", ["mle", "unbiased"])
@pytest.mark.parametrize(("M", "d"), [(5, 2), (5, 4), (10, 3), (10, 9), (100, 5)])
def test_several_dimensions(M, d, estimator):
    """CF-G6b: E and spread of ln det; E Sigma and E |mu|^2 up to n <= M / 2."""
    run = chain(Replace(), M, 20, 8_000, seed=M + d, estimator=estimator, dim=d)
    for n in (1, 2, 5, 20):
        model = run[n - 1].model
        log = measures.log_det(alone(run[n - 1]))
        within(f"CF-G6b n={n}", log, theory.expected_log_det(n, M, d, estimator), theory.variance_of_log_det(n, M, d))
        if n > M / 2:
            continue
        trace = measures.variance(alone(run[n - 1]))
        within(f"E tr n={n}", trace, theory.expected_covariance_scale(n, M, estimator))
        drift = theory.expected_squared_drift(n, M, d, estimator)
        within(f"E |mu|^2 n={n}", np.sum(model.mean**2, axis=-1), drift)


def test_as_few_rows_as_dimensions_have_no_determinant():
    for M, d in ((3, 3), (2, 5), (1, 1)):
        assert theory.expected_log_det(1, M, d) == -np.inf
    np.testing.assert_array_equal(np.isfinite(theory.expected_log_det(1, [3, 4], 3)), [False, True])


def test_growing_sets_bound_the_risk_and_constant_ones_do_not():
    """GA-5: (3/2) sum 1/M_i to first order; with M_i = M i^2 it levels off, with M_i = M it grows like n."""
    M, n = 100, 100_000
    growing = theory.grow_expected_w2_squared([M * i**2 for i in range(1, n + 1)])
    assert growing[-1] == pytest.approx(1.5 * np.pi**2 / 6 / M, rel=0.01)
    assert growing[-1] - growing[999] < 2e-5
    constant = theory.grow_expected_w2_squared([M] * 4000)
    assert constant[3999] / constant[1999] == pytest.approx(2, abs=0.1)
    mle = theory.grow_expected_w2_squared([M] * 4000, estimator="mle")
    assert mle[-1] < 2 and np.all(np.diff(mle) > 0)


def test_fits_are_counted_from_one():
    with pytest.raises(ValueError, match="n counts fits and is at least 1"):
        theory.fresh_moments(0, 10, 0.1)
