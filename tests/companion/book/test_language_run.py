"""What all chapters on language models say of a run before anything else."""

from __future__ import annotations

import pytest
from toy_page import tidy

from model_collapse.companion.book import language_run


@pytest.mark.parametrize(
    ("chains", "first"),
    [
        ([[4, 12, 12], [4, 13, 13]], {"A": 1}),
        ([[4, 7, 12], [4, 8, 13]], {"A": 2}),
        ([[4, 12, 7], [4, 13, 8]], {}),
        ([[4, 12, 12], [4, 13, 8]], {}),
    ],
)
def test_who_is_back_at_the_untouched_model(chains: list[list[float]], first: dict[str, int]) -> None:
    """From there to its end, in every seed."""
    tables = {
        "A": tidy({"perplexity": chains}),
        "control": tidy({"perplexity": [[4, 4, 4], [4, 4, 4]]}),
        "zero-shot": tidy({"perplexity": [[12], [13]]}),
    }
    assert language_run.back_at_start(tables) == first
    assert language_run.back_at_start({"A": tables["A"]}) == {}, "nothing to compare with"
