"""The command line: what it prints, what it refuses, and that a refusal leaves everything as it was."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model_collapse import cli, store
from model_collapse.engine.plan import plan
from model_collapse.errors import ExternalError
from model_collapse.families.gaussian import Gaussian


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch) -> Path:
    """Every command starts in an empty folder."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def contents(folder: Path) -> dict[str, tuple[int, bytes] | None]:
    """Everything below a folder; of a file, when it was changed and its bytes."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes()) if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def refused(capsys, arguments: list[str], *said: str, status: int = 2) -> str:
    """Runs a command that must fail with one line that contains all of `said`, and change no file."""
    before = contents(Path.cwd().parent)
    assert cli.main(arguments) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("model-collapse: ") and err.endswith("\n") and err.count("\n") == 1, err
    assert "Traceback" not in err and "usage" not in err.lower()
    for part in said:
        assert part in err
    assert contents(Path.cwd().parent) == before
    return err


def chain(*more: str) -> list[str]:
    return ["chain", "gaussian", "replace", "-n", "10", "-g", "2", "--replicates", "3", *more]


# Bad input ---------------------------------------------------------------------------------------------------------

NUMBERS = [
    (option, value)
    for option in ("-n", "-g", "--seed", "--replicates", "--every", "--jobs")
    for value in ("-1", "x", "nan", "inf", "1.5", "", "1e3", "10000000000000000000000")
    if (option, value[:2]) != ("--jobs", "10")  # any number of processes may be asked for
] + [(option, "0") for option in ("-n", "--replicates", "--every", "--jobs")]


@pytest.mark.parametrize(("option", "value"), NUMBERS)
def test_counts_must_be_whole_numbers_in_range(option, value, capsys):
    refused(capsys, [*chain("--out", "c.parquet"), option, value], f"{option} {value}".strip())


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        *[("regime.real_fraction", value, "less than or equal to 1") for value in ("1.5", "nan", "inf")],
        ("regime.real_fraction", "10%", "valid number"),
        ("regime.real_fraction", "-0.1", "greater than or equal to 0"),
        ("mix.real_fraction", "2", "less than or equal to 1"),
        ("family.dim", "0", "greater than or equal to 1"),
        ("family.dim", "two", "valid integer"),
        ("family.bias", "0", "greater than 0"),
        ("family.bias", "nan", "finite number"),
        ("family.bias", "inf", "finite number"),
        ("family.estimator", "best", "'mle' or 'unbiased'"),
        ("gaussian.sampling", "some", "'exact' or 'draw'"),
        ("family.size", "3", "dim, estimator, variance, sampling, bias"),
        ("regime.fraction", "0.1", "real_fraction"),
        ("curate.keep", "0.1", "family.KEY, regime.KEY"),
        ("dim", "1", "family.KEY, regime.KEY"),
        ("family.", "1", "dim, estimator"),
    ],
)
def test_settings_are_checked(setting, value, said, capsys):
    arguments = ["chain", "gaussian", "mix", "-n", "10", "--set", f"{setting}={value}", "--out", "c.parquet"]
    refused(capsys, arguments, said, setting.partition(".")[2] or setting)


REFUSALS = {
    "no command": ([], "COMMAND"),
    "unknown command": (["chains"], "chains", "chain"),
    "no family": (["chain"], "FAMILY"),
    "unknown family": (["chain", "gausian", "--out", "c.parquet"], "'gausian'", "gaussian", "lm"),
    "unknown regime": (
        ["chain", "gaussian", "keep", "--out", "c.parquet"],
        "'keep'",
        "accumulate, blend, fill, fixed, fresh, grow, heal, inflow, mix, replace, subsample, weigh",
    ),
    "path as family": (["chain", "../gaussian"], "'../gaussian'", "known: "),
    "private name": (["chain", "__init__"], "'__init__'", "known: "),
    "a setting of two types": (
        ["chain", "lm", "--set", "family.lr=-1"],
        "family.lr=-1",
        "'auto' or input should be greater",
    ),
    "no such text": (["chain", "lm", "--set", "family.pretrain=nowhere"], "family.pretrain=nowhere", "wikitext-2-raw"),
    "unknown filter": (chain("--filter", "nice", "--out", "c.parquet"), "'nice'", "filters"),
    "unknown metric": (chain("--metrics", "mean,loss", "--out", "c.parquet"), "--metrics", "'loss'", "w2_squared"),
    "no metric": (chain("--metrics", ""), "--metrics", "w2_squared"),
    "a function that is no metric": (chain("--metrics", "np"), "--metrics", "'np'"),
    "unknown given": (chain("--given", "real"), "--given", "original, training or fresh"),
    "a corpus where none is read": (chain("--corpus", "embedded"), "--corpus", "gaussian"),
    "an option that is not there": (chain("--speed", "3"), "--speed"),
    "half an option": (chain("--rep", "3"), "--rep"),
    "an option without value": (chain("--seed"), "--seed"),
    "one word too many": (chain("twice"), "twice"),
    "a setting without value": (chain("--set", "family.dim"), "--set family.dim", "NAME=VALUE"),
    "a setting without name": (chain("--set", "=2"), "--set =2", "NAME=VALUE"),
    "lines in a value": (chain("--seed", "1\n2"), "--seed 1 2"),
    "unbiased of one row": (
        ["chain", "gaussian", "-n", "1", "--set", "family.estimator=unbiased", "--out", "c.parquet"],
        "family.estimator=unbiased",
        "n must be at least 2",
    ),
    "mix of exact samples": (
        ["chain", "gaussian", "mix", "-n", "10", "--out", "c.parquet"],
        "exact sampling cannot subsample; set family.sampling=draw",
    ),
    "results over a run": (["pack", ".", "--out", "c.parquet"], "--out c.parquet", "a .zip file"),
    "a folder that is not there": (chain("--out", "no/where/c.parquet"), "--out", "no/where", "does not exist"),
    "unknown corpus": (["chain", "lm", "--corpus", "wikitex", "--out", "c.parquet"], "wikitex", "embedded"),
    "unknown kind of list": (["family"], "family"),
    "words for a list": (["families", "gaussian"], "gaussian"),
}


@pytest.mark.parametrize("case", list(REFUSALS))
def test_bad_arguments_are_one_line_and_leave_no_file(case, capsys):
    arguments, *said = REFUSALS[case]
    refused(capsys, arguments, *said)


@pytest.mark.parametrize("case", ["empty", "no text", "truncated", "file"])
def test_a_corpus_without_text_is_refused_before_anything_else(case, capsys, elsewhere):
    folder = elsewhere / "texts"
    folder.mkdir()
    if case == "no text":
        (folder / "image.png").write_bytes(b"\x89PNG")
    elif case == "truncated":
        pq.write_table(pa.table({"text": ["a", "b"] * 100}), folder / "train.parquet")
        (folder / "train.parquet").write_bytes((folder / "train.parquet").read_bytes()[:-30])
    elif case == "file":
        folder.rmdir()
        folder.write_text("I am no folder")
    refused(capsys, ["chain", "lm", "replace", "--corpus", str(folder), "--out", "c.parquet"], "texts")


@pytest.mark.parametrize("kind", ["text", "empty", "foreign parquet", "truncated", "another run", "folder"])
def test_an_existing_out_that_is_not_this_run_is_never_overwritten(kind, capsys, elsewhere):
    out = elsewhere / "c.parquet"
    assert cli.main(chain("--out", str(out), "--seed", "1")) == 0
    capsys.readouterr()
    if kind == "foreign parquet":
        pd.DataFrame({"value": [1.0]}).to_parquet(out)
    elif kind == "truncated":
        out.write_bytes(out.read_bytes()[:-40])
    elif kind in ("text", "empty"):
        out.write_text("my thesis" if kind == "text" else "")
    elif kind == "folder":
        out.unlink()
        out.mkdir()
    seed = "2" if kind == "another run" else "1"
    for more in ([], ["--resume"]):
        said = refused(capsys, chain("--out", str(out), "--seed", seed, *more), str(out))
        assert kind != "another run" or "seed (1 there, 2 here)" in said


def test_a_place_that_cannot_be_written_is_refused(capsys, elsewhere, monkeypatch):
    (elsewhere / "file").write_text("not a folder")
    refused(capsys, chain("--out", "file/c.parquet"), "--out", "file")

    def denied(self, *_, **__):
        raise PermissionError(13, "Permission denied", str(self))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", denied)
        refused(capsys, chain("--out", "c.parquet"), "--out: cannot write c.parquet.state", "Permission denied")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_write_permission_is_refused(capsys, elsewhere):
    (elsewhere / "locked").mkdir(mode=0o500)
    refused(capsys, chain("--out", "locked/c.parquet"), "--out: cannot write", "locked")


def test_a_name_longer_than_the_disk_allows_is_refused(capsys):
    refused(capsys, chain("--out", "a" * 300 + ".parquet"), "--out", "too long")
    refused(capsys, chain("--out", "a" * 250 + ".parquet"), "--out", "too long")
    refused(capsys, chain("--out", ""), "--out")


def test_texts_that_are_not_this_runs_are_never_overwritten(capsys, elsewhere):
    (elsewhere / "out.parquet.texts.parquet").write_text("mine", encoding="utf-8")
    refused(capsys, chain("--out", "out.parquet"), "out.parquet.texts.parquet")


@pytest.mark.parametrize("error", [ExternalError("the hub"), MemoryError("1 TiB")])
def test_what_is_missing_before_anything_is_finished_leaves_no_state(error, capsys, monkeypatch):
    def missing(self, *arguments, **options):
        raise error

    monkeypatch.setattr(Gaussian, "fit", missing)
    refused(capsys, chain("--out", "out.parquet"), status=3)


def test_a_package_that_is_not_installed_is_status_3(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    # A size of its own: other tests in this process may have made the tokenizer of the usual one.
    ask = ["chain", "lm", "-n", "2", "-g", "0", "--set", "family.vocabulary=333"]
    refused(capsys, ask, "tokenizers", "model-collapse[lm", status=3)


def test_too_little_memory_is_status_3(capsys, monkeypatch):
    def greedy(*_, **__):
        raise MemoryError("Unable to allocate 2 TiB")

    monkeypatch.setattr(Gaussian, "source", greedy)
    refused(capsys, chain(), "memory", "fewer rows", status=3)


def test_an_interruption_says_how_to_go_on_and_going_on_needs_resume(capsys, monkeypatch, elsewhere):
    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("model_collapse.engine.execute.gather", interrupted)
        assert cli.main(chain("--out", "c.parquet")) == 130
    assert capsys.readouterr().err.splitlines()[-1].endswith("(for `chain` add --resume)")
    refused(capsys, chain("--out", "c.parquet"), "c.parquet is unfinished", "--resume")
    refused(capsys, chain("--out", "c.parquet", "--seed", "8", "--resume"), "seed (0 there, 8 here)")
    assert cli.main(chain("--out", "c.parquet", "--resume")) == 0
    assert os.listdir(elsewhere) == ["c.parquet"]


# Good input --------------------------------------------------------------------------------------------------------


def test_a_chain_prints_its_summary_and_keeps_its_table(capsys, elsewhere):
    assert cli.main(chain("--out", "c.parquet", "--seed", "7")) == 0
    printed = capsys.readouterr()
    table = store.read(elsewhere / "c.parquet")
    assert len(table) == 3 * 3 * 4 and set(table["seed"]) == {7}
    rows = [line.split() for line in printed.out.splitlines()[1:-1]]
    assert len(rows) == 3 * 4
    assert table["run_id"].iloc[0] in printed.out and "c.parquet" in printed.out
    for generation, metric, mean, sd, count in rows:
        values = table.loc[(table["generation"] == int(generation)) & (table["metric"] == metric), "value"]
        assert float(mean) == pytest.approx(values.mean(), rel=1e-4)
        assert float(sd) == pytest.approx(values.std(ddof=1), rel=1e-4)
        assert count == "3"
    before = contents(elsewhere)
    assert cli.main(chain("--out", "c.parquet", "--seed", "7")) == 0
    assert capsys.readouterr().out == printed.out and contents(elsewhere) == before


@pytest.mark.parametrize("more", [[], ["--replicates", "1"], ["-n", "1"]])
def test_json_is_strict_json_with_the_numbers_of_the_table(more, capsys, elsewhere):
    """One replicate has no spread and one row no logarithm of a variance: null, for JSON knows no nan."""

    def never(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    assert cli.main([*chain("--out", "c.parquet", "--json"), *more]) == 0
    said = json.loads(capsys.readouterr().out, parse_constant=never)
    table = store.read(elsewhere / "c.parquet")
    assert said["run_id"] == table["run_id"].iloc[0] and said["out"] == "c.parquet"
    assert len(said["summary"]) == 3 * 4
    for entry in said["summary"]:
        mine = (table["generation"] == entry["generation"]) & (table["metric"] == entry["metric"])
        values = table.loc[mine, "value"]
        assert entry["item"] == "" and entry["replicates"] == len(values)
        mean, sd = np.mean(values), np.std(values, ddof=1) if len(values) > 1 and np.all(np.isfinite(values)) else None
        assert entry["mean"] == (pytest.approx(mean) if np.isfinite(mean) else None)
        assert entry["sd"] == (None if sd is None else pytest.approx(sd))


@pytest.mark.parametrize("place", [2, 4, 7])
def test_a_regime_may_stand_before_between_and_after_options(place, capsys):
    arguments = ["chain", "gaussian", "-n", "8", "-g", "0", "--json"]
    arguments.insert(place, "accumulate")
    assert cli.main(arguments) == 0
    planned = plan("gaussian", "accumulate", n=8, generations=0)
    assert json.loads(capsys.readouterr().out)["run_id"] == planned.run_id
    refused(capsys, [*arguments, "mix"], "unrecognized arguments: mix")


def test_options_reach_the_run(capsys, elsewhere):
    arguments = ["chain", "gaussian", "mix", "-n", "20", "-g", "5", "--seed", "2", "--replicates", "4", "--every", "2"]
    settings = ["--set", "family.sampling=draw", "--set", "gaussian.dim=2", "--set", "regime.real_fraction=0.25"]
    assert cli.main([*arguments, *settings, "--metrics", "log_det,mean", "--given", "fresh", "--out", "c.parquet"]) == 0
    about = store.about(elsewhere / "c.parquet")["run"]
    expected = {
        "family": "gaussian",
        "family.sampling": "draw",
        "family.dim": 2,
        "family.estimator": "mle",
        "regime": "mix",
        "regime.real_fraction": 0.25,
        "n": 20,
        "generations": 5,
        "seed": 2,
        "replicates": 4,
        "every": 2,
        "given": "fresh",
        "metrics": ["log_det", "mean"],
    }
    assert {key: about[key] for key in expected} == expected
    table = store.read(elsewhere / "c.parquet")
    assert sorted(set(table["generation"])) == [0, 2, 4, 5]
    assert set(table.loc[table["generation"] > 0, "share_real"]) == {0.25}
    assert json.loads(table["regime_args"].iloc[0]) == {"real_fraction": 0.25}


@pytest.mark.parametrize(
    ("kind", "known"),
    [
        ("families", {"gaussian", "lm"}),
        ("regimes", {"replace", "accumulate", "mix"}),
        ("filters", set()),
        ("corpora", {"embedded", "wikitext-2", "wikitext-2-raw", "wikitext-2-v1"}),
    ],
)
def test_lists_name_everything_with_its_settings(kind, known, capsys):
    assert cli.main([kind, "--json"]) == 0
    listed = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert known <= set(listed)
    assert cli.main([kind]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in listed) and printed.strip()
    for entry in listed.values():
        assert entry["summary"]
        for setting in entry.get("settings", []):
            assert set(setting) == {"name", "default", "type", "description"} and setting["description"]
            assert setting["name"] in printed
            assert setting["type"] and "[" not in setting["type"]
    if kind == "families":
        types = {
            setting["name"]: setting["type"] for name in ("gaussian", "lm") for setting in listed[name]["settings"]
        }
        assert types["dim"] == "int" and types["lr"] == "auto or float" and types["continued"] == "bool"
        assert types["estimator"] == "one of mle, unbiased"
        dim = next(setting for setting in listed["gaussian"]["settings"] if setting["name"] == "dim")
        assert dim["default"] == 1
        assert listed["gaussian"]["metrics"] == ["mean", "variance", "log_det", "w2_squared"]


def test_the_command_as_a_process(elsewhere):
    """Exit statuses, streams and files as a shell sees them."""

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-m", "model_collapse.cli", *arguments], capture_output=True, text=True)

    bad = call("chain", "gaussian", "-n", "0", "--out", "c.parquet")
    assert (bad.returncode, bad.stdout, bad.stderr.count("\n")) == (2, "", 1) and "-n 0" in bad.stderr
    assert os.listdir(elsewhere) == []
    good = call(*chain("--out", "c.parquet", "--json"))
    assert good.returncode == 0 and json.loads(good.stdout)["out"] == "c.parquet"
    assert os.listdir(elsewhere) == ["c.parquet"]
