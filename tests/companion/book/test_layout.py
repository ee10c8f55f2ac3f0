"""Pages in a real browser at three widths and colours: legible, whole, light to load, and open to everybody."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from conftest import Once
from page_faults import DESKTOP, PHONE, VIEWS, barriers, look, opened
from toy_site import Site, serve

from companion.book.test_book import made

PAGES = ["book/intro.html", "notebooks/01_toy.html", "search.html"]


@pytest.fixture
def site(once: Once, browser: object) -> Iterator[Site]:
    """The toy book."""
    yield from serve(once("toy-book", made) / "_build" / "html", browser)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_whole_and_legible_and_has_no_barriers(site: Site, page: str, view: str) -> None:
    opened(site, page, *VIEWS[view])
    assert look(site) == []
    assert barriers(site) == []
    assert site.complaints == []


@pytest.mark.parametrize(
    ("html", "said"),
    [
        ('<div style="width: 3000px">wide</div>', "the page scrolls sideways"),
        ('<p style="font-size: 8px">small</p>', "small text"),
        ('<svg viewBox="0 0 100 10" width="50"><text y="9" font-size="12">small</text></svg>', "small text"),
        (r"<p>\(x^2^3\)</p>", "an equation that is none"),
        ('<div style="overflow: hidden; width: 300px"><table style="width: 400px"><td>x</table></div>', "a cut table"),
        ('<div style="overflow: auto; width: 300px"><table style="width: 400px"><td>x</table></div>', "a cut table"),
        (rf"<div>\[{'x + ' * 200}x\]</div>", "an equation beyond its column"),
    ],
)
def test_a_page_that_is_broken_is_found(site: Site, html: str, said: str) -> None:
    opened(site, "notebooks/01_toy.html", DESKTOP, "light")
    site.page.evaluate(
        """async (html) => {
             document.querySelector("article").insertAdjacentHTML("beforeend", html);
             await MathJax.typesetPromise([document.querySelector("article").lastElementChild]);
           }""",
        html,
    )
    assert any(said in line for line in look(site))


def test_letters_of_a_figure_that_are_too_small_are_found(site: Site) -> None:
    opened(site, "notebooks/01_toy.html", DESKTOP, "light")
    assert look(site) == []
    site.page.add_style_tag(content="figure img { width: 300px; height: auto }")
    (found,) = look(site)
    assert re.match(r"small letters: [5-8]\.\d px in \.\./_images/toy-line\.svg", found)


@pytest.mark.parametrize(
    ("html", "said"),
    [
        ('<p style="color: #bbb; background: #fff">pale</p>', "color-contrast"),
        ("<button></button>", "button-name"),
        ('<img src="../_static/favicon.svg">', "image-alt"),
    ],
)
def test_a_barrier_is_found(site: Site, html: str, said: str) -> None:
    opened(site, "notebooks/01_toy.html", DESKTOP, "light")
    site.page.evaluate("html => document.querySelector('article').insertAdjacentHTML('beforeend', html)", html)
    assert any(f": {said}: " in line for line in barriers(site))


def test_the_keyboard_scrolls_an_equation_that_is_wider_than_a_phone(site: Site) -> None:
    opened(site, "notebooks/01_toy.html", PHONE, "light")
    wide = site.page.locator("mjx-container[display=true][tabindex='0']")
    assert wide.count() == 1
    wide.focus()
    site.page.keyboard.press("ArrowRight")
    site.page.wait_for_function("document.activeElement.scrollLeft > 0")
    site.page.set_viewport_size({"width": DESKTOP[0], "height": DESKTOP[1]})
    site.page.wait_for_function("!document.querySelector('mjx-container[tabindex]')")


def test_a_table_of_sentences_becomes_cards_on_a_phone_and_one_of_numbers_does_not(site: Site) -> None:
    sentence = "a sentence that is far too long for a column of a phone"
    head = "<thead><tr><th>what</th><th>paper</th><th>here</th></tr></thead>"
    tables = [
        f"<table class='table'>{head}<tbody><tr><td>x</td><td>{cell}</td><td>{cell}</td></tr></tbody></table>"
        for cell in (sentence, "1.5")
    ]
    site.page.route(
        "**/01_toy.html",
        lambda route: route.fulfill(
            body=(site.html / "notebooks/01_toy.html")
            .read_text("utf-8")
            .replace("</article>", "".join(tables) + "</article>")
        ),
    )
    opened(site, "notebooks/01_toy.html", PHONE, "light")
    # Whether the cells of the first and of the second table lie below each other, within the page.
    stacked = """(wanted) => [...document.querySelectorAll("article > table")].map((table) => {
      const boxes = [...table.querySelectorAll("td")].map((cell) => cell.getBoundingClientRect());
      return boxes[0].bottom <= boxes[1].top && boxes.every((box) => box.right <= innerWidth);
    }).join() === wanted"""
    site.page.wait_for_function(stacked, arg="true,false")
    assert site.page.locator("article > table.cards td").nth(2).get_attribute("data-column") == "here"
    site.page.set_viewport_size({"width": DESKTOP[0], "height": DESKTOP[1]})
    site.page.wait_for_function(stacked, arg="false,false")


# Weight --------------------------------------------------------------------------------------------------------------


def loaded(site: Site, page: str) -> dict[str, int]:
    """Path -> bytes of what the browser loads from the site for a page."""
    got: dict[str, int] = {}
    with site.page.expect_event("load"):
        site.page.on("response", lambda answer: got.setdefault(answer.url, 0))
        site.open(page)
    site.page.wait_for_load_state("networkidle")
    paths = {url.partition("?")[0].removeprefix(f"{site.address}/") for url in got}
    return {path: (site.html / path).stat().st_size for path in paths}


def test_pages_load_only_what_they_use(site: Site) -> None:
    site.page.set_viewport_size({"width": 1280, "height": 900})
    plain, chapter = loaded(site, "book/intro.html"), loaded(site, "notebooks/01_toy.html")
    assert not [path for path in plain if "mathjax" in path], "no equation, no MathJax"
    assert sum("mathjax" in path for path in chapter) > 3
    for paths in (plain, chapter):
        assert not [path for path in paths if re.search("fontawesome.js|searchindex|searchtools", path)]
        assert not [path for path in paths if path.endswith("-dark.svg")], "twins of figures wait for dark mode"
        assert sum(paths[path] for path in paths if "webfonts" in path) < 20_000
    assert sum(plain.values()) < 800_000 and sum(chapter.values()) < 1_700_000
    assert "searchindex.js" in loaded(site, "search.html?q=toy")


def test_every_icon_is_drawn(site: Site) -> None:
    """An icon that its font lacks is a box, which is as wide as any other missing sign."""
    opened(site, "notebooks/01_toy.html", DESKTOP, "light")
    widths = """() => {
      const across = (font, sign) => {
        const pen = document.createElement("canvas").getContext("2d");
        pen.font = font;
        return pen.measureText(sign).width;
      };
      return [...document.querySelectorAll("[class*='fa-']")].map((icon) => {
        const { content, fontFamily, fontWeight } = getComputedStyle(icon, "::before");
        const sign = content.replace(/^"(.).*$/u, "$1");
        const font = (family) => `${fontWeight} 100px ${family}`;
        return [icon.className, across(font(fontFamily), sign), across(font("sans-serif"), sign)];
      });
    }"""
    site.page.evaluate("document.fonts.ready.then(() => null)")
    icons = site.page.evaluate(widths)
    assert len(icons) > 10
    assert [name for name, own, missing in icons if own == missing or not own] == []


# Figures -------------------------------------------------------------------------------------------------------------


def test_outputs_stand_on_the_ground_of_a_dark_page(site: Site) -> None:
    opened(site, "notebooks/01_toy.html", DESKTOP, "dark")
    outputs = site.page.locator(".cell_output .text_html")
    assert outputs.count() == 2
    for output in outputs.all():
        assert output.evaluate("output => getComputedStyle(output).backgroundColor") == "rgba(0, 0, 0, 0)"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_of_a_figure_and_its_twin_one_is_shown(site: Site, scheme: str) -> None:
    opened(site, "notebooks/01_toy.html", DESKTOP, scheme)
    site.page.locator("#toy-line").scroll_into_view_if_needed()
    images = site.page.locator("#toy-line img")
    assert images.count() == 2
    assert [images.nth(i).is_visible() for i in range(2)] == [scheme == "light", scheme == "dark"]
    shown = images.nth(["light", "dark"].index(scheme))
    assert shown.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    assert shown.get_attribute("alt") == 'Line: from 1 "down" to 0 # and on'
    assert shown.evaluate("image => image.clientWidth / image.clientHeight") == pytest.approx(
        shown.evaluate("image => image.getAttribute('width') / image.getAttribute('height')"), rel=0.01
    )
    assert site.page.locator("#toy-line a.image-reference:visible").count() == 1


# Self-test questions -------------------------------------------------------------------------------------------------


def test_an_answer_opens_by_keyboard_and_says_why(site: Site) -> None:
    opened(site, "notebooks/01_toy.html", PHONE, "light")
    answers = site.page.locator("section#check-yourself details")
    assert answers.count() == 2
    site.page.evaluate("document.querySelectorAll('details').forEach((folded) => (folded.open = false))")
    assert not site.page.get_by_text("It is half of what it was.").is_visible()
    answers.nth(1).locator("summary").focus()
    site.page.keyboard.press("Enter")
    assert site.page.get_by_text("It is half of what it was.").is_visible()
    assert answers.nth(1).locator("mjx-container").count() == 1, "an answer has equations"
    assert answers.nth(1).locator("a.reference").count() == 1, "and references"
