"""Benchmarks at toy size: that the work is the work, and what is written about it. Nothing here asserts a speed."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

from model_collapse import cli, paths
from model_collapse.companion import bench
from model_collapse.companion.bench.gaussian import GaussianAccumulate, GaussianReplace
from model_collapse.errors import InputError

TOY = {"sizes": (5, 20), "generations": 6, "chains": 3, "pairs": 2}
SMALL: dict[str, bench.Benchmark] = {
    "gaussian-replace": GaussianReplace(**TOY),
    "gaussian-accumulate": GaussianAccumulate(paired=4, **TOY),
}


def test_the_agreed_names_are_there_and_ask_for_enough_pairs():
    known = bench.benchmarks()
    assert {"gaussian-replace", "gaussian-accumulate"} <= set(known)
    for name, benchmark in known.items():
        assert benchmark.pairs >= 5, name
        assert (bench.published(benchmark.published).__doc__ or "").startswith("The published way"), name


def test_ratios_are_of_seconds_per_chain_and_medians_of_pairs():
    pairs = bench.Pairs(ours=np.array([1.0, 2.0, 4.0]), published=np.array([2.0, 2.0, 2.0]))
    result = bench.result("x", pairs, chains=10, goal=10, note="n")
    assert (result.ratio, result.ratio_min, result.ratio_max, result.met) == (10, 5, 20, True)
    assert (result.ours_s, result.published_s) == (0.2, 2.0)
    assert not bench.result("x", pairs, chains=10, goal=10.1, note="n").met
    assert not bench.result("x", pairs, chains=10, goal=10, note="n", also=False).met


def test_pairs_are_timed_in_turns_after_a_warm_up():
    calls = []
    pairs = bench.Pairs.time(lambda i: calls.append(("ours", i)), lambda i: calls.append(("theirs", i)), 3)
    assert calls == [(who, i) for i in range(4) for who in ("ours", "theirs")]
    assert pairs.ours.shape == pairs.published.shape == (3,)


def test_the_command_writes_the_file_and_a_line_each(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(bench.run, "__kwdefaults__", {**bench.run.__kwdefaults__, "known": SMALL})
    out = tmp_path / "bench.json"
    assert cli.main(["bench", "gaussian-accumulate", "gaussian-replace", "--json", str(out)]) == 0
    written = json.loads(out.read_text(encoding="utf-8"))
    assert [r["name"] for r in written["results"]] == ["gaussian-accumulate", "gaussian-replace"]
    assert written["made"]["versions"]["numpy"] and "cores" in written["made"]["machine"]
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and lines[0].startswith("gaussian-accumulate: ") and "times as fast" in lines[1]


def test_unknown_names_and_folders_are_refused_before_any_work(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(bench, "published", lambda name: SimpleNamespace())
    assert cli.main(["bench", "gaussian-replace", "nobody"]) == 2
    known = ", ".join(bench.benchmarks())
    assert capsys.readouterr().err == f"model-collapse: bench nobody: no such benchmark; known: {known}\n"
    assert cli.main(["bench", "--json", str(tmp_path / "none" / "bench.json")]) == 2
    assert "--json: the folder" in capsys.readouterr().err


def test_without_a_checkout_there_is_nothing_to_compare_with(monkeypatch):
    monkeypatch.setattr(paths, "PACKAGE", paths.PACKAGE / "elsewhere" / "far")
    assert paths.benchmarks() is None
    with pytest.raises(
        InputError, match=r"^bench: the published way lies in benchmarks/ of the repository; run it from"
    ):
        bench.run(["gaussian-replace"], known=SMALL)


def test_linear_algebra_gets_one_thread():
    import threadpoolctl

    with bench.one_thread():
        pools = threadpoolctl.threadpool_info()
        assert pools and all(pool["num_threads"] == 1 for pool in pools)
