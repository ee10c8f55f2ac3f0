"""Chapter `diversity`: changes and trends against numbers that are computed by hand."""

from __future__ import annotations

import pytest
from toy_page import opened, tidy

from model_collapse.companion import records
from model_collapse.companion.chapters import diversity as chapter


def test_a_change_is_relative_to_generation_0_of_the_same_seed() -> None:
    table = tidy({"distinct_2": [[0.5, 0.4, 0.25], [0.4, 0.3, 0.2]]})
    assert chapter.change(table, "distinct_2").value == pytest.approx(-0.5)


def test_a_trend_is_the_rise_of_the_line_over_the_mean() -> None:
    # A line from 3 to 1 falls by its mean.
    assert chapter.trend(tidy({"m": [[3, 2, 1], [3, 2, 1]]}), "m").value == pytest.approx(-1)


def test_four_kinds_are_said_and_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    page = opened(monkeypatch)
    left = {"type_token_ratio": 0.9, "distinct_2": 0.5, "skeletons": 0.25, "state_diversity": 1.0}
    tables = dict.fromkeys(chapter.MAIN, tidy({metric: [[0.8, 0.8 * share]] * 2 for metric, share in left.items()}))
    chapter.kinds(tables)
    assert "words change by -10%" in page.text and "pairs change by -50%" in page.text
    assert "patterns change by -75%" in page.text and "meaning change by 0%" in page.text
    assert (
        "A: only generated text, words -10%, pairs -50%, patterns -75%, meaning 0%"
        in page.figures["diversity-kinds"]["alt"]
    )
    chapter.kinds(tables, "toy")
    chapter.kinds({}, "none")
    assert set(page.figures) == {"diversity-kinds", "diversity-kinds-recorded"}


def test_nothing_is_said_of_truth_where_nobody_knows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    page = opened(monkeypatch)
    tables = dict.fromkeys(chapter.MAIN, tidy({"perplexity": [[2, 3]]}))
    for show in (chapter.people, chapter.truth, chapter.distance):
        show(tables)
    assert page.said == [] and page.figures == {}


def test_the_divergence_is_said_of_each_condition(monkeypatch: pytest.MonkeyPatch) -> None:
    page = opened(monkeypatch)
    ends = {"A": 40, "sampled": 30, "control": 20}
    parts = {("kl", "end"): [[1, 1]], ("kl", "low"): [[5, 25]], ("kl", "high"): [[6, 35]], "facts": [[1, 1]]}
    chapter.distance({label: tidy({("kl", "mean"): [[20, end]] * 2, **parts}) for label, end in ends.items()})
    assert "from 20 [20, 20] to 40 [40, 40] nats per article in A and to 30 [30, 30]" in page.text
    assert "between 25 and 35" in page.text and "ends at 20" in page.text


def test_unequal_amounts_of_text_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    opened(monkeypatch)
    words = {"vocabulary": [[10, 10]], "type_token_ratio": [[0.1, 0.2]]}
    checked = {metric if metric[1] else metric[0]: [[1, 1]] for metric in chapter.CHECKED.values()}
    table = tidy(checked | words)
    with pytest.raises(AssertionError, match="same amount of text"):
        chapter.trends(dict.fromkeys(chapter.MAIN, table))


def test_what_reading_a_half_does_is_said_of_each_half(monkeypatch: pytest.MonkeyPatch) -> None:
    page = opened(monkeypatch)
    ends = {"sampled": 3, "unsurprising": 2, "surprising": 4}
    metrics = {
        label: {("entropy", "test"): [[1, end]] * 2, "perplexity": [[5, 10 * end]] * 2} for label, end in ends.items()
    }
    chapter.surprise({label: tidy({**own, "distinct_2": [[0.5, 0.5]] * 2}) for label, own in metrics.items()})
    assert "is 2.00 [2.00, 2.00] nats after unsurprising text, 4.00 [4.00, 4.00] after surprising text" in page.text
    assert "| perplexity on real text | 5 to 30 | 5 to 20 | 5 to 40 |" in page.text


def test_a_recorded_run_is_shown_as_one_of_this_page(monkeypatch: pytest.MonkeyPatch) -> None:
    page = opened(monkeypatch)
    record = records.read("wikitext")
    chapter.kinds(chapter.recorded_of(record), record.name)
    assert "In the control, which cannot collapse, pairs change by" in page.text
    assert "control: real text only, words" in page.figures["diversity-kinds-recorded"]["alt"]
    assert chapter.recorded_of(None) == {}
