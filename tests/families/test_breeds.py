"""Breeds against closed forms and a plain loop that shares no code with the package.

Error rate: all seeded. Every comparison is two-sided at level 1e-3 / COMPARISONS, so that a correct program fails this
file with probability at most 1e-3 (Bonferroni) for a freshly chosen seed. Means are over thousands of chains.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from toy_comparisons import Comparisons

from model_collapse import streams, theory
from model_collapse.data import Data, Rows
from model_collapse.engine.plan import plan
from model_collapse.errors import InputError
from model_collapse.families.breeds import Breeds, Kennel, Litter
from model_collapse.loop import Generation, Reference, generations
from model_collapse.metrics import Measurement
from model_collapse.metrics import breeds as measures
from model_collapse.regimes.accumulate import Accumulate
from model_collapse.regimes.replace import Replace
from model_collapse.regimes.weigh import Weigh

COMPARISONS = 300
compare = Comparisons(COMPARISONS)
within, same_distribution = compare.within, compare.same_distribution


def chain(family: Breeds, regime, M: int, fits: int, chains: int, seed: int) -> list[Generation]:
    stream = streams.stream(seed)
    source = family.source(M, stream(-1, streams.SOURCE), chains)
    return list(generations(source, family, regime, M, stream, last=fits - 1))


def value(metric, generation: Generation, family: Breeds) -> np.ndarray:
    return metric(Measurement(generation, Reference(generation, None, family)))  # type: ignore[arg-type]


# Closed forms ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampling", ["exact", "draw"])
@pytest.mark.parametrize(("M", "breeds", "zipf"), [(5, 3, 1.0), (10, 1, 0.0), (10, 6, 0.0), (40, 8, 1.0)])
def test_replace_follows_the_closed_forms(M, breeds, zipf, sampling):
    """Breeds left (CF-W4), variance within breeds (WF-5), variance of the trait (that of any M rows: CF-G1)."""
    family = Breeds(breeds=breeds, zipf=zipf, sampling=sampling, within=2.0)
    distribution = chain(family, Replace(), M, M, 8_000 if sampling == "exact" else 4_000, seed=M + breeds)
    centre = family.distribution @ family.centres
    total = family.distribution @ (family.centres - centre) ** 2 + 4.0
    for n in sorted({1, 2, 5, M // 2, M}):
        left = value(measures.breeds_left, distribution[n - 1], family)
        if np.ptp(left):
            within(f"left n={n}", left, float(theory.expected_support(n, family.distribution, M)))
        deviation = value(measures.within_deviation, distribution[n - 1], family)
        within(f"within n={n}", deviation**2, float(theory.expected_within_variance(n, family.distribution, M)))
        trait = value(measures.trait_variance, distribution[n - 1], family)
        within(f"trait n={n}", trait, total * (1 - 1 / M) ** n)


@pytest.mark.parametrize("M", [5, 10, 30])
def test_time_to_one_breed(M):
    """CF-W5, exact for K symbols: fits until one breed is alone."""
    family = Breeds(breeds=5)
    distribution = chain(family, Replace(), M, 16 * M, 4_000, seed=20 + M)
    several = np.array([value(measures.breeds_left, generation, family) > 1 for generation in distribution])
    assert not several[-1].any()
    within("time to one breed", 1 + several.sum(axis=0), float(theory.fixation_time(family.distribution, M)))
    last = distribution[-1]
    commonest = value(measures.majority_breed, last, family)
    compare.count("winners")
    assert stats.chisquare(np.bincount(commonest, minlength=6)[1:], 4_000 * family.distribution).pvalue > compare.level
    assert np.all(value(measures.majority_share, last, family) == 1)


@pytest.mark.parametrize("M", [5, 10, 30])
def test_time_to_a_narrow_breed(M):
    """One breed alone: mean number of fits until its deviation is below 1 % and below 10 %, within 1 % of theory.

    The band is the theory's own error, and two standard errors of the simulation, which must be below a third of it.
    """
    family = Breeds(breeds=1)
    distribution = chain(family, Replace(), M, 16 * M, 30_000, seed=30 + M)
    logs = np.array([value(measures.log_within, generation, family) for generation in distribution])
    for ratio in (0.1, 0.01):
        times = 1 + np.argmax(logs < np.log(ratio), axis=0)
        error = times.std() / np.sqrt(len(times)) / times.mean()
        compare.count("narrow")
        assert error < 0.01 / 3
        assert abs(float(theory.narrowing_time(ratio, M)) / times.mean() - 1) < 0.01 + 2 * error


# An implementation of its own --------------------------------------------------------------------------------------


def plain(M: int, fits: int, breeds: int, chains: int, accumulate: bool) -> np.ndarray:
    """(chains, fits, 3): breeds left, share of breed 1, deviation within; every row drawn, lists of dogs."""
    rng = np.random.RandomState(99)
    distribution = np.array([1 / rank for rank in range(1, breeds + 1)])
    distribution /= distribution.sum()
    out = np.empty((chains, fits, 3))
    for r in range(chains):
        label = rng.choice(breeds, M, p=distribution)
        trait = rng.normal(4.0 * (label - (breeds - 1) / 2), 1.0)
        for t in range(fits):
            kinds = [trait[label == k] for k in range(breeds)]
            share = np.array([len(kind) / len(label) for kind in kinds])
            mean = np.array([kind.mean() if len(kind) else 0 for kind in kinds])
            deviation = np.array([kind.std() if len(kind) else 0 for kind in kinds])
            out[r, t] = np.sum(share > 0), share[0], np.sqrt(share @ deviation**2)
            new = rng.choice(breeds, M, p=share)
            dogs = rng.normal(mean[new], deviation[new])
            label, trait = (np.append(label, new), np.append(trait, dogs)) if accumulate else (new, dogs)
    return out


@pytest.mark.parametrize("sampling", ["exact", "draw"])
@pytest.mark.parametrize("regime", [Replace(), Accumulate()], ids=["replace", "accumulate"])
def test_the_loop_has_the_distribution_of_a_plain_per_chain_loop(regime, sampling):
    M, fits, breeds = 10, 8, 4
    other = plain(M, fits, breeds, 1_500, isinstance(regime, Accumulate))
    family = Breeds(breeds=breeds, sampling=sampling)
    distribution = chain(family, regime, M, fits, 6_000, seed=40)
    for t in (0, 1, 3, 7):
        same_distribution(f"left {t}", value(measures.breeds_left, distribution[t], family), other[:, t, 0])
        same_distribution(f"share {t}", distribution[t].model.share[:, 0], other[:, t, 1])
        same_distribution(f"within {t}", value(measures.within_deviation, distribution[t], family), other[:, t, 2])


@pytest.mark.parametrize("M", [5, 10, 50])
def test_exact_and_drawn_samples_have_one_distribution(M):
    """Shares, means and deviations of single breeds, and the variance of the trait, at several generations."""
    families = [Breeds(breeds=4, sampling=sampling) for sampling in ("exact", "draw")]
    one, other = (chain(family, Replace(), M, M, 4_000, seed=50 + k) for k, family in enumerate(families))
    for n in sorted({1, 3, M}):
        a, b = one[n - 1].model, other[n - 1].model
        same_distribution(f"share n={n}", a.share[:, 0], b.share[:, 0])
        for breed in (0, 3):
            for name in ("mean", "log_deviation"):
                x, y = (getattr(m, name)[:, breed][m.share[:, breed] * M > 1.5] for m in (a, b))
                if min(len(x), len(y)) > 50:
                    same_distribution(f"{name} {breed} n={n}", x, y)
        same_distribution(
            f"trait n={n}",
            *(value(measures.trait_variance, distribution[n - 1], families[0]) for distribution in (one, other)),
        )


# Edges -------------------------------------------------------------------------------------------------------------


def test_thousands_of_generations_do_not_underflow():
    """ln of the spread goes on falling at its rate, CF-G3, far below the smallest number."""
    M, fits, family = 10, 9_000, Breeds(breeds=1)
    distribution = chain(family, Replace(), M, fits, 40, seed=60)
    logs = value(measures.log_within, distribution[-1], family)
    assert np.all(logs < -900) and np.all(np.isfinite(logs))
    within("log", 2 * logs, float(theory.expected_log_variance(fits, M)))
    assert np.all(value(measures.within_deviation, distribution[-1], family) == 0)


@pytest.mark.parametrize("sampling", ["exact", "draw"])
def test_one_row_one_breed_and_many_breeds(sampling):
    """M = 1: one breed, no spread, at once. Ten thousand breeds: all shares are whole counts."""
    family = Breeds(sampling=sampling)
    for generation in chain(family, Replace(), 1, 4, 50, seed=61):
        assert np.all(value(measures.breeds_left, generation, family) == 1)
        assert np.all(value(measures.log_within, generation, family) == -np.inf)
        assert np.all(value(measures.trait_variance, generation, family) == 0)
    many = Breeds(breeds=10_000, sampling=sampling)
    last = chain(many, Replace(), 100, 3, 4, seed=62)[-1]
    np.testing.assert_allclose(last.model.share * 100, np.rint(last.model.share * 100), atol=1e-9)
    assert np.all(last.model.share.sum(axis=1).round(9) == 1)


def test_merged_litters_are_the_litter_of_all_rows():
    """Three batches with weights, against numpy's own weighted moments; a breed that one batch lacks is no harm."""
    rng, family = np.random.default_rng(63), Breeds(breeds=3)
    batches = [np.stack([rng.integers(0, 3, (n, 2)), rng.normal(size=(n, 2))], axis=-1) for n in (4, 9, 2)]
    weights = (1.0, 0.5, 2.0)
    parts = [
        Data.of(Rows(x, True), t, min(t, 1)).weighed(w) for t, (x, w) in enumerate(zip(batches, weights, strict=True))
    ]
    drawn = family.fit(Data.concat(parts), rng)
    whole = np.concatenate(batches)
    w = np.repeat(weights, [4, 9, 2])
    for r in range(2):
        for k in range(3):
            mine = whole[:, r, 0] == k
            assert drawn.share[r, k] == pytest.approx(w[mine].sum() / w.sum())
            if mine.any():
                mean = np.average(whole[mine, r, 1], weights=w[mine])
                assert drawn.mean[r, k] == pytest.approx(mean)
                variance = np.average((whole[mine, r, 1] - mean) ** 2, weights=w[mine])
                assert np.exp(2 * drawn.log_deviation[r, k]) == pytest.approx(variance, abs=1e-12)

    def litter(x: np.ndarray) -> Litter:
        number = np.array([[np.sum(x[:, r, 0] == k) for k in range(3)] for r in range(2)], float)
        mean, root = np.zeros((2, 3)), np.full((2, 3), -np.inf)
        for r, k in np.argwhere(number):
            own = x[x[:, r, 0] == k, r, 1]
            mean[r, k] = own.mean()
            if len(own) > 1:
                root[r, k] = 0.5 * np.log(np.sum((own - own.mean()) ** 2))
        return Litter(len(x), len(x), number, mean, root)

    merged = Data.concat(
        [Data.of(litter(x), t, min(t, 1)).weighed(w) for t, (x, w) in enumerate(zip(batches, weights, strict=True))]
    )
    fitted = family.fit(merged, rng)
    np.testing.assert_allclose(fitted.share, drawn.share)
    np.testing.assert_allclose(fitted.mean[fitted.share > 0], drawn.mean[drawn.share > 0])
    np.testing.assert_allclose(np.exp(fitted.log_deviation), np.exp(drawn.log_deviation), atol=1e-7)


