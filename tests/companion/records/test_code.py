"""The hash of the code that decides a record's numbers: prose does not age a record, another divisor does."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from model_collapse import paths, store
from model_collapse.companion import records
from model_collapse.companion.records import code, manifest
from model_collapse.engine import spec
from model_collapse.engine.execute import run_all
from model_collapse.engine.plan import plan

RUN = spec.describe(plan("gaussian", "mix", n=10, generations=1, settings={"family.sampling": "draw"}))
TEXT = spec.describe(plan("ngram", n=20, generations=1, filter=["surprise"], models=2, first="fixed"))


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the code to edit; one that was read already is not read again."""
    return Path(shutil.copytree(paths.PACKAGE, tmp_path / "package", ignore=shutil.ignore_patterns("__pycache__")))


def changed(package: Path, name: str, change: Callable[[str], str]) -> list[str]:
    """Files whose hash differs after one of the package's was edited."""
    text = (package / name).read_text(encoding="utf-8")
    assert change(text) != text
    (package / name).write_text(change(text), encoding="utf-8")
    return code.changed(code.of([RUN]), code.of([RUN], package))


def test_a_copy_of_the_code_is_the_same_code(package: Path):
    assert code.of([RUN], package) == code.of([RUN])


def test_the_files_of_a_run_are_its_own_and_the_loop():
    numbers, text = set(code.of([RUN])), set(code.of([TEXT]))
    both = {"loop.py", "data.py", "streams.py", "engine/block.py", "engine/recorder.py", "modalities/numbers.py"}
    assert both <= numbers & text
    assert {"families/gaussian.py", "regimes/mix.py", "metrics/gaussian.py"} <= numbers - text
    own = {"families/ngram.py", "filters/surprise.py", "regimes/fixed.py", "metrics/text/perplexity.py"}
    assert own <= text - numbers
    for foreign in (
        "cli.py",
        "companion/book/notebook.py",
        "store/tables.py",
        "families/vae/network.py",
        "analysis/figures/arms.py",
    ):
        assert foreign not in numbers | text
    assert set(code.of([RUN, TEXT])) == numbers | text


def test_a_metric_of_another_kind_of_data_with_the_same_name_is_none_of_the_run():
    symbols = spec.describe(plan("discrete", n=9, generations=1, metrics=["entropy", "kl"]))
    files = set(code.of([symbols]))
    assert "metrics/discrete.py" in files and not any(file.startswith("metrics/text/") for file in files)
    text = spec.describe(plan("ngram", n=20, generations=1, metrics=["entropy", "kl", "leaks"]))
    files = set(code.of([text]))
    assert "metrics/leaks.py" in files and "metrics/discrete.py" not in files
    assert any(file.startswith("metrics/text/") for file in files)
    gone = [symbols | {"family": "nobody"}, symbols | {"metrics": ["nothing"]}]
    assert "loop.py" in code.of(gone) and "metrics/discrete.py" not in code.of(gone)


def edited(old: str, new: str) -> Callable[[str], str]:
    return lambda text: text.replace(old, new)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("families/gaussian.py", lambda text: "# Said anew.\n" + text),
        ("families/gaussian.py", lambda text: f'"""Said anew."""\n{text[text.index("from __future__") :]}'),
        ("loop.py", lambda text: text.replace("\n\n", "\n\n\n")),
        ("regimes/mix.py", edited("-> Data:", "-> 'Data':")),
        ("cli.py", edited("return 0", "return 1")),
        ("families/ngram.py", edited("+ 1", "+ 2")),
    ],
    ids=["comment", "docstring", "layout", "annotation", "command", "another family"],
)
def test_what_changes_no_number_of_the_run_changes_nothing(package: Path, name: str, change: Callable[[str], str]):
    assert changed(package, name, change) == []


@pytest.mark.parametrize(
    "name", ["loop.py", "families/gaussian.py", "regimes/mix.py", "metrics/gaussian.py", "data.py"]
)
def test_one_other_number_is_seen(package: Path, name: str):
    assert changed(package, name, lambda text: text + "\nEXTRA = 1\n") == [name]


def test_a_member_that_is_gone_is_seen(package: Path):
    (package / "regimes/mix.py").unlink()
    assert "regimes/mix.py" in code.changed(code.of([RUN]), code.of([RUN], package))


def test_an_older_record_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    arms = {"a": plan("gaussian", n=10, generations=1)}
    written = records.write("one", arms, *run_all(arms, tmp_path), tmp_path)
    assert written.changed == [] and not written.older and written.label == written.about["label"]
    about = dict(written.about)
    monkeypatch.setattr(manifest, "here", lambda: "0" * 12)
    records.put(about | {"code": about["code"] | {"loop.py": "0" * 12}}, tmp_path)
    older = records.read("one", tmp_path)
    assert older.changed == ["loop.py"] and older.older
    changes = " with changes" * about["dirty"]
    assert older.label == f"{about['label']}, made by earlier code, commit {about['commit'][:7]}{changes}"
    records.put(about | {"code": None}, tmp_path)
    unknown = records.read("one", tmp_path)
    assert unknown.changed is None and unknown.older and "made by code that nobody noted" in unknown.label


def test_a_run_of_earlier_code_gets_no_hash_of_the_present(tmp_path: Path):
    run = plan("gaussian", n=10, generations=1)
    tables, _ = run_all({"a": run}, tmp_path)
    earlier = {"a": {"run_id": run.run_id, "run": spec.describe(run) | {"source": "0" * 12}}}
    assert manifest.made("one", earlier, tables, store.origin(), {})["code"] is None
