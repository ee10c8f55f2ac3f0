"""The book: the overlay of executed notebooks, the address kept in one place, and every page in a real browser."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit
from xml.etree import ElementTree

import nbformat
import pytest
from conftest import Once
from page_faults import VIEWS, barriers, look, opened, too_high
from toy_chapters import chapter
from toy_site import Site, serve

from model_collapse.companion import live
from model_collapse.companion.book import build, epub, runner
from model_collapse.companion.book.chapter import find
from model_collapse.companion.book.executed import problem
from model_collapse.errors import InputError

ROOT = Path(__file__).parents[3]
TOC = ROOT / "book" / "_toc.yml"

FIGURE = """\
import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import HTML, display
from model_collapse.companion.book.notebook import keep, say, show, written
figure, axes = plt.subplots()
axes.plot([0, 1], [1, 0])
table = pd.DataFrame({"generation": [0, 1], "value": [1, 0]})
show(figure, table, "toy-line", "It *falls*: $x_t$, {eq}`toy-distribution`.", "Line: from 1 \\"down\\" to 0 # and on")
say(f"It falls by **{1 - 0:.2f}**, $y_t$; see {{numref}}`toy-line`.")
written({"generation 0": NASTY}, "What it wrote")
display(HTML("<details><summary>A folded command</summary><pre>make book</pre></details>"))
keep("fall", 1.0)"""
NASTY = '<script>window.pwned = 1</script><b id="bold">bold</b> \\(x^2\\) {{numref}}`x`'
LAW = r"""
#md ## The distribution

```{math}
:label: toy-distribution
x_{t+1} = x_t / 2
```

$$x_{t+9} = x_t / 2 / 2 / 2 / 2 / 2 / 2 / 2 / 2 / 2 = \frac{x_t}{512} \quad \text{for every } t = 0, 1, 2, \dots$$
""".strip()
SHORT = "#md **In short.** It *falls* by half, {eq}`toy-distribution`."
IN_PAGE = "#in-page\nprint(6 * 7)"
QUESTIONS = """\
#md ## Check yourself

**1. What is $x_{t+1}$?**

<details><summary>As much as before</summary>

**No.** It falls.

</details>

<details><summary>Half as much</summary>

**Right.** It is half of what it was. By {eq}`toy-distribution` $x_{t+1} = x_t / 2$.

</details>

## What to take away

- It falls: $x_t < x_0$, by {eq}`toy-distribution`.

## Exercises

````{exercise}
:label: toy-exercise

When is $x_t < x_0 / 1000$, by {eq}`toy-distribution`?
````

````{solution} toy-exercise
:class: dropdown

After ten steps.
````
"""
INTRO = """\
# Start

It fell by {glue:text}`../notebooks/01_toy.ipynb::fall:.2f`; {numref}`main` is {numref}`toy-line` again.

```{figure-of} toy-line
:name: main

The same line.
```

```{live} real-rows
```

```{slides}
```

## All that a page can have

```{admonition} A note
A box, with `code` and a [link](#all-that-a-page-can-have). [wrong]{.verdict .verdict-wrong}
```

```{warning}
A box of another colour.
```

| way | what it takes | how long |
|---|---|---|
| one | a line of text that is long enough to be broken on a phone, and another one | a second |

| a remedy | what it does | the damage avoided | tails at the end | training set | not done | chapter |
|---|---|---|---|---|---|---|
| control: real images only | trains on the first data | 100 % of everything | as they were | real | nothing | this |

```python
def f(x: int) -> str:  # a comment
    return f"{x + 1}"
```

```bash
make book PROFILE=smoke    # a line that is longer than a phone is wide, so that it has to scroll in its own box
```

Term
: What it means.
"""


def toy_book(root: Path, cells: list[str] | None = None, intro: str = INTRO) -> Path:
    """A book of one page and one chapter, with this book's configuration and extension."""
    shutil.copytree(ROOT / "book" / "_ext", root / "book" / "_ext", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "book" / "_static", root / "book" / "_static")
    config = (ROOT / "_config.yml").read_text(encoding="utf-8")
    for name in ("speed", "closed_forms", "register", "status", "reviewer"):
        # Pages of this book that no toy has, and that import the whole package.
        config = re.sub(rf"\n *(- {name}|{name}: book/_ext)(?=\n)", "", config)
    (root / "_config.yml").write_text(config, encoding="utf-8")
    (root / "book" / "references.bib").touch()
    (root / "book" / "intro.md").write_text(intro, encoding="utf-8")
    (root / "book" / "_toc.yml").write_text(
        "format: jb-book\nroot: book/intro\nchapters:\n- file: notebooks/01_toy\n", encoding="utf-8"
    )
    chapter(root, "01_toy", cells or [SHORT, f"NASTY = {NASTY!r}", LAW, FIGURE, IN_PAGE, QUESTIONS])
    return root


