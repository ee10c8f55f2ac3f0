"""The relabelling chain of linear regression: least squares against numpy, exact sums against drawn rows, edge cases.

Error rate: all seeded; every comparison of distributions is at level 1e-3 / COMPARISONS (Bonferroni), so that a correct
program fails this whole file with probability at most 1e-3 for a freshly chosen seed.
"""

from __future__ import annotations

import numpy as np
import pytest
from toy_comparisons import Comparisons
from toy_numbers import alone

from model_collapse import streams
from model_collapse.data import Data, Moments, Rows
from model_collapse.engine.execute import execute
from model_collapse.engine.plan import plan
from model_collapse.errors import InputError
from model_collapse.families.regression import Linear, Regression
from model_collapse.loop import Generation, Reference, generations
from model_collapse.metrics import Measurement
from model_collapse.metrics import regression as measures
from model_collapse.regimes.accumulate import Accumulate
from model_collapse.regimes.fresh import Fresh
from model_collapse.regimes.mix import Mix
from model_collapse.regimes.replace import Replace
from model_collapse.regimes.subsample import Subsample
from model_collapse.regimes.weigh import Weigh

COMPARISONS = 300
compare = Comparisons(COMPARISONS)
same_distribution = compare.same_distribution


def chain(family: Regression, regime, n: int, last: int, chains: int, seed: int, given="original") -> list[Generation]:
    stream = streams.stream(seed)
    source = family.source(n, stream(-1, streams.SOURCE), chains)
    return list(generations(source, family, regime, n, stream, last=last, given=given))


def errors(family: Regression, generation: Generation) -> np.ndarray:
    return measures.test_error(Measurement(generation, Reference(generation, None, family)))  # type: ignore[arg-type]


# The fit -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ridge", [0.0, 0.3])
@pytest.mark.parametrize("dim", [1, 3])
def test_a_fit_is_numpys_least_squares(dim, ridge):
    """Against lstsq; the ridge penalty of n rows, ridge n |w|^2, is that of further rows sqrt(ridge n) I."""
    rows = np.random.default_rng(1).standard_normal((9, 4, dim + 1))
    rows[..., 0] += 100  # no intercept: an offset of x stays where it is
    fitted = Regression(dim=dim, ridge=ridge).fit(Data.real(Rows(rows, stacked=True)), np.random.default_rng(0))
    for r in range(4):
        x = np.concatenate([rows[:, r, :dim], np.sqrt(9 * ridge) * np.eye(dim)])
        y = np.append(rows[:, r, dim], np.zeros(dim))
        np.testing.assert_allclose(fitted.weights[r], np.linalg.lstsq(x, y)[0], rtol=1e-8)


@pytest.mark.parametrize("ridge", [0.0, 0.3])
def test_a_weight_of_k_counts_as_k_rows(ridge):
    """Weights (n, R) and (n,); a weight of 0 is no row. The penalty counts weights too."""
    rng = np.random.default_rng(2)
    rows, k = rng.standard_normal((12, 3, 3)), rng.integers(0, 4, (12, 3))
    k[:4] += 1
    family, born = Regression(dim=2, ridge=ridge), np.zeros(12, int)
    own = family.fit(Data(Rows(rows, stacked=True), born, born, weight=k.astype(float)), rng)
    for r in range(3):
        repeated = Data.real(Rows(np.repeat(rows[:, [r]], k[:, r], axis=0), stacked=True))
        np.testing.assert_allclose(own.weights[r], family.fit(repeated, rng).weights[0], rtol=1e-10)
    shared = family.fit(Data(Rows(rows, stacked=True), born, born, weight=k[:, 0].astype(float)), rng)
    np.testing.assert_allclose(shared.weights[0], own.weights[0], rtol=1e-10)


