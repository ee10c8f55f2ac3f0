"""Chapter `vae`: its sentences against numbers that are computed by hand."""

from __future__ import annotations

import pytest
from toy_page import Page, opened, tidy

from model_collapse.companion.chapters import vae as chapter


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Page:
    return opened(monkeypatch)


def test_what_a_finite_set_costs_is_a_ratio_of_losses(page: Page) -> None:
    ends = {"published": 0.2, "full": 0.1, "drawn": 0.4}
    tables = {
        label: tidy({"latent_sd": [[0.5, 0.3, end]] * 2, "class_entropy": [[2.3, 2, 5 * end]] * 2})
        for label, end in ends.items()
    }
    chapter.errors_in_numbers(tables)
    # (0.5 - 0.2) / (0.5 - 0.1)
    assert "is 0.75 [0.75, 0.75] times" in page.text
    assert "| drawn | 0.80 [0.80, 0.80] | 2.00 [2.00, 2.00] |" in page.text
    chapter.errors_in_numbers(tables, "toy")
    assert "Recorded run `toy`" in page.said[1]


def test_the_commonest_class_is_named(page: Page) -> None:
    shares = {("classes", str(label)): [[0.1, 0.91 if label == 7 else 0.01]] * 2 for label in range(10)}
    metrics = {metric: [[1, 1]] * 2 for metric in chapter.MERGING.values()}
    chapter.classes(dict.fromkeys(("published", "full", "control"), tidy(shares | metrics)))
    assert "commonest class is 7 with 91%" in page.text and "(generation 0: 10%" in page.text


def test_chains_that_always_fall_are_counted() -> None:
    table = tidy({"m": [[3, 2, 1], [3, 2, 2], [1, 2, 3]]})
    assert chapter._always(table, "m") == 1 and chapter._always(table, "m", -1) == 1


def test_published_numbers_stand_beside_ours(page: Page) -> None:
    sd = [0.8, 0.7, 0.6, 0.5, 0.4, 0.35]
    chapter.against_the_notebook({"published": tidy({"latent_sd": [sd] * 2, "training_loss": [sd] * 2})}, {})
    assert page.text.count("the notebook, run") == 5 and "| this run | 0.800" in page.text
    assert "| 0.50 [0.50, 0.50] |" in page.text, "generation 5 over generation 1"