def test_a_weight_of_zero_leaves_real_rows_out():
    family = Breeds(breeds=4)
    for generation in chain(family, Weigh(0.0), 12, 5, 30, seed=64):
        assert np.all(np.isfinite(generation.model.mean)) and not np.any(np.isnan(generation.model.log_deviation))
        assert np.all(generation.model.share.sum(axis=1).round(9) == 1)


def test_metrics_by_hand():
    model = Kennel(np.array([[0.5, 0.5, 0.0]]), np.array([[-1.0, 1.0, 7.0]]), np.log([[2.0, 4.0, 9.0]]))
    generation, family = Generation(0, None, model, None), Breeds(breeds=3, within=2.0)  # type: ignore[arg-type]
    assert value(measures.breeds_left, generation, family) == 2
    assert value(measures.within_deviation, generation, family) == pytest.approx(np.sqrt(10) / 2)
    assert value(measures.trait_variance, generation, family) == pytest.approx(11)


@pytest.mark.parametrize("setting", ["breeds=0", "within=0", "within=inf", "spacing=-1", "zipf=101", "sampling=some"])
def test_bad_settings_are_one_line(setting):
    key, text = setting.split("=")
    with pytest.raises(InputError, match=rf"^family\.{setting}: ") as refused:
        plan("breeds", settings={f"family.{key}": text})
    assert "\n" not in str(refused.value)
