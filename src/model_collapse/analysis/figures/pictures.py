"""Pictures themselves: grids with a row for every generation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from model_collapse.analysis.figures.look import styled

GAP = 0.08
"""Of the width of a picture, between two of them."""


@styled
def grid(images: Mapping[str, np.ndarray], *, columns: Sequence[str] = (), width: float = 7) -> Figure:
    """Rows of grey pictures, black is 0 and white 255, one row per label.

    images   {label: (n, side, side)}, all with the same n
    columns  titles of the n columns, or none
    width    of the figure in inches
    """
    rows, (n, side, _) = len(images), next(iter(images.values())).shape
    gap = max(1, round(GAP * side))
    step = side + gap
    # One image for all, because sixty small axes take seconds to draw. nan is not drawn: gaps have the page's colour.
    sheet = np.full((rows * step - gap, n * step - gap), np.nan)
    for i, pictures in enumerate(images.values()):
        for j, picture in enumerate(pictures):
            sheet[i * step : i * step + side, j * step : j * step + side] = picture
    height = (width - 0.9) * sheet.shape[0] / sheet.shape[1] + (0.45 if columns else 0.1)
    figure, ax = plt.subplots(figsize=(width, height))
    ax.imshow(sheet, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    ax.set_yticks(np.arange(rows) * step + side / 2, list(images))
    ax.set_xticks(np.arange(len(columns)) * step + side / 2, list(columns))
    ax.tick_params(length=0, labelbottom=False, labeltop=True)
    ax.grid(False)
    ax.spines[:].set_visible(False)
    return figure


def of_generations(images: pd.DataFrame, *, n: int = 12, replicate: int = 0) -> dict[str, np.ndarray]:
    """What one chain wrote, from a table of images: "generation g" -> its first n pictures (n, side, side)."""
    chosen = images[(images["replicate"] == replicate) & (images["row"] < n)]
    return {f"generation {g}": pixels(rows) for g, rows in chosen.groupby("generation")}


def pixels(images: pd.DataFrame) -> np.ndarray:
    """The pictures of a table of images, in order of its column `row`: uint8 (n, side, side)."""
    flat = [np.frombuffer(image, np.uint8) for image in images.sort_values("row")["image"]]
    side = math.isqrt(len(flat[0]))
    return np.stack(flat).reshape(-1, side, side)
