"""The chapters on what is written, with a reader's own text, of which nobody knows what is true."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

from model_collapse import cli, paths

PARAMETERS = ["-p", "n=12", "-p", "generations=2", "-p", "seeds=1"]


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder of 60 small .txt files, each with markup, formulas and a change of direction in it."""
    folder = tmp_path / "mine"
    folder.mkdir()
    nasty = "<script>bad()</script> $$x$$ `y` \u202e"
    for i in range(60):
        words = [f"word{(i * 7 + j * 13) % 90}" for j in range(120)]
        (folder / f"{i}.txt").write_text(f"{nasty} {' '.join(words)}. {nasty}\n", encoding="utf-8")
    return folder


def test_text_and_diversity_share_their_runs_and_take_any_text(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MODEL_COLLAPSE_RUNS", str(tmp_path / "runs"))
    command = ["run", "text", "diversity", "--profile", "smoke", "--force", "-p", f"corpus={own}", *PARAMETERS]
    assert cli.main(command) == 0
    folder = (paths.project() or Path()) / capsys.readouterr().out.splitlines()[-1].partition(": ")[2]
    runs = [file for file in (tmp_path / "runs").glob("*.parquet") if "texts" not in file.name]
    assert len(runs) == 6, "three arms and the untouched model in both chapters, two in one"
    shown = {}
    for name in ("12_text", "14_diversity"):
        cells = nbformat.read(folder / f"{name}.ipynb", as_version=4).cells
        shown[name] = [output for cell in cells for output in cell.get("outputs", ()) if "data" in output]
    figures = {
        name: {o["metadata"]["model_collapse"]["name"] for o in outputs if "image/png" in o["data"]}
        for name, outputs in shown.items()
    }
    assert {"text-repetition", "text-likeness", "text-prompt"} <= figures["12_text"]
    assert {"diversity-plane", "diversity-kinds", "diversity-surprise"} <= figures["14_diversity"]
    assert not {"diversity-facts", "diversity-groups", "diversity-kl"} & figures["14_diversity"]
    tables = [o["data"]["text/html"] for o in shown["12_text"] if 'class="written' in o["data"].get("text/html", "")]
    assert len([table for table in tables if "<caption>This run" in table]) == 3
    assert all("<script>" not in table and "\u202e" not in table for table in tables)
    assert any("&lt;script&gt;" in table and "&lt;U+202E&gt;" in table for table in tables)
