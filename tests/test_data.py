"""Rows, moments and their provenance; the random streams."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_collapse import streams
from model_collapse.data import Data, Moments, Rows, square_root
from model_collapse.errors import InputError


def moments_of(x: np.ndarray) -> Moments:
    """Moments of rows x (n, R, d) by the singular value decomposition, not by the package's own QR."""
    n, chains, dim = x.shape
    centred = np.moveaxis(x - x.mean(axis=0), 0, -1)
    left, size, _ = np.linalg.svd(centred, full_matrices=False)
    root = np.zeros((chains, dim, dim))
    root[..., : size.shape[-1]] = left * size[:, None, :]
    return Moments(n, x.mean(axis=0), root)


def scatter(root: np.ndarray) -> np.ndarray:
    return root @ np.swapaxes(root, -1, -2)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    dim=st.integers(1, 4),
    chains=st.integers(1, 3),
    counts=st.lists(st.integers(1, 6), min_size=1, max_size=5),
    exponent=st.sampled_from([-250, -150, -8, 0, 100]),
    offset=st.sampled_from([0.0, 1.0, 100.0]),
    seed=st.integers(0, 10**6),
)
def test_merged_moments_are_the_moments_of_all_rows(dim, chains, counts, exponent, offset, seed):
    """Also singular scatter (fewer rows than dimensions) and variances of 1e-300 and 1e-500."""
    rng = np.random.default_rng(seed)
    scale = 10.0**exponent
    batches = [offset * rng.standard_normal() + rng.standard_normal((n, chains, dim)) for n in counts]
    merged = Moments.concat([moments_of(scale * x) for x in batches])
    rows = np.concatenate(batches)
    centred = rows - rows.mean(axis=0)
    expected = np.einsum("nri,nrj->rij", centred, centred)
    size = 1 + offset
    assert len(merged) == len(rows) and merged.chains == chains
    np.testing.assert_allclose(merged.mean / scale, rows.mean(axis=0), rtol=0, atol=1e-13 * size)
    np.testing.assert_allclose(scatter(merged.root / scale), expected, rtol=0, atol=1e-12 * size**2 * len(rows))


def test_merging_keeps_the_rank_of_what_is_nearly_nothing():
    """Two clouds whose variances are 10^30 apart: the small direction survives in the root."""
    wide = Moments(5, np.zeros((1, 2)), np.array([[[1.0, 0.0], [0.0, 1e-15]]]))
    merged = Moments.concat([wide, wide, wide])
    assert np.linalg.slogdet(merged.root)[1] == pytest.approx(np.log(3 * 1e-15), rel=1e-12)


def test_moments_without_scatter_merge_their_means():
    merged = Moments.concat([Moments(1, np.array([[4.0]])), Moments(3, np.array([[0.0]]))])
    assert merged.root is None and merged.mean.item() == 1.0 and len(merged) == 4


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (3, 1), (3, 3), (3, 8)])
def test_a_square_root_has_the_same_product(shape):
    wide = np.random.default_rng(1).standard_normal((4, *shape))
    root = square_root(wide)
    assert root.shape == (4, shape[0], shape[0])
    np.testing.assert_allclose(scatter(root), scatter(wide), atol=1e-13)


def test_taking_from_moments_is_refused_in_one_line():
    data = Data.real(moments_of(np.zeros((3, 1, 1))))
    for refused in (lambda: data.take(np.arange(2)), lambda: data.filtered(np.ones(3, bool))):
        with pytest.raises(InputError, match=r"^exact sampling cannot subsample; set family\.sampling=draw$"):
            refused()
    with pytest.raises(InputError, match=r"^exact sampling cannot subsample; set family\.sampling=draw$"):
        data.filtered(np.ones(3))


