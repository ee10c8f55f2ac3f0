"""Closed forms of curation against draws made here, and against values found independently.

Error rate: all seeded. Every comparison with a simulation is two-sided at level 1e-3 / COMPARISONS, so that a correct
program fails this file with probability at most 1e-3 (Bonferroni) for a freshly chosen seed.
"""

from __future__ import annotations

import numpy as np
import pytest
from toy_comparisons import Comparisons

from model_collapse.theory import curation as theory

COMPARISONS = 40
within = Comparisons(COMPARISONS).within


def test_recorded_values():
    """CF-L5 as recorded, and the accuracies found with 40,000 points in 20 dimensions near the breakdown point."""
    points = theory.breakdown_point([1, 0.9, 0.7], [1, 0.3, 0.05])
    np.testing.assert_allclose(points, [0.5, 0.75, 0.933], atol=5e-4)
    assert theory.breakdown_point(1, 0) == 1
    for offset, low, high in ((-0.1, 0.945, 0.965), (-0.03, 0.80, 0.89), (0.03, 0.09, 0.17)):
        accuracy = theory.averaging_accuracy(40_000, 20, points + offset, [1, 0.9, 0.7], [1, 0.3, 0.05])
        assert np.all((low < accuracy) & (accuracy < high)), accuracy


@pytest.mark.parametrize("dim", [2, 5, 20])
@pytest.mark.parametrize(("error", "right", "wrong"), [(0.2, 1.0, 1.0), (0.45, 1.0, 1.0), (0.8, 0.9, 0.3)])
def test_accuracy_of_the_averaging_classifier(dim, error, right, wrong):
    """Label by label, 2000 data sets of 500 points, by a perfect teacher and by one that was fitted to 500 points."""
    rng, n, sets = np.random.default_rng([dim, round(100 * error)]), 500, 2000
    for teacher in (None, n):
        found = []
        for _ in range(sets):
            w = np.eye(dim)[0]
            if teacher:
                real = rng.standard_normal((n, dim))
                w = np.sign(real[:, 0]) @ real
            x = rng.standard_normal((n, dim))
            y = np.sign(x @ w) * np.where(rng.random(n) < error, -1, 1)
            kept = rng.random(n) < np.where(y == np.sign(x[:, 0]), right, wrong)
            fitted = (y * kept) @ x
            found.append(1 - np.arctan2(np.linalg.norm(fitted[1:]), fitted[0]) / np.pi)
        expected = theory.averaging_accuracy(n, dim, error, right, wrong, teacher=teacher)
        # The closed form has one angle for all teachers and takes sums of 500 for normal.
        within(f"accuracy {dim} {error} {teacher}", np.array(found), float(expected), slack=0.002)


@pytest.mark.parametrize(("radius", "noise", "dim"), [(0.1, 1.0, 10), (0.3, 1.0, 10), (1.0, 0.5, 3), (0.05, 1.0, 1)])
def test_a_round_of_verified_regression(radius, noise, dim):
    """One million rows close to the centre: rho and q as regressed."""
    rng, n, shift = np.random.default_rng(dim), 10**6, 0.02
    x = rng.standard_normal((n, dim))
    y = shift * x[:, 0] + noise * rng.standard_normal(n)
    kept = np.abs(y) <= radius * np.linalg.norm(x, axis=1)
    rho, q = theory.verified_rate(radius, noise, dim)
    weight, spread = (x[kept, 0] ** 2).sum(), np.sqrt(np.sum((x[kept, 0] * y[kept]) ** 2))
    slope = np.array([x[kept, 0] @ y[kept] / weight])
    within(f"rho {radius} {dim}", slope, float(rho * shift), variance=(spread / weight) ** 2)
    within(f"q {radius} {dim}", kept * x[:, 0] ** 2, float(q))


def test_a_wide_radius_verifies_nothing_and_a_narrow_one_everything():
    rho, q = theory.verified_rate([0.001, 100.0], 1.0, 10)
    assert rho[0] < 1e-4 and abs(rho[1] - 1) < 1e-9 and abs(q[1] - 1) < 1e-9


def test_verified_error_starts_with_least_squares_and_ends_at_the_bias():
    found = theory.verified_error([0, 200], 100, 10**9, 1.0, 10, 0.3, 0.3)
    np.testing.assert_allclose(found, [10 / 89, 0.09], rtol=1e-6)


@pytest.mark.parametrize("candidates", [1, 2, 4])
@pytest.mark.parametrize("noise", [0.0, 0.3, 2.0])
def test_choice_by_preference_against_a_sum_over_all_candidates(candidates, noise):
    """Exactly: every tuple of candidates, weighted by its probability."""
    p, reward = np.array([0.5, 0.2, 0.2, 0.1]), np.array([0.0, 1.0, 0.3, 1.0])
    expected = np.zeros(4)
    for tuple_ in np.ndindex(*[4] * candidates):
        drawn = np.array(tuple_)
        best = reward[drawn] == reward[drawn].max()
        choice = np.exp(reward[drawn] / noise) if noise else best.astype(float)
        np.add.at(expected, drawn, p[drawn].prod() * choice / choice.sum())
    found = theory.preferred(p, reward, candidates, noise)
    np.testing.assert_allclose(found, expected, atol=1e-9)
    mixed = theory.preferred(p, reward, candidates, noise, real=[0, 0, 0, 1], part=0.25)
    np.testing.assert_allclose(mixed, 0.75 * expected + [0, 0, 0, 0.25], atol=1e-9)


def test_many_candidates_tend_to_the_exponential_tilt():
    p, reward = np.array([0.6, 0.3, 0.1]), np.array([0.0, 0.5, 1.0])
    tilted = p * np.exp(reward / 0.5)
    np.testing.assert_allclose(theory.preferred(p, reward, np.inf, 0.5), tilted / tilted.sum())
    np.testing.assert_allclose(theory.preferred(p, reward, 3000, 0.5), tilted / tilted.sum(), atol=1e-3)
