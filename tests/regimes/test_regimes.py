"""Regimes that keep, add or weigh real data, and those that change how many rows are read."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from model_collapse import streams
from model_collapse.data import Data, Moments, Rows, Source
from model_collapse.errors import InputError
from model_collapse.families.gaussian import Gaussian, Normal
from model_collapse.loop import Generation, History, generations
from model_collapse.regimes.accumulate import Accumulate
from model_collapse.regimes.fixed import Fixed
from model_collapse.regimes.fresh import Fresh
from model_collapse.regimes.grow import Grow
from model_collapse.regimes.replace import Replace
from model_collapse.regimes.subsample import Subsample
from model_collapse.regimes.weigh import Weigh

N, CHAINS = 10, 5


def chain(regime: Any, *, n: int = N, last: int = 4, chains: int = CHAINS, **settings: Any) -> list[Generation]:
    stream, family = streams.stream(3), Gaussian(**{"sampling": "draw", **settings})
    return list(generations(family.source(n, stream(-1, streams.SOURCE), chains), family, regime, n, stream, last=last))


def column(data: Data, r: int) -> tuple[np.ndarray, np.ndarray]:
    """Values and births of chain r."""
    born = data.born if data.born.ndim == 1 else data.born[:, r]
    return data.rows.x[:, r, 0], born


def test_subsample_takes_n_rows_of_everything_each_at_most_once():
    chosen = []
    for generation in chain(Subsample(), last=6):
        t = generation.t
        assert len(generation.train) == N
        if t == 0:
            births = [{value: 0 for value in column(generation.train, r)[0]} for r in range(CHAINS)]
        for r in range(CHAINS):
            values, born = column(generation.train, r)
            assert len(set(values)) == N and all(births[r][v] == b for v, b in zip(values, born, strict=True))
            births[r] |= {value: t + 1 for value in column(generation.sample, r)[0]}
            chosen.append(tuple(born))
    assert len(set(chosen)) > 4, "chains and generations draw rows of their own"


def test_subsample_gives_every_row_of_the_pool_the_same_chance():
    """Which n of 3 n rows in 4000 chains: chi-square with 3 n - 1 degrees of freedom, error rate 1e-4.

    Counts without replacement vary less than multinomial ones, by (1 - n / 3n) / (1 - 1 / 3n).
    """
    from scipy import stats

    chains, size = 4000, 3 * N
    rows = [np.broadcast_to(np.arange(i * N, (i + 1) * N)[:, None, None], (N, chains, 1)) for i in range(3)]
    parts = [Data.of(Rows(x, stacked=True), born, min(born, 1)) for born, x in enumerate(rows)]
    source = Source(parts[0], fresh=lambda n, rng: pytest.fail("subsample draws no new rows"))
    train = Subsample()(source, History(parts[2], Data.concat(parts)), N, np.random.default_rng(5))
    counts = np.bincount(train.rows.x.ravel(), minlength=size)
    expected = chains * N / size
    statistic = np.sum((counts - expected) ** 2) / expected / ((size - N) / (size - 1))
    assert 1e-4 / 2 < stats.chi2(size - 1).cdf(statistic) < 1 - 1e-4 / 2
    assert abs(np.mean(train.share_real) - 1 / 3) < 0.02


@pytest.mark.parametrize("sampling", ["exact", "draw"])
@pytest.mark.parametrize(("fraction", "n"), [(0.1, 10), (0.25, 37), (0.0, 10), (1.0, 10), (0.01, 10)])
def test_fresh_holds_its_share_of_new_real_rows(fraction, n, sampling):
    real = round(fraction * n)
    made = chain(Fresh(fraction), n=n, sampling=sampling)
    for before, generation in pairwise(made):
        train = generation.train
        assert len(train) == n
        np.testing.assert_allclose(train.share_real, real / n, atol=1e-15)
        assert len(before.sample) == (n - real or n)
        if sampling == "draw":
            old = {value for earlier in made[: generation.t] for value in earlier.train.rows.x.ravel()}
            new = train.rows.x[:real].ravel()
            assert len(set(new)) == real * CHAINS and not set(new) & old, "new rows in every generation and chain"
            written = np.sort(before.sample.rows.x, axis=0)
            if real < n:
                np.testing.assert_array_equal(np.sort(train.rows.x[real:], axis=0), written)


def test_fresh_deals_a_longer_sample_by_chain():
    """A history of n rows, as another regime leaves it: n - real of them, another choice in every chain."""
    family = Gaussian(sampling="draw")
    source = family.source(N, np.random.default_rng(0), 50)
    last = Data.of(family.sample(family.fit(source.train, None), N, np.random.default_rng(1)), 1, 1)
    train = Fresh(0.4)(source, History(last), N, np.random.default_rng(2))
    picked = {tuple(np.flatnonzero(np.isin(last.rows.x[:, r, 0], train.rows.x[4:, r, 0]))) for r in range(50)}
    assert all(len(rows) == 6 for rows in picked) and len(picked) > 20


@pytest.mark.parametrize("sampling", ["exact", "draw"])
@pytest.mark.parametrize("synthetic", [0.3, 1, 2.5])
def test_fixed_keeps_all_real_rows_beside_the_last_sample(synthetic, sampling):
    made = chain(Fixed(synthetic), sampling=sampling)
    wrote = round(synthetic * N)
    for before, generation in pairwise(made):
        assert len(generation.train) == N + wrote and len(before.sample) == wrote
        np.testing.assert_allclose(generation.train.share_real, N / (N + wrote), rtol=1e-15)
        if sampling == "draw":
            np.testing.assert_array_equal(generation.train.rows.x[:N], made[0].train.rows.x)
            np.testing.assert_array_equal(generation.train.rows.x[N:], before.sample.rows.x)


@pytest.mark.parametrize("sampling", ["exact", "draw"])
@pytest.mark.parametrize("power", [0, 0.5, 1, 2])
def test_grow_follows_its_schedule(power, sampling):
    for generation in chain(Grow(power), sampling=sampling):
        assert len(generation.train) == round(N * (generation.t + 1) ** power)
        assert np.all(generation.train.born == generation.t)


def test_grow_without_growth_is_replace():
    for one, other in zip(chain(Grow(0)), chain(Replace()), strict=True):
        np.testing.assert_array_equal(one.sample.rows.x, other.sample.rows.x)


def test_grow_beyond_what_can_be_counted_is_refused():
    with pytest.raises(
        InputError, match=r"^regime\.power=4: generation 9998 would write 1e\+20 rows; lower it, -n or -g$"
    ):
        Grow(4).size(9998, 10_000)


def test_weigh_of_one_half_is_a_plain_fit_of_both():
    """And weights change the fit as the weighted sums say, which are written out here."""
    for w in (0.0, 0.2, 0.5, 1.0):
        train = chain(Weigh(w), last=1)[1].train
        x = train.rows.x[..., 0]
        weight = np.repeat([2 * w, 2 * (1 - w)], N)
        np.testing.assert_allclose(np.broadcast_to(train.weight.T, (CHAINS, 2 * N)), np.tile(weight, (CHAINS, 1)))
        mean = weight @ x / (2 * N)
        for estimator, divisor in (("mle", 2 * N), ("unbiased", 2 * N - 1)):
            fitted = Gaussian(estimator=estimator).fit(train, None)
            np.testing.assert_allclose(fitted.mean[:, 0], mean, atol=1e-14)
            scatter = weight @ (x - mean) ** 2
            np.testing.assert_allclose(fitted.root[:, 0, 0] ** 2, scatter / divisor, rtol=1e-12)


@pytest.mark.parametrize("dim", [1, 3])
@pytest.mark.parametrize("estimator", ["mle", "unbiased"])
@pytest.mark.parametrize("w", [0, 0.618, 1])
def test_weighed_moments_are_those_of_weighed_rows(w, estimator, dim):
    rng = np.random.default_rng(4)
    rows = [Rows(rng.standard_normal((n, CHAINS, dim)), stacked=True) for n in (7, 12, 5)]
    family = Gaussian(dim=dim, estimator=estimator)

    def moments(part: Rows) -> Moments:
        mean = part.x.mean(axis=0)
        scatter = np.einsum("nri,nrj->rij", part.x - mean, part.x - mean)
        return Moments(len(part), mean, np.linalg.cholesky(scatter))

    def together(parts: list[Rows] | list[Moments]) -> Normal:
        heavy = [Data.real(part).weighed(weight) for part, weight in zip(parts, (2 * w, 2 - 2 * w, 3), strict=True)]
        data = Data.concat(heavy)
        assert len(data) == 24
        return family.fit(data, rng)

    one, other = together(rows), together([moments(part) for part in rows])
    np.testing.assert_allclose(one.mean, other.mean, atol=1e-13)
    covariances = [distribution.root @ np.swapaxes(distribution.root, -1, -2) for distribution in (one, other)]
    np.testing.assert_allclose(*covariances, atol=1e-12)


def test_moments_of_weight_one_keep_their_bits():
    """Unweighted chains are not touched by the weight: counts stay whole numbers."""
    for generation in chain(Accumulate(), sampling="exact"):
        assert generation.train.rows.weight == 1 and isinstance(generation.train.rows.mass, int)


def test_only_subsample_is_refused_for_exact_samples():
    for regime in (Fresh(0.3), Fixed(0.5), Grow(1), Weigh(0.618)):
        made = chain(regime, sampling="exact")
        assert all(np.all(np.isfinite(generation.model.root)) for generation in made)
    with pytest.raises(InputError, match=r"^exact sampling cannot subsample; set family\.sampling=draw$"):
        chain(Subsample(), sampling="exact")
