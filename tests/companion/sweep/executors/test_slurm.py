"""Slurm: the array that is written, and what its jobs make, with a stand-in for sbatch that runs them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import toy_sweep
from toy_sweep import same, tidy, written

from model_collapse import cli
from model_collapse.companion.sweep import tasks
from model_collapse.companion.sweep.executors import slurm

SBATCH = f"""#!{sys.executable}
import os, re, shlex, subprocess, sys
lines = [line for line in open(sys.argv[1]).read().splitlines() if line.startswith("#SBATCH ")]
words = [word for line in lines for word in shlex.split(line.removeprefix("#SBATCH "))]
given = dict(word.partition("=")[::2] for word in words)
assert len(words) == len(lines) and given["--job-name"], words
for number in given["--array"].split(","):
    log = re.sub("%(.)", lambda found: {{"%": "%", "a": number}}[found[1]], given["--output"])
    with open(log, "a") as out:
        env = {{**os.environ, "SLURM_ARRAY_TASK_ID": number}}
        subprocess.run(["bash", sys.argv[1]], env=env, stdout=out, stderr=out)
print("Submitted batch job 17")
"""
"""Reads options as Slurm does, runs the jobs one after the other, and says what sbatch says."""

SMALL = "family: gaussian\nn: 10\ngenerations: 1\nreplicates: 300\nseeds: [1, 2]\n"


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with sbatch, in the folder of the sweep."""
    place = tmp_path / "bin"
    place.mkdir()
    (place / "sbatch").write_text(SBATCH)
    (place / "sbatch").chmod(0o755)
    monkeypatch.setenv("PATH", f"{place}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_an_array_makes_the_same_bits(there: Path, capfd: pytest.CaptureFixture[str]):
    sweep = written(there, SMALL)
    (there / "chains").mkdir()
    toy_sweep.chains(sweep, there / "chains")
    asked = ["sweep", "run", "toy.yaml", "--executor", "slurm", "--jobs", "2", "--sbatch=--time=1:00:00"]
    assert cli.main(asked) == 0
    assert "Submitted batch job 17; 2 jobs" in capfd.readouterr().err
    script = (sweep.folder / "sweep.sbatch").read_text()
    for line in ("--array=0,1", "--requeue", "--time=1:00:00"):
        assert f"#SBATCH {line}\n" in script
    assert sorted(file.name for file in (sweep.folder / "log").iterdir()) == ["0.txt", "1.txt"]
    same(sweep, there / "chains")
    tidy(sweep)
    assert cli.main(asked) == 0
    assert "nothing is left to do" in capfd.readouterr().err


def test_a_folder_may_have_any_name_that_slurm_can_be_told(there: Path, capfd: pytest.CaptureFixture[str]):
    """Blanks, quotes, a comment's sign, and what would be the name of a node; no backslash, which none is to have."""
    written(there, SMALL)
    folder = there / """100%N of 'it' #1 is "done" """.strip()
    asked = ["sweep", "run", "toy.yaml", "--executor", "slurm", "--jobs", "1", "--folder"]
    assert cli.main([*asked, str(folder)]) == 0, capfd.readouterr().err
    assert (folder / "log" / "0.txt").exists() and len(list(folder.glob("*.parquet"))) == 2
    capfd.readouterr()
    for name in ("back\\slash", "two\nlines"):
        assert cli.main([*asked, name]) == 2
        err = capfd.readouterr().err
        assert "Slurm needs a name of one line without a backslash" in err and err.count("\n") == 1


def test_only_jobs_with_something_left_are_submitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    """Without sbatch the script is written all the same, for where there is one."""
    monkeypatch.setenv("PATH", str(tmp_path))
    sweep = written(tmp_path, SMALL)
    file = str(tmp_path / "toy.yaml")
    assert cli.main(["sweep", "run", file, "--task", "1/4"]) == 0
    capsys.readouterr()
    assert cli.main(["sweep", "run", file, "--executor", "slurm"]) == 3
    err = capsys.readouterr().err
    assert "no sbatch on this machine, so nothing was submitted" in err and f"sbatch {sweep.folder}" in err
    assert err.count("\n") == 1
    script = (sweep.folder / "sweep.sbatch").read_text()
    assert "#SBATCH --array=0,2,3\n" in script and f'"$SLURM_ARRAY_TASK_ID/{len(tasks.all_blocks(sweep))}"' in script


def test_many_tasks_are_dealt_to_as_many_jobs_as_slurm_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(slurm, "MOST", 3)
    sweep = written(tmp_path, SMALL)
    assert cli.main(["sweep", "run", str(tmp_path / "toy.yaml"), "--executor", "slurm"]) == 3
    script = (sweep.folder / "sweep.sbatch").read_text()
    assert "#SBATCH --array=0,1,2\n" in script and '"$SLURM_ARRAY_TASK_ID/3"' in script


def test_what_sbatch_refuses_is_one_line(there: Path, capsys: pytest.CaptureFixture[str]):
    written(there, SMALL)
    (there / "bin" / "sbatch").write_text("#!/bin/bash\necho sbatch: error: invalid partition >&2\nexit 1\n")
    assert cli.main(["sweep", "run", "toy.yaml", "--executor", "slurm"]) == 3
    assert capsys.readouterr().err.count("invalid partition") == 1
    assert cli.main(["sweep", "run", "toy.yaml", "--executor", "slurm", "--sbatch=gpu"]) == 2
    assert "--sbatch gpu: write an option" in capsys.readouterr().err
