"""Chapter `diffusion`: its sentences against numbers that are computed by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from toy_page import Page, opened, tidy

from model_collapse.companion.chapters import diffusion as chapter


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Page:
    return opened(monkeypatch)


def test_distances_are_said_beyond_the_control(page: Page) -> None:
    ends = {"full": 9, "accumulate": 4, "fresh": 3, "control": 2}
    real = {("real_images", "frechet"): [[0.5], [0.5]]}
    chapter.beyond_the_control({label: tidy({"frechet": [[2, end]] * 2} | real) for label, end in ends.items()})
    assert "7.00 [7.00, 7.00] (full), 2.00 [2.00, 2.00] (accumulate) and 1.00 [1.00, 1.00] (fresh)" in page.text
    assert "a distance of 0.50" in page.text


def test_what_a_bias_costs_generation_0_is_paired(page: Page) -> None:
    plain = tidy({("manifold", "precision"): [[0.9], [0.8]], ("manifold", "recall"): [[0.9], [0.8]]})
    pretty = tidy({("manifold", "precision"): [[0.95], [0.85]], ("manifold", "recall"): [[0.7], [0.6]]})
    chapter.before_any_recursion({"full": plain, "pretty": pretty})
    assert "precision by 0.050" in page.text and "recall by -0.200" in page.text and "recall is clear" in page.text
    scattered = tidy({("manifold", "precision"): [[0.95], [0.85]], ("manifold", "recall"): [[0.7], [0.9]]})
    chapter.before_any_recursion({"full": plain, "pretty": scattered}, "digits")
    assert page.said[-1].startswith("Recorded run `digits`: ") and page.said[-1].endswith("No loss of recall is clear.")


def test_pictures_are_shown_with_what_became_of_them(page: Page) -> None:
    images = pd.DataFrame(
        [
            {"replicate": 0, "generation": g, "row": row, "image": np.full(4, 100 * g, np.uint8).tobytes()}
            for g in range(2)
            for row in range(3)
        ]
    )
    table = tidy({"sharpness": [[0.5, 0.3]], ("manifold", "recall"): [[0.9, 0.1]]})
    chapter.pictures({"full": table}, {"full": images}, "full")
    figure = page.figures["diffusion-pictures-full"]
    assert "full 0.5 to 0.3" in figure["alt"] and "full 0.9 to 0.1" in figure["alt"]
    assert "generation 1,100.0" in figure["csv"]
