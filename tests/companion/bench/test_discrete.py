"""The discrete benchmark at toy size, and that both ways do the same work. Nothing here asserts a speed."""

from __future__ import annotations

import numpy as np
from toy_bench import agreed

from model_collapse import theory
from model_collapse.companion import bench
from model_collapse.companion.bench.discrete import BENCHMARKS, DiscreteReplace, ours

SMALL: dict[str, bench.Benchmark] = {"discrete": DiscreteReplace(symbols=8, rows=10, generations=5, chains=3, pairs=2)}


def test_the_table_has_the_agreed_columns():
    agreed(bench.run(known=SMALL), SMALL)


def test_the_known_benchmark_asks_for_what_the_table_of_goals_says():
    known = BENCHMARKS["discrete"]
    assert isinstance(known, DiscreteReplace) and set(BENCHMARKS) == set(SMALL)
    assert (known.symbols, known.rows, known.generations, known.chains, known.goal) == (1000, 1000, 1000, 200, 30)
    assert known.pairs >= 5


def test_both_ways_do_the_same_work_with_the_same_distribution():
    """As many fits; support and heterozygosity at the last have their closed forms within 5 standard errors.

    Error rate 2e-6 over the four comparisons.
    """
    work = DiscreteReplace(symbols=8, rows=10, generations=6, chains=3000)
    distribution = theory.zipf_law(work.symbols, 1)
    rng = np.random.RandomState(1)
    published = bench.published("discrete")
    plain = np.array([published.replace(distribution, work.rows, work.generations, rng) for _ in range(work.chains)])
    fitted = ours(work, 2)
    assert plain.shape == (work.chains, len(fitted), work.symbols) and len(fitted) == work.generations
    for shares in (plain[:, -1], fitted[-1].shares):
        support = np.count_nonzero(shares, axis=1)
        different = 1 - np.sum(shares**2, axis=1)
        for values, expected in (
            (support, theory.expected_support(work.generations, distribution, work.rows)),
            (different, theory.expected_heterozygosity(work.generations, work.rows, distribution)),
        ):
            assert abs(values.mean() - expected) < 5 * values.std() / np.sqrt(work.chains)
