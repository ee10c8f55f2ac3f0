"""Benchmarks at toy size: that the work is the work, and what is written about it. Nothing here asserts a speed."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from model_collapse import bench, cli, paths, theory
from model_collapse.errors import InputError
from model_collapse.regimes.accumulate import Accumulate
from model_collapse.regimes.replace import Replace

TOY = {"sizes": (5, 20), "generations": 6, "chains": 3, "pairs": 2}
SMALL: dict[str, bench.Benchmark] = {
    "gaussian-replace": bench.GaussianReplace(**TOY),
    "gaussian-replace-draw": bench.GaussianReplace(sampling="draw", **TOY),
    "gaussian-accumulate": bench.GaussianAccumulate(paired=4, **TOY),
}
KEYS = "name ours_s published_s ratio ratio_min ratio_max goal met note peak_share threads device".split()


@pytest.fixture
def published():
    return bench._module("gaussian")


def test_the_table_has_the_agreed_columns():
    found = bench.run(known=SMALL)
    assert list(found) == ["results"] and [r["name"] for r in found["results"]] == list(SMALL)
    for result in json.loads(json.dumps(found, allow_nan=False))["results"]:
        assert list(result) == KEYS
        assert 0 < result["ratio_min"] <= result["ratio"] <= result["ratio_max"]
        assert result["ours_s"] > 0 and result["published_s"] > 0 and result["note"]
        assert result["peak_share"] is None or result["peak_share"] > 0
        assert isinstance(result["met"], bool) and (result["met"] <= (result["ratio"] >= result["goal"]))
        assert result["threads"] == 1 and result["device"] == "cpu"


def test_all_known_benchmarks_ask_for_what_the_table_of_goals_says():
    """The work and the goals of the real ones; `SMALL` above is the same by other numbers."""
    assert set(bench.BENCHMARKS) == set(SMALL)
    for name, known in bench.BENCHMARKS.items():
        assert tuple(known.sizes) == (100, 500, 1000, 10_000) and known.generations == 1000 and known.pairs >= 5
        assert replace(known, **TOY) == replace(
            SMALL[name], goal=known.goal, **({"paired": 100} if "acc" in name else {})
        )
    assert bench.BENCHMARKS["gaussian-replace"].goal == 5000 and bench.BENCHMARKS["gaussian-replace-draw"].goal == 15
    assert bench.BENCHMARKS["gaussian-accumulate"].goal_s == 0.5


def test_ratios_are_of_seconds_per_chain_and_medians_of_pairs():
    pairs = bench.Pairs(ours=np.array([1.0, 2.0, 4.0]), published=np.array([2.0, 2.0, 2.0]))
    result = bench._result("x", pairs, chains=10, goal=10, note="n")
    assert (result.ratio, result.ratio_min, result.ratio_max, result.met) == (10, 5, 20, True)
    assert (result.ours_s, result.published_s) == (0.2, 2.0)
    assert not bench._result("x", pairs, chains=10, goal=10.1, note="n").met
    assert not bench._result("x", pairs, chains=10, goal=10, note="n", also=False).met


def test_pairs_are_timed_in_turns_after_a_warm_up():
    calls = []
    pairs = bench.Pairs.time(lambda i: calls.append(("ours", i)), lambda i: calls.append(("theirs", i)), 3)
    assert calls == [(who, i) for i in range(4) for who in ("ours", "theirs")]
    assert pairs.ours.shape == pairs.published.shape == (3,)


@pytest.mark.parametrize("regime", [Replace(), Accumulate()], ids=["replace", "accumulate"])
def test_both_ways_do_the_same_work_with_the_same_law(published, regime):
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
        ours = np.array(bench._ours(regime, sampling, (rows,), count, chains, 2))
        assert ours.shape == (count, 2, chains)
        for one, other in ((ours[-1, 1], plain[:, -1, 1]), (ours[-1, 0] ** 2, plain[:, -1, 0] ** 2)):
            error = np.sqrt((one.var() + other.var()) / chains)
            assert abs(one.mean() - other.mean()) < 5 * error


def test_the_command_writes_the_file_and_a_line_each(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(bench.run, "__kwdefaults__", {**bench.run.__kwdefaults__, "known": SMALL})
    out = tmp_path / "bench.json"
    assert cli.main(["bench", "gaussian-accumulate", "gaussian-replace", "--json", str(out)]) == 0
    written = json.loads(out.read_text(encoding="utf-8"))
    assert [r["name"] for r in written["results"]] == ["gaussian-accumulate", "gaussian-replace"]
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and lines[0].startswith("gaussian-accumulate: ") and "times as fast" in lines[1]


def test_unknown_names_and_folders_are_refused_before_any_work(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(bench, "_module", lambda name: SimpleNamespace())
    assert cli.main(["bench", "gaussian-replace", "nobody"]) == 2
    assert capsys.readouterr().err.startswith(
        "model-collapse: bench nobody: no such benchmark; known: gaussian-replace, "
    )
    assert cli.main(["bench", "--json", str(tmp_path / "none" / "bench.json")]) == 2
    assert "--json: the folder" in capsys.readouterr().err


def test_without_a_checkout_there_is_nothing_to_compare_with(monkeypatch):
    monkeypatch.setattr(paths, "PACKAGE", paths.PACKAGE / "elsewhere" / "far")
    assert paths.benchmarks() is None
    with pytest.raises(
        InputError, match=r"^bench: the published way lies in benchmarks/ of the repository; run it from"
    ):
        bench.run(["gaussian-replace"], known=SMALL)
