"""Chapter `language_model`: its sentences against numbers that are computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from toy_page import Page, opened, tidy

from model_collapse.companion.chapters import language_model as chapter
from model_collapse.companion.studies.language_model import GRID


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Page:
    return opened(monkeypatch)


def rising(*chains: list[float]) -> dict[str, object]:
    return {"perplexity": list(chains)}


def test_perplexity_says_mean_rises_and_turns(page: Page) -> None:
    flat = tidy(rising([4, 4, 4, 4], [4, 4.1, 3.9, 4]))
    tables = {
        # Means of the later generations less the first: 4 and 4.1; one turn in each.
        "A": tidy(rising([4, 7, 9, 8], [4, 7.3, 9, 8])),
        "B": tidy(rising([4, 5, 5, 5], [4, 5, 6, 6.4])),
        "control": flat,
        "zero-shot": tidy(rising([12], [13])),
        "mine": flat,
    }
    chapter.perplexity(tables)
    assert "has perplexity 12.50" in page.said[0] and "has 4.00" in page.said[0]
    assert "rises in A" in page.said[0] and "shows no clear change in the control" in page.said[0]
    assert "| A: only generated text | 4.05 [" in page.said[1] and "| mine | " in page.said[1]
    assert "direction 1 times on average (1 times" in page.said[2]
    figure = page.figures["language-perplexity"]
    assert "A: only generated text 4 to 8;" in figure["alt"] and "mine" in figure["csv"]


@pytest.mark.parametrize(
    ("common", "rare", "answer"),
    [
        (([0.8, 0.4], [0.8, 0.41]), ([0.4, 0.1], [0.4, 0.101]), "Yes, in this run"),
        (([0.8, 0.4], [0.8, 0.41]), ([0.4, 0.3], [0.4, 0.301]), "No, not in this run"),
        (([0.8, 0.4], [0.8, 0.41]), ([0.4, 0.1], [0.4, 0.3]), "does not show it"),
        (([0.8, 0.4], [0.8, 0.4]), ([0, 0], [0.4, 0.3]), "cannot tell"),
    ],
)
def test_rare_things_first_is_answered_from_what_is_left(page: Page, common: object, rare: object, answer: str) -> None:
    shares = {"common": common, "medium": common, "rare": rare}
    table = tidy({("rare_coverage", band): own for band, own in shares.items()})
    chapter.rare_things({"A": table, "control": table})
    assert answer in page.said[-1] and "facts first?" in page.said[-1]
    if "rare" in page.figures.get("language-rare", {}).get("csv", ""):
        left = np.mean([end / start for start, end in rare])  # type: ignore[attr-defined]
        assert f"{left:.0%} of the rare facts" in page.said[-1]


def test_the_grid_has_both_main_effects(page: Page) -> None:
    ends = {"published": 9, "A10": 7, "B5": 5, "published-B": 4}
    tables = {label: tidy(rising([4, ends[label]], [4, ends[label]])) for label in GRID}
    chapter.epochs_or_real_text(tables)
    # ((9 - 5) + (7 - 4)) / 2 and ((7 - 9) + (4 - 5)) / 2
    assert "lowers the rise by 3.50" in page.said[0] and "change it by -1.50" in page.said[0]
    assert "differs between ten and five epochs by -1.00" in page.said[1]
    assert page.figures["language-grid"]["csv"].count("epochs") == 5


def test_the_average_by_block_is_a_ratio_of_at_least_one(page: Page) -> None:
    values = {"perplexity": [[2, 4], [2, 4]], "perplexity_block_mean": [[3, 8], [3, 8]]}
    tables = dict.fromkeys(("A", "B", "control"), tidy(values))
    chapter.two_averages(tables)
    assert "1.500" in page.text and "2.000" in page.text
    assert "rise is 2.00 [2.00, 2.00] by token and 5.00 [5.00, 5.00] by block" in page.text
    with pytest.raises(AssertionError):
        chapter.two_averages(tables | {"B": tidy({"perplexity": [[2, 4]], "perplexity_block_mean": [[1, 8]]})})


def test_cross_entropy_is_the_logarithm(page: Page) -> None:
    class Record:
        name = "toy"
        # One condition is longer than the others; they are compared where all are.
        tables = dict.fromkeys(chapter.KEPT[1:], tidy(rising([2, 4], [2, 4]))) | {
            "sampled": tidy(rising([2, 4, 9], [2, 4, 9]))
        }

    chapter.accumulate({"toy": Record()})  # type: ignore[dict-item]
    assert "From generation 0 to 1," in page.text
    assert page.text.count(f"{math.log(2):.3f}") == 4 * 3, "value and both ends, for each condition"
    chapter.accumulate({})
    assert "No recorded run has these" in page.said[-1]
