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
        | {"n_train": 8, "share_real": 1.0, "family_args": '{"steps": 60}'}
        for g, values_of in values.items()
        for r, value in enumerate(values_of)
    ]
    return pd.DataFrame(rows)


def test_what_a_smaller_training_set_gains_is_said(shown: list[Any]) -> None:
    ends = {"polluted": 60.0, "thinned": 57.0, "known": 54.0, "control": 56.0}
    tables = {label: table({1: (end, end)}) for label, end in ends.items()}
    apart = {**tables, "thinned": table({1: (55.0, 65.0)})}
    passes = {label: each.assign(family_args="{}") for label, each in apart.items()}
    chapter.what_a_filter_gains({"recorded run": passes, "run of this page": tables})
    (said,) = shown
    assert "| no filter less perfect record | 6 [6, 6] | 6 [6, 6] |" in said
    assert "| real text only less perfect record | 2 [2, 2] | 2 [2, 2] |" in said
    assert "In the recorded run fewer rows also mean fewer steps of training. Whether fewer rows help by" in said
    assert "In the run of this page all conditions take 60 steps. Fewer rows help there by themselves." in said


def test_claims_on_marks_are_judged_on_long_texts_only(shown: list[Any]) -> None:
    tables = {"marked": table({0: (1.0, 1.0)})}
    assert dict(chapter.claimed_of_marks(tables, 200)) == {"WM-1": tables, "WM-2b": tables} and not shown
    assert not chapter.claimed_of_marks(tables, 63)
    assert shown == ["*Not judged here:* WM-1 and WM-2b are about texts of 200 tokens. The texts of this run have 63."]


def test_seeds_that_agree_have_no_interval(shown: list[Any]) -> None:
    parts = [
        table({0: (value, value)}, "watermark", item)
        for item, value in {
            "written": 2 / 3,
            "written repeats": 2 / 3,
            "z": 5.0,
            "real": 0.0,
            "real repeats": 0,
        }.items()
    ]
    chapter.marks_in_numbers({"this run": dict.fromkeys(chapter.MARKED, pd.concat(parts))})
    assert "| 67% in all 2 seeds | 67% in all 2 seeds |" in shown[0]


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
