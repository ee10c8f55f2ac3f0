"""The Gaussian benchmarks at toy size, and that both ways do the same work. Nothing here asserts a speed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from toy_bench import agreed

from model_collapse import theory
from model_collapse.companion import bench
from model_collapse.companion.bench.gaussian import BENCHMARKS, GaussianAccumulate, GaussianReplace, _ours
from model_collapse.regimes.accumulate import Accumulate
from model_collapse.regimes.replace import Replace

TOY = {"sizes": (5, 20), "generations": 6, "chains": 3, "pairs": 2}
SMALL: dict[str, bench.Benchmark] = {
    "gaussian-replace": GaussianReplace(**TOY),
    "gaussian-replace-draw": GaussianReplace(sampling="draw", **TOY),
    "gaussian-accumulate": GaussianAccumulate(paired=4, **TOY),
}


@pytest.fixture
def published():
    return bench.published("gaussian")


def test_the_table_has_the_agreed_columns():
    agreed(bench.run(known=SMALL), SMALL)


def test_all_known_benchmarks_ask_for_what_the_table_of_goals_says():
    """The work and the goals of the real ones; `SMALL` above is the same by other numbers."""
    assert set(BENCHMARKS) == set(SMALL)
    for name, known in BENCHMARKS.items():
        assert tuple(known.sizes) == (100, 500, 1000, 10_000) and known.generations == 1000 and known.pairs >= 5
        assert replace(known, **TOY) == replace(
            SMALL[name], goal=known.goal, **({"paired": 100} if "acc" in name else {})
        )
    assert BENCHMARKS["gaussian-replace"].goal == 5000 and BENCHMARKS["gaussian-replace-draw"].goal == 15
    assert BENCHMARKS["gaussian-accumulate"].goal_s == 0.5


@pytest.mark.parametrize("regime", [Replace(), Accumulate()], ids=["replace", "accumulate"])
def test_both_ways_do_the_same_work_with_the_same_distribution(published, regime):
    """As many fits, and the mean standard deviation at the last is equal within 5 standard errors.

    Error rate 2e-6 over the three comparisons of each regime.
    """
    count, rows, chains = 8, 10, 3000
    theirs = getattr(published, type(regime).__name__.lower())
    rng = np.random.RandomState(1)
    plain = np.array([theirs(rows, count, rng) for _ in range(chains)])
    assert plain.shape == (chains, count, 2)
    if isinstance(regime, Replace):
        expected = theory.expected_deviation(count, rows)
        assert abs(plain[:, -1, 1].mean() - expected) < 5 * plain[:, -1, 1].std() / np.sqrt(chains)
    for sampling in ("exact", "draw"):
        ours = np.array(_ours(regime, sampling, (rows,), count, chains, 2))
        assert ours.shape == (count, 2, chains)
        for one, other in ((ours[-1, 1], plain[:, -1, 1]), (ours[-1, 0] ** 2, plain[:, -1, 0] ** 2)):
            error = np.sqrt((one.var() + other.var()) / chains)
            assert abs(one.mean() - other.mean()) < 5 * error