@pytest.mark.parametrize("ridge", [0.0, 0.3])
def test_merged_and_weighed_moments_fit_like_the_rows_together(ridge):
    rng = np.random.default_rng(3)
    parts = [rng.standard_normal((n, 5, 4)) for n in (6, 9, 30)]

    def moments(x: np.ndarray) -> Moments:
        root = np.stack([np.linalg.cholesky(x[:, r].T @ x[:, r] + 1e-13 * np.eye(4)) for r in range(5)])
        return Moments(len(x), np.zeros((5, 4)), root)

    weights = (1.0, 0.5, 3.0)
    family = Regression(dim=3, ridge=ridge)
    pool = Data.concat(
        [Data.of(moments(x), t, 1).weighed(w) for t, (x, w) in enumerate(zip(parts, weights, strict=True))]
    )
    rows = Data.concat(
        [Data.of(Rows(x, stacked=True), t, 1).weighed(w) for t, (x, w) in enumerate(zip(parts, weights, strict=True))]
    )
    np.testing.assert_allclose(family.fit(pool, rng).weights, family.fit(rows, rng).weights, rtol=1e-8)


# Exact and drawn ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["new", "given"])
@pytest.mark.parametrize("n", [3, 4, 5, 30])
def test_exact_sums_have_the_distribution_of_drawn_rows(n, given):
    """All entries of the sums over (x, y), n = d, d + 1, d + 2 and many, for new x and for given ones."""
    chains, d = 6000, 3
    model = Linear(np.tile([2.0, -1.0, 0.5], (chains, 1)))
    distributions = []
    for sampling, seed in (("exact", 1), ("draw", 2)):
        rng = np.random.default_rng(seed)
        family = Regression(dim=d, sampling=sampling, noise=0.7, shift=0.4)
        before = family.source(n, rng, chains).train.rows if given == "given" else None
        wrote = family.sample(model, n, rng, given=before)
        if isinstance(wrote, Moments):
            sums = wrote.root @ np.swapaxes(wrote.root, -1, -2)
        else:
            sums = np.einsum("nri,nrj->rij", wrote.x, wrote.x)
            if given == "given":
                np.testing.assert_array_equal(wrote.x[..., :d], before.x[..., :d])
        determinant = np.linalg.det(sums[:, :d, :d])
        distributions.append([sums[:, i, j] for i in range(d + 1) for j in range(i + 1)] + [determinant])
    for i, (one, other) in enumerate(zip(*distributions, strict=True)):
        same_distribution(f"n={n} {given} {i}", one, other)


def test_given_moments_keep_their_gram_matrix():
    """Relabelling moves X'y and y'y and nothing else."""
    family = Regression(dim=3)
    for generation in chain(family, Replace(), 8, 3, 5, seed=4):
        gram = [
            m.root[:, :3, :3] @ np.swapaxes(m.root[:, :3, :3], -1, -2)
            for m in (generation.given, generation.sample.rows)
        ]
        np.testing.assert_array_equal(*gram)


REGIMES = [
    (Replace(), "original"),
    (Replace(), "training"),
    (Replace(), "fresh"),
    (Accumulate(), "original"),
    (Accumulate(), "fresh"),
    (Fresh(0.4), "fresh"),
    (Weigh(0.7), "fresh"),
]


@pytest.mark.parametrize(
    ("regime", "given"),
    REGIMES,
    ids=lambda value: getattr(type(value), "__name__", value) if not isinstance(value, str) else value,
)
def test_exact_chains_have_the_distribution_of_drawn_chains(regime, given):
    d, n = 3, 9
    runs = [
        chain(Regression(dim=d, sampling=sampling, shift=0.5), regime, n, 8, 3000, seed, given)
        for sampling, seed in (("exact", 5), ("draw", 6))
    ]
    for g in (0, 1, 4, 8):
        one, other = (errors(Regression(dim=d), run[g]) for run in runs)
        same_distribution(f"error {regime} {given} g={g}", one, other)
        one, other = (run[g].model.weights[:, 0] for run in runs)
        same_distribution(f"weight {regime} {given} g={g}", one, other)


def test_a_ridge_takes_fewer_rows_than_dimensions_in_both_modes():
    runs = [
        chain(Regression(dim=5, ridge=0.1, sampling=sampling), Replace(), 3, 4, 3000, seed, "original")
        for sampling, seed in (("exact", 7), ("draw", 8))
    ]
    for g in (0, 1, 4):
        one, other = (measures.weight_norm(alone(run[g])) for run in runs)
        same_distribution(f"ridge g={g}", one, other)


