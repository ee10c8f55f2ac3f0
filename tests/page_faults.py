"""What can be wrong with how a page looks: found in a real browser, one line for each fault."""

from __future__ import annotations

import re

from axe_playwright_python.sync_playwright import Axe
from toy_site import Site

DESKTOP, PHONE = (1280, 900), (390, 844)
VIEWS = {"desktop": (DESKTOP, "light"), "phone": (PHONE, "light"), "dark": (DESKTOP, "dark")}
"""Size of the window, and whether it is light or dark."""
SMALLEST = 9
"""Height of letters in pixels, at least."""

LOOK = """
smallest => {
  const wrong = [];
  const tell = (what, element) => wrong.push(`${what}: ${element.outerHTML.replace(/\\s+/g, " ").slice(0, 120)}`);
  const shown = (e) => e.checkVisibility({ visibilityProperty: true, opacityProperty: true });
  const root = document.scrollingElement;
  const column = document.querySelector("article, .bd-search-container").getBoundingClientRect();
  const over = root.scrollWidth - root.clientWidth;
  if (over > 0) wrong.push(`the page scrolls sideways by ${over} px`);

  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = texts.nextNode(); text; text = texts.nextNode()) {
    const parent = text.parentElement;
    if (!text.data.trim() || !shown(parent) || parent.closest("sub, sup, mjx-assistive-mml, script, style")) continue;
    const drawn = parent.closest("svg") && parent.getScreenCTM ? parent.getScreenCTM().a : 1;
    if (drawn * parseFloat(getComputedStyle(parent).fontSize) < smallest) tell("small text", parent);
  }

  document.querySelectorAll("mjx-merror, [data-mjx-error]").forEach((error) => tell("an equation that is none", error));

  // What is wider than the column has to have a box of its own in which it scrolls.
  const box = (e) => {
    for (let outer = e; outer && outer.tagName !== "ARTICLE"; outer = outer.parentElement)
      if (/auto|scroll/.test(getComputedStyle(outer).overflowX)) return outer;
    return e;
  };
  const fits = (e) => box(e).getBoundingClientRect().right <= column.right + 1;
  const cut = (e) => {
    for (let outer = e.parentElement; outer && outer.tagName !== "ARTICLE"; outer = outer.parentElement)
      if (/hidden|clip/.test(getComputedStyle(outer).overflowX))
        return e.getBoundingClientRect().right > outer.getBoundingClientRect().right + 1;
    return false;
  };
  const scrolls = (e) => box(e).scrollWidth > box(e).clientWidth + 1;
  const wide = innerWidth >= 1280;
  for (const table of document.querySelectorAll("article table")) {
    if (!shown(table) || table.closest(".live-scroll")) continue;
    if (!fits(table) || cut(table) || (wide && scrolls(table))) tell("a cut table", table);
  }
  for (const equation of document.querySelectorAll("article mjx-container[display=true]")) {
    const beyond = !fits(equation) || cut(equation) || (wide && scrolls(equation));
    if (shown(equation) && beyond) tell("an equation beyond its column", equation);
  }
  return wrong;
}
"""


FIGURES = """
() => Promise.all(
  [...document.querySelectorAll("article figure img[src$='.svg']")]
    .filter((image) => image.checkVisibility())
    .map(async (image) => [image.getAttribute("src"), image.clientWidth, await (await fetch(image.src)).text()]),
)
"""


def look(site: Site) -> list[str]:
    """What is wrong with the open page at its present width: size of text, width of everything, equations."""
    return site.page.evaluate(LOOK, SMALLEST) + (
        small_letters(site) if site.page.viewport_size["width"] >= 1280 else []
    )


def small_letters(site: Site) -> list[str]:
    """Figures with letters that are too small as shown. matplotlib writes a letter of 10 points as scale(0.1 -0.1)."""
    figures = site.page.evaluate(FIGURES)
    wrong = []
    for source, width, svg in figures:
        points = [100 * float(scale) for scale in re.findall(r"scale\(([\d.]+) -[\d.]+\)", svg)]
        across = float(re.search(r'viewBox="0 0 ([\d.]+) ', svg)[1])
        if points and min(points) * width / across < SMALLEST:
            wrong.append(f"small letters: {min(points) * width / across:.1f} px in {source}")
    return wrong


def barriers(site: Site) -> list[str]:
    """Serious and critical findings of axe about the open page."""
    found = Axe().run(site.page, options={"resultTypes": ["violations"], "preload": False}).response["violations"]
    return [
        f"{one['impact']}: {one['id']}: {node['html'][:160]}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


def too_high(site: Site) -> list[str]:
    """Titles of the slides of the open deck that are higher than the window."""
    return site.page.eval_on_selector_all(
        "main > section",
        "all => all.filter(s => s.scrollHeight > innerHeight + 1).map(s => s.querySelector('h1, h2').innerText)",
    )


def opened(site: Site, page: str, size: tuple[int, int], scheme: str) -> None:
    """Open a page in a window of this size, light or dark, with all that is folded open."""
    site.page.set_viewport_size(dict(zip(("width", "height"), size, strict=True)))
    site.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    site.open(page)
    site.page.evaluate("document.querySelectorAll('article details').forEach((folded) => (folded.open = true))")
    site.page.evaluate("Promise.all(document.getAnimations().map((moving) => moving.finished)).then(() => null)")
