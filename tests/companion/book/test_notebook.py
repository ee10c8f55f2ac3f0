"""What notebooks call: settings, figures, sentences, texts, saving, and the first cell on Colab."""

from __future__ import annotations

import base64
import io
import re
import subprocess
import sys
import types
import unicodedata
from html.parser import HTMLParser
from importlib import metadata
from pathlib import Path
from typing import Any

import IPython.display
import matplotlib
import pandas as pd
import pytest

matplotlib.use("agg")
from matplotlib import pyplot

from model_collapse import paths
from model_collapse.analysis import stats
from model_collapse.companion.book import build, notebook
from model_collapse.companion.book import colab as colab_setup
from model_collapse.companion.book.markup import repeated_share
from model_collapse.errors import InputError

NASTY = '<script>window.pwned = 1</script><b>bold</b> & "quoted" $x^2$ \\(y\\)'


class Seen(HTMLParser):
    """Tags, attributes and text of a piece of HTML."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: dict[str, str | None] = {}
        self.text: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {f"{tag}.{name}": value for name, value in attrs}

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture
def displayed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, dict[str, Any]]]:
    """What was displayed: contents and metadata."""
    seen: list[tuple[Any, dict[str, Any]]] = []

    def display(content: Any, raw: bool = False, metadata: dict[str, Any] | None = None) -> None:
        seen.append((content, metadata or {}))

    monkeypatch.setattr(IPython.display, "display", display)
    return seen


def test_show_gives_image_text_and_table(displayed: list[tuple[Any, dict[str, Any]]]) -> None:
    figure, axes = pyplot.subplots()
    axes.plot([0, 1], [1, 0])
    table = pd.DataFrame({"generation": [0, 1], "value": [1.0, 1 / 3]})
    notebook.show(
        figure, table, "a-line", 'Falls, as {eq}`distribution` <says> "so"', "A line\n  that falls <from> 1 to 0"
    )
    ((content, about),) = displayed
    seen = Seen(content["text/html"])
    assert seen.attributes["img.alt"] == "A line that falls <from> 1 to 0" == content["text/plain"]
    assert "".join(seen.text) == 'Falls, as distribution <says> "so" Data (CSV)'
    assert seen.tags == ["figure", "img", "figcaption", "a"]
    assert seen.attributes["a.download"] == "a-line.csv"
    link = base64.b64decode(seen.attributes["a.href"].removeprefix("data:text/csv;base64,")).decode()
    assert link == content["text/csv"]
    pd.testing.assert_frame_equal(pd.read_csv(io.StringIO(link)), table)
    image = base64.b64decode(content["image/png"])
    assert pyplot.imread(io.BytesIO(image)).shape[1] // 2 == about["model_collapse"]["width"]
    assert seen.attributes["img.src"] == f"data:image/png;base64,{content['image/png']}"
    told = about["model_collapse"]
    assert told["caption"] == 'Falls, as {eq}`distribution` <says> "so"'
    assert pyplot.imread(io.BytesIO(image)).shape[0] // 2 == told["height"]
    assert not pyplot.fignum_exists(figure.number), "closed, or it would be shown twice"


def test_show_gives_the_figure_as_lines_which_are_the_same_every_time(
    displayed: list[tuple[Any, dict[str, Any]]],
) -> None:
    for _ in range(2):
        figure, axes = pyplot.subplots()
        axes.plot([0, 1], [1, 0], label="line")
        axes.legend()
        notebook.show(figure, pd.DataFrame({"x": [1]}), "a-line", "caption", "A line that falls")
    (first, about), (second, _) = displayed
    svg = first["image/svg+xml"]
    assert svg == second["image/svg+xml"] and "<text" not in svg, "letters are outlines"
    across, down = (float(size) for size in re.search(r'viewBox="0 0 (\S+) (\S+)"', svg).groups())
    told = about["model_collapse"]
    assert across / down == pytest.approx(told["width"] / told["height"], rel=0.01)
    assert across * notebook.DPI / 2 / 72 == pytest.approx(told["width"], abs=1)


def test_only_a_map_of_colours_has_no_twin(displayed: list[tuple[Any, dict[str, Any]]]) -> None:
    for draw in (lambda axes: axes.pcolormesh([[1, 2]]), lambda axes: axes.imshow([[1, 2]])):
        figure, axes = pyplot.subplots()
        draw(axes)
        notebook.show(figure, pd.DataFrame({"x": [1]}), "a-map", "caption", "A map of two cells")
    assert [about["model_collapse"]["twin"] for _, about in displayed] == [False, True]


@pytest.mark.parametrize(("name", "alt"), [("A Line", "alt"), ("../x", "alt"), ("", "alt"), ("a-line", " ")])
def test_show_refuses_a_figure_without_text_or_a_name_that_is_no_file(name: str, alt: str) -> None:
    with pytest.raises(ValueError, match="figure"):
        notebook.show(pyplot.figure(), pd.DataFrame(), name, "caption", alt)
    pyplot.close("all")


def test_say_shows_markdown(displayed: list[tuple[Any, dict[str, Any]]]) -> None:
    notebook.say("a **bold** $x$")
    ((content, about),) = displayed
    assert content["text/markdown"] == "a **bold** $x$" and about == {"model_collapse": {"kind": "say"}}


def test_changes_are_seed_by_seed(displayed: list[tuple[Any, dict[str, Any]]]) -> None:
    values = {(0, 0): 2.0, (0, 1): 3.0, (1, 0): 4.0, (1, 1): 2.0}
    rows = [{"metric": "m", "item": "x", "replicate": r, "generation": g, "value": v} for (r, g), v in values.items()]
    notebook.changes({"A": pd.DataFrame(rows)}, {"thing": ("m", "x")})
    notebook.changes({"A": pd.DataFrame(rows)}, {"thing": ("m", "x")}, relative=True)
    plain, relative = (content["text/markdown"].splitlines() for content, _ in displayed)
    expected = [stats.mean(x) for x in ([2.0, 4.0], [3.0, 2.0], [1.0, -2.0])]
    assert plain[2:] == [f"| thing | A | {' | '.join(format(e, '.3g') for e in expected)} |"]
    assert relative[2] == f"| thing | A | {expected[0]:.3g} | {expected[1]:.3g} | {stats.mean([0.5, -0.5]):.0%} |"
    assert len(plain) == 3 and plain[0].count("|") == plain[1].count("|") == plain[2].count("|")


def test_keep_is_silent_without_the_runner(
    displayed: list[tuple[Any, dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MODEL_COLLAPSE_RUNNER", raising=False)
    monkeypatch.setenv("MODEL_COLLAPSE_JOBS", "2")  # a user's choice, and no sign of the runner
    notebook.keep("ratio", 1.5)
    assert displayed == []
    monkeypatch.setenv("MODEL_COLLAPSE_RUNNER", "1")
    notebook.keep("ratio", pd.Series([1.5]).mean())
    ((content, about),) = displayed
    assert content == {"application/papermill.record/text/plain": "1.5"} and about["scrapbook"]["name"] == "ratio"


@pytest.mark.parametrize(
    "texts", [{NASTY: NASTY}, pd.DataFrame({"generation": [NASTY], NASTY: [NASTY]})], ids=["mapping", "frame"]
)
def test_written_escapes_everything(displayed: list[tuple[Any, dict[str, Any]]], texts: Any) -> None:
    notebook.written(texts, caption=NASTY)
    seen = Seen(displayed[0][0].data)
    assert set(seen.tags) <= {"table", "caption", "thead", "tbody", "tr", "th", "td"}
    assert seen.text.count(NASTY) >= 3, "shown as it was written"
    assert "mathjax_ignore" in (seen.attributes["table.class"] or "")


def marks(displayed: list[tuple[Any, dict[str, Any]]], text: str, length: int = 3) -> list[str]:
    """What is marked of a text."""
    notebook.written({"one": text}, repeated=length)
    cell = re.findall(r"<td[^>]*>(.*?)</td>", displayed[-1][0].data, re.DOTALL)
    return ["".join(Seen(piece).text) for piece in re.findall(r"<mark>(.*?)</mark>", cell[0], re.DOTALL)]


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("a b c d e", []),
        ("a b c, then a b c again", ["a b c"]),
        ("The old town. the OLD, town", ["the OLD, town"]),
        ("a b c a b c a b c", ["a b c a b c"]),
        ("a a a a", ["a a a"]),
        ("one two three one two three four", ["one two three"]),
        ("x y z x y z1", []),
        ("to be or not to be that is to be or", ["to be or"]),
        ("", []),
    ],
)
def test_what_stood_earlier_in_the_same_text_is_marked(
    displayed: list[tuple[Any, dict[str, Any]]], text: str, marked: list[str]
) -> None:
    assert marks(displayed, text) == marked


def test_marks_are_within_one_text_and_only_on_request(displayed: list[tuple[Any, dict[str, Any]]]) -> None:
    notebook.written({"a b c": "a b c", "again": "a b c"}, "a b c a b c", repeated=3)
    notebook.written({"again": "a b c a b c"})
    assert not any("<mark>" in content.data for content, _ in displayed)
    assert marks(displayed, "a b a b", 2) == ["a b"]


OUTBREAK = "</mark></td></table><script>bad()</script> $$x$$ `code` \\[y\\] &amp; &lt;b&gt; <!-- --> ]]>"
ACTING = "\u202eright\u202c \u2066isolate\u2069 \u200bnothing \x00\x1b[2J\r \u2028 \ud800 \U000e0041"


@pytest.mark.parametrize("repeated", [0, 1, 3])
def test_no_markup_gets_out_of_a_marked_text(displayed: list[tuple[Any, dict[str, Any]]], repeated: int) -> None:
    """Repeated markup is cut by marks in every possible way, and still is text."""
    text = " ".join([OUTBREAK] * 3)
    notebook.written(pd.DataFrame({"g": [text], "A": [text], text: [text]}), text, repeated=repeated)
    page = displayed[0][0].data
    seen = Seen(page)
    assert set(seen.tags) == {"table", "caption", "thead", "tbody", "tr", "th", "td"} | (
        {"mark"} if repeated else set()
    )
    assert page.count("</table>") == page.count("</script>") + 1 == 1
    assert "".join(seen.text).count(text) == 4, "shown as it was written, marked or not"


def wrote(arm: str) -> pd.DataFrame:
    rows = [
        (r, g, i, f"block {i}", f"{arm} seed {r} generation {g} row {i}")
        for r in range(2)
        for g in range(3)
        for i in range(4)
    ]
    return pd.DataFrame(rows, columns=["replicate", "generation", "row", "prompt", "text"])


def test_continuations_show_what_followed_and_what_each_arm_wrote(displayed: list[tuple[Any, dict[str, Any]]]) -> None:
    texts = {"A": wrote("A"), "control": wrote("c")}
    notebook.continuations(texts, 1, [0, 2], "two arms", replicate=1)
    notebook.continuations(texts, 3, [0])
    first, last = (re.sub(r"<t[^>]*>", "|", content.data).split("|") for content, _ in displayed)
    cells = [re.sub(r"</?[a-z]+>", "", cell) for cell in first]
    assert [cell for cell in cells if cell] == [
        "two arms", "A", "control", "prompt (real)", "block 1", "what followed (real)", "block 2",
        "generation 0", "A seed 1 generation 0 row 1", "c seed 1 generation 0 row 1",
        "generation 2", "A seed 1 generation 2 row 1", "c seed 1 generation 2 row 1",
    ]  # fmt: skip
    assert 'colspan="2"' in displayed[0][0].data
    assert not any("what followed" in cell for cell in last), "nobody knows what follows the last block"


def test_repeated_share_is_the_marked_share_of_characters(displayed: list[tuple[Any, dict[str, Any]]]) -> None:
    text = "a b c, then a b c again"
    assert repeated_share(text) == len("a b c") / len(text) == len("".join(marks(displayed, text))) / len(text)
    assert repeated_share("") == 0


def test_characters_that_act_are_shown_by_their_codes(displayed: list[tuple[Any, dict[str, Any]]]) -> None:
    notebook.written({ACTING: f"{ACTING} {ACTING}\n\tnext"}, ACTING, repeated=3)
    page = displayed[0][0].data
    page.encode("utf-8")
    assert {c for c in page if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")} == {"\n", "\t"}
    assert "".join(Seen(page).text).count("<U+202E>right<U+202C> <U+2066>isolate<U+2069> <U+200B>nothing") == 4
    notebook.written({"persian": "می\u200cخواهم"})
    assert "می\u200cخواهم" in displayed[1][0].data, "spelling is kept"


def test_runs_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL_COLLAPSE_RUNS", str(tmp_path / "named"))
    assert notebook.runs_folder() == tmp_path / "named" and (tmp_path / "named").is_dir()
    monkeypatch.delenv("MODEL_COLLAPSE_RUNS")
    monkeypatch.setattr(paths, "project", lambda: tmp_path / "checkout")
    assert notebook.runs_folder() == tmp_path / "checkout" / "_build" / "runs"
    monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    monkeypatch.setattr(Path, "mkdir", lambda *_, **__: None)
    assert notebook.runs_folder() == Path("/content/model-collapse/runs")


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that would have been run; `pip install -c FILE` is noted with the file's content."""
    ran: list[list[str]] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        ran.append([Path(part).read_text() if part.endswith(".txt") else part for part in command])
        if command[0] == "nvidia-smi":
            raise FileNotFoundError
        listed = "numpy==2.1.3\ntorch==2.11.0+cu128\nfolder @ file:///x\n-e git+x"
        return subprocess.CompletedProcess(command, 0, stdout=listed)

    monkeypatch.setattr(subprocess, "run", run)
    return ran


