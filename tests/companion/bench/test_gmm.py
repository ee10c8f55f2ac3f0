"""The mixture benchmark at toy size, and that both ways do the same work. Nothing here asserts a speed.

That both have the same distribution is tested in tests/families/test_gmm.py.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from toy_bench import agreed

from model_collapse.companion import bench
from model_collapse.companion.bench.gmm import BENCHMARKS, GmmReplace
from model_collapse.companion.bench.gmm import replace as ours

TOY = {"chains": 3, "rows": 30, "generations": 20, "stretches": 2, "length": 3, "pairs": 2}


def test_the_table_has_the_agreed_columns():
    small: dict[str, bench.Benchmark] = {"gmm": GmmReplace(**TOY)}
    found = bench.run(known=small)
    agreed(found, small)
    assert "6 of 20 generations in 2 stretches" in found["results"][0]["note"]


def test_the_known_benchmark_asks_for_what_the_table_of_goals_says():
    known = BENCHMARKS["gmm"]
    assert (known.chains, known.rows, known.generations, known.goal) == (64, 1000, 2050, 10) and known.pairs >= 5
    assert known.stretches * known.length >= 100 and replace(known, **TOY) == GmmReplace(**TOY)


def test_stretches_lie_along_the_whole_chain_and_both_ways_begin_with_the_same_rows():
    """Generation 0 of a stretch is a fit to the same rows: where it has one answer, both ways have the same."""
    sets = GmmReplace(**TOY).training_sets()
    assert [x.shape for x in sets] == [(30, 3, 2)] * 2
    assert not np.array_equal(sets[0], sets[1])
    apart = np.concatenate([sets[0] * 0.1, sets[0] * 0.1 + 5])
    fast = ours(apart, 2, seed=1)
    for r in range(3):
        plain = bench.published("gmm").replace(apart[:, r], 2, np.random.RandomState(r))
        assert plain.shape == (2, 2) and plain[0, 0] == fast[0, 0, r] == 0
        np.testing.assert_allclose(plain[0, 1], fast[0, 1, r], rtol=1e-9)
    assert fast.shape == (2, 2, 3) and np.all(fast[1, 0] > 0)
