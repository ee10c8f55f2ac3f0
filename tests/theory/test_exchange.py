"""Closed forms of models that read each other against the loop itself, and against what they are without exchange.

Simulations are seeded; an interval of 5 standard errors misses a true mean once in 1.7 million, so that all 400 or so
means together fail by chance once in 4,000 seeds.
"""

from __future__ import annotations

import numpy as np
import pytest

from model_collapse import streams, theory
from model_collapse.exchange import Agent, Reads, exchange
from model_collapse.families.discrete import Discrete
from model_collapse.families.gaussian import Gaussian
from model_collapse.regimes.fresh import Fresh
from model_collapse.theory import exchange as forms

N, LAST, SURE = 12, 5, 5.0
FITS = np.arange(1, LAST + 2)
EXCHANGES = [("deal", 3, 0.5), ("all", 3, 0.4), ("ring", 3, 0.5), ("ring", 2, 1.0), ("all", 2, 0.5), ("own", 2, 0.5)]


def turns(family, models: int, who: str, share: float, chains: int, regime):
    made = []
    for k in range(models):
        stream = streams.stream(7, 0, k)
        made.append(Agent(family.source(N, stream(-1, streams.SOURCE), chains), family, regime, stream))
    return exchange(made, Reads(who, share), N, last=LAST)


def farthest(products, expected: np.ndarray) -> float:
    """Largest distance of a mean from what is expected, in standard errors; products (turn)(k)(l) -> (R,)."""
    found = []
    for t, turn in enumerate(products):
        for k, row in enumerate(turn):
            for l_, x in enumerate(row):
                found.append(abs(x.mean() - expected[t, k, l_]) / (x.std(ddof=1) / np.sqrt(len(x))))
    return max(found)


@pytest.mark.parametrize(("who", "models", "share"), EXCHANGES)
def test_heterozygosity_within_and_between_models(who, models, share):
    family = Discrete(symbols=6, sampling="draw")
    expected = forms.heterozygosity(FITS, N, family.distribution, models, who, share)
    simulated = []
    for turn in turns(family, models, who, share, 4000, Fresh(0.0)):
        p = [generation.model.shares for generation in turn]
        simulated.append([[1 - np.sum(a * b, axis=1) for b in p] for a in p])
    assert farthest(simulated, expected) < SURE
    wrong = forms.heterozygosity(FITS, N, family.distribution, models, "own" if who != "own" else "deal", share)
    if (who, share) != ("ring", 1.0):
        assert farthest(simulated, wrong) > SURE, "the test tells exchanges apart"


@pytest.mark.parametrize("real_fraction", [0.0, 0.25])
@pytest.mark.parametrize(("who", "models", "share"), EXCHANGES[:5])
def test_drift_of_means_alone_and_in_common(who, models, share, real_fraction):
    family = Gaussian(variance="known", sampling="draw")
    expected = forms.mean_drift(FITS, N, models, who, share, real_fraction)
    simulated = []
    for turn in turns(family, models, who, share, 20_000, Fresh(real_fraction)):
        mu = [generation.model.mean[:, 0] for generation in turn]
        simulated.append([[a * b for b in mu] for a in mu])
    assert farthest(simulated, expected) < SURE


@pytest.mark.parametrize("who", ["own", "all", "ring", "deal"])
@pytest.mark.parametrize("models", [1, 2, 4])
def test_pair_distributions_are_distributions_and_agree_with_who_reads_whom(who, models):
    different, same = forms.pair_distribution(20, models, who, 0.3)
    assert np.all(different >= -1e-15) and np.all(same >= 0)
    np.testing.assert_allclose(different.sum(axis=(2, 3)) + same.sum(axis=2), 1)
    # The author of the first row of a pair is that of any row.
    margin = different.sum(axis=3) + same
    np.testing.assert_allclose(margin, np.broadcast_to(forms.reading_weights(models, who, 0.3)[:, None], margin.shape))


