"""A live element as HTML: its picture at the start, which needs no script, its controls, and its numbers as a table."""

from __future__ import annotations

from html import escape

import numpy as np

from model_collapse import theory
from model_collapse.companion.live.element import Axis, Curve, Element, formed, sentence

WIDTH, HEIGHT = 440, 250
LEFT, RIGHT, TOP, BOTTOM = 52, 428, 10, 206
"""Of the chart, in units of its view box."""
PANEL = 120
"""Height of the picture above the chart."""
CHAINS = 12


def html(element: Element) -> str:
    """The whole element; `book/_static/live.js` finds its values in the script element at its end."""
    name = f"live-{element.name}"
    above = panel(element)
    return f"""<div class="live" id="{name}" role="group" aria-labelledby="{name}-title">
<p class="live-title" id="{name}-title">Try it: {escape(element.title)}</p>
<p>{escape(element.lead)}</p>
{above}{chart(element)}
<ul class="live-legend">{legend(element)}</ul>
<form class="live-controls" hidden>{controls(element)}</form>
<p class="live-said" aria-live="polite">{sentence(element.said, element.numbers(element.start))}</p>
<p class="live-chance" aria-live="polite"></p>
<details><summary>The numbers of this chart</summary>
<div class="live-scroll" tabindex="0" role="region" aria-label="Numbers: {escape(element.title)}">{table(element)}</div>
<p>Computed by {code(element.source)} of <code>model_collapse.theory</code>.</p></details>
<script type="application/json">{element.table}</script>
</div>"""


def controls(element: Element) -> str:
    """Sliders with their values, groups of buttons for words, and the buttons of a random chain."""
    parts = []
    for slider in (*element.sliders, element.along):
        name, start = f"live-{element.name}-{slider.name}", slider.values.index(slider.start)
        if slider.words and len(slider.words) < 3:
            buttons = "".join(
                f'<label><input type="radio" name="{slider.name}" value="{i}"{" checked" if i == start else ""}> '
                f"{escape(word)}</label>"
                for i, word in enumerate(slider.words)
            )
            parts.append(f'<fieldset id="{name}"><legend>{escape(slider.label)}</legend>{buttons}</fieldset>')
        else:
            said = escape(slider.said(slider.start))
            parts.append(
                f'<label for="{name}"><span>{escape(slider.label)}: <span class="live-value">{said}</span></span>'
                f'<input type="range" id="{name}" name="{slider.name}" min="0" max="{len(slider.values) - 1}" step="1" '
                f'value="{start}" aria-valuetext="{said}"></label>'
            )
    if element.chance:
        parts.append(
            '<p><button type="button" name="next">Next generation</button> '
            '<button type="button" name="again">Another chain</button> '
            '<button type="button" name="first">Back to generation 0</button></p>'
        )
    return "\n".join(parts)


def legend(element: Element) -> str:
    """Which line is which."""
    drawn = [curve for curve in element.curves if curve.drawn]
    return "".join(
        f'<li><svg viewBox="0 0 28 10" aria-hidden="true">{line(i, curve, "M1 5 H27")}</svg> {escape(curve.label)}</li>'
        for i, curve in enumerate(drawn)
    )


def line(number: int, curve: Curve, points: str) -> str:
    """One curve, in its colour."""
    return f'<path class="live-curve live-{number}{" live-dashed" * curve.dashed}" d="{points}"/>'


def chart(element: Element) -> str:
    """Axes and curves at the start; the script moves the curves and the mark, and leaves the axes as they are."""
    values, x, y = element.at(element.start), element.x, element.y
    lines = [f'<line class="live-grid" x1="{LEFT}" x2="{RIGHT}" y1="{_y(y, t)}" y2="{_y(y, t)}"/>' for t in y.ticks()]
    lines += [f'<text x="{LEFT - 5}" y="{_y(y, t) + 4:.1f}" text-anchor="end">{tick(y, t)}</text>' for t in y.ticks()]
    marks = x.marks or x.ticks()
    lines += [f'<text x="{_x(x, t)}" y="{BOTTOM + 16}" text-anchor="middle">{tick(x, t)}</text>' for t in marks]
    lines.append(f'<text x="{(LEFT + RIGHT) / 2}" y="{HEIGHT - 8}" text-anchor="middle">{escape(x.label)}</text>')
    place = _x(x, element.along.start)
    drawn = [curve for curve in element.curves if curve.drawn]
    paths = [line(i, curve, path(element, values.curves[curve.name])) for i, curve in enumerate(drawn)]
    return f"""<p class="live-y">{escape(y.label)}</p>
<svg class="live-chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(element.alt)}">
{"".join(lines)}
<line class="live-mark" x1="{place}" x2="{place}" y1="{TOP}" y2="{BOTTOM}"/>
{"".join(paths)}
</svg>"""


def path(element: Element, values: np.ndarray) -> str:
    """The line through values along the horizontal axis, as far as they lie within the chart."""
    points = [(at, float(value)) for at, value in zip(element.along.values, values, strict=True)]
    inside = [f"{_x(element.x, at)} {_y(element.y, value)}" for at, value in points if element.y.has(value)]
    return "M" + "L".join(inside) if inside else ""


