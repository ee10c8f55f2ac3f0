"""What all figures share: the book's look, bands of means, and ticks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from importlib.resources import as_file, files
from itertools import cycle, islice
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from model_collapse.analysis import stats


@contextmanager
def style() -> Iterator[None]:
    """The book's look: colour-blind-safe palette, one place."""
    with as_file(files("model_collapse.analysis") / "style.mplstyle") as sheet, plt.style.context(sheet):
        yield


def styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Draw in the book's style, and leave no figure open behind."""

    @wraps(draw)
    def wrapped(*args: Any, **options: Any) -> Figure:
        with style():
            figure = draw(*args, **options)
            plt.close(figure)
            return figure

    return wrapped


COLUMNS = 2
"""Panels side by side, at most: three are too small on a page."""


def tiled(count: int, *, width: float = 3.6, height: float = 3.1, below: float = 0, sharey: bool = False) -> list[Axes]:
    """Axes of `count` panels of a new figure, row by row, at most `COLUMNS` in a row.

    width, height  of a panel, in inches; one panel alone is 6 wide
    below          room for a legend
    sharey         whether all have one vertical axis
    """
    columns = min(count, COLUMNS)
    lines = -(-count // columns)
    size = 6 if count == 1 else width * columns, height * lines + below
    _, axes = plt.subplots(lines, columns, figsize=size, sharey=sharey, squeeze=False)
    for ax in axes.flat[count:]:
        ax.remove()
    return list(axes.flat[:count])


def named(axes: Sequence[Axes], ylabel: str) -> Figure:
    """The figure of these panels, with a name for the vertical axis of each row."""
    for ax in axes[::COLUMNS]:
        ax.set_ylabel(ylabel)
    figure = axes[0].get_figure(root=True)
    assert figure is not None
    return figure


def bars(table: pd.DataFrame) -> np.ndarray:
    """Lengths of error bars below and above y, (2, n), of columns y, low, high."""
    return np.array([table["y"] - table["low"], table["high"] - table["y"]]).clip(0)


CONTROL = "000000"

REGIMES: Mapping[str, tuple[str, ...]] = {
    CONTROL: ("control", "real text only", "real rows only", "real data only", "real images only", "same real text"),
    "E69F00": ("other real", "placebo"),
    "56B4E9": ("true distribution", "perfect writer"),
    "D55E00": ("subsample",),
    "009E73": ("accumulate", "everything so far", "all data kept"),
    "CC79A7": ("% real", "half real", "quarter real", "mix"),
    "0072B2": ("only generated", "five beams", "replace", "sampled"),
}
"""Colour of a regime -> parts of the labels by which figures call it. A label is of the first regime that it names a
part of; of several labels of a regime the one with the earlier part has its colour.

One colour for each through the whole book, of Okabe and Ito's palette (https://jfly.uni-koeln.de/color/).
"""


def colours(labels: Iterable[str]) -> dict[str, str]:
    """Label -> colour: that of its regime, once in a figure; all others have those that are left, black last."""
    labels = list(labels)
    own = {label: _regime(label) for label in labels}
    found: dict[str, str] = {}
    for colour, parts in REGIMES.items():
        named = (label for part in parts for label in labels if own[label] == colour and part in label.lower())
        found |= dict.fromkeys(islice(named, 1), colour)
    palette = [colour.removeprefix("#").upper() for colour in sns.color_palette().as_hex()]
    left = sorted((colour for colour in palette if colour not in found.values()), key=lambda colour: colour == CONTROL)
    further = cycle(left or palette)
    return {label: f"#{found.get(label) or next(further)}" for label in labels}


def _regime(label: str) -> str | None:
    """Colour of the first regime that a label names a part of."""
    return next((colour for colour, parts in REGIMES.items() if any(part in label.lower() for part in parts)), None)


def band(ax: Axes, table: pd.DataFrame, label: str, **line: Any) -> None:
    """Mean over replicates by generation, with its 95 % interval as a band."""
    curve = stats.by_generation(table)
    (drawn,) = ax.plot(curve["generation"], curve["mean"], label=label, **line)
    ax.fill_between(curve["generation"], curve["low"], curve["high"], color=drawn.get_color(), alpha=0.25, lw=0)


GROUND, INK = "#121212", "#ced6dd"
"""Background and text of a dark page of the book."""

CONTRAST = 4.5
"""Between coloured lines or letters and the background, at least (WCAG 2.2, 1.4.3)."""


def dark(svg: str) -> str:
    """An SVG that matplotlib has written, for a dark page. Pictures in it stay as they are."""
    # matplotlib leaves out the fill where it is black.
    svg = svg.replace("<svg ", f'<svg fill="{INK}" ', 1)
    return re.sub(r"\b(fill|stroke): (#[0-9a-f]{6})", lambda found: f"{found[1]}: {on_dark(found[2])}", svg)


def on_dark(colour: str) -> str:
    """The colour of a dark page for one of a white page: greys are inverted, others get the contrast `CONTRAST`."""
    light = np.array(to_rgb(colour))
    if np.ptp(light) < 0.05:
        return to_hex(light.mean() * np.array(to_rgb(GROUND)) + (1 - light.mean()) * np.array(to_rgb(INK)))
    steps = (light + share * (1 - light) for share in np.linspace(0, 1, 21))
    return to_hex(next(step for step in steps if contrast(to_hex(step), GROUND) >= CONTRAST))


def contrast(one: str, other: str) -> float:
    """Ratio of the luminances of two colours, 1 to 21 (WCAG 2.2)."""

    def luminance(colour: str) -> float:
        part = np.array(to_rgb(colour))
        linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def plain_ticks(axis: Axis) -> None:
    """Label a logarithmic axis with the numbers themselves: 2, 5, 30."""
    axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(ticker.LogLocator(subs=(2, 3, 5)))
    axis.set_minor_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))


def whole_ticks(ax: Axes, last: int) -> None:
    """Generations are whole numbers."""
    ax.set_xticks(np.unique(np.linspace(0, last, min(last, 10) + 1).round().astype(int)))
