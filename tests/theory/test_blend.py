"""What synthetic rows are worth, and a finite real set: closed forms against the loop.

Error rate: all seeded. Every comparison with a simulation is two-sided at level 1e-3 / COMPARISONS, so that a correct
program fails this file with probability at most 1e-3 (Bonferroni) for a freshly chosen seed.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from toy_comparisons import Comparisons
from toy_numbers import alone

from model_collapse import streams
from model_collapse.errors import InputError
from model_collapse.families.discrete import Discrete
from model_collapse.families.gaussian import Gaussian
from model_collapse.loop import Generation, generations
from model_collapse.metrics import gaussian as measures
from model_collapse.regimes.blend import Blend
from model_collapse.regimes.fixed import Fixed
from model_collapse.regimes.mix import Mix
from model_collapse.theory import blend, mixed, real_share, survival

COMPARISONS = 400
compare = Comparisons(COMPARISONS)
within = partial(compare.within, slack=1e-12)
SETTINGS: list[dict[str, Any]] = [{"estimator": "mle"}, {"estimator": "unbiased"}, {"variance": "known"}]


def chain(family: Any, regime: Any, M: int, fits: int, chains: int, seed: int) -> list[Generation]:
    stream = streams.stream(seed)
    source = family.source(M, stream(-1, streams.SOURCE), chains)
    return list(generations(source, family, regime, M, stream, last=fits - 1))


# The regime --------------------------------------------------------------------------------------------------------


def test_a_training_set_has_the_rows_that_were_asked_for():
    run = chain(Gaussian(sampling="draw"), Blend(4, 7), 10, 4, 3, seed=1)
    real = run[0].train.rows.x[:4]
    for before, after in pairwise(run):
        assert len(before.sample) == 7 and len(after.train) == 11
        assert np.array_equal(after.train.rows.x[:4], real), "the same real rows in every generation"
        assert np.array_equal(after.train.rows.x[4:], before.sample.rows.x)
        assert after.train.born.tolist() == [0] * 4 + [after.t] * 7


def test_the_control_reads_its_real_rows_and_nothing_else():
    run = chain(Gaussian(sampling="draw"), Blend(4, 0), 10, 4, 3, seed=1)
    assert [len(generation.train) for generation in run] == [10, 4, 4, 4]
    assert all(np.all(generation.train.born == 0) and len(generation.sample) == 10 for generation in run)


def test_all_real_rows_and_as_many_written_ones_are_the_regime_fixed():
    runs = [chain(Gaussian(), regime, 10, 5, 20, seed=2) for regime in (Blend(10, 20), Fixed(2.0))]
    for one, other in zip(*runs, strict=True):
        np.testing.assert_array_equal(one.model.mean, other.model.mean)


def test_no_rows_and_more_real_rows_than_there_are_are_refused_in_one_line():
    with pytest.raises(InputError, match=r"^regime.real=0 with regime.synthetic=0 .*; set one of them$"):
        Blend(0, 0)
    with pytest.raises(InputError, match=r"^regime.real=11: only 10 real rows are known; it must be at most -n$"):
        chain(Gaussian(sampling="draw"), Blend(11, 5), 10, 2, 1, seed=1)


# Moments -----------------------------------------------------------------------------------------------------------

AT = [1, 2, 3, 8, 30]


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda s: "-".join(s.values()))
@pytest.mark.parametrize(("real", "synthetic"), [(2, 20), (8, 5), (10, 10), (5, 1)])
def test_blend(real, synthetic, settings):
    family = Gaussian(sampling="draw", **settings)
    run = chain(family, Blend(real, synthetic), 10, 30, 10_000, seed=real)
    V, S = blend.blend_moments(AT, 10, real, synthetic, **settings)
    for i, n in enumerate(AT):
        mean, variance = measures.mean(alone(run[n - 1])), measures.variance(alone(run[n - 1]))
        within(f"V n={n}", mean**2, V[i])
        within(f"S n={n}", variance, S[i])


def test_the_shares_of_symbols_follow_the_same_recursion():
    family = Discrete(symbols=4, sampling="draw")
    run = chain(family, Blend(5, 12), 20, 6, 10_000, seed=3)
    V, _ = blend.blend_moments([2, 6], 20, 5, 12)
    for i, n in enumerate((2, 6)):
        error = np.sum((run[n - 1].model.shares - family.distribution) ** 2, axis=1) / np.sum(
            family.distribution * (1 - family.distribution)
        )
        within(f"discrete n={n}", error, V[i])


def test_with_all_real_rows_it_is_fixed_and_in_the_long_run_always():
    n = np.arange(1, 9)
    np.testing.assert_allclose(blend.blend_moments(n, 20, 20, 30), mixed.fixed_moments(n, 20, 1.5))
    V, _ = blend.blend_moments([4000], 20, 5, 10)
    np.testing.assert_allclose(V, mixed.fixed_drift_limit(5, 2.0), rtol=1e-9)


@pytest.mark.parametrize("real", [1, 20, 50, 51, 60, 90, 99, 100, 100.0])
def test_synthetic_rows_help_from_the_break_even_on(real):
    """Known sigma, the first learner: its error beside that of its real rows alone, below and above."""
    least = float(blend.break_even(100, real))
    assert (least == 0) == (real <= 50) and (least == np.inf) == (real == 100)
    for m in (1, 5, 100, 10**4, 10**8):
        V, _ = blend.blend_moments([2], 100, int(real), m, variance="known")
        if not np.isclose(m, least):
            assert (V[0] < 1 / real) == (m > least), m


# Symbols of a finite real set --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("M", "g"), [(5, 0.4), (12, 0.25), (40, 0.1), (40, 0.9)])
def test_presence_under_mix(M, g):
    family = Discrete(symbols=8, zipf=1.5, sampling="draw")
    run = chain(family, Mix(g), M, 12, 4000, seed=M)
    present = real_share.mix_presence([1, 2, 6, 12], family.distribution, M, g)
    for i, n in enumerate((1, 2, 6, 12)):
        for k in (0, 2, 7):
            alive = run[n - 1].model.shares[:, k] > 0
            within(f"M={M} g={g} n={n} k={k}", alive, present[i, k], variance=present[i, k] * (1 - present[i, k]))


def test_presence_under_mix_between_its_ends():
    """No real rows: the chain itself. All of them: the real set for ever. New real rows know more than old ones."""
    n, share = np.array([1, 2, 9]), np.array([0.02, 0.3])
    np.testing.assert_allclose(real_share.mix_presence(n, share, 30, 0.0), survival(n, share, 30), rtol=1e-9)
    whole = real_share.mix_presence(n, share, 30, 1.0)
    np.testing.assert_allclose(whole, np.broadcast_to(1 - (1 - share) ** 30, whole.shape))
    new = real_share.presence(n, share, 30, real_share.fresh_schedule(30, 0.3))
    assert np.all(new[1:] > real_share.mix_presence(n, share, 30, 0.3)[1:])
    with pytest.raises(ValueError, match="starts at 1"):
        real_share.mix_presence(0, share, 30, 0.3)
