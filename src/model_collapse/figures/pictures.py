"""Pictures themselves: grids with a row for every generation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from model_collapse.figures.look import styled


@styled
def grid(images: Mapping[str, np.ndarray], *, columns: Sequence[str] = (), width: float = 7) -> Figure:
    """Rows of grey pictures, black is 0 and white 255, one row per label.

    images   {label: (n, side, side)}, all with the same n
    columns  titles of the n columns, or none
    width    of the figure in inches
    """
    rows, n = len(images), len(next(iter(images.values())))
    each = (width - 0.9) / n
    head = 0.45 if columns else 0.1
    figure, axes = plt.subplots(rows, n, figsize=(width, rows * each + head), squeeze=False)
    figure.get_layout_engine().set(w_pad=0.01, h_pad=0.01, wspace=0.01, hspace=0.01)  # type: ignore[union-attr,call-arg]
    for line, (label, pictures) in zip(axes, images.items(), strict=True):
        for ax, picture in zip(line, pictures, strict=True):
            ax.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
        line[0].set_ylabel(label, rotation=0, ha="right", va="center")
    for ax, title in zip(axes[0], columns, strict=False):
        ax.set_title(title, loc="center", fontsize="small")
    return figure