# The overlay ---------------------------------------------------------------------------------------------------------


def made(root: Path) -> None:
    """Execute and build a toy book in an empty folder."""
    toy_book(root)
    assert runner.run((), "smoke", root=root) == 0
    assert build.build("smoke", root=root) == 0


@pytest.fixture
def toy(once: Once) -> Path:
    """A toy book, executed and built, to be read."""
    return once("toy-book", made)


@pytest.fixture
def own(toy: Path, tmp_path: Path) -> Path:
    """A copy of it, to be changed."""
    return shutil.copytree(toy, tmp_path / "toy")


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


def test_overlay_shows_outputs_and_leaves_the_notebook_clean(toy: Path) -> None:
    page = (toy / "_build/html/notebooks/01_toy.html").read_text(encoding="utf-8")
    assert "It falls by <strong>1.00</strong>" in page
    assert 'alt="Line: from 1 &quot;down&quot; to 0 # and on"' in page
    assert "Fig. 2" in page and "Where this page comes from" in page and "<code" in page
    assert "<em>falls</em>" in page and 'href="#equation-toy-distribution"' in page, (
        "captions are Markdown, with references"
    )
    (link,) = re.findall(r'href="(\.\./_downloads/[^"]+/toy-line\.csv)"', page)
    assert (toy / "_build/html/notebooks" / link).read_text() == "generation,value\n0,1\n1,0\n"
    intro = (toy / "_build/html/book/intro.html").read_text(encoding="utf-8")
    assert re.search(r"It fell by <[^>]*>1\.00<", intro)
    assert 'alt="Line: from 1 &quot;down&quot; to 0 # and on"' in intro
    source = nbformat.read(toy / "notebooks/01_toy.ipynb", as_version=4)
    assert all(not cell.get("outputs") for cell in source.cells)
    published = json.loads((toy / "_build/html/_sources/notebooks/01_toy.ipynb").read_text())
    assert all(not cell.get("outputs") for cell in published["cells"]), "the download is the clean notebook"


def test_a_link_to_a_page_shows_its_title_its_first_sentence_and_a_picture_that_is_there(toy: Path) -> None:
    url, _ = build.repository(ROOT)
    owner, name = urlsplit(url).path.strip("/").split("/")
    html = toy / "_build" / "html"
    for page, title, text in (
        ("book/intro", "Start", "It fell by"),
        ("notebooks/01_toy", "Toy", "What does this show?"),
    ):
        source = (html / f"{page}.html").read_text(encoding="utf-8")
        tags = dict(re.findall(r'<meta (?:property|name)="([^"]+)" content="([^"]*)"', source))
        assert tags["og:title"] == title and tags["og:url"] == f"https://{owner}.github.io/{name}/{page}.html"
        assert tags["og:description"].startswith(text) and tags["description"] == tags["og:description"]
        picture = tags["og:image"].removeprefix(f"https://{owner}.github.io/{name}/")
        assert (html / picture).is_file() and len(tags["og:image:alt"]) > 20


def test_only_pages_that_something_links_to_are_built(toy: Path) -> None:
    html = toy / "_build" / "html"
    found = {str(file.relative_to(html)) for file in html.rglob("*.html")}
    assert {name for name in found if not name.startswith("_static/")} == {
        *("index.html", "search.html", "book/intro.html", "notebooks/01_toy.html", "slides/01_toy.html"),
    }


