"""Where things lie. The only module that knows folders."""

from __future__ import annotations

import os
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
"""The package's own source."""

STUDIED = "MODEL_COLLAPSE_STUDIED"
"""Environment variable that names a file to which `run_all` adds a line, [label, run_id] as JSON, for each run."""

READ = "MODEL_COLLAPSE_READ"
"""Environment variable that names a file to which `records.read` and `records.begun` add a line, [name, checksum] as
JSON, for each record of the repository that they are asked for."""

RUNNER = "MODEL_COLLAPSE_RUNNER"
"""Environment variable that the runner of chapters sets for what it runs, and nobody else."""


def project() -> Path | None:
    """The root of the checkout that the package lies in, or None where it was installed without one."""
    root = PACKAGE.parents[1]
    return root if (root / "pyproject.toml").is_file() and (root / "notebooks").is_dir() else None


def benchmarks() -> Path | None:
    """The folder of the published ways that `bench` compares with, if there is a checkout."""
    root = project()
    return root / "benchmarks" if root and (root / "benchmarks").is_dir() else None


def lock() -> Path | None:
    """requirements.lock of the checkout, if there is one."""
    root = project()
    return root / "requirements.lock" if root and (root / "requirements.lock").is_file() else None


def records() -> Path | None:
    """The folder of recorded runs, if there is a checkout."""
    root = project()
    return root / "records" if root else None


def cache() -> Path:
    """Where things that can be made again are kept: $MODEL_COLLAPSE_CACHE, else ~/.cache/model_collapse."""
    return Path(os.environ.get("MODEL_COLLAPSE_CACHE") or Path.home() / ".cache" / "model_collapse")


def mirror() -> Path | None:
    """Where runs are saved besides: $MODEL_COLLAPSE_MIRROR, or on Colab the Drive where it is mounted, else nowhere."""
    named = os.environ.get("MODEL_COLLAPSE_MIRROR")
    if named:
        return Path(named)
    drive = Path("/content/drive/MyDrive")
    return drive / "model-collapse" / "runs" if "google.colab" in sys.modules and drive.is_dir() else None


def data() -> Path | None:
    """The folder searched before the hub: $MODEL_COLLAPSE_DATA, or None where it is not set."""
    folder = os.environ.get("MODEL_COLLAPSE_DATA")
    return Path(folder) if folder else None
