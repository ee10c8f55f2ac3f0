"""Live elements in a real browser, without a network: what a page shows is what Python computes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import Once
from toy_site import Site, serve

from model_collapse import theory
from model_collapse.companion import live
from model_collapse.companion.live import page
from model_collapse.companion.live.element import Element

STATIC = Path(__file__).parents[3] / "book" / "_static"
ELEMENT = pytest.mark.parametrize("element", live.known().values(), ids=live.known())


@pytest.fixture
def site(once: Once, browser: object) -> Iterator[Site]:
    """One page with all elements, as the directive writes them, and nothing else."""

    def make(folder: Path) -> None:
        parts = "\n".join(page.html(element) for element in live.known().values())
        head = f"<meta charset='utf-8'><style>{(STATIC / 'book.css').read_text(encoding='utf-8')}</style>"
        script = (STATIC / "live.js").read_text(encoding="utf-8")
        (folder / "all.html").write_text(f"<!doctype html>{head}{parts}<script>{script}</script>", encoding="utf-8")
        (folder / "still.html").write_text(f"<!doctype html>{head}{parts}", encoding="utf-8")
        (folder / "favicon.ico").touch()

    for served in serve(once("live", make), browser):
        yield served
        assert served.complaints == []


def move(site: Site, element: Element, setting: dict[str, float]) -> None:
    """Put every slider where the setting wants it, as a hand would."""
    for slider in (*element.sliders, element.along):
        place = slider.values.index(setting[slider.name])
        control = f"#live-{element.name}-{slider.name}"
        if site.page.locator(control).evaluate("e => e.tagName") == "INPUT":
            site.page.locator(control).evaluate(
                "(e, to) => { e.value = to; e.dispatchEvent(new Event('input', {bubbles: true})) }", place
            )
        else:
            site.page.locator(f"{control} input").nth(place).check()


def shown(site: Site, element: Element) -> dict[str, float]:
    """Name -> number in the sentence."""
    said = f"#live-{element.name} .live-said data"
    return dict(site.page.eval_on_selector_all(said, "all => all.map(d => [d.dataset.name, Number(d.value)])"))


def rows(site: Site, element: Element) -> np.ndarray:
    """The table of numbers, (values along, curves)."""
    lines = f"#live-{element.name} tbody tr"
    script = "all => all.map(line => [...line.querySelectorAll('td data')].map(d => Number(d.value)))"
    return np.array(site.page.eval_on_selector_all(lines, script))


def agrees(site: Site, element: Element, setting: dict[str, float]) -> None:
    """The sentence, the table and the ends of every curve are those of Python, to 1e-9."""
    wanted, found = element.numbers(setting), shown(site, element)
    assert found == pytest.approx({name: wanted[name] for name in found}, rel=1e-9, abs=1e-12)
    computed = element.compute(**{slider.name: setting[slider.name] for slider in element.sliders})
    curves = np.array([computed.curves[curve.name] for curve in element.curves]).T
    np.testing.assert_allclose(rows(site, element), curves, rtol=1e-9, atol=1e-12)
    drawn = site.page.eval_on_selector_all(
        f"#live-{element.name} .live-chart .live-curve", "all => all.map(path => path.getAttribute('d'))"
    )
    for curve, points in zip((curve for curve in element.curves if curve.drawn), drawn, strict=True):
        assert numbers(points) == pytest.approx(numbers(page.path(element, computed.curves[curve.name])), abs=0.11)


def numbers(points: str) -> list[float]:
    """Coordinates of a path."""
    return [float(number) for pair in points.lstrip("M").split("L") for number in pair.split()]


@ELEMENT
def test_every_slider_shows_what_python_computes(site: Site, element: Element) -> None:
    site.open("all.html")
    agrees(site, element, element.start)
    for end in (0, -1):
        setting = {slider.name: slider.values[end] for slider in (*element.sliders, element.along)}
        move(site, element, setting)
        agrees(site, element, setting)
    middle = {slider.name: slider.values[len(slider.values) // 2] for slider in (*element.sliders, element.along)}
    move(site, element, middle)
    agrees(site, element, middle)


@ELEMENT
def test_the_arrow_keys_are_enough(site: Site, element: Element) -> None:
    site.open("all.html")
    first, along = element.sliders[0], element.along
    setting = dict(element.start)
    for slider, key, step in ((along, "ArrowLeft", -1), (first, "ArrowRight", 1), (first, "Home", 0)):
        site.page.focus(f"#live-{element.name}-{slider.name}")
        site.page.keyboard.press(key)
        place = slider.values.index(setting[slider.name])
        last = len(slider.values) - 1
        setting[slider.name] = slider.values[0 if key == "Home" else min(max(place + step, 0), last)]
        agrees(site, element, setting)
        control = site.page.locator(f"#live-{element.name}-{slider.name}")
        assert control.get_attribute("aria-valuetext") == slider.said(setting[slider.name])
        assert site.page.evaluate("document.activeElement.labels[0].textContent.length") > 3
        shown = site.page.locator(f"label[for=live-{element.name}-{slider.name}] .live-value").text_content()
        assert shown == slider.said(setting[slider.name])
    assert site.page.locator(f"#live-{element.name} [aria-live=polite]").count() == 2


@ELEMENT
def test_without_a_script_there_are_a_picture_a_sentence_and_a_table(site: Site, element: Element) -> None:
    site.open("still.html")
    assert not site.page.locator(f"#live-{element.name} form").is_visible()
    agrees(site, element, element.start)
    chart = site.page.locator(f"#live-{element.name} .live-chart")
    assert chart.is_visible() and len(chart.get_attribute("aria-label")) > 40


def test_the_button_goes_on_by_one_generation_and_stops_at_the_last(site: Site) -> None:
    element = live.known()["bag-of-words"]
    site.open("all.html")
    box = site.page.locator("#live-bag-of-words")
    chain = box.locator(".live-chance data[data-name=chain]")
    box.get_by_role("button", name="Back to generation 0").click()
    left = []
    for generation in element.along.values:
        assert shown(site, element)["generation"] == generation
        left.append(float(chain.get_attribute("value")))
        if generation < element.along.values[-1]:
            box.get_by_role("button", name="Next generation").click()
    assert left == sorted(left, reverse=True) and left[0] > 8 > left[-1] >= 1
    assert box.get_by_role("button", name="Next generation").is_disabled()
    first = box.locator(".live-stripe").first.get_attribute("d")
    box.get_by_role("button", name="Another chain").click()
    assert box.locator(".live-stripe").first.get_attribute("d") != first


# Chance -------------------------------------------------------------------------------------------------------------


def test_chains_of_the_page_follow_the_closed_forms(site: Site) -> None:
    """Means over 2,000 seeded chains lie within five standard errors: wrong in less than one test in a million."""
    site.open("all.html")
    script = (
        "([rows, words, g]) => Array.from({length: 2000}, (_, i) => liveElements.bag(rows, words, g, i + 1)[g - 1])"
    )
    counts = np.array(site.page.evaluate(script, [30, 10, 12]))
    assert (counts.sum(axis=1) == 30).all()
    shares = theory.zipf_law(10, 1.0)
    near((counts > 0).sum(axis=1), float(theory.expected_support(12, shares, 30)))
    near(1 - np.sum((counts / 30) ** 2, axis=1), float(theory.expected_heterozygosity(12, 30, shares)))
    for word in (0, 9):
        near(counts[:, word] / 30, shares[word])


@pytest.mark.parametrize("estimator", ["mle", "unbiased"])
def test_bells_of_the_page_follow_the_closed_forms(site: Site, estimator: theory.Estimator) -> None:
    site.open("all.html")
    script = "([rows, way, g]) => Array.from({length: 200}, (_, i) => liveElements.bells(rows, way, g, i + 1)[g - 1])"
    found = json.loads(
        site.page.evaluate(f"JSON.stringify(({script})([20, {str(estimator == 'unbiased').lower()}, 8]))")
    )
    chains = [chain for twelve in found for chain in twelve]
    near(np.log([c["variance"] for c in chains]), float(theory.expected_log_variance(8, 20, estimator)))
    near(np.array([c["variance"] for c in chains]), float(theory.expected_variance(8, 20, estimator)))
    near(np.array([c["mean"] for c in chains]) ** 2, float(theory.mean_drift(8, 20, estimator)))
    near(np.array([c["mean"] for c in chains]), 0.0)


def near(values: np.ndarray, wanted: float) -> None:
    """The mean of independent values lies within five standard errors of what it should be."""
    assert abs(values.mean() - wanted) < 5 * values.std(ddof=1) / np.sqrt(len(values))


# Looks --------------------------------------------------------------------------------------------------------------


def test_nothing_is_cut_and_no_text_is_small_on_a_phone(site: Site) -> None:
    for width in (390, 1280):
        site.page.set_viewport_size({"width": width, "height": 900})
        site.open("all.html")
        assert site.page.evaluate("document.documentElement.scrollWidth") <= width
        sizes = site.page.evaluate(
            "[...document.querySelectorAll('.live svg text')].map(t => parseFloat(getComputedStyle(t).fontSize)"
            " * t.ownerSVGElement.getBoundingClientRect().width / t.ownerSVGElement.viewBox.baseVal.width)"
        )
        assert len(sizes) > 80 and min(sizes) >= 9
        low = site.page.eval_on_selector_all(
            ".live input[type=range], .live button", "all => all.map(e => e.getBoundingClientRect().height)"
        )
        assert min(low) >= 24, "large enough for a finger"
