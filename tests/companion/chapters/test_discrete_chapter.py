"""Chapter "The discrete chain": what it says is what the tables hold, and what leaves theory stops it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from model_collapse import theory
from model_collapse.companion.chapters import discrete
from model_collapse.companion.studies.discrete import KEPT, STUDY, by_rows, counted, dogs, kept, two_symbols
from model_collapse.errors import InputError


def table(shares: np.ndarray, M: int) -> pd.DataFrame:
    """A table of chains with these shares, (chains, generations, K); zipf 1."""
    chain, generation, symbol = np.indices(shares.shape).reshape(3, -1)
    columns = {"replicate": chain, "generation": generation, "item": (symbol + 1).astype(str), "value": shares.ravel()}
    share = pd.DataFrame(columns).assign(metric="share")
    parts = [share]
    for metric, own in {"support": (shares > 0).sum(axis=2), "heterozygosity": 1 - (shares**2).sum(axis=2)}.items():
        chain, generation = np.indices(own.shape).reshape(2, -1)
        columns = {"replicate": chain, "generation": generation, "value": own.ravel().astype(float)}
        parts.append(pd.DataFrame(columns).assign(metric=metric, item=""))
    settings = json.dumps({"symbols": shares.shape[2], "zipf": 1})
    return pd.concat(parts, ignore_index=True).assign(n_train=M, family_args=settings)


def drawn(M: int, K: int, chains: int, fits: int) -> np.ndarray:
    """Shares (chains, fits, K) by hand: a multinomial draw after the other."""
    rng = np.random.default_rng(2)
    p, found = np.tile(theory.zipf_law(K, 1), (chains, 1)), []
    for _ in range(fits):
        p = rng.multinomial(M, p) / M
        found.append(p)
    return np.stack(found, axis=1)


def test_the_last_symbols_are_counted(shown: list[Any]) -> None:
    shares = drawn(5, 5, 400, 120)
    discrete.winners(table(shares, 5))
    (_, points, name, *_), sentence = shown
    won = (shares[:, -1] == 1).sum(axis=0)
    assert name == "discrete-fixation-frequency" and won.sum() == 400
    assert list(points["y"]) == pytest.approx(list(won / 400)) and list(points["symbol"]) == [1, 2, 3, 4, 5]
    assert f"in {won[-1]} of 400 chains; theory expects {400 * theory.zipf_law(5, 1)[-1]:.1f}" in sentence


def test_winners_that_are_not_drawn_by_their_shares_are_an_error(shown: list[Any]) -> None:
    with pytest.raises(AssertionError, match="fixation frequencies"):
        discrete.winners(table(drawn(5, 5, 400, 120)[:, :, ::-1], 5))


def test_survivors_of_every_rank_are_counted(shown: list[Any]) -> None:
    shares = drawn(10, 6, 300, 21)
    discrete.survival(table(shares, 10))
    (_, listed, *_), sentence = shown
    alive = listed.query("generation == 20 and item == '1'")["mean"].item()
    assert alive == pytest.approx((shares[:, 20, 0] > 0).mean())
    assert f"shows {theory.expected_support(1, theory.zipf_law(6, 1), 10):.1f} of 6 symbols on average" in sentence


def test_a_support_that_changes_where_data_stay_real_is_an_error(shown: list[Any]) -> None:
    moving = table(drawn(10, 6, 300, 21), 10)
    with pytest.raises(AssertionError):
        discrete.kept(dict.fromkeys(KEPT, moving))


def test_four_numbers_are_a_list_in_words(shown: list[Any]) -> None:
    shares = drawn(5, 5, 4, 31)
    discrete.chains(table(shares, 5))
    a, b, c, d = (shares[:, 0] > 0).sum(axis=1)
    assert f"Of 5 symbols the four chains have {a}, {b}, {c} and {d} after the real sample" in shown[1]


def test_what_is_run_follows_the_size() -> None:
    size = STUDY.at("smoke", n=30, symbols=8)
    assert list(by_rows(STUDY, size)) == ["M = 6", "M = 30", "M = 60"]
    assert {count: run.family_args["symbols"] * count for count, run in counted(STUDY, size).items()} == {
        count: 1000 for count in (1, 2, 4, 5, 8, 10, 20)
    }
    for rarer, run in two_symbols(STUDY, size).items():
        assert theory.zipf_law(2, run.family_args["zipf"])[1] == pytest.approx(rarer)
    assert dogs(STUDY, size)["dogs"].family == "breeds"
    mine = STUDY.vary("replace", zipf=2.0)
    runs = mine.runs(kept(mine, size))
    assert list(runs) == [*KEPT, "replace, zipf=2.0"] and runs["replace, zipf=2.0"].family_args["zipf"] == 2
    assert runs["replace"].family_args["symbols"] == 8


@pytest.mark.parametrize("changes", [{"n": 9}, {"symbols": 4}, {"symbols": 21}])
def test_sizes_that_it_cannot_show_are_refused(changes: dict[str, int]) -> None:
    with pytest.raises(InputError, match=r"^this chapter is written for rows >= 10 and 5 to 20 symbols$"):
        discrete.check(STUDY.at("smoke", **changes))
