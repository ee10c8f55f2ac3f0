"""Closed forms of provenance against binomial draws and a weighted mean.

Error rate: all seeded. Every comparison with a simulation is two-sided at level 1e-3 / COMPARISONS, so that a correct
program fails this file with probability at most 1e-3 (Bonferroni) for a freshly chosen seed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats
from toy_comparisons import Comparisons

from model_collapse.theory import provenance as theory

COMPARISONS = 40
compare = Comparisons(COMPARISONS)
within = compare.within


def test_recorded_values():
    """T = 200, gamma = 1/4: green shares .25, .35, .45 give z = 0, 3.27, 6.53."""
    np.testing.assert_allclose(theory.green_z([50, 70, 90], 200), [0, 3.266, 6.532], atol=5e-4)


@pytest.mark.parametrize("tokens", [5, 50, 200])
@pytest.mark.parametrize(("share", "threshold", "gamma"), [(0.25, 2.0, 0.25), (0.35, 2.0, 0.25), (0.7, 3.0, 0.5)])
def test_power_against_binomial_draws(tokens, share, threshold, gamma):
    """How often z exceeds the threshold among 200,000 texts: exact binomial test."""
    texts = 200_000
    green = np.random.default_rng(tokens).binomial(tokens, share, texts)
    found = int(np.sum(theory.green_z(green, tokens, gamma) > threshold))
    expected = float(theory.green_power(share, tokens, threshold, gamma))
    compare.count("power")
    assert stats.binomtest(found, texts, expected).pvalue > compare.level


def test_z_is_standard_normal_for_unmarked_text():
    """Mean 0 and variance 1 exactly; the tail probability approaches the normal one as texts get long."""
    z = theory.green_z(np.random.default_rng(1).binomial(200, 0.25, 200_000), 200)
    compare.count("mean")
    compare.count("variance")
    assert abs(z.mean()) < compare.z / np.sqrt(len(z)) and abs(z.var() - 1) < compare.z * np.sqrt(2 / len(z)) * 1.05
    for tokens, factor in ((10**4, 1.3), (10**8, 1.01)):
        assert theory.green_power(0.25, tokens, 4.0) / stats.norm.sf(4) == pytest.approx(1, abs=factor - 1)
    assert theory.green_power(0.25, 50, 4.0) > 3 * stats.norm.sf(4), "short texts are accused more often"


@pytest.mark.parametrize("share", [0.35, 0.45, 0.6])
@pytest.mark.parametrize("power", [0.5, 0.95])
def test_so_many_tokens_give_that_power(share, power):
    """Against the exact power, which jumps with whole tokens: averaged over neighbouring lengths."""
    tokens = float(theory.green_tokens(share, power))
    near = np.arange(round(tokens) - 4, round(tokens) + 5)
    assert np.mean(theory.green_power(share, near)) == pytest.approx(power, abs=0.05)


BATCHES: list[dict[str, Any]] = [
    {"rows": [5, 8, 10], "share": [1.0, 0.6, 0.4]},
    {"rows": [20, 100, 100, 100], "share": [1.0, 0.5, 0.2, 0.1]},
    {"rows": [100, 2000, 2000], "share": [1.0, 0.3, 0.05]},
]


@pytest.mark.parametrize("batches", BATCHES, ids=["small", "falling", "large"])
def test_effective_rows_is_the_precision_of_the_best_mean(batches):
    """Batches that mix yes-no answers of people with those of a model fitted to all before, people's share a_i.

    Without provenance the model's part is subtracted and batches get the weights n a^2; the oracle averages real rows
    alone. Errors of batches are uncorrelated, so their variances add up; CF-P2 says P (1 - P) = theta (1 - theta) for
    the answers of a mixture P, which is so within Var(last estimate).
    """
    n, a, theta, chains = np.array(batches["rows"]), np.array(batches["share"]), 0.3, 40_000
    rng = np.random.default_rng(int(n.sum()))
    one, weights = theta * (1 - theta), np.cumsum(n * a**2)
    estimate, variance = np.zeros(chains), 0.0
    real_yes, real_rows = np.zeros(chains), np.zeros(chains)
    for i in range(len(n)):
        people = rng.binomial(n[i], a[i], chains)
        yes = rng.binomial(people, theta)
        real_yes, real_rows = real_yes + yes, real_rows + people
        # An unbiased estimate may leave [0, 1] a little; what a model writes cannot.
        model = np.clip(estimate, 0, 1)
        own = ((yes + rng.binomial(n[i] - people, model)) / n[i] - (1 - a[i]) * model) / a[i]
        mixture = a[i] * theta + (1 - a[i]) * model
        w = n[i] * a[i] ** 2 / weights[i]
        estimate = (1 - w) * estimate + w * own
        variance = (1 - w) ** 2 * variance + w**2 * float(np.mean(mixture * (1 - mixture))) / (n[i] * a[i] ** 2)
    within("without provenance", np.square(estimate - theta), variance)
    assert variance == pytest.approx(one / theory.effective_rows(n, a), rel=1 / n[0])
    oracle = one / theory.effective_rows(n, a, "oracle")
    # Conditionally on the number of real rows, whose spread adds a little.
    within("oracle", np.square(real_yes / real_rows - theta), one * float(np.mean(1 / real_rows)))
    assert one * np.mean(1 / real_rows) == pytest.approx(oracle, rel=2 / theory.effective_rows(n, a, "oracle"))
    assert np.var(estimate) > np.var(real_yes / real_rows)


def test_effective_rows_by_hand():
    assert theory.effective_rows([100], [0.01]) == pytest.approx(0.01)
    assert theory.effective_rows([100], [0.01], "oracle") == pytest.approx(1)
    np.testing.assert_allclose(theory.effective_rows([[10, 10], [10, 10]], [[1, 1], [1, 0.5]]), [20, 12.5])