def test_one_model_is_the_plain_chain():
    shares = theory.zipf_law(5, 1.0)
    plain = theory.expected_heterozygosity(FITS, N, shares)
    for who, models in (("deal", 1), ("own", 3)):
        np.testing.assert_allclose(forms.heterozygosity(FITS, N, shares, models, who)[:, 0, 0], plain)
    np.testing.assert_allclose(forms.mean_drift(FITS, N, 1)[:, 0, 0], theory.mean_drift(FITS, N, "unbiased"))
    np.testing.assert_allclose(forms.survival_bounds(FITS, shares, N, 1)[0], theory.survival_bounds(FITS, shares, N)[0])


def test_effective_rows():
    """Swapping helps nothing, dealing makes of K models about one with all their rows, mixing is in between."""
    assert forms.effective_rows(N, 1) == pytest.approx(N)
    assert forms.effective_rows(N, 3, "own") == pytest.approx(N)
    assert forms.effective_rows(N, 2, "ring", 1.0) == pytest.approx(N)
    for models in (2, 5):
        assert forms.effective_rows(N, models, "deal") == pytest.approx((models * N - 1) * N / (N - 1))
    assert forms.effective_rows(1000, 2, "all", 0.5) == pytest.approx(4 / 3 * 1000, rel=2e-3)
    late = forms.heterozygosity([200, 201], N, [0.5, 0.5], 2, "all", 0.5)[:, 0, 0]
    assert late[1] / late[0] == pytest.approx(1 - 1 / forms.effective_rows(N, 2, "all", 0.5))


def test_survivors_lie_between_their_bounds():
    """Mean number of symbols of one of four models against both bounds, five standard errors aside."""
    family = Discrete(symbols=30, sampling="draw")
    lower, upper = (bound.sum(axis=-1) for bound in forms.survival_bounds(FITS, family.distribution, N, 4))
    for t, turn in enumerate(turns(family, 4, "deal", 0.5, 1000, Fresh(0.0))):
        alive = np.count_nonzero(turn[2].model.share, axis=1)
        error = SURE * alive.std(ddof=1) / np.sqrt(len(alive))
        assert lower[t] - error < alive.mean() < upper[t] + error
        assert lower[t] > 0.9 * alive.mean(), "and the lower one is close where symbols are rare"


def test_linear_models_settle_exactly_if_the_spectral_radius_is_below_one():
    W = forms.reading_weights(3, "all", 0.5)
    A, Q, b = 0.8 * W, np.diag([0.1, 0.2, 0.3]), 0.2 * np.array([1.0, 2.0, 3.0])
    assert forms.spectral_radius(W) == pytest.approx(1) and forms.spectral_radius(A) == pytest.approx(0.8)
    limit = forms.linear_limit(A, Q, b)
    for found, expected in zip(forms.linear_moments(400, A, Q, np.zeros(3), b), limit, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-12)
    np.testing.assert_allclose(limit[1], A @ limit[1] @ A.T + Q)
    with pytest.raises(ValueError, match="spectral radius is 1, and has to be below 1"):
        forms.linear_limit(W, Q)
    rng, theta, moments = (
        np.random.default_rng(3),
        np.zeros((40_000, 3)),
        forms.linear_moments([4], A, Q, np.zeros(3), b),
    )
    for _ in range(4):
        theta = theta @ A.T + b + rng.standard_normal(theta.shape) * np.sqrt(np.diag(Q))
    error = np.sqrt(np.diag(moments[1][0]) / len(theta))
    assert np.all(np.abs(theta.mean(axis=0) - moments[0][0]) < SURE * error)
    np.testing.assert_allclose(np.cov(theta.T), moments[1][0], atol=SURE * 0.6 * np.sqrt(2 / len(theta)))


@pytest.mark.parametrize("form", [forms.heterozygosity, forms.mean_drift, forms.survival_bounds])
def test_there_is_no_model_before_the_first_fit(form):
    given = {forms.heterozygosity: (N, [1.0], 2), forms.mean_drift: (N, 2), forms.survival_bounds: ([0.5], N, 2)}[form]
    with pytest.raises(ValueError, match="n counts fits and starts at 1"):
        form(0, *given)
