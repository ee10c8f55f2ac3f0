"""What several chapters share."""

from __future__ import annotations

import numpy as np
import pytest
from toy_page import opened, tidy

from model_collapse.companion import claims, studies
from model_collapse.companion.book import estimates, findings
from model_collapse.companion.records import settings
from model_collapse.errors import InputError


def test_ends_leave_out_what_has_no_value() -> None:
    arms = {"A": tidy({"m": [[1, 2, 3.14159]]}), "none": tidy({"m": [[np.nan, 1]]}), "once": tidy({"m": [[5]]})}
    assert findings.ends(arms, "m") == "A 1 to 3.14; once 5"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([1, 1.1], "rises"),
        ([-1, -1.1], "falls"),
        ([-1, 1.1], "shows no clear change"),
        ([1], "rises in the one seed"),
        ([np.nan], "has no value"),
    ],
)
def test_a_change_in_words(values: list[float], words: str) -> None:
    change = estimates.at(tidy({"m": [[value] for value in values]}), "m", 0)
    assert findings.moves(change) == words


@pytest.mark.parametrize("changes", [{"generations": 1}, {"seeds": 0}])
def test_a_size_has_something_to_compare(changes: dict[str, int]) -> None:
    with pytest.raises(InputError, match="generations must be at least 2, and seeds at least 1"):
        findings.sized(studies.find("vae"), "smoke", **changes)


def test_what_a_reader_has_added_is_shown() -> None:
    tables = {label: tidy({"m": [[1]]}) for label in ("B", "A", "A, n=5")}
    assert list(findings.chosen(tables, ("A", "absent"), ("A", "B"))) == ["A", "A, n=5"]


def test_claims_without_their_conditions_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    page = opened(monkeypatch)
    table = tidy({"perplexity": [[4, 5], [4, 5.1]]}, family="lm", settings="{}", n_train=8)
    table.attrs["run"] = settings.asked(claims.named("SH-9").runs["A"])
    findings.judged(("SH-9", "SH-4"), {"A": table}, of="this run")
    assert "| SH-9 |" in page.text and "SH-4" not in page.text and "Claims, this run" in page.text
    findings.judged(("SH-4",), {"A": table})
    assert len(page.said) == 1


def test_panels_say_where_their_lines_begin_and_end(monkeypatch: pytest.MonkeyPatch) -> None:
    page = opened(monkeypatch)
    arms = {"A": tidy({"m": [[1, 2], [1, 2]], ("n", "i"): [[3, 4]]}), "B": tidy({"m": [[5, 6]], ("n", "i"): [[7, 8]]})}
    findings.show_panels(arms, {"first": ("m", ""), "second": ("n", "i")}, "toy", "What is drawn.")
    figure = page.figures["toy"]
    assert "in the last: first, A 1 to 2; B 5 to 6. second, A 3 to 4; B 7 to 8." in figure["alt"]
    assert "A,second,1,4.0" in figure["csv"] and figure["caption"] == "What is drawn."


def test_a_caption_says_which_run_it_shows() -> None:
    assert findings.run_of("") == "This run" and findings.run_of("mnist") == "Recorded run `mnist`"