def test_an_unchanged_build_reads_no_page_and_prose_needs_no_run(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(own / "notebooks/01_toy.ipynb", "What does this show?", "What might this show?")
    assert build.build("smoke", root=own) == 0
    page = (own / "_build/html/notebooks/01_toy.html").read_text(encoding="utf-8")
    assert "What might this show?" in page and "It falls by <strong>1.00</strong>" in page
    read = [own / f"_build/.doctrees/{page}.doctree" for page in ("book/intro", "notebooks/01_toy")]
    before = [page.stat().st_mtime_ns for page in read]
    assert build.build("smoke", root=own) == 0
    assert capsys.readouterr().out.endswith("_build/html/index.html\n")
    assert [page.stat().st_mtime_ns for page in read] == before


def test_a_new_run_reaches_every_page_that_shows_it(own: Path) -> None:
    edit(own / "notebooks/01_toy.ipynb", 'keep(\\"fall\\", 1.0)', 'keep(\\"fall\\", 0.25)')
    assert runner.run((), "smoke", root=own) == 0
    assert build.build("smoke", root=own) == 0
    intro = (own / "_build/html/book/intro.html").read_text(encoding="utf-8")
    assert re.search(r"It fell by <[^>]*>0\.25<", intro)


def _never_run(root: Path) -> None:
    shutil.rmtree(root / "_build" / "executed")


def _changed(root: Path) -> None:
    edit(root / "notebooks/01_toy.ipynb", "axes.plot([0, 1], [1, 0])", "axes.plot([0, 1], [0, 1])")


def _lock_changed(root: Path) -> None:
    manifest = root / "_build/executed/smoke/notebooks/01_toy.json"
    about = json.loads(manifest.read_text())
    about["inputs"]["requirements.lock"] = "other"
    manifest.write_text(json.dumps(about))


def _failed(root: Path) -> None:
    """As the runner leaves a chapter whose code has raised an error: a copy without a manifest."""
    (root / "_build/executed/smoke/notebooks/01_toy.json").unlink()


def _damaged(root: Path) -> None:
    edit(root / "_build/executed/smoke/notebooks/01_toy.ipynb", "1.00", "2.00")


def _no_such_figure(root: Path) -> None:
    edit(root / "book/intro.md", "{figure-of} toy-line", "{figure-of} another-line")


def _broken_reference(root: Path) -> None:
    edit(root / "book/intro.md", "{numref}`toy-line` again", "{numref}`another-line` again")


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (_never_run, "has not been run"),
        (_changed, "is stale (notebook changed)"),
        (_lock_changed, "is stale (requirements.lock changed)"),
        (_damaged, "is damaged"),
        (_failed, "failed or was interrupted (see "),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_copy_that_no_longer_holds(own: Path, harm: Callable[[Path], None], said: str) -> None:
    (only,) = find(own)
    assert problem(only, "smoke") is None
    harm(own)
    (only,) = find(own)
    found = problem(only, "smoke")
    assert found == said or (said.endswith("(see ") and found is not None and found.startswith(said))


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (_changed, "chapter toy is stale (notebook changed); run: model-collapse run toy --profile smoke"),
        (_failed, "chapter toy failed or was interrupted (see "),
        (_no_such_figure, "no chapter shows a figure another-line"),
        (_broken_reference, "another-line"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_bad_page_breaks_the_build_every_time(
    own: Path, capsys: pytest.CaptureFixture[str], harm: Callable[[Path], None], said: str
) -> None:
    harm(own)
    capsys.readouterr()
    # Sphinx must not forget the warnings of pages that it does not read again.
    for _ in range(2 if harm is _broken_reference else 1):
        assert build.build("smoke", root=own) == 1
        lines = [line for line in capsys.readouterr().err.splitlines() if said in line]
        assert len(lines) == 1 and lines[0].startswith("model-collapse: ")


def test_a_figure_without_text_breaks_the_build(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(own / "notebooks/01_toy.ipynb", "figure, axes = plt.subplots()", "figure, axes = plt.subplots(); plt.show()")
    assert runner.run((), "smoke", root=own) == 0
    assert build.build("smoke", root=own) == 1
    assert "a figure without alternative text: show it with `show`" in capsys.readouterr().err


def test_build_refuses_an_unknown_profile() -> None:
    with pytest.raises(InputError, match="--profile huge: not a profile"):
        build.build("huge")


# The address -----------------------------------------------------------------------------------------------------


def test_the_address_stands_in_one_place_and_the_rest_follows() -> None:
    url, branch = build.repository(ROOT)
    notebooks = sorted((ROOT / "notebooks").glob("*.ipynb"))
    assert notebooks
    for file in notebooks:
        cells = [c for c in nbformat.read(file, as_version=4).cells if "colab" in c.metadata.get("tags", [])]
        assert [cell.source for cell in cells] == [build.colab_cell(url, branch)], (
            f"{file.name}: model-collapse address"
        )
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    owner, name = urlsplit(url).path.strip("/").split("/")
    linked = re.findall(r"github(?:\.com|usercontent\.com)?/([\w.-]+)/([\w.-]+)/(?:actions|blob|raw|tree)/", readme)
    assert linked and set(linked) == {(owner, name)}, "badges and Colab links of the README"


def test_address_rewrites_all_that_is_derived(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = toy_book(tmp_path)
    file = root / "notebooks/01_toy.ipynb"
    notebook = nbformat.read(file, as_version=4)
    notebook.cells.insert(1, nbformat.v4.new_code_cell("pass", id="colab", metadata={"tags": ["colab"]}))
    nbformat.write(notebook, file)
    old, branch = build.repository(root)
    slug = old.removeprefix("https://github.com/")
    (root / "README.md").write_text(f"[badge]({old}/actions/x.svg) https://{slug.replace('/', '.github.io/')}/")
    comments = (root / "_config.yml").read_text().count("#")
    assert build.address("https://github.com/Some-One/a.book.git", root=root) == 0
    assert build.repository(root) == ("https://github.com/Some-One/a.book", branch)
    assert (root / "_config.yml").read_text().count("#") == comments
    readme = (root / "README.md").read_text()
    assert readme == "[badge](https://github.com/Some-One/a.book/actions/x.svg) https://some-one.github.io/a.book/"
    written = nbformat.read(file, as_version=4)
    assert written.cells[1].source == build.colab_cell("https://github.com/Some-One/a.book", branch)
    before = file.read_bytes()
    assert build.address(root=root) == 0 and file.read_bytes() == before, "twice is once"
    assert slug not in file.read_text() + readme
    with pytest.raises(InputError, match=r"must be https://github.com/OWNER/NAME"):
        build.address("someone/book", root=root)


# In a browser ----------------------------------------------------------------------------------------------------


@pytest.fixture
def built(once: Once) -> Path:
    """The whole book at profile smoke."""

    def make(out: Path) -> None:
        assert runner.run((), "smoke", root=ROOT) == 0
        assert build.build("smoke", root=ROOT, out=out) == 0

    return once("book", make) / "_build" / "html"


@pytest.fixture
def site(built: Path, browser: object) -> Iterator[Site]:
    """The whole book in a browser; afterwards nobody may have complained."""
    for served in serve(built, browser):
        yield served
        assert served.complaints == []


def test_the_book_has_every_page(built: Path) -> None:
    pages = build.pages(TOC)
    assert {"book/intro", "notebooks/01_gaussian", "notebooks/10_language_model"} <= set(pages)
    assert {f"notebooks/{file.stem}" for file in (ROOT / "notebooks").glob("*.ipynb")} <= set(pages)
    assert {f"book/{file.stem}" for file in (ROOT / "book").glob("*.md")} <= set(pages)
    assert all((built / f"{page}.html").is_file() for page in pages)


@pytest.mark.parametrize("page", build.pages(TOC))
def test_page_renders(site: Site, page: str) -> None:
    check_page(site, page)


@pytest.mark.parametrize("page", build.pages(TOC))
def test_page_is_whole_and_has_no_barriers(site: Site, page: str) -> None:
    for view, (size, scheme) in VIEWS.items():
        opened(site, f"{page}.html", size, scheme)
        assert (view, look(site), barriers(site)) == (view, [], [])


@pytest.mark.parametrize("page", ["book/intro", "notebooks/01_toy"])
def test_a_page_of_the_toy_book_renders(toy: Path, browser: object, page: str) -> None:
    for site in serve(toy / "_build" / "html", browser):
        check_page(site, page)
        assert site.complaints == []


def check_page(site: Site, page: str) -> None:
    """Open a page: figures are shown, described and have their tables; equations are set."""
    site.open(f"{page}.html")
    images = site.page.evaluate(
        """Promise.all([...document.querySelectorAll("article img")].map((image) => {
             image.loading = "eager";
             return image.decode().then(() => [image.getAttribute("src"), image.naturalWidth, image.alt || ""]);
           }))"""
    )
    for source, width, alt in images:
        assert width > 0, f"{source} is not shown"
        assert len(alt) > 10, f"{source} has no alternative text"
    assert (
        site.page.evaluate("[...document.querySelectorAll('.math')].filter(m => !m.querySelector('mjx-container'))")
        == []
    )
    assert site.page.locator("mjx-merror, [data-mjx-error]").count() == 0
    assert "\\[" not in site.page.inner_text("main").replace("\\[0", "")
    if page.startswith("notebooks/"):
        assert len(images) > 0, "a chapter shows figures"
        links = site.page.eval_on_selector_all("figure a.download", "links => links.map(link => link.pathname)")
        assert len(links) == site.page.locator("article figure").count(), "every figure offers its table"
        assert all((site.html / link.lstrip("/")).stat().st_size > 20 for link in links)
        assert site.page.locator(".provenance").count() == 1


def test_equations_are_there_to_be_rendered(site: Site) -> None:
    site.open("notebooks/01_gaussian.html")
    assert site.page.locator("div.math mjx-container").count() >= 5


def test_search_finds_perplexity(site: Site) -> None:
    site.open("search.html?q=perplexity")
    site.page.wait_for_selector("#search-results li a")
    found = site.page.eval_on_selector_all("#search-results li a", "links => links.map(link => link.pathname)")
    assert "/notebooks/10_language_model.html" in found
    site.page.wait_for_load_state("networkidle")


def test_navigation_reaches_every_page(site: Site) -> None:
    site.open("index.html")
    site.page.wait_for_url("**/book/intro.html*")
    expected = [f"/{page}.html" for page in build.pages(TOC)]
    side = site.page.eval_on_selector_all(".bd-sidebar-primary nav a", "links => links.map(link => link.pathname)")
    assert set(expected) <= set(side)
    walked = [urlsplit(site.page.url).path]
    while site.page.locator("a.right-next").count():
        site.page.click("a.right-next")
        site.page.wait_for_load_state()
        walked.append(urlsplit(site.page.url).path)
        assert len(walked) <= len(expected)
    assert walked == expected
    site.page.click("a.left-prev")
    site.page.wait_for_url(f"**{expected[-2]}")


def test_launch_and_source_links_name_files_that_exist(site: Site) -> None:
    url, branch = build.repository(ROOT)
    slug = url.removeprefix("https://github.com/")
    for page in build.pages(TOC):
        site.open(f"{page}.html")
        links = site.page.eval_on_selector_all("a", "links => links.map(link => link.href)")
        colab = [link for link in links if link.startswith("https://colab.research.google.com/")]
        assert len(colab) >= page.startswith("notebooks/")
        start = f"https://colab.research.google.com/github/{slug}/blob/{branch}/"
        named = [link.removeprefix(start) for link in colab]
        edited = [link.removeprefix(f"{url}/edit/{branch}/") for link in links if "/edit/" in link]
        assert edited, "every page says where it can be edited"
        assert all((ROOT / path.partition("#")[0]).is_file() for path in named + edited)


def test_claims_are_sorted_and_filtered(site: Site) -> None:
    from model_collapse.companion import claims

    site.open("book/claims.html")
    rows = site.page.locator("table.claims tbody tr:visible")
    assert rows.count() == len(claims.known())
    site.page.fill(".claims-filter input", "GA-1 gaussian")
    assert rows.count() == 1 and site.page.inner_text(".claims-filter output").startswith("1 of ")
    site.page.fill(".claims-filter input", "")
    site.page.select_option(".claims-filter select >> nth=0", "gpu")
    assert rows.count() == sum(claim.scale == "gpu" for claim in claims.known().values())
    site.page.select_option(".claims-filter select >> nth=0", "simulation")
    for _ in range(2):
        site.page.click("table.claims th:has-text('cost') button")
    spent = site.page.locator("table.claims tbody tr:visible td:nth-child(6)").all_inner_texts()
    spent = [text for text in spent if text[0].isdigit()]
    seconds = [float(text.split()[0]) * (60 if " min" in text else 1) for text in spent]
    assert seconds == sorted(seconds, reverse=True) and len(set(seconds)) > 9
    site.page.select_option(".claims-filter select >> nth=0", "")
    menu = site.page.locator(".claims-filter select >> nth=1")
    said = site.page.inner_text("article p:has(strong:text('claims:'))")
    for verdict in menu.locator("option").all_inner_texts()[1:]:
        menu.select_option(verdict)
        assert 0 < rows.count() < len(claims.known()) and f" {rows.count()} {verdict}" in said, (
            "totals, and every verdict"
        )
    table = site.page.locator("table.claims")
    assert table.evaluate("table => table.scrollWidth - table.clientWidth") <= 0, "no column is cut"
    site.page.goto(f"{site.address}/book/claims.html#claim-wf-3")
    assert "heterozygosity" in site.page.inner_text("#claim-wf-3")


def test_slides_fit(site: Site) -> None:
    """Every slide of every chapter is as high as a projector's window, and has a title and something below it."""
    site.page.set_viewport_size({"width": 1280, "height": 720})
    for file in sorted((ROOT / "notebooks").glob("*.ipynb")):
        site.open(f"slides/{file.stem}.html")
        kinds = site.page.eval_on_selector_all("main > section", "all => all.map(slide => slide.className)")
        assert (kinds[0], kinds[-1]) == ("opening", "summary") and len(kinds) > 2, file.stem
        assert too_high(site) == [], file.stem


def test_the_epub_of_the_whole_book(built: Path, tmp_path: Path) -> None:
    """Every page is XML, and every equation was found."""
    epub.write(built, build.pages(TOC), tmp_path / "book.epub", "Title", "https://example.github.io/book")
    with zipfile.ZipFile(tmp_path / "book.epub") as packed:
        pages = {name: packed.read(name) for name in packed.namelist() if name.endswith(".xhtml")}
    for name, page in pages.items():
        text = " ".join("".join(ElementTree.fromstring(page).itertext()).split())
        assert "\\[\\begin" not in text, name
    assert len(pages) == len(build.pages(TOC)) + 1


def test_opens_from_the_disk_without_a_server(site: Site) -> None:
    site.page.goto((site.html / "index.html").as_uri())
    site.page.wait_for_url("**/book/intro.html*")
    site.page.goto((site.html / "notebooks" / "01_gaussian.html").as_uri())
    site.page.wait_for_selector("mjx-container")
    picture = site.page.locator("main figure img").first
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0


def test_a_live_element_answers_on_its_page_and_other_pages_load_no_script_for_it(toy: Path, browser: object) -> None:
    for site in serve(toy / "_build" / "html", browser):
        site.open("book/intro.html")
        site.page.focus("#live-real-rows-real")
        site.page.keyboard.press("ArrowRight")
        wanted = live.known()["real-rows"].numbers({"real": 2, "rows": 100, "generation": 2000})["variance"]
        said = site.page.get_attribute("#live-real-rows .live-said data[data-name=variance]", "value")
        assert float(said) == pytest.approx(wanted, rel=1e-9)
        site.open("notebooks/01_toy.html")
        assert site.page.locator("script[src*='live.js']").count() == 0
        assert site.complaints == []


def test_a_link_shows_what_it_leads_to_until_it_is_left(toy: Path, browser: object) -> None:
    for site in serve(toy / "_build" / "html", browser):
        preview = site.page.locator(".preview")
        site.open("book/intro.html")
        assert not preview.is_visible()
        site.page.hover("article p a:has-text('Fig. 2')")
        preview.locator("img.only-light").wait_for()
        assert preview.locator("img.only-light").evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
        preview.locator("mjx-container").wait_for()  # on a page that has no equation, and no MathJax, of its own
        assert preview.get_attribute("role") == "tooltip" and "It falls" in preview.inner_text()
        assert site.page.evaluate("document.querySelectorAll('[id=toy-line]').length") <= 1, "no name is given twice"
        site.page.keyboard.press("Escape")
        assert not preview.is_visible()
        site.open("notebooks/01_toy.html")
        site.page.focus("article a.internal[href='#equation-toy-distribution']")
        preview.locator("mjx-container").wait_for()
        assert (
            site.page.get_attribute("article a.internal[href='#equation-toy-distribution']", "aria-describedby")
            == "preview"
        )
        site.page.focus("article a.download")
        preview.wait_for(state="hidden")
        site.page.goto((site.html / "book" / "intro.html").as_uri())
        site.page.hover("article p a:has-text('Fig. 2')")
        site.page.wait_for_timeout(500)
        assert not preview.is_visible(), "from the disk another page cannot be read, and nothing is said"
        assert site.complaints == []


def test_what_a_model_wrote_is_shown_and_never_run(toy: Path, browser: object) -> None:
    for site in serve(toy / "_build" / "html", browser):
        site.open("notebooks/01_toy.html")
        assert site.page.evaluate("window.pwned") is None
        assert site.page.locator("#bold").count() == 0
        assert site.page.inner_text("table.written td") == NASTY
        assert site.page.locator("table.written mjx-container").count() == 0
        assert site.complaints == []
