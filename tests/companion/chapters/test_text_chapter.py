"""Chapter `text`: words shared with the right and the wrong continuation, counted by hand."""

from __future__ import annotations

import pandas as pd
import pytest
from toy_page import opened, tidy

from model_collapse.companion.chapters import text as chapter


def texts(*generations: list[str], prompts: list[str]) -> pd.DataFrame:
    """One chain: what each generation wrote after each prompt."""
    rows = [
        {"replicate": 0, "generation": g, "row": row, "prompt": prompts[row], "text": text}
        for g, wrote in enumerate(generations)
        for row, text in enumerate(wrote)
    ]
    return pd.DataFrame(rows)


def test_words_are_shared_with_repetitions_over_the_mean_length() -> None:
    assert chapter.words_shared("a a b", "a b c") == pytest.approx(2 * 2 / 6)
    assert chapter.words_shared("", "") == 0


PROMPTS = ["a b", "c d", "e f", "g h"]
"""What follows a prompt is the next one."""


def test_what_followed_the_right_prompt_and_another() -> None:
    own = texts(["c d", "e f", "g h", "?"], ["e f", "g h", "c d", "?"], prompts=PROMPTS)
    right, wrong = (chapter.shared_with(own, away)["value"].tolist() for away in (0, 1))
    # Every text of generation 0 is what followed its prompt; every one of generation 1 what followed the next.
    assert right == [1, 0] and wrong == [0, 1]


def test_the_gap_between_prompts_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    page = opened(monkeypatch)
    own = texts(["c d", "e f", "g h", "?"], ["x", "y", "g h", "?"], prompts=PROMPTS)
    chapter.right_and_wrong_prompt(dict.fromkeys(chapter.SHOWN, own))
    assert "A 1.000 [no interval] and 0.333 [no interval]" in page.text
    assert "control 1 and 0.333" in page.figures["text-prompt"]["alt"]


def test_repetition_of_this_run_and_of_a_record(monkeypatch: pytest.MonkeyPatch) -> None:
    page = opened(monkeypatch)
    values = {"repeated_3": [[0.5, 0.9], [0.5, 0.9]], "distinct_3": [[0.2, 0.1]], ("real_text", "repeated_3"): [[0.02]]}
    tables = dict.fromkeys((*chapter.SHOWN, "zero-shot"), tidy(values))
    chapter.repetition(tables)
    assert "from 0.500" in page.said[0] and "Real text repeats 0.020" in page.said[0]
    assert "| repeated within a block | 0.5 to 0.9 | 0.5 to 0.9 | 0.5 to 0.9 |" in page.text
    chapter.repetition({label: tables[label] for label in chapter.SHOWN}, "toy")
    chapter.repetition({}, "none")
    assert set(page.figures) == {"text-repetition", "text-repetition-recorded"}
    assert "Recorded run `toy`" in page.figures["text-repetition-recorded"]["caption"]
