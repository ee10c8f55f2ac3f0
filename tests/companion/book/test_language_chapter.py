"""The chapters on language models and on decoding: real text, a reader's own text, the paper's settings; toy size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nbformat
import needed
import pytest
from transformers import OPTConfig, OPTForCausalLM

from model_collapse import cli, paths, store
from model_collapse.companion.book.chapter import find
from model_collapse.companion.studies.language_model import STUDY
from model_collapse.corpora import tokens

TINY = ["-p", "n=12", "-p", "generations=2", "-p", "seeds=1"]


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MODEL_COLLAPSE_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


def said(executed: Path) -> str:
    """All sentences of an executed notebook."""
    cells = nbformat.read(executed, as_version=4).cells
    outputs = [output for cell in cells for output in cell.get("outputs", ())]
    return "\n".join(output["data"]["text/markdown"] for output in outputs if "text/markdown" in output.get("data", ()))


Run = Callable[..., str]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the chapter and gives what it says; the runner's last line names the folder of the executed copy."""

    def sentences(*arguments: str, chapter: str = "language_model", file: str = "10_language_model") -> str:
        assert cli.main(["run", chapter, "--force", *arguments]) == 0
        folder = capsys.readouterr().out.splitlines()[-1].removeprefix("executed notebooks: ")
        return said((paths.project() or Path()) / folder / f"{file}.ipynb")

    return sentences


def kept(runs: Path) -> dict[str, object]:
    """The runs that the chapter made, by file name."""
    return {file.name: store.about(file)["run"] for file in runs.glob("*.parquet") if "texts" not in file.name}


def own_texts(root: Path) -> Path:
    """A folder of 60 small .txt files, one document each."""
    folder = root / "mine"
    folder.mkdir()
    for i in range(60):
        words = [f"word{(i * 7 + j * 13) % 90}" for j in range(120)]
        (folder / f"{i}.txt").write_text(" ".join(words) + ".\n", encoding="utf-8")
    return folder


@needed.real_data
def test_real_wikitext(runs: Path, run: Run) -> None:
    """The chapter takes WikiText-2 and says on the page which of its two forms it was."""
    text = run("--profile", "smoke", "-p", "corpus=wikitext-2", *TINY)
    made = list(kept(runs).values())
    assert len(made) == 9 and {about["corpus"] for about in made} <= {"wikitext-2-v1", "wikitext-2-raw"}  # type: ignore[index]
    assert f"corpus {made[0]['corpus']}" in text  # type: ignore[index]


def test_a_folder_of_text_files(tmp_path: Path, runs: Path, run: Run) -> None:
    """A reader's own texts: one .txt file per document."""
    folder = own_texts(tmp_path)
    text = run("--profile", "smoke", "-p", f"corpus={folder}", *TINY)
    assert "Which tokens (words and parts of words) of the real training text" in text
    assert "Perplexity" not in text and "has perplexity" in text


def test_the_papers_settings_with_another_opt(
    tmp_path: Path, runs: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Profile `paper` runs unchanged on an OPT in hub layout: a tiny random one with a tokenizer of its own."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    folder = tmp_path / "lm"
    tokenizer = tokens.trained(["one two three four five six seven"] * 20, 300)
    folder.mkdir()
    tokenizer.save(folder)
    config = OPTConfig(
        vocab_size=tokenizer.size + 7, hidden_size=16, word_embed_proj_dim=16, ffn_dim=32, num_hidden_layers=2,
        num_attention_heads=2, max_position_embeddings=256,
    )  # fmt: skip
    OPTForCausalLM(config).save_pretrained(folder)
    text = run("--profile", "paper", "-p", f"preset={folder}", "-p", f"corpus={own_texts(tmp_path)}", *TINY)
    made = list(kept(runs).values())
    assert len(made) == 7, "the published corners of the grid are A and B themselves here"
    assert sum(about["family.lr"] == 1e-12 for about in made) == 1  # type: ignore[index]
    for about in (about for about in made if about["family.lr"] != 1e-12):  # type: ignore[index]
        assert about["family.start"] == "pretrained" and about["family.lr"] == 2e-5 and about["family.beams"] == 5  # type: ignore[index]
        assert about["family.preset"] == str(folder) and about["family.repetition_penalty"] == 1.0  # type: ignore[index]
    assert {about["family.epochs"] for about in made} == {5, 10}  # type: ignore[index]
    assert f"the OPT in {folder}" in text and "Much smaller than the paper's" in text


def test_the_paper_profile_is_the_papers() -> None:
    """What the profile `paper` would run, without running it."""
    scale = STUDY.at("paper")
    assert (scale.corpus, scale.n, scale.generations, scale.seeds) == ("wikitext-2-raw", "all", 9, 5)
    planned = STUDY.runs(STUDY.at("paper", corpus="embedded", n=8), ("A", "A10", "B", "B5", "control"))
    published = STUDY.runs(STUDY.at("paper", corpus="embedded", n=8), ("published", "published-B"))
    for arm, run in zip(("A", "B"), published.values(), strict=True):
        # Corners of the grid, which ends before.
        assert (run.family_args, run.regime_args) == (planned[arm].family_args, planned[arm].regime_args)
    for run in planned.values():
        assert run.family_args["preset"] == "opt-125m" and run.family_args["start"] == "pretrained"
    assert {arm: run.family_args["epochs"] for arm, run in planned.items()} == {
        "A": 5, "A10": 10, "B": 10, "B5": 5, "control": 5,
    }  # fmt: skip
    assert {arm: run.regime_args.get("real_fraction", 0) for arm, run in planned.items()} == {
        "A": 0, "A10": 0, "B": 0.1, "B5": 0.1, "control": 1,
    }  # fmt: skip


@pytest.mark.parametrize("chapter", ["language_model", "decoding"])
def test_every_profile_of_a_chapter_is_a_scale(chapter: str) -> None:
    (found,) = [each for each in find() if each.slug == chapter]
    assert {"smoke", "laptop", "t4", "paper"} <= set(found.cost) <= set(STUDY.sizes)


@pytest.mark.parametrize("profile", ["laptop", "paper"])
@pytest.mark.parametrize("preset", ["small", "opt-125m"])
def test_another_model_is_trained_as_such_models_are(profile: str, preset: str) -> None:
    """A small model has no weights to start from; a published one is fine-tuned at the published rate."""
    asked = STUDY.runs(STUDY.at(profile, preset=preset, corpus="embedded", n=8), ["A"])["A"].family_args
    published = preset == "opt-125m"
    assert asked["preset"] == preset and asked["start"] == ("pretrained" if published else "scratch")
    assert asked["lr"] == (2e-5 if published else 1e-3)
    assert asked["evaluate"] == STUDY.sizes[profile].settings["family.evaluate"]


def test_decoding(tmp_path: Path, runs: Path, run: Run) -> None:
    """The chapter on ways of writing, on a reader's own texts.

    One run for each way, three that other chapters share, and six of generation 0 with and without a constant.
    """
    text = run(
        "--profile", "smoke", "-p", f"corpus={own_texts(tmp_path)}", "-p", "n=12", "-p", "generations=1",
        "-p", "seeds=1", chapter="decoding", file="13_decoding",
    )  # fmt: skip
    made = list(kept(runs).values())
    assert len(made) == 15
    assert sorted(about["family.decoding"] for about in made) == ["beam"] * 5 + ["greedy"] + ["sample"] * 9  # type: ignore[index]
    assert "| DEC-1 |" in text and "| SH-8 |" in text and "| DEC-2 |" in text
