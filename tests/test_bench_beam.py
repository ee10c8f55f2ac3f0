"""The beam benchmark at toy size, and that both ways write the same. Nothing here asserts a speed."""

from __future__ import annotations

from toy_bench import agreed

from model_collapse.companion import bench
from model_collapse.companion.bench.beam import BENCHMARKS, Beam

TOY = {"shape": "tiny", "vocabulary": 300, "prompts": 4, "new": 6, "pairs": 2, "threads": 1}
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


def test_the_real_ones_ask_for_what_the_table_of_goals_says():
    assert set(BENCHMARKS) == set(SMALL)
    for known in BENCHMARKS.values():
        assert (known.shape, known.prompts, known.new) == ("opt-125m", 16, 64) and known.pairs >= 5
        assert known.penalties == (1.0, 2.0, 3.0)
    assert BENCHMARKS["beam"].goal == 2 and BENCHMARKS["beam-bf16"].goal == 5
