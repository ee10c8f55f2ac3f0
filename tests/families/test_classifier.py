"""The classifier family: its labels, its fit, and one round of verification against the closed form."""

from __future__ import annotations

import numpy as np
import pytest

from model_collapse.analysis import stats
from model_collapse.data import Data, Rows
from model_collapse.engine.execute import execute
from model_collapse.engine.plan import plan
from model_collapse.families.classifier import Classifier, Halves
from model_collapse.theory import curation as theory


def test_fit_is_the_weighted_mean_of_label_times_point():
    rng = np.random.default_rng(0)
    source = Classifier(dim=3).source(50, rng, 2)
    x, y = source.train.rows.x[..., :3], source.train.rows.x[..., 3]
    np.testing.assert_array_equal(y, np.sign(x[..., 0]))
    fitted = Classifier(dim=3).fit(source.train, rng).weights
    np.testing.assert_allclose(fitted, np.einsum("nr,nrd->rd", y, x) / 50)
    twice = Data(source.train.rows, source.train.born, source.train.author, weight=np.where(np.arange(50) < 25, 2, 0))
    half = Classifier(dim=3).fit(source.train.take(np.arange(25)), rng).weights
    np.testing.assert_allclose(Classifier(dim=3).fit(twice, rng).weights, half)


def test_labels_are_the_models_turned_over_at_the_rate_of_errors():
    """Binomial, four standard errors: fails for one seed in 16,000."""
    rng, n = np.random.default_rng(1), 40_000
    family = Classifier(dim=2, error=0.2)
    rows = family.sample(Halves(np.array([[0.0, 1.0]])), n, rng)
    wrong = np.mean(rows.x[..., 2] != np.sign(rows.x[..., 1]))
    assert abs(wrong - 0.2) < 4 * np.sqrt(0.16 / n)
    # To a judge who knows w* = (1, 0) half of them are wrong, for (0, 1) has nothing to do with it.
    assert abs(family.miss(rows).mean() - 0.5) < 4 * np.sqrt(0.25 / n)


@pytest.mark.parametrize("bias", [0.1, 0.727])
def test_a_biased_judge_has_the_accuracy_that_the_docstring_says(bias):
    """Judged by true labels: binomial, four standard errors."""
    n = 100_000
    real = Classifier(dim=4).source(n, np.random.default_rng(2), 1).train.rows
    own = 1 - Classifier(dim=4).miss(real, bias).mean()
    expected = 1 - np.arctan(bias) / np.pi
    assert abs(own - expected) < 4 * np.sqrt(expected * (1 - expected) / n)
    assert np.all(Classifier(dim=4).miss(real) == 0)
    sure, belief = Classifier(dim=4).certainty(real, bias), real.x[..., 0] + bias * real.x[..., 1]
    np.testing.assert_allclose(sure, np.abs(belief))


@pytest.mark.parametrize(("error", "right", "wrong"), [(0.45, 1.0, 1.0), (0.7, 0.9, 0.3), (0.8, 0.9, 0.3)])
def test_one_verified_round_has_the_accuracy_of_theory(error, right, wrong):
    """Within four standard errors and the 0.002 that the closed form leaves out: fails for one seed in 16,000."""
    run = plan(
        "classifier",
        n=4000,
        generations=1,
        replicates=200,
        seed=3,
        given="fresh",
        filter=["verifier"],
        settings={"family.error": error, "verifier.right": right, "verifier.wrong": wrong},
    )
    found = stats.per_replicate(execute(run, jobs=1)[0], "accuracy", 1)
    expected = theory.averaging_accuracy(4000, 20, error, right, wrong, teacher=4000)
    assert abs(found.mean() - expected) < 4 * found.std() / np.sqrt(200) + 0.002


def test_stacked_rows_keep_their_shape():
    given = Rows(np.zeros((5, 2, 4)), stacked=True)
    made = Classifier(dim=3).sample(Halves(np.ones((2, 3))), 5, np.random.default_rng(0), given=given)
    assert made.x.shape == (5, 2, 4) and made.stacked
