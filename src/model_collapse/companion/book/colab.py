"""Google Colab: what it lacks is installed before a chapter starts.

Only the standard library is imported at the top.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile

from model_collapse import hardware, paths
from model_collapse.companion.book.notebook import runs_folder
from model_collapse.errors import InputError


def prepare_colab(extras: tuple[str, ...] = ("lm", "images")) -> None:
    """On Colab, after the package: install what Colab lacks or has too old, and say where results are saved.

    Nothing else that is there is touched: the versions in place are given to pip as constraints. torch and numpy never
    change, because another one would ask for a restart and break what Colab has built on them; InputError says so where
    they are too old.
    """
    pip = [sys.executable, "-m", "pip"]
    wanted = _wanted(extras)
    if fixed := [
        f"{name}{needs} is required, {version} is here" for name, (needs, version) in wanted.items() if name in FIXED
    ]:
        raise InputError(f"{'; '.join(fixed)}: choose the latest runtime version (Runtime > Change runtime type)")
    if wanted:
        frozen = subprocess.run([*pip, "freeze"], capture_output=True, text=True, check=True).stdout
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as constraints:
            # Packages from a folder or an address cannot be a constraint, and what is too old must not be one.
            pinned = [line for line in frozen.splitlines() if re.fullmatch(r"[\w.-]+==\S+", line)]
            constraints.write("\n".join(line for line in pinned if _plain(line.partition("==")[0]) not in wanted))
            constraints.flush()
            missing = [f"{name}{needs}" for name, (needs, _) in wanted.items()]
            subprocess.run([*pip, "install", "--quiet", "-c", constraints.name, *missing], check=True)
        if changed := [name for name, (_, version) in wanted.items() if version and name in sys.modules]:
            print(f"restart the runtime, and run this cell again: {', '.join(changed)} was in use in an older version")
    if found := hardware.gpus("name", "memory.total"):
        print("GPU:", "\n".join(found))
    else:
        print("no GPU: Runtime > Change runtime type > T4 GPU, or use the profile `laptop`")
    lost = "; they end with this machine unless you mount your Drive (Files > Mount Drive)"
    print(f"results are saved in {paths.mirror() or f'{runs_folder()}{lost}'}")


FIXED = ("torch", "numpy")
"""Packages that are never installed over what Colab has."""


def _wanted(extras: tuple[str, ...]) -> dict[str, tuple[str, str | None]]:
    """Requirements of the installed package with these extras that are not met: name -> versions allowed, one here."""
    from importlib import metadata

    from packaging.requirements import Requirement

    found: dict[str, tuple[str, str | None]] = {}
    for line in metadata.requires("model-collapse") or []:
        needs = Requirement(line)
        if needs.marker and not any(needs.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            continue
        try:
            version: str | None = metadata.version(needs.name)
        except metadata.PackageNotFoundError:
            version = None
        if version is None or not needs.specifier.contains(version, prereleases=True):
            found[_plain(needs.name)] = (str(needs.specifier), version)
    return found


def _plain(name: str) -> str:
    """The name of a package as all its spellings are compared."""
    return re.sub(r"[-_.]+", "-", name).lower()
