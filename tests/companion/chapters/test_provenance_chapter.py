"""Chapter `provenance`: numbers in its sentences against direct computation, and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from model_collapse.companion.chapters import provenance as chapter
from model_collapse.companion.studies.provenance import LOOP
from model_collapse.errors import InputError


def table(values: dict[int, tuple[float, ...]], metric: str = "perplexity", item: str = "") -> pd.DataFrame:
    """Values by generation, one for each replicate."""
    rows = [
        {"replicate": r, "generation": g, "metric": metric, "item": item, "value": value}
        | {"n_train": 8, "share_real": 1.0}
        for g, values_of in values.items()
        for r, value in enumerate(values_of)
    ]
    return pd.DataFrame(rows)


def test_what_a_smaller_training_set_gains_is_said(shown: list[Any]) -> None:
    ends = {"polluted": 60.0, "thinned": 57.0, "known": 54.0, "control": 56.0}
    chapter.what_a_filter_gains({label: table({1: (end, end)}) for label, end in ends.items()}, "run")
    (said,) = shown
    assert "the perfect record is 2 [2, 2] points" in said and "gains 6 [6, 6] points over no filter" in said
    assert "number is left gains 3 [3, 3]" in said and "gains the rest, 3 [3, 3]" in said
    assert "generated rows cost 4 [4, 4] points" in said


def test_one_curve_stands_for_two_that_are_the_same(shown: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[list[str]] = []
    monkeypatch.setattr(chapter.figures, "by_arm", lambda arms, *_, **__: drawn.append(list(arms)))
    tables = {label: table({0: (50.0, 50.0), 1: (60.0 + i, 61.0 + i)}) for i, label in enumerate(LOOP)}
    chapter.loop(tables, "provenance-loop", "This run")
    assert len(drawn[0]) == len(LOOP)
    chapter.loop({**tables, "unmarked": tables["known"]}, "provenance-loop", "This run")
    assert len(drawn[1]) == len(LOOP) - 1 and "dropped by a perfect record (and by the watermark)" in drawn[1]
    assert shown[-2][1]["arm"].nunique() == len(LOOP), "the table has both"


def test_intervals_of_shares_end_at_0_and_1(shown: list[Any]) -> None:
    parts = [
        table({0: (0.0, 0.5), 1: (0.9, 1.0)}, *place)
        for place in (("watermark", "written repeats"), ("watermark", "written"), ("repeated_3", ""))
    ]
    real = table({0: (0.1, 0.1), 1: (0.1, 0.1)}, "watermark", "real repeats")
    chapter.repeats({"this run": pd.concat([*parts, real])}, 31)
    (_, _, name, *_), numbers, control = shown
    assert name == "provenance-repeats" and "25.0% [0.0%, 100.0%]" in numbers and "95.0% [31.5%, 100.0%]" in numbers
    assert "10.00% (this run)" in control


def test_the_green_share_that_a_mean_z_means(shown: list[Any]) -> None:
    # 200 pairs of which 35 % are green: z = 20 / sqrt(200 * 0.25 * 0.75).
    z = 20 / np.sqrt(200 * 0.25 * 0.75)
    chapter.green_share(table({0: (z, z)}, "watermark", "z"), 200)
    assert "about 35%" in shown[0] and "about 633 different pairs" in shown[0]


@pytest.mark.parametrize("given", [{"generations": 0}, {"seeds": 0}])
def test_too_little_is_one_line(given: dict[str, int]) -> None:
    with pytest.raises(InputError, match=r"^generations must be at least 1, and seeds at least 2$"):
        chapter.size("smoke", **given)
