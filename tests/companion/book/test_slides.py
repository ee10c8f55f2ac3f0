"""Slides: what of a chapter is on them, and that a browser shows, turns and prints them."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

import pytest
from conftest import Once
from page_faults import barriers, too_high
from pypdf import PdfReader
from toy_site import Site, serve

from companion.book.test_book import made

DECK = "slides/01_toy.html"


@pytest.fixture
def site(once: Once, browser: object) -> Iterator[Site]:
    """The slides of the toy chapter, in a window of a projector's shape."""
    for site in serve(once("toy-book", made) / "_build" / "html", browser):
        site.page.set_viewport_size({"width": 1280, "height": 720})
        site.open(DECK)
        yield site
        assert site.complaints == []


def test_a_deck_has_question_short_answer_figures_and_what_to_take_away(site: Site) -> None:
    kinds = site.page.eval_on_selector_all("main > section", "all => all.map(slide => slide.className)")
    assert kinds == ["opening", "figure", "summary"]
    assert site.page.locator("h1, h2").all_inner_texts() == ["Toy", "The distribution", "What to take away"]
    opening, figure, summary = (re.sub(r"\s+", " ", text) for text in site.page.locator(".on").all_inner_texts())
    assert "It falls by half, (1)." in opening and "Check yourself" not in opening
    assert figure.startswith("Fig. 2") and "It falls:" in figure and "Data of this figure" not in figure
    assert summary.startswith("It falls:") and "toy-distribution" not in summary
    picture = site.page.locator("figure img")
    assert picture.count() == 1 and picture.get_attribute("alt") == 'Line: from 1 "down" to 0 # and on'
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0


def test_a_deck_leads_to_its_chapter_and_is_linked(site: Site) -> None:
    links = site.page.eval_on_selector_all("a", "all => all.map(link => link.getAttribute('href'))")
    assert set(links) == {"../notebooks/01_toy.html", "../notebooks/01_toy.html#equation-toy-distribution"}
    site.open("book/intro.html")
    site.page.click("article a:has-text('Toy') >> nth=-1")
    assert site.page.url == f"{site.address}/{DECK}"


def test_equations_of_slides_are_set(site: Site) -> None:
    assert site.page.locator("mjx-container").count() >= 2 and "\\(" not in site.page.inner_text("main")


def test_keys_turn_slides_over(site: Site) -> None:
    def shown() -> float:
        return site.page.evaluate("scrollY / innerHeight")

    for key, slide in (("ArrowRight", 1), (" ", 2), ("ArrowRight", 2), ("PageUp", 1), ("Home", 0), ("End", 2)):
        site.page.keyboard.press(key)
        assert shown() == pytest.approx(slide, abs=0.01), key


def test_slides_fit_and_have_no_barriers(site: Site) -> None:
    assert too_high(site) == []
    assert barriers(site) == []


def test_every_slide_is_printed_on_a_sheet_of_its_own(site: Site) -> None:
    printed = PdfReader(io.BytesIO(site.page.pdf(prefer_css_page_size=True)))
    assert len(printed.pages) == 3
    width, height = printed.pages[0].mediabox.width, printed.pages[0].mediabox.height
    assert width / height == pytest.approx(16 / 9, rel=0.01)
