"""One turn and the whole chain: who reads what, in which order, with which provenance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pytest

from model_collapse import streams
from model_collapse.data import Data, Rows, Source
from model_collapse.errors import InputError
from model_collapse.families.gaussian import Gaussian
from model_collapse.interfaces import Family, Filter, Nothing, Regime
from model_collapse.loop import Generation, Reference, generations, step
from model_collapse.regimes.accumulate import Accumulate
from model_collapse.regimes.mix import Mix
from model_collapse.regimes.replace import Replace

N = 10


@dataclass(frozen=True)
class Judging(Filter):
    """A filter that is one function."""

    judge: Callable[[Data, np.random.Generator, Reference], np.ndarray]

    def __call__(self, data: Data, rng: np.random.Generator, reference: Reference) -> np.ndarray:
        return self.judge(data, rng, reference)


@dataclass(frozen=True)
class Echo(Family):
    """A conditional family for these tests: writes each prompt plus 1000, and takes down what it was given."""

    conditional: ClassVar[bool] = True
    fits: list[tuple[Data, Any, Data | None]] = field(default_factory=list)

    def fit(self, data: Data, rng: np.random.Generator, *, start: Any = None, validation: Data | None = None) -> float:
        self.fits.append((data, start, validation))
        return float(rng.random())

    def sample(self, model: float, n: int, rng: np.random.Generator, *, given: Rows | None = None) -> Rows:
        assert given is not None and len(given) == n
        return Rows(given.x + 1000)


def numbered(n: int = N) -> Source:
    """Real rows 0 .. n - 1; fresh ones are negative."""
    return Source(
        Data.real(Rows(np.arange(float(n)))),
        fresh=lambda m, rng: Rows(-1 - rng.random(m)),
        validation=Data.real(Rows(np.full(3, 7.0))),
    )


def stacked(n: int, chains: int, seed: int = 0) -> tuple[Gaussian, Source]:
    family = Gaussian(sampling="draw")
    return family, family.source(n, np.random.default_rng(seed), chains)


# What a conditional family continues -------------------------------------------------------------------------------


def test_given_original_is_the_real_training_set_in_every_generation():
    source = numbered()
    for generation in generations(source, Echo(), Replace(), N, streams.stream(0), last=3):
        assert generation.given is source.train.rows
        np.testing.assert_array_equal(generation.sample.rows.x, np.arange(N) + 1000)


def test_given_training_is_the_training_set_of_that_generation():
    for generation in generations(numbered(), Echo(), Replace(), N, streams.stream(0), last=3, given="training"):
        np.testing.assert_array_equal(generation.given.x, generation.train.rows.x)
        np.testing.assert_array_equal(generation.sample.rows.x, np.arange(N) + 1000 * (generation.t + 1))


def test_given_training_takes_n_rows_of_a_pool_that_grew_each_at_most_once():
    seen = []
    for generation in generations(numbered(), Echo(), Accumulate(), N, streams.stream(0), last=3, given="training"):
        given, pool = generation.given.x, list(generation.train.rows.x)
        assert len(given) == N and len(pool) == (generation.t + 1) * N
        for row in given:
            pool.remove(row)  # raises if a row were given more often than it is there
        seen.append(frozenset(given))
    assert len(set(seen)) == 4, "another choice in every generation"


def test_given_training_repeats_a_set_that_shrank():
    """A filter leaves 4 of 10 rows: all of them are given, in turn."""

    def four(data: Data, rng: np.random.Generator, reference: Reference) -> np.ndarray:
        return np.arange(len(data)) < 4

    chain = generations(
        numbered(), Echo(), Replace(), N, streams.stream(0), last=1, filters=[Judging(four)], given="training"
    )
    _, second = chain
    np.testing.assert_array_equal(second.given.x - 1000, [0, 1, 2, 3, 0, 1, 2, 3, 0, 1])


def test_given_fresh_is_new_in_every_generation_and_comes_from_its_own_stream():
    stream, source = streams.stream(5), numbered()
    for generation in generations(source, Echo(), Replace(), N, stream, last=2, given="fresh"):
        expected = source.fresh(N, stream(generation.t, streams.GIVEN)).x
        np.testing.assert_array_equal(generation.given.x, expected)
        assert np.all(generation.given.x < 0)


def test_an_unconditional_family_is_given_nothing():
    family, source = stacked(N, 2)
    assert step(0, source.train, source, family, N, streams.stream(0), given="fresh").given is None


# Fits --------------------------------------------------------------------------------------------------------------


def test_every_fit_gets_the_same_start_and_the_real_validation_rows():
    family, source, start = Echo(), numbered(), object()
    list(generations(source, family, Accumulate(), N, streams.stream(0), last=3, start=start))
    assert len(family.fits) == 4
    assert all(given is start and validation is source.validation for _, given, validation in family.fits)
    assert family.fits[0][0] is source.train


def test_fit_and_sample_use_streams_of_their_own():
    stream = streams.stream(9)
    for generation in generations(numbered(), Echo(), Replace(), N, stream, last=3):
        assert generation.model == stream(generation.t, streams.FIT).random()
    family, source = stacked(N, 3)
    for generation in generations(source, family, Replace(), N, stream, last=2):
        expected = family.sample(generation.model, N, stream(generation.t, streams.SAMPLE))
        np.testing.assert_array_equal(generation.sample.rows.x, expected.x)


def test_generations_are_made_as_they_are_asked_for():
    family = Echo()
    chain = generations(numbered(), family, Replace(), N, streams.stream(0), last=10**9)
    assert [next(chain).t, next(chain).t] == [0, 1]
    assert len(family.fits) == 2


# Provenance --------------------------------------------------------------------------------------------------------


def shares(regime: Any, n: int, last: int, chains: int | None) -> list[tuple[Generation, np.ndarray]]:
    if chains is None:
        source, family = numbered(n), Echo()
        chain = generations(source, family, regime, n, streams.stream(3), last=last)
    else:
        gaussian, source = stacked(n, chains)
        chain = generations(source, gaussian, regime, n, streams.stream(3), last=last)
    return [(generation, np.asarray(generation.train.share_real)) for generation in chain]


@pytest.mark.parametrize("chains", [None, 4])
def test_births_authors_and_real_shares(chains):
    """Generation 0 reads people; replace then reads generation t - 1 only, accumulate everything."""
    for generation, share in shares(Replace(), N, 4, chains):
        t = generation.t
        assert np.all(share == (t == 0))
        assert np.all(generation.train.born == t) and np.all(generation.train.author == (t > 0))
        assert np.all(generation.sample.born == t + 1) and np.all(generation.sample.author == 1)
        assert len(generation.train) == len(generation.sample) == N
    for generation, share in shares(Accumulate(), N, 4, chains):
        t = generation.t
        np.testing.assert_allclose(share, 1 / (t + 1), rtol=1e-15)
        born, counts = np.unique(generation.train.born, return_counts=True)
        np.testing.assert_array_equal(born, np.arange(t + 1))
        assert set(counts) == {N}


@pytest.mark.parametrize("sampling", ["exact", "draw"])
def test_real_share_of_accumulated_moments_is_that_of_rows(sampling):
    family = Gaussian(sampling=sampling)
    source = family.source(N, np.random.default_rng(0), 2)
    for generation in generations(source, family, Accumulate(), N, streams.stream(0), last=5):
        np.testing.assert_allclose(generation.train.share_real, 1 / (generation.t + 1), rtol=1e-15)
        assert len(generation.train) == (generation.t + 1) * N


@pytest.mark.parametrize("chains", [None, 6])
@pytest.mark.parametrize(("fraction", "n"), [(0.1, 10), (0.1, 37), (0.5, 7), (1 / 3, 100), (0.0, 10), (1.0, 10)])
def test_mix_holds_exactly_its_share_of_real_rows(fraction, n, chains):
    """round(f n) rows of the finite real set, none twice, and the rest of the last sample, none twice."""
    history = None
    chosen = []
    for generation, share in shares(Mix(fraction), n, 3, chains):
        if generation.t == 0:
            history = generation
            real = generation.train.rows.x
            continue
        train = generation.train
        assert len(train) == n
        np.testing.assert_allclose(share, round(fraction * n) / n, rtol=1e-15)
        x = train.rows.x.reshape(n, -1)
        born = train.born.reshape(n, -1)
        for r in range(x.shape[1]):
            mask = born[:, min(r, born.shape[1] - 1)] == 0
            old, new = x[mask, r], x[~mask, r]
            assert len(old) == round(fraction * n)
            assert set(old) <= set(real.reshape(n, -1)[:, r]) and len(set(old)) == len(old)
            assert set(new) <= set(history.sample.rows.x.reshape(n, -1)[:, r]) and len(set(new)) == len(new)
            assert np.all(born[~mask][:, 0] == generation.t)
            chosen.append(tuple(np.flatnonzero(np.isin(real.reshape(n, -1)[:, r], old))))
        history = generation
    if 0 < fraction < 1:
        assert len(set(chosen)) > 1, "every chain and every generation draws rows of its own"


def test_mix_never_pairs_a_real_row_with_what_was_written_in_its_place():
    """Continuations of the original rows: row k and its echo 1000 + k are never both read."""
    for generation in generations(numbered(), Echo(), Mix(0.5), N, streams.stream(4), last=20):
        assert sorted(generation.train.rows.x % 1000) == list(range(N))


def test_mix_deals_every_row_with_the_same_chance():
    """Which of 10 real rows are taken, 4 at a time, in 3000 chains: chi-square with 9 degrees, error rate 1e-4.

    Counts without replacement vary less than multinomial ones, by (n - m) / (n - 1).
    """
    n, chains, m = 10, 3000, 4
    source = Source(
        Data.real(Rows(np.broadcast_to(np.arange(n)[:, None, None], (n, chains, 1)), stacked=True)),
        fresh=lambda n, rng: pytest.fail("mix draws no new rows"),
    )
    from model_collapse.loop import History

    history = History(Data.of(Rows(np.full((n, chains, 1), -1), stacked=True), 1, 1))
    train = Mix(m / n)(source, history, n, np.random.default_rng(21))
    counts = np.bincount(train.rows.x[train.born == 0].ravel(), minlength=n)
    expected = chains * m / n
    from scipy import stats

    statistic = np.sum((counts - expected) ** 2) / expected / ((n - m) / (n - 1))
    assert 1e-4 / 2 < stats.chi2(n - 1).cdf(statistic) < 1 - 1e-4 / 2


# Filters -----------------------------------------------------------------------------------------------------------


def test_filters_judge_what_the_regime_made_in_order_and_never_generation_0():
    calls = []

    def even(data: Data, rng: np.random.Generator, reference: Reference) -> np.ndarray:
        calls.append(("even", len(data), reference.first.t, rng.random()))
        return data.rows.x % 2 == 0

    def heavy(data: Data, rng: np.random.Generator, reference: Reference) -> np.ndarray:
        calls.append(("heavy", len(data), reference.first.t, rng.random()))
        return np.full(len(data), 2.5)

    family = Echo()
    run = list(
        generations(
            numbered(), family, Replace(), N, streams.stream(0), last=2, filters=[Judging(even), Judging(heavy)]
        )
    )
    assert [call[:3] for call in calls] == [("even", 10, 0), ("heavy", 5, 0)] * 2
    assert len({call[3] for call in calls}) == 4, "no two judgements share their random numbers"
    assert run[0].train.weight is None and len(run[0].train) == N
    for data, _, _ in family.fits[1:]:
        assert np.all(data.rows.x % 2 == 0) and np.all(data.weight == 2.5) and len(data) == 5
    assert [data for data, _, _ in family.fits] == [generation.train for generation in run]
    assert all(len(generation.sample) == N for generation in run)


def test_a_filter_of_moments_is_refused():
    family = Gaussian()
    source = family.source(N, np.random.default_rng(0), 2)
    for verdict in (np.ones(N, bool), np.ones(N)):
        same = Judging(lambda *_, v=verdict: v)
        chain = generations(source, family, Replace(), N, streams.stream(0), last=1, filters=[same])
        next(chain)
        with pytest.raises(InputError, match=r"set family\.sampling=draw"):
            next(chain)


@pytest.mark.parametrize("top_up", [False, True])
def test_each_stacked_chain_drops_rows_of_its_own(top_up):
    """Dropped rows have weight 0, or others of the chain stand in their place, no two of which come unequally often."""
    family, source = stacked(N, 3)
    keep = np.arange(N)[:, None] % np.array([1, 2, 5]) == 0

    class Own(Filter):
        def __call__(self, data: Data, rng: np.random.Generator, reference: Reference) -> np.ndarray:
            return keep

    Own.top_up = top_up
    first, second = generations(source, family, Replace(), N, streams.stream(3), last=1, filters=[Own()])
    wrote, train = first.sample.rows.x, second.train
    assert len(train) == N
    for r in range(3):
        kept = wrote[keep[:, r], r, 0]
        if top_up:
            values, times = np.unique(train.rows.x[:, r, 0], return_counts=True)
            np.testing.assert_array_equal(values, np.unique(kept))
            assert np.ptp(times) <= 1 and train.weight is None
        else:
            np.testing.assert_array_equal(train.weight[:, r], keep[:, r])
    np.testing.assert_array_equal(train.counted, N if top_up else [10, 5, 2])
    alone = Data(
        train.rows, np.where(np.arange(N)[:, None] < 3, 0, 1) + np.zeros((N, 3), int), train.author, train.weight
    )
    if not top_up:
        np.testing.assert_allclose(alone.share_real, [0.3, 2 / 5, 1 / 2])


def test_a_filter_that_chooses_among_candidates_gets_so_many_times_the_rows():
    class Third(Filter):
        candidates = 3

        def __call__(self, data: Data, rng: np.random.Generator, reference: Reference) -> np.ndarray:
            return np.arange(len(data)) < len(data) // 3

    family = Echo()
    run = list(generations(numbered(), family, Replace(), N, streams.stream(0), last=2, filters=[Third()]))
    assert [len(generation.sample) for generation in run] == [3 * N] * 3
    assert [len(generation.train) for generation in run] == [N] * 3


def test_a_filter_that_leaves_nothing_is_refused_by_name():
    class Nothing(Filter):
        def __call__(self, data: Data, rng: np.random.Generator, reference: Reference) -> np.ndarray:
            return np.zeros(len(data), bool)

    chain = generations(numbered(), Echo(), Replace(), N, streams.stream(0), last=1, filters=[Nothing()])
    with pytest.raises(InputError, match="filter nothing: nothing is left to train on of 10 rows"):
        list(chain)


# Memory ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("needs", ["nothing", "last", "all"])
def test_the_history_holds_no_more_than_the_regime_asks_for(needs):
    pools = []

    class Watch(Regime):
        def __call__(self, source, history, n, rng):
            pools.append(None if history.pool is None else len(history.pool))
            assert len(history.last) == N and np.all(history.last.born == len(pools))
            return history.last

    Watch.needs = needs
    list(generations(numbered(), Echo(), Watch(), N, streams.stream(0), last=4))
    assert pools == ([20, 30, 40, 50] if needs == "all" else [None] * 4)


# Saved generations -------------------------------------------------------------------------------------------------


class Kept(Nothing):
    """Finished generations in a dictionary, and the numbers of those that had to be made."""

    def __init__(self, done: dict[int, Generation]) -> None:
        self.done, self.made = done, []

    def generation(self, t: int, train: Data) -> Generation | None:
        return self.done.get(t)

    def model(self, t: int, fit: Callable[[], Any]) -> Any:
        self.made.append(t)
        return fit()


@pytest.mark.parametrize("regime", [Replace(), Accumulate(), Mix(0.4)], ids=["replace", "accumulate", "mix"])
@pytest.mark.parametrize("done", [[], [0], [0, 1, 2], [0, 1, 2, 3, 4], [1, 3]])
def test_a_chain_goes_on_from_what_is_saved_with_the_same_bits(regime, done):
    """From any cut, also when one in the middle was lost; nothing kept is computed again."""
    family, source = stacked(N, 3)
    straight = list(generations(source, family, regime, N, streams.stream(8), last=4))
    kept = Kept({t: straight[t] for t in done})
    resumed = list(generations(source, family, regime, N, streams.stream(8), last=4, keep=kept))
    assert kept.made == [t for t in range(5) if t not in done]
    for one, other in zip(straight, resumed, strict=True):
        np.testing.assert_array_equal(one.sample.rows.x, other.sample.rows.x)
        np.testing.assert_array_equal(one.train.rows.x, other.train.rows.x)
        np.testing.assert_array_equal(one.train.born, other.train.born)
