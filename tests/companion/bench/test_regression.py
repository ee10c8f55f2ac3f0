"""The regression benchmark at toy size, and that both ways do the same work. Nothing here asserts a speed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import stats
from toy_bench import agreed

from model_collapse.companion import bench
from model_collapse.companion.bench.regression import BENCHMARKS, RegressionAccumulate, _ours
from model_collapse.theory import regression as theory

TOY = {"rows": 12, "dim": 3, "generations": 6, "paired": 4, "chains": 3, "pairs": 2}
SMALL: dict[str, bench.Benchmark] = {"regression": RegressionAccumulate(**TOY)}


def test_the_table_has_the_agreed_columns():
    agreed(bench.run(known=SMALL), SMALL)


def test_the_known_benchmark_asks_for_what_the_table_of_goals_says():
    """d = 100, n = 316, 100 iterations, at least 50 times; `SMALL` above is the same by other numbers."""
    (known,) = BENCHMARKS.values()
    assert (known.rows, known.dim, known.generations, known.goal) == (316, 100, 100, 50) and known.pairs >= 5
    assert replace(known, **TOY) == SMALL["regression"]


def test_both_ways_do_the_same_work_with_the_same_distribution():
    """As many fits; errors at three of them by Kolmogorov-Smirnov, and their mean by the closed form.

    Error rate 1e-4 over the six comparisons.
    """
    count, rows, dim, chains = 8, 12, 3, 2000
    rng = np.random.RandomState(1)
    plain = np.array([bench.published("regression").accumulate(rows, dim, count, rng) for _ in range(chains)])
    ours = np.array(_ours(rows, dim, count, chains, 2)).T
    assert plain.shape == ours.shape == (chains, count)
    for g in (0, 3, 7):
        assert stats.ks_2samp(plain[:, g], ours[:, g]).pvalue > 1e-4 / 6
        expected = theory.accumulated_error(g + 1, rows, dim)
        assert stats.ttest_1samp(plain[:, g], expected).pvalue > 1e-4 / 6
