"""Chapter `cost`: prices in its sentences against direct computation, and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from model_collapse.analysis import stats
from model_collapse.companion.chapters import cost as chapter
from model_collapse.companion.studies.cost import REGIMES
from model_collapse.errors import InputError


def table(n: int, values: dict[int, float], metric: str = "perplexity") -> pd.DataFrame:
    """Training sets of n rows; the same value by generation in two replicates."""
    rows = [
        {"replicate": r, "generation": g, "metric": metric, "item": "", "value": value, "n_train": n}
        for g, value in values.items()
        for r in range(2)
    ]
    return pd.DataFrame(rows)


def words(first: float, then: float) -> dict[int, pd.DataFrame]:
    """Perplexities by size: e^first at generation 0 of the smaller sets, e^then at generation 1 of both sizes."""
    return {
        10: table(10, {0: np.exp(first), 1: np.exp(then + 0.5)}),
        40: table(40, {0: np.exp(first - 1), 1: np.exp(then - 0.5)}),
    }


def test_the_price_of_word_models(shown: list[Any]) -> None:
    tables = {
        # Nats 2.5 with 10 blocks and 1.5 with 40: the 2.0 of 10 real blocks lie in the middle, at 20.
        **{f"replace, {n}": each for n, each in words(2.0, 2.0).items()},
        **{f"accumulate, {n}": each for n, each in words(2.0, 9.0).items()},
        "real only, 10": table(10, dict.fromkeys((0, 1), np.exp(2.0))),
        "real only, 40": table(40, dict.fromkeys((0, 1), np.exp(1.0))),
    }
    size = chapter.size("smoke", blocks=[10, 40], generations=1)
    chapter.word_prices(tables, size)
    (_, prices, name, *_), sentence = shown
    assert name == "cost-ngram-prices" and prices.set_index("arm")["y"]["replace"] == pytest.approx(2.0)
    assert "replace: 2 [2, 2] times" in sentence and "real only: 1 [1, 1] times" in sentence
    assert "accumulate: no number of rows tried is enough (more than 4 times)" in sentence
    assert "replace would cost 2 times the rows and accumulate 1.25 times" in sentence
    with pytest.raises(AssertionError, match="real text only"):
        chapter.word_prices({**tables, "real only, 10": words(2.0, 3.0)[10]}, size)


def test_prices_with_closed_forms(shown: list[Any]) -> None:
    means = {regime: table(100, {0: 0.1, 1: 0.1 * np.sqrt(2)}, "mean") for regime in REGIMES}
    tails = {f"{regime}, {n}": table(n, {0: 1 / n, 1: 2 / n}, "lost_mass") for regime in REGIMES for n in (10, 40)}
    chapter.in_theory(means, tails)
    line = next(line for line in shown[1].splitlines() if line.startswith("| replace"))
    # 100 times 0.02 is 2; twice the rows halve a mass that falls as 1 / rows.
    assert line == "| replace | 2 [2, 2] (theory 2) | 2 [2, 2] (theory 1.58) |"


@pytest.mark.parametrize(
    ("ends", "words"),
    [
        ((13, 6.76, np.inf), "13 [6.76, more than 16] times"),
        ((1, 0, 1.18), "1 [below 1, 1.18] times"),
        ((np.inf, 16, np.inf), "no number of rows tried is enough (more than 16 times)"),
        ((2, np.nan, np.nan), "2 [no interval] times"),
    ],
)
def test_a_price_says_no_more_than_was_tried(ends: tuple[float, float, float], words: str) -> None:
    assert chapter._times(stats.Estimate(*ends, 2), 16) == words


def test_what_is_paid_in_all(shown: list[Any]) -> None:
    chapter.paid_in_all(last=9)
    assert "| replace | 10 | 100 | 90 | 10 |" in shown[0] and "10 fits" in shown[0]


def test_the_claim_is_run_with_the_chains_of_the_size() -> None:
    runs = chapter.claimed_runs(chapter.size("smoke", chains=64, seed=5))
    assert {(run.replicates, run.seed) for run in runs.values()} == {(64, 5)}


@pytest.mark.parametrize(
    "given", [{"blocks": [10]}, {"blocks": [9, 20]}, {"generations": 0}, {"replicates": 1}, {"chains": 63}]
)
def test_too_little_is_one_line(given: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"^this chapter needs two sizes of blocks from 10 up, a generation, 2"):
        chapter.size("smoke", **given)
