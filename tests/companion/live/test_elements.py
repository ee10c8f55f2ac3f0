"""Live elements: what the page is given is what `theory` says, for every setting."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from model_collapse import theory
from model_collapse.companion import live
from model_collapse.companion.live import element as parts
from model_collapse.companion.live import page
from model_collapse.companion.live.element import Axis, Element, Slider, formed, sentence

KNOWN = live.known()
ELEMENT = pytest.mark.parametrize("element", KNOWN.values(), ids=KNOWN)


def test_every_file_is_an_element():
    files = {file.stem for file in Path(live.__file__).parent.glob("*.py")} - {"__init__", "element", "page"}
    assert {name.replace("-", "_") for name in KNOWN} == files and len(files) == 8


@ELEMENT
def test_the_page_has_a_row_for_every_setting_and_every_row_has_what_python_computes(element: Element):
    table = json.loads(element.table)
    settings = list(element.settings())
    assert len(table["rows"]) == len(settings) == np.prod([len(slider.values) for slider in element.sliders])
    for i in {0, len(settings) // 3, len(settings) - 1}:
        which, numbers, stripes = table["rows"][i]
        found = element.compute(**settings[i])
        for curve, stored in zip(element.curves, which, strict=True):
            np.testing.assert_allclose(table["arrays"][stored], found.curves[curve.name], rtol=1e-11, atol=1e-300)
        assert numbers == pytest.approx(dict(found.numbers), rel=1e-11)
        assert len(stripes) == len(found.stripes) == len(element.stripes)
    assert np.isfinite(np.concatenate(table["arrays"])).all()


@ELEMENT
def test_what_is_drawn_fits_the_chart_and_the_sentence_has_its_numbers(element: Element):
    assert len(element.table) < 150_000, "a page should stay light"
    for curve in element.curves:
        values = np.array([element.at(setting).curves[curve.name] for setting in list(element.settings())[::7]])
        if curve.drawn and not element.y.log:
            assert all(element.y.has(value) for value in values.ravel()), f"{curve.name} leaves the chart"
    numbers = element.numbers(element.start)
    assert "{" not in sentence(element.said, numbers)
    assert page.html(element).count("<data ") >= len(element.along.values) * len(element.curves)
    assert page.html(element).count('type="range"') + page.html(element).count("<fieldset") == len(element.sliders) + 1


def test_curves_are_those_of_theory():
    """Each curve once more, at one setting, by the name that the page gives."""
    at = {name: element.numbers for name, element in KNOWN.items()}
    bag = at["bag-of-words"]({"words": 20, "rows": 100, "generation": 9})
    shares = theory.zipf_law(20, 1.0)
    assert bag["left"] == pytest.approx(float(theory.expected_support(10, shares, 100)) / 20, rel=1e-11)
    assert bag["variety"] == pytest.approx(0.99**10, rel=1e-11)
    rows = at["real-rows"]({"real": 2, "rows": 1000, "generation": 2000})
    assert rows["limit"] == pytest.approx(1 - float(theory.mixed.fresh_drift_limit(1000, 0.002)), rel=1e-11)
    assert rows["rule"] == pytest.approx(0.8) == pytest.approx(rows["limit"], abs=2e-3)
    ways = at["regimes"]({"rows": 10, "generation": 99})
    assert ways["replace"] == pytest.approx(0.9**100, rel=1e-11) and ways["replace_error"] == 100
    assert ways["accumulate"] == pytest.approx(float(theory.accumulated_variance(100, 10)), rel=1e-11)
    assert ways["accumulate_error"] == pytest.approx(sum(1 / k**2 for k in range(1, 101)), rel=1e-11)
    bells = at["wandering-bells"]({"rows": 50, "estimator": 1, "generation": 100})
    assert bells["mean"] == 1 and bells["drift"] == pytest.approx(np.sqrt(101 / 50), rel=1e-11)
    assert bells["median"] == pytest.approx(float(theory.variance_quantile(0.5, 101, 50, "unbiased")), rel=1e-11)
    word = at["forgotten"]({"count": 5, "rows": 100, "generation": 20})
    assert word["plain"] == pytest.approx(float(theory.survival(21, 0.05, 100)), rel=1e-11)
    assert word["half_weighed"] > word["half"] == pytest.approx(float(theory.forgetting_time(5)), rel=0.05)
    cold = at["temperature"]({"temperature": 0.7, "way": 0, "generation": 1})
    distribution = theory.decoding.wordy_distribution(64, np.random.default_rng(0))
    contexts = theory.decoding.stationary(distribution)
    shared = theory.decoding.shared_mass(theory.decoding.sharpened(distribution, 0.7), distribution, contexts)
    assert cold["shared"] == pytest.approx(shared, rel=1e-11)
    mark = at["watermark"]({"share": 0.4, "threshold": 4, "adoption": 0.5, "tokens": 200})
    found = float(theory.provenance.green_power(0.4, 200, 4))
    assert mark["found"] == pytest.approx(found, rel=1e-11)
    assert mark["harm"] == pytest.approx(float(theory.provenance.harm_left(1 - 0.5 * found, 0.25)), rel=1e-11)
    judge = at["verifier"]({"right": 0.9, "wrong": 0.1, "rows": 100, "error": 0.5})
    assert judge["point"] == pytest.approx(0.9) and 0.5 < judge["accuracy"] < judge["endless"] == 1


@pytest.mark.parametrize("way", range(7))
def test_without_a_change_of_the_distribution_nothing_is_lost(way: int):
    """Temperature 1 and all words: the truth for ever; every cut loses something at once."""
    values = KNOWN["temperature"].at({"temperature": 1.0, "way": way})
    shared = values.curves["shared"]
    assert shared[0] == 1 and (shared[1:] < 0.999).all() == bool(way)
    assert np.sum(values.stripes, axis=0) == pytest.approx(np.ones(len(shared)))


def test_numbers_are_said_with_the_digits_that_people_read():
    assert [formed(value, "%") for value in (0, 1, 0.5, 0.0523, 0.9987, 0.1449, 3e-5)] == [
        *("0 %", "100 %", "50 %", "5.2 %", "99.9 %", "14 %", "0.003 %"),
    ]
    assert (formed(0.000123456, ""), formed(1234.5, "0"), formed(21.0, "")) == ("0.000123", "1,234", "21")
    said = sentence("{a:%} of {b:0}", {"a": 0.25, "b": 8})
    assert said == '<data value="0.25" data-name="a">25 %</data> of <data value="8" data-name="b">8</data>'


def test_axes_have_round_ticks_within_their_ends():
    assert Axis("", 0, 1).ticks() == [0, 0.2, 0.4, 0.6, 0.8, 1]
    assert Axis("", 0, 50).ticks() == [0, 10, 20, 30, 40, 50]
    assert Axis("", 1e-4, 10, log=True).ticks() == pytest.approx([1e-4, 1e-3, 1e-2, 0.1, 1, 10])
    assert Axis("", 1, 100, log=True).place(10) == pytest.approx(0.5)


@pytest.mark.parametrize("wrong", [{"start": 3}, {"values": (1.0,)}, {"words": ("one",)}])
def test_a_slider_begins_at_one_of_its_values(wrong: dict[str, object]):
    with pytest.raises(ValueError, match="the start is one of two or more values"):
        Slider(**{"name": "a", "label": "A", "values": (1.0, 2.0), "start": 1.0} | wrong)


def test_equal_arrays_are_stored_once():
    table = json.loads(KNOWN["watermark"].table)
    accused = {row[0][1] for row in table["rows"]}
    assert len(accused) == 4, "one curve for each threshold"
    assert parts.DIGITS == 12
