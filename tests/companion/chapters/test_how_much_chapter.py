"""Chapter `how_much`: numbers in its sentences against direct computation, and what it refuses."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest

from model_collapse.companion.chapters import how_much as chapter
from model_collapse.errors import InputError


def mixed(share: float, means: dict[int, tuple[float, ...]], metric: str = "mean", n: int = 4) -> pd.DataFrame:
    """A table of `mix`: values of two or more chains by generation."""
    rows = [
        {"replicate": r, "generation": g, "metric": metric, "item": "", "value": value, "n_train": n}
        | {"share_real": 1.0 if g == 0 else 1 - share, "corpus": "embedded", "family_args": "{}"}
        for g, values in means.items()
        for r, value in enumerate(values)
    ]
    return pd.DataFrame(rows)


def test_the_share_that_doubles_the_error(shown: list[Any]) -> None:
    still = {g: (0.5, -0.5) for g in range(4)}
    grown = {0: (0.5, -0.5), 1: (0.5, -0.5), 2: (0.5, -0.5), 3: (1.0, -1.0)}
    chapter.error({4: {"mix 0": mixed(0.0, still), "mix 1": mixed(1.0, grown)}})
    (_, table, name, *_), sentence = shown
    assert name == "how-much-gaussian"
    # 4 real rows: M mean^2 is 1, and 4 at last where all is synthetic; halfway to 4 it has passed 2 by a third.
    assert table[(table["x"] == 1) & (table["y"] == 3)]["value"].tolist() == [4.0]
    assert "none in generation 1" in sentence and "0.33 in generation 3" in sentence


def test_a_share_added_last_is_compared_with_its_own_closed_form(shown: list[Any]) -> None:
    still = {g: (0.5, -0.5) for g in range(4)}
    half, none = ({g: (0.5 + step * g, -0.4 - step * g) for g in range(4)} for step in (0.05, 0.1))
    tables = {"mix 0": mixed(0.0, still), "mix 0.5": mixed(0.5, half), "mix 1": mixed(1.0, none)}
    chapter.error({4: tables})
    chapter.error({4: {label: tables[label] for label in ("mix 0", "mix 1", "mix 0.5")}})
    assert shown[1] == shown[3]


def test_real_rows_alone_must_be_the_same_fit(shown: list[Any]) -> None:
    moved = {0: (0.5, -0.5), 1: (0.6, -0.6), 2: (0.5, -0.5), 3: (0.5, -0.5)}
    with pytest.raises(AssertionError, match="same real rows"):
        chapter.error({4: {"mix 0": mixed(0.0, moved), "mix 1": mixed(1.0, moved)}})


def test_a_biased_writer_loses_what_it_does_not_know(shown: list[Any]) -> None:
    settings = json.dumps({"symbols": 3, "zipf": 0.0, "top_k": 2})
    rows = [
        {"replicate": r, "generation": g, "metric": "share", "item": str(k + 1), "value": value}
        | {"family_args": settings}
        for r in range(2)
        for g, values in enumerate([(1 / 3, 1 / 3, 1 / 3), (0.35, 0.35, 0.3)])
        for k, value in enumerate(values)
    ]
    chapter.biased({"20 % synthetic": pd.DataFrame(rows)})
    assert "20 % synthetic 0.9000 [0.9000, 0.9000]" in shown[1]


def test_the_first_generation_that_differs_by_a_twentieth() -> None:
    control = mixed(0.0, {g: (1.0, 1.01) for g in range(3)})
    other = mixed(0.0, {0: (1.0, 1.01), 1: (1.04, 1.05), 2: (1.2, 1.21)})
    assert chapter._moved(other, control, "mean") == 2
    assert chapter._moved(control, control, "mean") is None


@pytest.mark.parametrize("given", [{"generations": 3}, {"chains": 1}, {"seeds": 1}, {"blocks": 95}])
def test_too_little_is_one_line(given: dict[str, int]) -> None:
    with pytest.raises(InputError, match=r"^this chapter needs at least 4 generations, 2 chains, 2 seeds and 96"):
        chapter.size("smoke", **given)
