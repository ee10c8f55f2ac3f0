"""The theory half of the book where torch and the language-model packages are not installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from model_collapse.companion import claims
from model_collapse.companion.book.chapter import find

ROOT = Path(__file__).parents[1]
ABSENT = ("torch", "transformers", "tokenizers", "datasets", "huggingface_hub")
THEORY = [chapter.slug for chapter in find(ROOT) if int(chapter.path.stem[:2]) < 10]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which importing them fails as if they were not there, in kernels too."""
    folder = tmp_path_factory.mktemp("absent")
    for name in ABSENT:
        line = f"raise ModuleNotFoundError(\"No module named '{name}'\", name={name!r})\n"
        (folder / f"{name}.py").write_text(line, encoding="utf-8")
    runs = tmp_path_factory.mktemp("runs")
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    return os.environ | {"PYTHONPATH": path, "MODEL_COLLAPSE_RUNS": str(runs)}


def test_they_are_really_absent(environment: dict[str, str]):
    """Without this, every test below could pass with torch at hand."""
    for name in ABSENT:
        done = subprocess.run([sys.executable, "-c", f"import {name}"], env=environment, capture_output=True, text=True)
        assert f"No module named '{name}'" in done.stderr


def test_the_theory_chapters_are_known():
    assert {"gaussian", "discrete"} <= set(THEORY)


@pytest.mark.parametrize("slug", THEORY)
def test_a_theory_chapter_runs(slug: str, environment: dict[str, str]):
    """With a parameter of its own, so that the copies of the book stay as they are."""
    ask = ["-m", "model_collapse.cli", "run", slug, "--profile", "smoke", "-p", "seed=2", "--jobs", "1", "--force"]
    done = subprocess.run([sys.executable, *ask], env=environment, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_claims_and_benchmarks_are_listed(environment: dict[str, str]):
    code = (
        "from model_collapse import cli, theory\n"
        "from model_collapse.analysis import figures, stats\n"
        "from model_collapse.companion import bench, claims\n"
        "assert bench.benchmarks() and cli.main(['claims', '--json']) == 0\n"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_pages_of_claims_are_built(environment: dict[str, str], tmp_path: Path):
    """With the verdicts on recorded runs, which are judged when the page is read."""
    for folder in ("_ext", "_static"):
        shutil.copytree(ROOT / "book" / folder, tmp_path / "book" / folder)
    for file in ("_config.yml", "book/references.bib", "book/claims.md", "book/status.md"):
        shutil.copy(ROOT / file, tmp_path / file)
    (tmp_path / "notebooks").mkdir()
    toc = "format: jb-book\nroot: book/claims\nchapters:\n- file: book/status\n"
    (tmp_path / "book" / "_toc.yml").write_text(toc, encoding="utf-8")
    code = "from jupyter_book.cli.main import main; main()"
    ask = [sys.executable, "-c", code, "build", ".", "--toc", "book/_toc.yml"]
    done = subprocess.run(ask, env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    page = (tmp_path / "_build/html/book/claims.html").read_text(encoding="utf-8")
    assert "claim-ga-1" in page and page.count("<tr") > len(claims.known())
    assert (tmp_path / "_build/html/book/status.html").is_file()


DRAW = """
import sys
from matplotlib.figure import Figure
from model_collapse.analysis import figures
from model_collapse.companion import records
drawn = 0
for name in records.names():
    recorded = records.read(name)
    metric, item = map(str, next(iter(recorded.tables.values()))[["metric", "item"]].iloc[0])
    figure = figures.by_arm(recorded.tables, metric, item=item, ylabel=metric)
    assert isinstance(figure, Figure) and len(figure.axes[0].lines) >= len(recorded.tables)
    assert recorded.label and isinstance(recorded.older, bool)
    drawn += 1
assert drawn >= 12
absent = {"torch", "transformers", "tokenizers", "datasets", "rocrate"} & set(sys.modules)
assert not absent, absent
"""


def test_figures_are_redrawn_from_every_committed_record(environment: dict[str, str]):
    done = subprocess.run([sys.executable, "-c", DRAW], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