def test_chains_of_one_block_are_independent():
    """4000 pairs; correlation times sqrt(pairs) is standard normal."""
    for regime in (Replace(), Accumulate()):
        value = np.log(errors(Regression(), chain(Regression(), regime, 20, 5, 8000, seed=9)[-1]))
        compare.count("independent chains")
        assert abs(np.corrcoef(value[::2], value[1::2])[0, 1]) * np.sqrt(4000) < compare.z


# Edges -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampling", ["exact", "draw"])
@pytest.mark.parametrize("n", [1, 3, 10])
def test_too_few_rows_are_one_line(n, sampling):
    with pytest.raises(
        InputError, match=rf"^-n {n}: least squares with family\.dim=10 needs at least 11; set"
    ) as refused:
        chain(Regression(sampling=sampling), Replace(), n, 1, 2, seed=1)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("sampling", ["exact", "draw"])
def test_one_row_more_than_dimensions_works(sampling):
    """Errors are finite in every chain, though their mean is not."""
    for generation in chain(Regression(sampling=sampling), Accumulate(), 11, 20, 50, seed=1):
        assert np.all(np.isfinite(errors(Regression(), generation)))


def test_rows_that_repeat_the_same_x_are_told_apart_from_enough_rows():
    """Subsampling relabelled rows may pick the same x again and again."""
    with pytest.raises(
        InputError, match=r"^family\.dim=10: the rows do not span it all; .* set family\.ridge above 0$"
    ):
        chain(Regression(sampling="draw"), Subsample(), 11, 30, 20, seed=1)


@pytest.mark.parametrize("regime", [Mix(0.3), Subsample(), Fresh(0.3)])
def test_what_exact_sampling_cannot_do_is_one_line(regime):
    with pytest.raises(InputError, match=r"^exact sampling cannot subsample; set family\.sampling=draw$"):
        chain(Regression(), regime, 20, 2, 3, seed=1)


def test_without_noise_nothing_is_ever_wrong():
    for sampling in ("exact", "draw"):
        run = chain(Regression(noise=0, sampling=sampling), Replace(), 20, 30, 5, seed=1)
        assert np.all(errors(Regression(), run[-1]) < 1e-25)
    still = chain(Regression(written_noise=0), Replace(), 20, 30, 5, seed=1)
    np.testing.assert_allclose(still[-1].model.weights, still[0].model.weights, atol=1e-12)


def test_a_hundred_dimensions_and_generations_merge_without_growing():
    """The size of B4; the pool stays one set of moments, and its fit stays the truth plus a small error."""
    run = chain(Regression(dim=100), Accumulate(), 316, 100, 2, seed=1)
    assert run[-1].train.rows.root.shape == (2, 101, 101) and len(run[-1].train) == 101 * 316
    assert np.all(errors(Regression(dim=100), run[-1]) < 2)


def test_by_name_with_its_record_and_a_given():
    """One block or two, the same numbers; what the x are is part of the run."""
    arguments = {"n": 20, "generations": 3, "replicates": 70, "settings": {"family.dim": 4}}
    reused, _ = execute(plan("regression", "accumulate", **arguments))
    fresh, _ = execute(plan("regression", "accumulate", given="fresh", **arguments))
    assert set(reused["metric"]) == {"test_error", "weight_norm"} and reused["replicate"].nunique() == 70
    assert not np.allclose(reused["value"], fresh["value"])
    again, _ = execute(plan("regression", "accumulate", **arguments), jobs=2)
    np.testing.assert_array_equal(again["value"], reused["value"])


def test_metrics_of_known_weights():
    family = Regression(dim=4)
    generation = Generation(0, None, Linear(np.array([[0.5, 0.5, 0.5, 0.5], [0, 0, 0, 3.0]])), None)  # type: ignore[arg-type]
    np.testing.assert_allclose(errors(family, generation), [0, 0.75 + 2.5**2])
    np.testing.assert_allclose(measures.weight_norm(alone(generation)), [1, 3])
