"""The discrete chains against closed forms, and against a plain loop that shares no code with the package.

Error rate: all seeded. Every comparison below is two-sided at level 1e-3 / COMPARISONS, so that a correct program fails
this whole file with probability at most 1e-3 (Bonferroni) for a freshly chosen seed. Values are bounded or have light
tails, and every mean is over thousands of chains, so the normal distribution is good at that level.
"""

from __future__ import annotations

import tracemalloc
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from scipy import stats
from toy_comparisons import Comparisons

from model_collapse import streams, theory
from model_collapse.data import Data, Rows
from model_collapse.engine.execute import execute
from model_collapse.engine.plan import plan
from model_collapse.errors import InputError
from model_collapse.families.discrete import Categorical, Counts, Discrete
from model_collapse.loop import Generation, Reference, generations
from model_collapse.metrics import Measurement
from model_collapse.metrics import discrete as measures
from model_collapse.regimes.accumulate import Accumulate
from model_collapse.regimes.mix import Mix
from model_collapse.regimes.replace import Replace
from model_collapse.theory import scaling

COMPARISONS = 1000
compare = Comparisons(COMPARISONS)
within = compare.within


def happens(name: str, events: np.ndarray, probability: float) -> None:
    """Exact binomial test of events (R,)."""
    compare.count(name)
    probability = min(max(probability, 0), 1)
    p = stats.binomtest(int(np.sum(events)), len(events), probability).pvalue
    assert p > compare.level, f"{name}: {np.mean(events):.5g}, expected {probability:.5g}, p = {p:.1e}"


def same_distribution(name: str, one: np.ndarray, other: np.ndarray) -> None:
    """Chi-square test of two samples of whole numbers; rare values are pooled from both ends."""
    compare.count(name)
    values = np.unique(np.concatenate([one, other]))
    table = np.array([[np.sum(sample == value) for value in values] for sample in (one, other)])
    cells: list[np.ndarray] = []
    open_cell = np.zeros(2, int)
    for column in table.T:
        open_cell = open_cell + column
        if open_cell.min() >= 10:
            cells.append(open_cell)
            open_cell = np.zeros(2, int)
    if cells:
        cells[-1] = cells[-1] + open_cell
    if len(cells) < 2:
        return
    p = stats.chi2_contingency(np.array(cells)).pvalue
    assert p > compare.level, f"{name}: p = {p:.1e}"


def chain(family: Discrete, regime, M: int, fits: int, chains: int, seed: int) -> list[Generation]:
    """Generations 0 .. fits - 1."""
    stream = streams.stream(seed)
    source = family.source(M, stream(-1, streams.SOURCE), chains)
    return list(generations(source, family, regime, M, stream, last=fits - 1))


def distribution_of(p: np.ndarray) -> Categorical:
    """The model with these shares, (R, K)."""
    return Categorical(np.broadcast_to(np.arange(p.shape[1]), p.shape), p, p.shape[1])


def dense(counts: Counts) -> np.ndarray:
    """Counts of all symbols, (R, K)."""
    return Categorical(counts.symbol, counts.value, counts.symbols).shares


def value(metric, generation: Generation, family: Discrete | None = None):
    """A metric of one generation."""
    return metric(Measurement(generation, Reference(generation, None, family)))  # type: ignore[arg-type]


