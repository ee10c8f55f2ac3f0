"""Pages of text: the README, the headlines, teaching; what they promise is there."""

from __future__ import annotations

import contextlib
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest

from model_collapse.companion import records
from model_collapse.companion.claims import named, together
from model_collapse.companion.studies.gate import GATE, gate

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_is_short_and_says_first_what_was_not_run():
    assert len(README.split()) <= 900
    first = README.partition("\n## ")[0]
    assert "book/_static/main_figure.png" in first and "not by its authors" in first
    assert re.search(r"\*\*Not run here\*\*:.*OPT-125m", first)


def test_the_lines_of_python_in_the_readme_print_what_they_say():
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    said = [float(number) for number in re.findall(r"0\.\d+", code.splitlines()[-1].partition("closed form:")[2])]
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, "README.md", "exec"), {})
    assert [float(number) for number in out.getvalue().split()] == pytest.approx(said, abs=5e-4)


def test_every_file_that_the_readme_names_is_there():
    links = re.findall(r"\]\(([^)#:]+)\)", README) + re.findall(r"\]: \S+/blob/main/(\S+)", README)
    assert len(links) > 25
    assert [link for link in links if not (ROOT / link).exists()] == []
    listed = {Path(link).name for link in links if link.startswith("notebooks/")}
    assert listed == {file.name for file in (ROOT / "notebooks").glob("*.ipynb")}


# The headlines ------------------------------------------------------------------------------------------------------

HEADLINES = (ROOT / "book" / "headlines.md").read_text(encoding="utf-8")
STATEMENT = re.compile(
    r"^“(?P<quote>[^”]+)” \{cite:p\}`(?P<source>\w+)`[^\n]*\n"
    r": \[(?P<verdict>[a-z ]+)\]\{\.verdict \.verdict-(?P<kind>[a-z-]+)\} (?P<why>[^\n]+(?:\n(?!  →)[^\n]+)*)\n"
    r"  → (?P<links>[^\n]+)$",
    re.MULTILINE,
)
VERDICTS = {"true", "true if", "not shown", "wrong"}


def anchors(page: Path) -> set[str]:
    """What may follow a # in a link to a page: its headings, as MyST writes them, and its labels."""
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".ipynb":
        cells = json.loads(text)["cells"]
        text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    heads = re.findall(r"^#{1,3} (.+)$", text, re.MULTILINE)
    slugs = {re.sub(r"[^\w\- ]", "", head.strip().lower().replace(" ", "-")) for head in heads}
    return slugs | set(re.findall(r"^\(([\w-]+)\)=$", text, re.MULTILINE))


def broken(links: list[str]) -> list[str]:
    """Those of the links of a page in book/ that lead nowhere."""
    labels = set().union(*(anchors(file) for file in (ROOT / "book").glob("*.md")))
    wrong = []
    for link in links:
        name, _, anchor = link.partition("#")
        page = ROOT / "book" / name
        if not (anchor in labels if not name else page.is_file() and (not anchor or anchor in anchors(page))):
            wrong.append(link)
    return wrong


def test_every_statement_has_a_source_a_verdict_a_reason_and_a_link():
    found = list(STATEMENT.finditer(HEADLINES))
    assert len(found) == HEADLINES.count("\n“") - 1 == 48, "the last one is a question"
    known = re.findall(r"^@\w+\{(\w+),", (ROOT / "book" / "references.bib").read_text(encoding="utf-8"), re.MULTILINE)
    for one in found:
        assert one["verdict"] in VERDICTS and one["kind"] == one["verdict"].replace(" ", "-"), one["quote"]
        assert one["source"] in known and 20 < len(one["why"]) < 330, one["quote"]
        links = re.findall(r"\]\(([^)]+)\)", one["links"])
        assert links and broken(links) == [], one["quote"]
    assert {one["verdict"] for one in found} == VERDICTS
    assert len({one["quote"] for one in found}) == len(found)


def test_a_link_that_leads_nowhere_is_found():
    good = ["theorems.md", "#what-was-measured", "../notebooks/02_discrete.ipynb#the-chain"]
    assert broken(good) == []
    bad = ["theorem.md", "#what-was-not-measured", "../notebooks/02_discrete.ipynb#another-chain"]
    assert broken(bad) == bad


# Teaching -----------------------------------------------------------------------------------------------------------


def test_teaching_lists_every_chapter_and_every_exercise():
    page = (ROOT / "book" / "teaching.md").read_text(encoding="utf-8")
    listed = page[page.index("## Chapter by chapter") :]
    files = sorted((ROOT / "notebooks").glob("*.ipynb"))
    labels = re.findall(
        r":label: ([\w-]+-exercise-[\w-]+)", "".join(file.read_text(encoding="utf-8") for file in files)
    )
    assert sorted(re.findall(r"\{ref\}`([\w-]+)`", listed)) == sorted(labels) and len(labels) > 60
    assert set(re.findall(r"\.\./(notebooks/\w+\.ipynb)", listed)) == {f"notebooks/{file.name}" for file in files}
    assert broken(re.findall(r"\]\(([^):]+)\)", page)) == []


