"""Set-up: pyproject.toml, requirements.lock, environment.yml, .binder and the Makefile agree."""

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import model_collapse

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
EXTRAS = PROJECT["optional-dependencies"]
DIRECT = [Requirement(line) for group in (PROJECT["dependencies"], *EXTRAS.values()) for line in group]

ENVIRONMENTS = [
    {"python_version": python, "python_full_version": f"{python}.9", "sys_platform": system, "os_name": name}
    for python in ("3.11", "3.12", "3.13")
    for system, name in (("linux", "posix"), ("darwin", "posix"), ("win32", "nt"))
]

# Versions in Google Colab, August 2026.
COLAB = {
    "datasets": "4.0.0",
    "matplotlib": "3.10.0",
    "numpy": "2.1.3",
    "pandas": "2.2.3",
    "pyarrow": "18.1.0",
    "scipy": "1.16.3",
    "seaborn": "0.13.2",
    "torch": "2.11.0",
    "transformers": "5.15.0",
}


def pinned(environment: dict[str, str]) -> dict[str, list[Version]]:
    """Versions that the lock pins for each package in that environment."""
    found: dict[str, list[Version]] = {}
    for line in LOCK.splitlines():
        if line and not line.startswith("#"):
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate(environment):
                (exact,) = requirement.specifier
                assert exact.operator == "==", line
                found.setdefault(canonicalize_name(requirement.name), []).append(Version(exact.version))
    return found


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=lambda e: f"{e['python_version']}-{e['sys_platform']}")
def test_lock_pins_every_direct_dependency_once_within_its_bounds(environment):
    pins = pinned(environment)
    assert len(pins) > 100
    assert {name: versions for name, versions in pins.items() if len(versions) != 1} == {}
    assert pins["torch"] == [Version("2.13.0")]
    for requirement in DIRECT:
        (version,) = pins[canonicalize_name(requirement.name)]
        assert version in requirement.specifier, requirement


def test_lock_serves_cpu_and_cuda_and_names_no_place():
    assert re.findall(r"(?m)^(?:nvidia|cuda|triton|pytorch-triton)\b.*", LOCK) == []
    assert re.findall(r"(?m)^.*(?:://|--hash|\s/|@ ).*", LOCK) == []


def test_bounds_admit_colab_and_cap_only_jupyter_book():
    named = {canonicalize_name(requirement.name): requirement for requirement in DIRECT}
    for name, version in COLAB.items():
        assert Version(version) in named[name].specifier, named[name]
    capped = {r.name for r in DIRECT if any(bound.operator not in (">=", ">") for bound in r.specifier)}
    assert capped == {"jupyter-book"}
    assert PROJECT["requires-python"] == ">=3.11"


def test_the_core_is_light():
    core = {canonicalize_name(Requirement(line).name) for line in PROJECT["dependencies"]}
    assert {"numpy", "pandas", "pyarrow"} <= core
    assert core.isdisjoint(
        {"torch", "transformers", "datasets", "tokenizers", "diffusers", "jupyter-book", "papermill"}
    )


def test_environment_yml_leaves_everything_but_python_and_pip_to_the_lock():
    parts = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    conda = [re.split(r"[=<> ]", part)[0] for part in parts if isinstance(part, str)]
    (pip,) = [part["pip"] for part in parts if isinstance(part, dict)]
    assert conda == ["python", "pip"]
    lock, package = pip
    assert lock == "-r requirements.lock"
    match = re.fullmatch(r"-e \.\[(.+)\]", package)
    assert match is not None
    assert sorted(match[1].split(",")) == sorted(EXTRAS)


def test_binder_installs_the_core_without_torch():
    lines = (ROOT / ".binder" / "requirements.txt").read_text(encoding="utf-8").splitlines()
    names = {canonicalize_name(line) for line in lines if line and line[0] not in "#-"}
    core = {canonicalize_name(Requirement(line).name) for line in PROJECT["dependencies"]}
    heavy = {canonicalize_name(Requirement(line).name) for extra in ("lm", "images") for line in EXTRAS[extra]}
    assert "-c ../requirements.lock" in lines
    assert core <= names <= set(pinned(ENVIRONMENTS[0]))
    assert names.isdisjoint(heavy)
    assert os.access(ROOT / ".binder" / "postBuild", os.X_OK)


def test_one_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == model_collapse.__version__
    assert [entry["doi"] for entry in citation["references"]] == ["10.1038/s41586-024-07566-y"]