def tick(axis: Axis, value: float) -> str:
    """A number at an axis."""
    return f"{100 * value:g} %" if axis.percent else f"{value:,g}"


def table(element: Element) -> str:
    """Rows along the horizontal axis; every cell has the full number as its value."""
    values = element.at(element.start)
    labels = (element.along.label, *(curve.label for curve in element.curves))
    head = "".join(f'<th scope="col">{escape(label)}</th>' for label in labels)
    rows = []
    for i, at in enumerate(element.along.values):
        cells = [float(values.curves[curve.name][i]) for curve in element.curves]
        shown = "".join(f'<td><data value="{value!r}">{formed(value, "")}</data></td>' for value in cells)
        rows.append(f'<tr><th scope="row">{element.along.said(at)}</th>{shown}</tr>')
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def code(text: str) -> str:
    """`code` as HTML."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if i % 2 else part for i, part in enumerate(parts))


# Above the chart -------------------------------------------------------------------------------------------------


def panel(element: Element) -> str:
    """Stripes or bells, if the element has them: one chain that was drawn with a fixed seed."""
    if element.stripes:
        inner = stripes(element, np.array(element.at(element.start).stripes))
        alt = "Stripes: the share of every word, generation by generation, up to the mark."
    elif element.chance and element.chance.kind == "bag":
        rows, words = int(element.start["rows"]), int(element.start["words"])
        inner = stripes(element, bag(rows, words, len(element.along.values)))
        alt = "Stripes: the share of every word in one chain, up to the mark. Ever fewer colours are left."
    elif element.chance:
        inner = bells(int(element.start["rows"]), int(element.start["generation"]))
        alt = "Twelve bells beside the first one, in grey. Most are narrower, and they stand in different places."
    else:
        return ""
    return f'<svg class="live-panel" viewBox="0 0 {WIDTH} {PANEL}" role="img" aria-label="{alt}">{inner}</svg>\n'


def stripes(element: Element, shares: np.ndarray) -> str:
    """Shares (parts, generations) up to the mark, as areas one upon the other; the first one is the lowest."""
    last = element.along.values.index(element.along.start)
    above = np.vstack([np.zeros(shares.shape[1]), np.cumsum(shares, axis=0)])
    areas = []
    for part in range(len(shares)):
        over = [f"{_x(element.x, g)} {_level(above[part + 1, g])}" for g in range(last + 1)]
        under = [f"{_x(element.x, g)} {_level(above[part, g])}" for g in range(last, -1, -1)]
        areas.append(f'<path class="live-stripe" style="--part:{part}" d="M{"L".join(over + under)}Z"/>')
    return "".join(areas)


def bag(rows: int, words: int, generations: int) -> np.ndarray:
    """Shares (words, generations) of one chain."""
    rng, shares, found = np.random.default_rng(3), theory.zipf_law(words, 1.0), []
    for _ in range(generations):
        shares = rng.multinomial(rows, shares) / rows
        found.append(shares)
    return np.array(found).T


def bells(rows: int, generation: int) -> str:
    """Twelve normal distributions after some generations, by maximum likelihood, each with the same height."""
    rng, mean, variance = np.random.default_rng(3), np.zeros(CHAINS), np.ones(CHAINS)
    for _ in range(generation + 1):
        mean = mean + np.sqrt(variance / rows) * rng.standard_normal(CHAINS)
        variance = variance * rng.chisquare(rows - 1, CHAINS) / rows
    curves = [bell(m, s, "live-bell") for m, s in zip(mean, np.sqrt(variance), strict=True)]
    ticks = [f'<text x="{_across(t):.1f}" y="{PANEL - 2}" text-anchor="middle">{t:g}</text>' for t in (-4, -2, 0, 2, 4)]
    return bell(0, 1, "live-truth") + "".join(curves) + "".join(ticks)


def bell(mean: float, deviation: float, kind: str) -> str:
    """The line of one normal density of height 1, from -5 to 5."""
    places = np.clip(mean + deviation * np.linspace(-4, 4, 65), -5, 5)
    heights = np.exp(-(((places - mean) / deviation) ** 2) / 2)
    points = [f"{_across(at):.1f} {_height(height):.1f}" for at, height in zip(places, heights, strict=True)]
    return f'<path class="{kind}" d="M{"L".join(points)}"/>'


def _x(axis: Axis, value: float) -> float:
    return round(LEFT + axis.place(value) * (RIGHT - LEFT), 1)


def _y(axis: Axis, value: float) -> float:
    return round(BOTTOM - axis.place(value) * (BOTTOM - TOP), 1)


def _level(share: float) -> float:
    return round(PANEL - 4 - share * (PANEL - 8), 1)


def _across(value: float) -> float:
    return LEFT + (value + 5) / 10 * (RIGHT - LEFT)


def _height(value: float) -> float:
    return PANEL - 16 - value * (PANEL - 24)