def test_the_table_of_the_real_model_is_that_of_its_record() -> None:
    """Every number of the table, and what the sentence below it says of the untouched model."""
    tables = records.read("pretrained").tables
    page = (ROOT / "book" / "results.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([ASBCP]): [^|]*\|(.+)\|$", page, flags=re.MULTILINE)
    assert [name for name, _ in rows] == list("ASBCP")
    for name, cells in rows:
        kept = tables[name].query("metric == 'perplexity'").groupby("generation")["value"].mean()
        assert [cell.strip() for cell in cells.split("|") if cell.strip()] == [f"{value:.1f}" for value in kept]
    before = tables["zero-shot"].query("metric == 'perplexity'")["value"].mean()
    assert f"Before fine-tuning it is {before:.1f}" in page


TINY = {
    "only generated text, five beams (A)": "A",
    "only generated text, sampled": "sampled",
    "a tenth real, five beams (B)": "B",
    "the same real text every time": "control",
    "other real text every time": "placebo",
    "sampled text added to all data so far": "accumulate",
    "as many rows as at first, drawn from all data so far": "subsample",
    "as many rows as all data so far, all generated": "grow",
}
"""Row of the table of the tiny model -> condition of record `wikitext`."""


def test_the_table_of_the_tiny_model_is_that_of_its_record() -> None:
    """Its perplexities, the base's, the three endpoints with their intervals, and that the gate is passed."""
    tables = records.read("wikitext").tables
    page = (ROOT / "book" / "results.md").read_text(encoding="utf-8")
    section = page.partition("## Language: a tiny model")[2].partition("\n## ")[0]
    mean = {
        name: table.query("metric == 'perplexity'").groupby("generation")["value"].mean()
        for name, table in tables.items()
    }
    rows = dict(re.findall(r"^\| ([^|]+?) \|((?: *\d* *\|){4})$", section, flags=re.MULTILINE))
    del rows["condition"]
    assert rows.keys() == TINY.keys()
    for title, cells in rows.items():
        shown = [f"{mean[TINY[title]][g]:.0f}" if g in mean[TINY[title]] else "" for g in (0, 1, 3, 9)]
        assert [cell.strip() for cell in cells.split("|")[:-1]] == shown, title
    assert f"Before fine-tuning it is {mean['zero-shot'][0]:.0f}" in section
    learned = gate(tables)
    assert len(learned) == 6 and learned.min() > GATE
    assert f"better by {learned.min():.2f} to {learned.max():.2f} nats" in section
    for found in together(named(name).judge(tables) for name in ("RE-1", "RE-2", "RE-3")):
        said = f"{found.claim.id}: {found.estimate:.2f}, {found.words}"
        assert said in " ".join(section.split()), str(found)


def test_what_readme_and_intro_say_of_the_real_model_is_in_its_record() -> None:
    """Its perplexities, and that one generation loses more than half of the nats which fine-tuning gained."""
    tables = records.read("pretrained").tables
    mean = {
        name: table.query("metric == 'perplexity'").groupby("generation")["value"].mean()
        for name, table in tables.items()
    }
    start, real = mean["zero-shot"][0], mean["A"][0]
    said = re.search(
        r"from perplexity (\d+) to (\d+)\. Trained on\nits own text instead, it jumps to (\d+) in one generation, and "
        r"stays between (\d+) and (\d+)",
        README,
    )
    assert said is not None
    intro = (ROOT / "book" / "intro.md").read_text(encoding="utf-8")
    ends = (mean[name].iloc[-1] for name in "AS")
    words = " ".join(intro.split())
    values = [f"{value:.0f}" for value in (real, mean["A"][1], *ends, mean["B"][4], mean["A"][4])]
    assert "about {} words (or parts of words) before the loop, and about {} after one round".format(*values) in words
    assert (
        "after four it was {2} (always the most probable text) or {3} (words drawn at random)".format(*values) in words
    )
    assert "A tenth of real text gave {4} instead of {5}".format(*values) in words
    later = [mean[name].drop([0]) for name in "AS"]
    spans = min(own.min() for own in later), max(own.max() for own in later)
    assert [int(number) for number in said.groups()[:3]] == [round(start), round(real), round(mean["A"][1])]
    assert int(said[4]) <= spans[0] and spans[1] <= int(said[5])
    for own in later:
        assert np.log(own[1] / real) > np.log(start / real) / 2
    assert all(mean[name][1] < real * 1.01 for name in "CP") and mean["B"][4] < mean["A"][4]