# Closed forms ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampling", ["exact", "draw"])
@pytest.mark.parametrize("symbols", [2, 20])
@pytest.mark.parametrize("M", [5, 10, 50])
def test_replace_follows_the_closed_forms(M, symbols, sampling):
    """CF-W1 (constant mean), CF-W2, CF-W3, CF-W4 and, for two symbols, P(both alive): 1 to M fits."""
    family = Discrete(symbols=symbols, sampling=sampling)
    q = family.distribution
    distribution = chain(family, Replace(), M, M, 10_000 if sampling == "exact" else 5_000, seed=M)
    for n in sorted({1, 2, 5, M // 2, M}):
        shares = distribution[n - 1].model.shares
        within(
            f"CF-W2 n={n}", value(measures.heterozygosity, distribution[n - 1]), theory.expected_heterozygosity(n, M, q)
        )
        support = value(measures.support, distribution[n - 1])
        if np.ptp(support):
            within(f"support n={n}", support, theory.expected_support(n, q, M))
        for i in {0, symbols // 2, symbols - 1}:
            within(f"CF-W1 n={n}", shares[:, i], q[i])
            exact = theory.survival(n, q[i], M)
            happens(f"CF-W4 n={n}", shares[:, i] > 0, float(exact))
            if n == 1:
                assert exact == pytest.approx(1 - theory.loss_probability(q[i], M))
        if symbols == 2:
            happens(f"both alive n={n}", support == 2, float(theory.both_alive(n, q[0], M)))


@pytest.mark.parametrize("sampling", ["exact", "draw"])
@pytest.mark.parametrize("M", [5, 10, 50])
def test_fixation(M, sampling):
    """WF-1, WF-2: by 20 M fits all chains are fixed (but for 1e-6 of them), each on a symbol with its true share."""
    family = Discrete(symbols=5, sampling=sampling)
    chains = 4_000 if sampling == "exact" else 1_000
    last = chain(family, Replace(), M, 20 * M, chains, seed=20 + M)[-1]
    assert np.all(value(measures.support, last) == 1) and np.all(value(measures.heterozygosity, last) == 0)
    winners = np.bincount(last.model.shares.argmax(axis=1), minlength=5)
    compare.count("fixation")
    assert stats.chisquare(winners, chains * theory.fixation_probability(family.distribution)).pvalue > compare.level


@pytest.mark.parametrize("sampling", ["exact", "draw"])
@pytest.mark.parametrize(("M", "q"), [(5, 0.5), (10, 0.9), (50, 0.9)])
def test_absorption_time(M, q, sampling):
    """CF-W5: fits until one of two symbols is alone."""
    family = Discrete(symbols=2, zipf=np.log2(q / (1 - q)), sampling=sampling)
    assert family.distribution[0] == pytest.approx(q)
    distribution = chain(family, Replace(), M, 15 * M, 5_000 if sampling == "exact" else 1_500, seed=30 + M)
    both = np.array([value(measures.support, generation) == 2 for generation in distribution])
    within("CF-W5", 1 + both.sum(axis=0), float(theory.absorption_time(q, M)))


@pytest.mark.parametrize("sampling", ["exact", "draw"])
@pytest.mark.parametrize("M", [5, 10, 50])
def test_accumulate_freezes_the_support_and_slows_drift(M, sampling):
    """CF-W7, ACC-6: support is that of the real batch for ever; heterozygosity follows the product."""
    family = Discrete(sampling=sampling)
    fits, chains = (30, 8_000) if sampling == "exact" else (10, 3_000)
    distribution = chain(family, Accumulate(), M, fits, chains, seed=40 + M)
    first = distribution[0].model.shares > 0
    within("support", first.sum(axis=1), theory.expected_support(1, family.distribution, M))
    for t in (1, 2, 5, fits):
        generation = distribution[t - 1]
        counts = generation.model.shares * t * M
        assert len(generation.train) == t * M
        np.testing.assert_allclose(counts, np.rint(counts), atol=1e-9)
        assert np.all(counts.sum(axis=1).round(6) == t * M)
        assert np.array_equal(generation.model.shares > 0, first), "nothing returns, nothing goes"
        expected = theory.accumulated_heterozygosity(t, M, family.distribution)
        within(f"CF-W7 t={t}", value(measures.heterozygosity, generation), expected)


@pytest.mark.parametrize(("M", "g"), [(5, 0.2), (10, 0.1), (10, 0.3), (50, 0.1)])
def test_mix_reaches_the_stationary_variance(M, g):
    """6.7: the finite real set, round(g M) of its rows each time; memory fades as (1 - g)^2 per fit."""
    family, fits = Discrete(symbols=2, zipf=1, sampling="draw"), int(8 / g)
    distribution = chain(family, Mix(g), M, fits, 12_000 if M < 50 else 3_000, seed=50 + M)
    q = family.distribution[0]
    within("mix mean", distribution[-1].model.shares[:, 0], q)
    late = np.mean([(generation.model.shares[:, 0] - q) ** 2 for generation in distribution[5 * fits // 8 :]], axis=0)
    within("mix variance", late, float(theory.stationary_variance(q, M, g, "mix")))


@pytest.mark.parametrize("regime", ["fresh", "bernoulli"])
@pytest.mark.parametrize(("M", "g"), [(5, 0.2), (10, 0.1), (50, 0.1)])
def test_stationary_variance_with_new_real_rows(M, g, regime):
    """CF-W6 and its exact form for round(g M) new rows, by a plain simulation of the share of one symbol."""
    rng, q, chains = np.random.default_rng(60 + M), 0.3, 40_000
    p = rng.binomial(M, q, chains) / M
    for _ in range(int(6 / g)):
        real = round(g * M)
        fresh = rng.binomial(real, q, chains) + rng.binomial(M - real, p)
        p = (fresh if regime == "fresh" else rng.binomial(M, g * q + (1 - g) * p)) / M
    within(f"{regime} variance", (p - q) ** 2, float(theory.stationary_variance(q, M, g, regime)))


@pytest.mark.parametrize("M", [5, 10, 50])
def test_poisson_counts(M):
    """CF-W9: survival by n fits is exact, counts stay whole, the mean share stays; dead chains stay dead."""
    family = Discrete(symbols=10, counts="poisson")
    q = family.distribution
    distribution = chain(family, Replace(), M, M, 10_000, seed=70 + M)
    for n in sorted({1, 2, 5, M}):
        shares = distribution[n - 1].model.shares
        np.testing.assert_allclose(shares * M, np.rint(shares * M), atol=1e-9)
        for i in (0, 4, 9):
            happens(f"CF-W9 n={n}", shares[:, i] > 0, float(theory.poisson_survival(n, q[i], M)))
            within(f"Poisson mean n={n}", shares[:, i], q[i])
    dead = chain(Discrete(symbols=3, counts="poisson"), Replace(), 1, 60, 200, seed=71)
    gone = dead[-1].model.shares.sum(axis=1) == 0
    assert gone.sum() > 150
    for metric, expected in ((measures.heterozygosity, 0), (measures.support, 0), (measures.kl, np.inf)):
        assert np.all(value(metric, dead[-1], Discrete(symbols=3))[gone] == expected)


@pytest.mark.parametrize("sampling", ["exact", "draw"])
@pytest.mark.parametrize(("M", "symbols", "zipf"), [(5, 4, 1.0), (10, 300, 1.5), (50, 40, 2.0)])
def test_lost_mass_is_the_error_of_hutters_learner(M, symbols, zipf, sampling):
    """CF-T1 at the first fit, CF-T4 at later ones."""
    family = Discrete(symbols=symbols, zipf=zipf, sampling=sampling)
    distribution = chain(family, Replace(), M, 6, 6_000, seed=110 + M)
    within(
        "CF-T1",
        value(measures.lost_mass, distribution[0], family),
        float(scaling.expected_loss(M, family.distribution)),
    )
    for n in (2, 6):
        expected = float(scaling.recursive_loss(n, M, family.distribution))
        within(f"CF-T4 n={n}", value(measures.lost_mass, distribution[n - 1], family), expected)


@pytest.mark.parametrize("sampling", ["exact", "draw"])
@pytest.mark.parametrize(("M", "k"), [(5, 1), (10, 3), (50, 4)])
def test_top_k_cuts_what_a_model_writes_and_no_real_data(M, k, sampling):
    """Of the truth as a model: k symbols with their shares over the sum; real rows have all; CF-T2 for the next fit."""
    family = Discrete(symbols=8, zipf=1.5, sampling=sampling, top_k=k)
    q = family.distribution
    rng = np.random.default_rng(120 + M)
    source = family.source(M, rng, 6_000)
    everything = Discrete(symbols=8, zipf=1.5, sampling=sampling).fit(source.train, rng)
    assert np.array_equal(family.fit(source.train, rng).shares, everything.shares)
    within(
        "real rows", value(measures.support, Generation(0, None, everything, None)), theory.expected_support(1, q, M)
    )  # type: ignore[arg-type]
    assert len(np.unique(np.nonzero(family.fit(source.draw(M, rng), rng).shares)[1])) == 8
    written = family.fit(Data.real(family.sample(distribution_of(np.tile(q, (6_000, 1))), M, rng)), rng)
    assert not written.shares[:, k:].any()
    for i in range(k if k > 1 else 0):
        within("share", written.shares[:, i], q[i] / q[:k].sum())
    last = Generation(0, None, written, None)  # type: ignore[arg-type]
    if k > 1:
        within("CF-T2", value(measures.lost_mass, last, family), float(scaling.cut_loss(M, k, q)))
    for generation in chain(family, Replace(), M, 4, 50, seed=121)[1:]:
        assert np.all(value(measures.support, generation) <= k)


def test_top_k_keeps_the_truly_commoner_of_equals_and_what_there_is():
    p = np.array([[0.1, 0.3, 0.3, 0.3], [0.0, 0.0, 1.0, 0.0], [0.25, 0.25, 0.25, 0.25]])
    kept = dense(Discrete(symbols=4, zipf=0, top_k=2).sample(distribution_of(p), 10**4, np.random.default_rng(1)))
    assert [np.flatnonzero(row).tolist() for row in kept] == [[1, 2], [2], [0, 1]]
    assert np.all(kept.sum(axis=1) == 10**4)
    dead = Discrete(symbols=4, counts="poisson", top_k=2).sample(
        distribution_of(np.zeros((1, 4))), 10, np.random.default_rng(1)
    )
    assert not dead.value.any()
    poisson = Discrete(symbols=4, counts="poisson", top_k=1).sample(
        distribution_of(np.tile([0.75, 0.25, 0.25, 0.25], (5_000, 1))), 10, np.random.default_rng(2)
    )
    within("Poisson total kept", poisson.value.sum(axis=1), 15.0)


# An implementation of its own --------------------------------------------------------------------------------------


@cache
def independent(regime: str, M: int, fits: int, symbols: int, chains: int = 3000) -> np.ndarray:
    """Counts at every fit over those of M rows, (chains, fits, K): one chain after the other, every row drawn."""
    rng = np.random.RandomState(1234)  # another generator than the package's, on purpose
    q = [1 / rank for rank in range(1, symbols + 1)]
    q = [weight / sum(q) for weight in q]
    out = np.empty((chains, fits, symbols))
    for r in range(chains):
        real = data = rng.choice(symbols, M, p=q)
        for t in range(fits):
            out[r, t] = [np.sum(data == i) / len(data) for i in range(symbols)]
            new = rng.choice(symbols, M, p=out[r, t] / out[r, t].sum())
            kept = {"replace": 0, "mix": round(0.3 * M), "accumulate": len(data)}[regime]
            old = data if regime == "accumulate" else rng.permutation(real)[:kept]
            data = np.concatenate([old, new if regime == "accumulate" else new[kept:]])
    return out


@pytest.mark.parametrize("sampling", ["exact", "draw"])
@pytest.mark.parametrize("regime", [Replace(), Accumulate(), Mix(0.3)], ids=["replace", "accumulate", "mix"])
def test_the_loop_has_the_distribution_of_a_plain_per_chain_loop(regime, sampling):
    """Counts of single symbols, support and number of equal pairs, at several generations."""
    M, fits, symbols = 10, 9, 4
    family = Discrete(symbols=symbols, sampling=sampling)
    if isinstance(regime, Mix) and sampling == "exact":
        with pytest.raises(InputError, match=r"set family\.sampling=draw"):
            chain(family, regime, M, fits, 4, seed=1)
        return
    plain = independent(type(regime).__name__.lower(), M, fits, symbols)
    distribution = chain(family, regime, M, fits, 10_000, seed=80)
    for t in (0, 1, 4, 8):
        rows = len(distribution[t].train)
        counts, other = (np.rint(p * rows).astype(int) for p in (distribution[t].model.shares, plain[:, t]))
        for i in range(symbols):
            same_distribution(f"symbol {i} t={t}", counts[:, i], other[:, i])
        same_distribution(f"support t={t}", np.sum(counts > 0, axis=1), np.sum(other > 0, axis=1))
        same_distribution(f"pairs t={t}", np.sum(counts**2, axis=1), np.sum(other**2, axis=1))
        same_distribution(f"order t={t}", counts[:, 0] * 100 + counts[:, 3], other[:, 0] * 100 + other[:, 3])


@pytest.mark.parametrize("M", [5, 10, 50])
def test_exact_and_drawn_samples_have_one_distribution(M):
    """Replace, several generations: counts of a common, a middling and a rare symbol, and the support."""
    one, other = (chain(Discrete(sampling=s), Replace(), M, M, 6_000, seed=k) for k, s in enumerate(("exact", "draw")))
    for n in sorted({1, 3, M}):
        a, b = (np.rint(M * distribution[n - 1].model.shares).astype(int) for distribution in (one, other))
        for i in (0, 5, 19):
            same_distribution(f"symbol {i} n={n}", a[:, i], b[:, i])
        same_distribution(f"support n={n}", np.sum(a > 0, axis=1), np.sum(b > 0, axis=1))


def test_chains_of_one_block_are_independent():
    """Neighbouring chains are uncorrelated: correlation times sqrt(pairs) is standard normal."""
    for regime, sampling in ((Replace(), "exact"), (Replace(), "draw"), (Accumulate(), "draw"), (Mix(0.5), "draw")):
        last = chain(Discrete(sampling=sampling), regime, 10, 6, 6_000, seed=90)[-1]
        for x in (last.model.shares[:, 0], value(measures.heterozygosity, last)):
            compare.count("independent chains")
            assert abs(np.corrcoef(x[::2], x[1::2])[0, 1]) * np.sqrt(3_000) < compare.z


# Edges -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampling", ["exact", "draw"])
@pytest.mark.parametrize("M", [5, 33])
def test_a_lost_symbol_stays_lost_and_shares_are_whole_counts(M, sampling):
    """In every chain and generation; a chain with one symbol left never moves again."""
    distribution = chain(Discrete(symbols=7, sampling=sampling), Replace(), M, 8 * M, 300, seed=100)
    for before, after in pairwise(distribution):
        p, next_p = before.model.shares, after.model.shares
        assert not np.any((p == 0) & (next_p > 0))
        fixed = p.max(axis=1) == 1
        assert np.array_equal(p[fixed], next_p[fixed])
        np.testing.assert_allclose(M * next_p, np.rint(M * next_p), atol=1e-12)
        assert np.all(np.rint(M * next_p).sum(axis=1) == M)


def test_what_rounding_leaves_goes_to_no_lost_symbol():
    """Shares that sum to a little less than 1: NumPy hands the rest to the last symbol, which is lost here."""
    p = np.array([[0.7, 0.3 - 1e-4, 0.0], [0.2, 0.3, 0.5]])
    rng = np.random.default_rng(101)
    counts = dense(Discrete(symbols=3).sample(distribution_of(p), 10**6, rng))
    assert counts[0, 2] == 0 and counts[0].sum() == 10**6 and counts[1, 2] > 0
    rows = Discrete(symbols=3, sampling="draw").sample(distribution_of(p), 10**6, rng).x
    assert rows[:, 0].max() == 1 and rows[:, 1].max() == 2


@pytest.mark.parametrize("sampling", ["exact", "draw"])
def test_one_row_or_one_symbol(sampling):
    """M = 1: fixed at once. K = 1: nothing to lose."""
    distribution = chain(Discrete(sampling=sampling), Replace(), 1, 5, 2_000, seed=102)
    for generation in distribution:
        assert np.array_equal(generation.model.shares, distribution[0].model.shares)
        assert np.all(value(measures.support, generation) == 1)
    happens("M=1", distribution[-1].model.shares[:, 0] == 1, float(Discrete().distribution[0]))
    alone = Discrete(symbols=1, sampling=sampling)
    for regime in (Replace(), Accumulate()):
        for generation in chain(alone, regime, 7, 4, 3, seed=103):
            assert np.all(generation.model.shares == 1) and np.all(value(measures.kl, generation, alone) == 0)


@pytest.mark.parametrize("sampling", ["exact", "draw"])
def test_many_symbols(sampling):
    """K = 1e5, uniform and Zipf: counts add up, the support has its mean, the table stays small."""
    for zipf in (0.0, 1.0):
        family = Discrete(symbols=10**5, zipf=zipf, sampling=sampling)
        distribution = chain(family, Replace(), 1000, 3, 8, seed=104)
        expected = float(np.sum(1 - theory.loss_probability(family.distribution, 1000)))
        within("K = 1e5", value(measures.support, distribution[0]), expected)
        assert np.all(np.abs(distribution[-1].model.shares.sum(axis=1) - 1) < 1e-12)
        items = value(measures.share, distribution[-1])
        assert list(items)[:2] == ["1", "2"] and list(items)[-1] == "100000" and len(items) < 40


def test_memory_follows_the_symbols_that_are_left(tmp_path):
    """A million symbols, a thousand rows, 256 chains: no array of all chains by all symbols (2 GB)."""
    tracemalloc.start()
    planned = plan("discrete", n=1000, generations=2, replicates=256, settings={"family.symbols": 10**6})
    table, _ = execute(planned, jobs=1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 150e6
    last = table[(table["generation"] == 0) & (table["metric"] == "support")]["value"].to_numpy()
    distribution = theory.zipf_law(10**6, 1)
    within("K = 1e6", last, float(np.sum(1 - theory.loss_probability(distribution, 1000))))
    lost = table[(table["generation"] == 0) & (table["metric"] == "lost_mass")]["value"].to_numpy()
    within("lost mass, K = 1e6", lost, float(scaling.expected_loss(1000, distribution)))


def test_a_hundred_thousand_replicates():
    """In one block or in many, they are as many chains: support after two fits, exactly."""
    distribution = chain(Discrete(), Replace(), 10, 2, 100_000, seed=107)
    within(
        "1e5 replicates",
        value(measures.support, distribution[1]),
        float(theory.expected_support(2, Discrete().distribution, 10)),
    )
    many = {
        symbols: plan("discrete", replicates=100_000, settings={"family.symbols": symbols}).block
        for symbols in (20, 10**4, 10**6)
    }
    assert many == {20: 2048, 10**4: 419, 10**6: 64}


@pytest.mark.parametrize("counts", ["multinomial", "poisson"])
def test_real_rows_have_their_distribution_whatever_way_they_are_drawn(counts):
    """Fewer rows than symbols, or more: by inversion or count by count, and several parts of a block."""
    for n, symbols in ((30, 50), (50, 30), (50, 2**21)):
        family = Discrete(symbols=symbols, counts=counts)
        if counts == "poisson" and symbols > 100:
            continue
        source = family.source(n, np.random.default_rng(n), 4_000 if symbols < 100 else 300)
        shares = family.fit(source.train, np.random.default_rng(0))
        first = np.sum(shares.share * (shares.symbol == 0), axis=1)
        within(f"first of {symbols}", first, family.distribution[0])
        second = np.sum(shares.share * (shares.symbol == 1), axis=1)
        within(
            f"second of {symbols}",
            second**2,
            family.distribution[1] ** 2
            + family.distribution[1] * (1 - family.distribution[1] * (counts == "multinomial")) / n,
        )


def test_merged_batches_stay_whole_counts():
    """500 merges of odd sizes: the fit is exactly counts over n."""
    rng = np.random.default_rng(105)
    batches = rng.multinomial(37, [0.5, 0.3, 0.15, 0.05], (500, 4))
    symbol = np.broadcast_to(np.arange(4), (4, 4))
    pool = Data.concat(
        [Data.of(Counts(37, 37, symbol, batch.astype(float), 4), t, 1) for t, batch in enumerate(batches)]
    )
    fitted = Discrete(symbols=4).fit(pool, rng)
    assert np.array_equal(fitted.shares, batches.sum(axis=0) / (500 * 37))


def test_a_weight_of_k_counts_as_k_rows():
    """Weights (n, R) and (n,); a symbol of weight 0 is lost."""
    rng = np.random.default_rng(106)
    x, k = rng.integers(0, 4, (30, 3)), rng.integers(0, 3, (30, 3))
    family, born = Discrete(symbols=4, sampling="draw"), np.zeros(30, int)
    own = family.fit(Data(Rows(x, True), born, born, weight=k.astype(float)), rng).shares
    for r in range(3):
        repeated = np.repeat(x[:, [r]], k[:, r], axis=0)
        np.testing.assert_allclose(own[r], family.fit(Data.real(Rows(repeated, True)), rng).shares[0])
    shared = family.fit(Data(Rows(x, True), born, born, weight=k[:, 0].astype(float)), rng).shares
    np.testing.assert_allclose(shared[0], own[0])


def test_metrics_by_hand():
    family = Discrete(symbols=3, zipf=0)
    p = np.array([[1 / 3, 1 / 3, 1 / 3], [0.5, 0.25, 0.25], [0.5, 0.5, 0.0], [0.0, 1.0, 0.0]])
    generation = Generation(0, None, distribution_of(p), None)  # type: ignore[arg-type]
    np.testing.assert_allclose(value(measures.heterozygosity, generation), [2 / 3, 0.625, 0.5, 0], atol=1e-15)
    assert list(value(measures.support, generation)) == [3, 3, 2, 1]
    kl = value(measures.kl, generation, family)
    np.testing.assert_allclose(kl, [0, np.log(4 / 3) - np.log(2) / 3, np.inf, np.inf], atol=1e-15)
    np.testing.assert_allclose(value(measures.lost_mass, generation, family), [0, 0, 1 / 3, 2 / 3], atol=1e-15)
    items = value(measures.share, generation)
    assert list(items) == ["1", "2", "3"] and np.array_equal(items["2"], p[:, 1])
    assert measures.ranks(20) == list(range(1, 21)) and measures.ranks(120)[-3:] == [50, 100, 120]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"symbols": 0}, "family.symbols=0: "),
        ({"symbols": "many"}, "family.symbols=many: "),
        ({"top_k": -1}, "family.top_k=-1: "),
        ({"top_k": "few"}, "family.top_k=few: "),
        ({"zipf": -1}, "family.zipf=-1: "),
        ({"zipf": "inf"}, "family.zipf=inf: "),
        ({"sampling": "some"}, "family.sampling=some: "),
        ({"counts": "normal"}, "family.counts=normal: "),
        ({"counts": "poisson", "sampling": "draw"}, "family.counts=poisson has no fixed number of rows"),
        ({"estimator": "mle"}, "family.estimator: discrete has no such setting"),
    ],
)
def test_bad_settings_are_one_line(settings, message):
    with pytest.raises(InputError) as refused:
        plan("discrete", settings={f"family.{key}": setting for key, setting in settings.items()})
    assert str(refused.value).startswith(message) and "\n" not in str(refused.value)


def test_processes_and_blocks_change_nothing(tmp_path):
    """Three blocks of chains, one process or two: the same table."""
    planned = plan(
        "discrete", "replace", n=20, generations=4, replicates=150, seed=5, settings={"family.symbols": 70_000}
    )
    (one, _), (two, _) = (execute(planned, jobs=jobs) for jobs in (1, 2))
    assert one.drop(columns="seconds").equals(two.drop(columns="seconds"))
    assert set(one["metric"]) == {"heterozygosity", "support", "kl", "lost_mass", "share"}
