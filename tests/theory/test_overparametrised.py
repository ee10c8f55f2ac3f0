"""More dimensions than rows: relabelling without noise, and mixed labels, against numpy's own least squares.

Error rate: as in test_inflow.py, COMPARISONS of them.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from toy_comparisons import Comparisons

from model_collapse.data import Data, Rows
from model_collapse.errors import InputError
from model_collapse.families.regression import Linear, Regression
from model_collapse.theory import mixed, regression

COMPARISONS = 20
compare = Comparisons(COMPARISONS)


@pytest.mark.parametrize(("T", "d"), [(8, 20), (3, 4)])
def test_relabelling_without_noise_loses_all(T, d):
    """Projections on the row spaces of numpy's normal matrices, by QR."""
    rng, chains = np.random.default_rng(1), 3_000
    truth = np.full(d, d**-0.5)
    w = np.tile(truth, (chains, 1))
    for n in range(1, 5):
        basis = np.linalg.qr(rng.standard_normal((chains, d, T)))[0]
        w = np.einsum("rij,rkj,rk->ri", basis, basis, w)
        error = np.sum((w - truth) ** 2, axis=1)
        compare.within(f"{T} of {d}, n={n}", error, float(regression.projected_error(n, T, d)))


def test_as_many_rows_as_dimensions_lose_nothing():
    assert regression.projected_error(50, 7, 7) == 0


def fixed_design(T: int, d: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """X (T, d) with unequal columns, w*, and the spectrum and signal that `mixed_label_error` takes."""
    rng = np.random.default_rng(2)
    x = rng.standard_normal((T, d)) * np.linspace(0.5, 2, d)
    truth = np.full(d, d**-0.5)
    _, singular, directions = np.linalg.svd(x, full_matrices=False)
    signal = (directions @ truth) ** 2
    return x, truth, singular**2 / T, np.append(signal, max(1 - signal.sum(), 0))


@pytest.mark.parametrize(("T", "d", "ridge"), [(6, 10, 0.0), (12, 5, 0.0), (6, 10, 0.7), (12, 5, 0.7)])
def test_mixed_labels_of_the_same_rows_against_a_simulation(T, d, ridge):
    """60 generations of 20,000 chains, written out; by then the past has a weight below 1e-12."""
    rng, w, sigma, chains = np.random.default_rng(3), 0.4, 0.8, 20_000
    x, truth, spectrum, signal = fixed_design(T, d)
    inverse = np.linalg.pinv(x) if not ridge else np.linalg.solve(x.T @ x + ridge * T * np.eye(d), x.T)
    fitted = np.zeros((chains, d))
    for _ in range(60):
        real = x @ truth + sigma * rng.standard_normal((chains, T))
        written = fitted @ x.T + sigma * rng.standard_normal((chains, T))
        fitted = (w * real + (1 - w) * written) @ inverse.T
    expected = float(regression.mixed_label_error(w, spectrum, signal, T, sigma, ridge))
    compare.within(f"{T} of {d}, ridge {ridge}", np.sum((fitted - truth) ** 2, axis=1), expected)


@pytest.mark.parametrize(("T", "d"), [(6, 10), (12, 5)])
def test_the_best_weight_is_golden_without_ridge_and_at_least_one_half_with_it(T, d):
    _, _, spectrum, signal = fixed_design(T, d)

    def best(noise: float, ridge: float) -> float:
        found = minimize_scalar(
            lambda w: float(regression.mixed_label_error(w, spectrum, signal, T, noise, ridge)),
            bounds=(1e-6, 1),
            method="bounded",
            options={"xatol": 1e-9},
        )
        return float(found.x)

    assert best(1.0, 0.0) == pytest.approx(mixed.GOLDEN, abs=1e-4)
    for noise in (0.1, 1.0, 30.0):
        for ridge in (1e-3, 0.1, 1.0, 100.0):
            assert best(noise, ridge) > 0.5 - 1e-6
    assert best(1e4, 100.0) < 0.51, "much noise and a strong penalty: hardly more than one half"


def test_the_shortest_fit_is_that_of_numpy():
    rng = np.random.default_rng(4)
    x, y = rng.standard_normal((5, 2, 9)), rng.standard_normal((5, 2))
    rows = Rows(np.concatenate([x, y[..., None]], axis=-1), stacked=True)
    fitted = Regression(dim=9, interpolate=True).fit(Data.real(rows), rng).weights
    for r in range(2):
        np.testing.assert_allclose(fitted[r], np.linalg.lstsq(x[:, r], y[:, r])[0], atol=1e-9)
        np.testing.assert_allclose(x[:, r] @ fitted[r], y[:, r], atol=1e-9)
    with pytest.raises(InputError, match=r"needs at least 10; set family\.ridge above 0, or family\.interpolate$"):
        Regression(dim=9).fit(Data.real(rows), rng)


@pytest.mark.parametrize("sampling", ["exact", "draw"])
def test_a_written_label_holds_its_share_of_a_new_real_one(sampling):
    """Fits to many rows of mean a w* + (1 - a) w, and labels about it with variance a^2 + (1 - a)^2."""
    a, d, n = 0.3, 3, 4_000
    family = Regression(dim=d, real_weight=a, sampling=sampling)
    rng = np.random.default_rng(5)
    model = Linear(np.tile([2.0, -1.0, 0.0], (4, 1)))
    data = Data.of(family.sample(model, n, rng), 1, 1)
    mean = a * family.truth + (1 - a) * model.weights
    again = family.fit(data, rng).weights
    spread = np.sqrt((a**2 + (1 - a) ** 2) / n)
    assert np.max(np.abs(again - mean)) < 5 * spread
    assert np.max(np.abs(again - model.weights)) > 10 * spread