def top_level_imports(code):
    """Names of the packages that a piece of Python imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def test_every_imported_package_is_declared():
    sources = {
        path: path.read_text(encoding="utf-8")
        for part in ("src", "tests", "book")
        for path in (ROOT / part).rglob("*.py")
    }
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        lines = "".join("".join(cell["source"]) + "\n" for cell in cells if cell["cell_type"] == "code").splitlines()
        sources[path] = "\n".join("pass" if line.startswith(("%", "!")) else line for line in lines)
    ours = {path.stem for path in sources} | {path.parent.name for path in sources} | {"model_collapse"}
    imported = set().union(*map(top_level_imports, sources.values())) - ours - set(sys.stdlib_module_names)
    assert {"numpy", "torch", "pytest"} <= imported
    declared = {canonicalize_name(requirement.name) for requirement in DIRECT}
    distributions = packages_distributions()
    undeclared = {
        module for module in imported if declared.isdisjoint(map(canonicalize_name, distributions.get(module, [])))
    }
    assert undeclared == set()


# The set-up itself, with a stand-in for Python: no package is installed.

STANDIN = """#!/bin/sh
echo "$@" >> calls
case "$*" in
    *version_info*) exit {too_old} ;;
    *venv*) mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
    *"-r requirements.lock"*) exit {pip_fails} ;;
esac
"""


@pytest.fixture
def project(tmp_path):
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    return tmp_path


def make(folder, *arguments, too_old=0, pip_fails=0):
    standin = folder / "python-standin"
    standin.write_text(STANDIN.format(too_old=too_old, pip_fails=pip_fails))
    standin.chmod(0o755)
    # This test may itself run under make, whose flags must not reach the inner one.
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS", "TORCH"))}
    command = ["make", *arguments, "PYTHON=./python-standin"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def calls(folder):
    """What Python was asked to do since the last call, without the questions about its version."""
    log = folder / "calls"
    lines = log.read_text().splitlines() if log.exists() else []
    log.unlink(missing_ok=True)
    return [line for line in lines if "version_info" not in line]


def age(folder):
    """Moves inputs and stamps into the past, in order, so that a touched input is newer than every stamp."""
    for second, name in enumerate(("requirements.lock", "pyproject.toml", ".venv/.locked", ".venv/.installed")):
        os.utime(folder / name, (second, second))


def test_each_step_of_the_setup_runs_once_and_again_only_when_its_input_changes(project):
    assert make(project, "setup").returncode == 0
    venv, lock, package = calls(project)
    assert venv == "-m venv --clear .venv"
    assert "-r requirements.lock" in lock
    assert "--no-deps" in package and package.endswith("-e .")

    assert make(project, "setup").returncode == 0
    assert calls(project) == []

    for changed, expected in (("pyproject.toml", [package]), ("requirements.lock", [lock, package])):
        age(project)
        assert make(project, "setup").returncode == 0
        assert calls(project) == []
        (project / changed).touch()
        assert make(project, "setup").returncode == 0
        assert calls(project) == expected


def test_a_setup_that_fails_half_way_starts_again(project):
    assert make(project, "setup", pip_fails=1).returncode != 0
    assert list((project / ".venv").glob(".*ed")) == []
    (project / ".venv" / "bin" / "python").unlink()
    assert make(project, "setup").returncode == 0
    assert {stamp.name for stamp in (project / ".venv").glob(".*ed")} == {".locked", ".installed"}


def test_cpu_only_torch_is_one_variable(project):
    assert make(project, "setup", "TORCH_INDEX=an-address").returncode == 0
    assert "-r requirements.lock --extra-index-url an-address" in calls(project)[1]


def test_an_old_python_is_refused_in_one_line(project):
    refused = make(project, "setup", too_old=1)
    assert refused.returncode != 0
    said = [line for line in refused.stderr.splitlines() if not line.startswith("make")]
    assert said == ["Python >= 3.11 is needed, ./python-standin is not: make ... PYTHON=python3.12"]
    assert not (project / ".venv").exists()


def test_make_alone_lists_every_verb(project):
    listed = make(project).stdout
    verbs = re.findall(r"^\.PHONY: (.+)$", (project / "Makefile").read_text(), flags=re.MULTILINE)[0].split()
    assert {"book", "test", "lab", "lint", "lock", "clean"} <= set(verbs)
    assert [verb for verb in verbs if verb != "help" and f"make {verb}" not in listed] == []
    assert calls(project) == []


def test_clean_keeps_the_environment(project):
    (project / "_build" / "html").mkdir(parents=True)
    (project / ".venv").mkdir()
    assert make(project, "clean").returncode == 0
    assert not (project / "_build").exists() and (project / ".venv").exists()


def test_workflows_pin_every_action_to_a_commit() -> None:
    """And say which version that is; a tag can be moved to another commit."""
    used = [
        line.partition("uses:")[2].strip()
        for file in sorted((ROOT / ".github/workflows").glob("*.yml"))
        for line in file.read_text(encoding="utf-8").splitlines()
        if "uses:" in line
    ]
    assert len(used) > 5
    assert [line for line in used if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v[\d.]+", line)] == []
