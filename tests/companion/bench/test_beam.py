"""The beam benchmark at toy size, and that both ways write the same. Nothing here asserts a speed."""

from __future__ import annotations

import pytest
from toy_bench import agreed

from model_collapse.companion import bench
from model_collapse.companion.bench.beam import BENCHMARKS, Beam

TOY = {"shape": "toy", "prompts": 4, "new": 6, "pairs": 2, "threads": 1}
SMALL: dict[str, bench.Benchmark] = {"beam": Beam(**TOY), "beam-bf16": Beam(precision="bf16", goal=5, **TOY)}


def here(setup, *arguments) -> int:
    """Does the work whose memory is asked for, in this process; test_engine has it measured in one of its own."""
    setup(*arguments)()
    return 10**6


def test_the_table_has_the_agreed_columns_and_the_texts_are_equal(monkeypatch):
    monkeypatch.setattr(bench, "extra_memory", here)
    found = bench.run(known=SMALL)
    agreed(found, SMALL, threads=1)
    assert "100.0% of the texts are equal" in found["results"][0]["note"]


def test_another_engine_writes_much_the_same(monkeypatch):
    pytest.importorskip("ctranslate2")
    monkeypatch.setattr(bench, "extra_memory", here)
    other = Beam(goal=1, published="ctranslate", **TOY)
    found = bench.run(known={"beam-ctranslate": other})
    agreed(found, {"beam-ctranslate": other}, threads=1)
    module = other.module()
    theirs = other.writer(module, bench.published("ctranslate"))(other.given(0), other.new, 1.0)
    assert (theirs == other.ours(module, 0)).all(dim=1).float().mean() >= 0.5


def test_the_real_ones_ask_for_what_the_table_of_goals_says():
    known = {name: one for name, one in BENCHMARKS.items() if one.published == "beam"}
    goals = {"beam": 2, "beam-bf16": 5, "beam-smollm2": 1.8, "beam-smollm2-bf16": 5}
    assert {name: one.goal for name, one in known.items()} == goals
    for one in BENCHMARKS.values():
        assert (one.prompts, one.new) == (16, 64) and one.pairs >= 5 and one.penalties == (1.0, 2.0, 3.0)
