"""A part of a record run again: the same bits, or it says that they are others, or why they cannot be compared."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from model_collapse import cli, store
from model_collapse.companion import records, studies
from model_collapse.companion.records import again, run
from model_collapse.companion.studies.study import Condition, Record, Size, Study
from model_collapse.errors import InputError

SETTINGS = {"family.vocabulary": 300, "family.evaluate": 4, "family.block": 16}
SMALL = Size(corpus="embedded", n=24, generations=2, seeds=2, settings=SETTINGS, metrics=("perplexity", "distinct_2"))
STUDY = Study(
    "toy",
    {"small": Size(**{**vars(SMALL), "record": Record("small")}), "unrecorded": SMALL},
    {"A": Condition("A"), "half": Condition("half real", "mix", {"regime.real_fraction": 0.5})},
    "ngram",
)


@pytest.fixture(scope="module")
def genuine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("genuine")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(studies, "find", lambda name: STUDY)
        assert run.run(STUDY, "small", folder, tmp_path_factory.mktemp("work"), jobs=1) is not None
    return folder


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(studies, "find", lambda name: STUDY)
    yield


def test_what_was_run_here_comes_out_the_same(genuine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = {again.check(STUDY, "small", np.random.default_rng(seed), genuine) for seed in range(3)}
    assert len({(one.arm, one.replicate, one.generation) for one in found}) > 1, "chosen by chance"
    for one in found:
        assert one.other == 0 and one.values == 2 * (one.generation + 1)
    capsys.readouterr()
    assert cli.main(["record", "toy", "--size", "small", "--check", "--out", str(genuine)]) == 0
    assert capsys.readouterr().out.endswith("values are as recorded, bit for bit\n")


def _made_up(folder: Path) -> None:
    """Every perplexity a little lower, and all hashes made anew."""
    about = records.read("small", folder).about
    file = folder / "small.parquet"
    content = store.load(file)
    frame = content.to_pandas()
    frame.loc[frame["metric"] == "perplexity", "value"] *= 1 - 1e-12
    kept = records._arrow(frame)
    store.write_table(file, kept, store.about(file))
    values = {**about["values"], file.name: records.signature.of_values(frame)}
    records.put({**about, "files": {**about["files"], file.name: store.checksum(file)}, "values": values}, folder)


def test_numbers_that_were_made_up_do_not(genuine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What no other check can see."""
    forged = shutil.copytree(genuine, tmp_path / "forged")
    _made_up(forged)
    records.read("small", forged)
    capsys.readouterr()
    assert cli.main(["record", "toy", "--size", "small", "--check", "--out", str(forged)]) == 1
    said = capsys.readouterr().out
    assert "values are others than recorded" in said and said.startswith("small: arm ")


@pytest.mark.parametrize("what", ["code", "package", "device", "study"])
def test_what_cannot_be_compared_says_why(
    genuine: Path, what: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if what == "code":
        monkeypatch.setattr(records.Recorded, "changed", ["loop.py"])
        said = "it was made by earlier code, loop.py changed since"
    elif what == "package":
        versions = {**store.versions(), "numpy": "0"}
        monkeypatch.setattr(store, "versions", lambda: versions)
        said = f"it was made with numpy {np.__version__}, and here is 0"
    elif what == "device":
        monkeypatch.setattr("model_collapse.families.ngram.Ngram.device", lambda self: "card")
        said = "it was made on cpu, and here is card"
    else:
        size = Size(**{**vars(STUDY.sizes["small"]), "n": 25})
        monkeypatch.setattr(studies, "find", lambda name: Study("toy", {"small": size}, STUDY.conditions, "ngram"))
        said = "has n 24 instead of 25"
    assert cli.main(["record", "toy", "--size", "small", "--check", "--out", str(genuine)]) == 3
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("model-collapse: ")]
    assert line.startswith("model-collapse: small cannot be compared: ") and said in line


def test_only_a_recorded_size_can_be_checked(genuine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match="recorded sizes of study toy are small"):
        again.check(STUDY, "unrecorded", np.random.default_rng(0), genuine)
    assert cli.main(["record", "--check"]) == 2
    assert capsys.readouterr().err == "model-collapse: --check: goes with a study and --size\n"
