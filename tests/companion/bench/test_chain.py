"""The chain benchmark at toy size: both ways do the same work. Nothing here asserts a speed."""

from __future__ import annotations

import re
import warnings

import pytest
from toy_bench import agreed

from model_collapse.companion import bench
from model_collapse.companion.bench.chain import BENCHMARKS, Chain
from model_collapse.errors import ExternalError

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("torch")
    pytest.importorskip("accelerate")

SMALL: dict[str, bench.Benchmark] = {
    "chain": Chain(preset="tiny", rows=48, evaluate=16, vocabulary=300, epochs=2, pairs=2, threads=1)
}


def test_both_ways_learn_as_much_and_the_table_has_the_agreed_columns(monkeypatch):
    monkeypatch.delenv("MODEL_COLLAPSE_DATA", raising=False)
    found = bench.run(known=SMALL)
    agreed(found, SMALL, threads=1)
    (result,) = found["results"]
    assert "of embedded" in result["note"]
    ours, theirs = map(float, re.findall(r"test perplexity ([\d.]+), theirs ([\d.]+)", result["note"])[0])
    # A model that has learned nothing has 300.
    assert 0.9 < ours / theirs < 1.1 and ours < 250


def test_the_real_one_asks_for_what_the_table_of_goals_says():
    assert {name: known.precision for name, known in BENCHMARKS.items()} == {"chain": "fp32", "chain-bf16": "bf16"}
    for known in BENCHMARKS.values():
        assert (known.preset, known.goal, known.epochs) == ("small", 3, 5) and known.pairs >= 5


def test_without_the_trainers_library_it_says_so(monkeypatch):
    monkeypatch.setattr("model_collapse.companion.bench.chain.find_spec", lambda name: None)
    with pytest.raises(ExternalError, match=r"^bench chain: accelerate is missing"):
        bench.run(known=SMALL)