@pytest.fixture
def colab(commands: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Versions in place by package; the package needs numpy, torch, transformers and one that is rare."""
    versions = {"numpy": "2.1.3", "torch": "2.11.0+cu128", "Trans_Formers": "5.1.0"}

    def version(name: str) -> str:
        if name not in versions:
            raise metadata.PackageNotFoundError
        return versions[name]

    needs = ["numpy>=2.0", "rare>=1.5", 'torch>=2.11; extra == "lm"', 'Trans_Formers>=5; extra == "lm"']
    monkeypatch.setattr(metadata, "requires", lambda _: [*needs, 'unused; extra == "book"'])
    monkeypatch.setattr(metadata, "version", version)
    monkeypatch.setenv("MODEL_COLLAPSE_RUNS", str(tmp_path))
    return versions


def test_prepare_colab_installs_only_what_is_missing(
    colab: dict[str, str],
    commands: list[list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    colab_setup.prepare_colab()
    (install,) = [command for command in commands if "install" in command]
    assert install[install.index("-c") + 1] == "numpy==2.1.3\ntorch==2.11.0+cu128"
    assert install[install.index("-c") + 2 :] == ["rare>=1.5"]
    said = capsys.readouterr().out
    assert "no GPU" in said and f"results are saved in {tmp_path}; they end with this machine unless" in said
    monkeypatch.setenv("MODEL_COLLAPSE_MIRROR", "/drive")
    colab_setup.prepare_colab()
    assert capsys.readouterr().out.splitlines()[-1] == "results are saved in /drive"


def test_prepare_colab_replaces_what_is_too_old(
    colab: dict[str, str],
    commands: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    colab |= {"Trans_Formers": "4.57.1", "rare": "1.5"}
    colab_setup.prepare_colab()
    (install,) = [command for command in commands if "install" in command]
    assert install[install.index("-c") + 2 :] == ["trans-formers>=5"]
    assert "restart" not in capsys.readouterr().out
    monkeypatch.setitem(sys.modules, "trans-formers", types.ModuleType("trans-formers"))
    colab_setup.prepare_colab()
    assert "restart the runtime, and run this cell again: trans-formers" in capsys.readouterr().out


@pytest.mark.parametrize("package", colab_setup.FIXED)
def test_prepare_colab_never_replaces_torch_or_numpy(
    package: str, colab: dict[str, str], commands: list[list[str]]
) -> None:
    colab[package] = "1.9"
    with pytest.raises(InputError, match=rf"^{package}>=.* is required, 1\.9 is here: choose the latest runtime"):
        colab_setup.prepare_colab()
    assert commands == []


def test_colab_cell_does_nothing_elsewhere_and_never_touches_torch(
    commands: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = build.colab_cell("https://github.com/someone/copy", "v1")
    called: list[bool] = []
    monkeypatch.setattr(colab_setup, "prepare_colab", lambda: called.append(True))
    monkeypatch.delitem(sys.modules, "google.colab", raising=False)
    exec(cell, {})
    assert commands == [] and called == []
    monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    exec(cell, {})
    assert called == [True]
    ((*_, no_deps, package),) = commands
    assert (no_deps, package) == ("--no-deps", "git+https://github.com/someone/copy@v1")


def test_conditions_are_a_table_and_their_commands_are_folded_below(monkeypatch: pytest.MonkeyPatch) -> None:
    from model_collapse.companion import studies

    shown: list[str] = []
    monkeypatch.setattr(IPython.display, "display", lambda made: shown.append(made.data))
    experiment = studies.find("language_model")
    table = experiment.table("smoke", ("A", "control"))
    notebook.conditions(table)
    listed, commands = shown
    assert "nothing: the base" in listed and "control: real text only" in listed and "model-collapse" not in listed
    assert commands.startswith("<details>") and commands.count("model-collapse chain lm") == 2
    assert all(f"# {label}\n" in commands for label in table["condition"])
