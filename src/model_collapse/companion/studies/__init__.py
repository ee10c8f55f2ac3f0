"""What is run: one file per study, found by its name.

    studies.find("language_model").runs("laptop", ("A", "B", "control"))

`study.py` has the idea: conditions and sizes; `gate.py` tests whether there was anything to lose. A file beside them
with a `STUDY` is a study, and its file name is its name; chapters, claims, verification and records use it.

The chapters `text`, `decoding` and `diversity` have no study of their own: their conditions and sizes are in
`language_model.py`. The conditions of `vae` and `diffusion` are in `_images.py`.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

from model_collapse.companion.studies.study import Study
from model_collapse.errors import InputError


def names() -> list[str]:
    """Names of all studies, sorted. Nothing is imported."""
    found = (module.name for module in pkgutil.iter_modules(__path__))
    return sorted(name for name in found if name not in ("study", "gate") and not name.startswith("_"))


def find(name: str) -> Study[Any]:
    """The study of that name. InputError lists the known ones."""
    if name not in names():
        raise InputError(f"study {name}: known are {', '.join(names())}")
    found: Study[Any] = importlib.import_module(f"{__name__}.{name}").STUDY
    return found
