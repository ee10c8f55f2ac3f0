"""Pages of text: the README, the headlines, teaching; what they promise is there."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

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
