"""The chapters on images, with a reader's own pictures, at a size that takes seconds."""

from __future__ import annotations

import io
from pathlib import Path

import nbformat
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from model_collapse import cli, paths

PARAMETERS = ["-p", "n=16", "-p", "generations=2", "-p", "seeds=1"]


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder of noisy bars, upright and lying, in the hub's layout."""
    folder, rng = tmp_path / "mine", np.random.default_rng(0)
    folder.mkdir()
    for split, count in (("train", 80), ("test", 30)):
        labels = np.arange(count) % 2
        pictures = rng.integers(0, 60, (count, 8, 8))
        for picture, label in zip(pictures, labels, strict=True):
            (picture if label else picture.T)[:, 3:5] += 150
        images = []
        for picture in pictures.astype(np.uint8):
            Image.fromarray(picture).save(png := io.BytesIO(), "png")
            images.append({"bytes": png.getvalue(), "path": None})
        pq.write_table(pa.table({"image": images, "label": labels}), folder / f"{split}-00000-of-00001.parquet")
    return folder


FIGURES = {
    "20_vae": {"vae-pictures", "vae-pictures-control", "vae-latents", "vae-published", "vae-loops"},
    "21_diffusion": {"diffusion-pictures-full", "diffusion-loops", "diffusion-pretty"},
}


@pytest.mark.parametrize("name", FIGURES)
def test_vae_and_diffusion_take_any_pictures_of_their_size(
    name: str, own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MODEL_COLLAPSE_RUNS", str(tmp_path / "runs"))
    chapter = name.partition("_")[2]
    assert cli.main(["run", chapter, "--profile", "smoke", "--force", "-p", f"corpus={own}", *PARAMETERS]) == 0
    folder = (paths.project() or Path()) / capsys.readouterr().out.splitlines()[-1].partition(": ")[2]
    cells = nbformat.read(folder / f"{name}.ipynb", as_version=4).cells
    outputs = [output for cell in cells for output in cell.get("outputs", ()) if "data" in output]
    shown = [output["metadata"]["model_collapse"]["name"] for output in outputs if "image/png" in output["data"]]
    said = "".join(output["data"]["text/markdown"] for output in outputs if "text/markdown" in output["data"])
    assert str(own) in said and "1 seed," in said
    assert FIGURES[name] <= set(shown)


def test_a_size_that_no_chapter_has_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "vae", "--profile", "smoke", "--force", "-p", "generations=1"]) == 2
    assert "generations must be at least 2" in capsys.readouterr().err
