"""A live element of the book: sliders, curves that closed forms give for every position of them, and a sentence.

All values come from Python: the page has a table of the curves for every setting of the sliders, and its script looks
them up and draws. So the page cannot say something else than `model_collapse.theory`.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

DIGITS = 12
"""Significant digits of every value in a page."""

Setting = Mapping[str, float]
"""Name of a slider -> one of its values."""


@dataclass(frozen=True)
class Slider:
    """A choice among a few values, as a slider, or as buttons where the values have `words`.

    name     of the argument of the element's function
    label    what the reader sees beside it
    values   in order, at least two
    start    where it stands when the page is opened
    words    of every value, if a number would say nothing
    percent  whether values are shares that are shown as percentages
    """

    name: str
    label: str
    values: tuple[float, ...]
    start: float
    words: tuple[str, ...] = ()
    percent: bool = False

    def __post_init__(self) -> None:
        if self.start not in self.values or len(self.values) < 2 or len(self.words) not in (0, len(self.values)):
            raise ValueError(f"slider {self.name}: the start is one of two or more values, each or none with a word")

    def said(self, value: float) -> str:
        """A value as the page shows it."""
        if self.percent:
            return formed(value, "%")
        return self.words[self.values.index(value)] if self.words else f"{value:,g}"


@dataclass(frozen=True)
class Axis:
    """One direction of a chart. `low` and `high` stay where they are, so that a curve that moves is seen to move.

    marks  where numbers stand; () for round values
    """

    label: str
    low: float
    high: float
    log: bool = False
    percent: bool = False
    marks: tuple[float, ...] = ()

    def has(self, value: float) -> bool:
        """Whether a value lies between the ends, but for rounding."""
        room = 1e-9 * (self.high - self.low)
        return self.low - room <= value <= self.high + room

    def place(self, value: float) -> float:
        """Where a value lies between the ends, 0 to 1."""
        if self.log:
            return float(np.log(value / self.low) / np.log(self.high / self.low))
        return float((value - self.low) / (self.high - self.low))

    def ticks(self) -> list[float]:
        """A few round values: powers of ten, or four or five steps of 1, 2 or 5."""
        if self.log:
            first, last = (round(np.log10(end)) for end in (self.low, self.high))
            return [10.0**power for power in range(first, last + 1, max(1, (last - first) // 4))]
        rough = (self.high - self.low) / 5
        power = 10.0 ** np.floor(np.log10(rough))
        step = next(s * power for s in (1, 2, 5, 10) if s * power >= rough * 0.99)
        return [float(round(k * step, 9)) for k in range(round(self.low / step), int(self.high / step + 1e-9) + 1)]


@dataclass(frozen=True)
class Curve:
    """A curve of the chart: its name among the values that are computed, a label, and how it is drawn, if it is."""

    name: str
    label: str
    dashed: bool = False
    drawn: bool = True


@dataclass(frozen=True)
class Values:
    """What one setting of the sliders gives.

    curves   name -> values along the horizontal axis
    numbers  name -> a number that holds for the whole setting, such as a limit
    stripes  shares that sum to 1, one row per part, along the horizontal axis; () for none
    """

    curves: Mapping[str, np.ndarray]
    numbers: Mapping[str, float]
    stripes: tuple[np.ndarray, ...] = ()


@dataclass(frozen=True)
class Chance:
    """What a press of a button adds to the closed forms: a chain that is drawn at random in the page.

    kind   bag: one chain of words, as stripes up to the mark; bells: twelve normal distributions at the mark
    said   a sentence about it, with {chain} for the words that are left, or for the median variance
    """

    kind: Literal["bag", "bells"]
    said: str


@dataclass(frozen=True)
class Element:
    """A part of a page that answers at once.

    name      of the directive, and of the file of this folder
    title     of the box
    lead      what it is about, one or two sentences
    sliders   whose product is computed beforehand
    along     the slider of the horizontal axis: it moves a mark along the curves
    x, y      axes
    curves    what is drawn
    said      the sentence below, with {name} for numbers: of sliders, numbers and curves at the mark; {name:%} as a
              percentage, {name:0} with that number of decimals
    alt       what the chart shows at the start, for those who do not see it
    compute   (**setting without `along`) -> Values, by `model_collapse.theory`
    source    closed forms that are asked, and where the book has them
    chance    a random chain, if there is one
    stripes   labels of the parts of `Values.stripes`
    """

    name: str
    title: str
    lead: str
    sliders: tuple[Slider, ...]
    along: Slider
    x: Axis
    y: Axis
    curves: tuple[Curve, ...]
    said: str
    alt: str
    compute: Callable[..., Values]
    source: str
    chance: Chance | None = None
    stripes: tuple[str, ...] = ()

    @property
    def start(self) -> dict[str, float]:
        """The setting of an untouched page, with the mark."""
        return {slider.name: slider.start for slider in (*self.sliders, self.along)}

    def settings(self) -> Iterator[dict[str, float]]:
        """Every setting of the sliders, the last one fastest."""
        names = [slider.name for slider in self.sliders]
        for values in itertools.product(*(slider.values for slider in self.sliders)):
            yield dict(zip(names, values, strict=True))

    def at(self, setting: Setting) -> Values:
        """The values of a setting, rounded as the page has them."""
        found = self.compute(**{slider.name: setting[slider.name] for slider in self.sliders})
        return Values(
            {curve.name: rounded(found.curves[curve.name]) for curve in self.curves},
            {name: float(rounded(np.array(number))) for name, number in found.numbers.items()},
            tuple(rounded(part) for part in found.stripes),
        )

    def numbers(self, setting: Setting) -> dict[str, float]:
        """What the sentence may name: values of the sliders, numbers of the setting, curves at the mark."""
        values, place = self.at(setting), self.along.values.index(setting[self.along.name])
        return {**setting, **values.numbers, **{name: float(curve[place]) for name, curve in values.curves.items()}}

    @cached_property
    def table(self) -> str:
        """JSON of everything that the script of the page needs. Equal arrays are stored once."""
        arrays: dict[tuple[float, ...], int] = {}

        def stored(array: np.ndarray) -> int:
            return arrays.setdefault(tuple(map(float, array)), len(arrays))

        rows = []
        for setting in self.settings():
            values = self.at(setting)
            curves = [stored(values.curves[curve.name]) for curve in self.curves]
            rows.append([curves, values.numbers, [stored(part) for part in values.stripes]])
        return json.dumps(
            {
                "sliders": [_slider(slider) for slider in self.sliders],
                "along": _slider(self.along),
                "x": vars(self.x),
                "y": vars(self.y),
                "curves": [{"name": curve.name, "drawn": curve.drawn} for curve in self.curves],
                "said": self.said,
                "chance": vars(self.chance) if self.chance else None,
                "arrays": list(arrays),
                "rows": rows,
            },
            separators=(",", ":"),
        )


def _slider(slider: Slider) -> dict[str, object]:
    words = [slider.said(value) for value in slider.values]
    return {"name": slider.name, "values": slider.values, "words": words}


def rounded(values: np.ndarray) -> np.ndarray:
    """Values with twelve significant digits, which is what a page has room for."""
    return np.array([float(f"{value:.{DIGITS}g}") for value in np.ravel(values)]).reshape(np.shape(values))


def sentence(template: str, numbers: Mapping[str, float]) -> str:
    """HTML of a sentence: every {name} is a <data> element that has the full number as its value."""

    def shown(match: re.Match[str]) -> str:
        name, form = match.groups()
        return f'<data value="{numbers[name]!r}" data-name="{name}">{formed(numbers[name], form or "")}</data>'

    return re.sub(r"\{(\w+)(?::([%\d]+))?\}", shown, template)


def formed(value: float, form: str) -> str:
    """A number for people: `%` per cent, a digit for that number of decimals, nothing for three significant digits."""
    if form == "%":
        scaled = 100 * value
        if 0 < scaled < 0.1:
            return f"{plain(scaled, 2)} %"
        exact = abs(scaled - round(scaled)) > 1e-9 and (scaled < 10 or scaled > 99)
        return f"{scaled:.1f} %" if exact else f"{scaled:.0f} %"
    return f"{value:,.{int(form)}f}" if form else plain(value, 3)


def plain(value: float, digits: int) -> str:
    """A number with `digits` significant digits, without an exponent and without zeros at its end."""
    return np.format_float_positional(float(f"{value:.{digits}g}"), trim="-")
