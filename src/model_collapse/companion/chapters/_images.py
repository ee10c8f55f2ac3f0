"""Parts shared by the two chapters on images: rows of pictures."""

from __future__ import annotations

import pandas as pd

from model_collapse.analysis import figures
from model_collapse.companion.book.notebook import show

SAME = "First seed; the same random numbers down a column, chosen before anybody looked."


def gallery(images: pd.DataFrame, name: str, what: str, alt: str) -> None:
    """The first ten pictures of every generation of one chain, a row for each.

    what  a sentence for the caption
    alt   what one sees, for readers who cannot
    """
    shown = figures.of_generations(images, n=10)
    show(
        figures.grid(shown),
        pd.DataFrame({"row": list(shown), "mean grey": [pixels.mean() for pixels in shown.values()]}),
        name,
        f"{what} {SAME}",
        f"A grid of small grey pictures of handwritten digits, one row for each generation from 0 at the top. {alt}",
    )
