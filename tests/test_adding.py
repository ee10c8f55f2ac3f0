"""The recipes of book/adding.md, put into a copy of the package and run as the page says."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "book" / "adding.md").read_text(encoding="utf-8")
FILES = {
    match["path"]: match["code"]
    for match in re.finditer(r"```python\n# (?P<path>\S+)\n(?P<code>.*?)```", PAGE, re.DOTALL)
}
COMMANDS = [
    shlex.split(command.replace("\\\n", " "))
    for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)
    for command in re.split(r"(?<!\\)\n", block.strip())
    if command.startswith(("model-collapse chain", "model-collapse verify"))
]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package with the recipes' files beside its own."""
    root = tmp_path_factory.mktemp("copy")
    shutil.copytree(ROOT / "src", root / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copytree(ROOT / "tests", root / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    for path, code in FILES.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(code, encoding="utf-8")
    return root


def python(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Python with the copy's package before the installed one."""
    environment = os.environ | {"PYTHONPATH": str(root / "src"), "MODEL_COLLAPSE_RUNS": str(root / "runs")}
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments], cwd=root, env=environment, capture_output=True, text=True
    )


def test_the_page_has_a_recipe_for_everything() -> None:
    kinds = {path.split("/")[-2] for path in FILES}
    assert kinds == {"regimes", "filters", "families", "metrics", "notebooks", "studies", "claims", "mutants"}
    assert len(COMMANDS) == 5


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[-1] if "verify" in command else command[2])
def test_its_commands_run(copy: Path, command: list[str]) -> None:
    done = python(copy, "-m", "model_collapse.cli", *command[1:])
    assert done.returncode == 0, done.stderr
    assert any(said in done.stdout for said in ("variance", "tail_share", "1 of 1 faults are caught")), done.stdout
    assert "contradicted" not in done.stdout and "undecided" not in done.stdout


def test_its_test_and_the_contract_pass(copy: Path) -> None:
    """The new members are found by the contract tests, and their own closed form holds."""
    own = next(path for path in FILES if path.startswith("tests/"))
    members = ("keep_half", "fading", "exponential")
    names = ["-k", " or ".join([*members, Path(own).stem])]
    done = python(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", own, "tests/test_contract.py", "-rA", *names)
    assert done.returncode == 0, done.stdout[-3000:]
    assert re.search(rf"PASSED {re.escape(own)}", done.stdout)
    for member in members:
        assert re.search(rf"PASSED .*{member}", done.stdout), f"{member} was not found by the contract tests"


def test_its_chapter_runs(copy: Path) -> None:
    cells = FILES["notebooks/50_keep_half.ipynb"].replace("# %% tags: parameters\n", "")
    done = python(copy, "-c", cells)
    assert done.returncode == 0, done.stderr