@pytest.mark.parametrize("tail", [(), (2,), (2, 3)])
def test_every_chain_takes_rows_of_its_own(tail):
    """take with an index (m, R) against a plain loop over chains, columns of both shapes."""
    rng = np.random.default_rng(2)
    n, chains, m = 7, 3, 4
    x = rng.standard_normal((n, chains, *tail))
    data = Data(Rows(x, stacked=True), rng.integers(0, 9, (n, chains)), np.arange(n), rng.random((n, chains)))
    index = rng.integers(0, n, (m, chains))
    taken = data.take(index)
    for chain in range(chains):
        np.testing.assert_array_equal(taken.rows.x[:, chain], x[index[:, chain], chain])
        np.testing.assert_array_equal(taken.born[:, chain], data.born[index[:, chain], chain])
        np.testing.assert_array_equal(taken.author[:, chain], data.author[index[:, chain]])
        np.testing.assert_array_equal(taken.weight[:, chain], data.weight[index[:, chain], chain])
    same = data.take(np.array([5, 0]))
    np.testing.assert_array_equal(same.rows.x, x[[5, 0]])
    np.testing.assert_array_equal(same.born, data.born[[5, 0]])
    np.testing.assert_array_equal(same.author, [5, 0])
    assert same.rows.stacked


def test_concat_keeps_provenance_and_fills_in_weights():
    real = Data.real(Rows(np.zeros((2, 3, 1)), stacked=True))
    written = Data(
        Rows(np.ones((1, 3, 1)), stacked=True), np.array([[4, 5, 6]]), np.ones((1, 3), int), np.full((1, 3), 7.0)
    )
    both = Data.concat([real, real.take(np.arange(0)), written])
    assert len(both) == 3 and both.rows.stacked
    np.testing.assert_array_equal(both.born, [[0, 0, 0], [0, 0, 0], [4, 5, 6]])
    np.testing.assert_array_equal(both.author, [[0, 0, 0], [0, 0, 0], [1, 1, 1]])
    np.testing.assert_array_equal(both.weight, [[1, 1, 1], [1, 1, 1], [7, 7, 7]])
    np.testing.assert_allclose(both.share_real, [2 / 3, 2 / 3, 2 / 3])
    assert Data.concat([real, written.take(np.arange(0))]).weight is None


def test_share_real_of_merged_moments_counts_rows_not_batches():
    def batch(n: int, born: int) -> Data:
        return Data.of(Moments(n, np.zeros((2, 1))), born, min(born, 1))

    pool = Data.concat([batch(1, 0), batch(3, 1), batch(4, 2)])
    np.testing.assert_array_equal(pool.born, [0, 1, 2])
    assert pool.share_real == pytest.approx(1 / 8) and len(pool) == 8


def test_a_verdict_is_a_mask_or_weights():
    data = Data.real(Rows(np.arange(4.0)))
    np.testing.assert_array_equal(data.filtered(np.array([True, False, False, True])).rows.x, [0, 3])
    weighed = data.filtered(np.array([0.5, 1, 1, 0]))
    np.testing.assert_array_equal(weighed.weight, [0.5, 1, 1, 0])
    assert len(weighed) == 4 and data.weight is None


# Streams -----------------------------------------------------------------------------------------------------------


def test_a_stream_depends_on_its_key_and_on_nothing_else():
    """Every key gives its own numbers, whatever was drawn before, and the same again when asked again."""
    keys = [(s, b, t, u) for s in (0, 1, 2**63 - 1) for b in (0, 1, 300) for t in (-1, 0, 1, 700) for u in range(8)]

    def first(key: tuple[int, int, int, int]) -> int:
        seed, block, generation, use = key
        return int(streams.stream(seed, block)(generation, use).integers(2**63))

    drawn = {key: first(key) for key in keys}
    assert len(set(drawn.values())) == len(keys)
    assert {key: first(key) for key in reversed(keys)} == drawn
    one = streams.stream(1, 1)
    one(0, 0).random(1000)
    assert int(one(0, 1).integers(2**63)) == drawn[1, 1, 0, 1]


def test_stream_numbers_are_those_of_the_published_results():
    """Changing a key or the generator changes every recorded table: this test is what says so."""
    assert [streams.SOURCE, streams.BASE, streams.REGIME, streams.FILTER] == [0, 1, 2, 3]
    assert [streams.GIVEN, streams.FIT, streams.SAMPLE, streams.METRIC] == [4, 5, 6, 7]
    for seed in (0, 7, 2**32 - 1, 2**32, 2**63 - 1):
        key = np.random.SeedSequence(seed, spawn_key=(4, 6, 2))
        expected = np.random.Generator(np.random.PCG64DXSM(key)).random(5)
        np.testing.assert_array_equal(streams.stream(seed, 2)(3, streams.SAMPLE).random(5), expected)
