"""Chapters: the notebooks in `notebooks/`, and the runner that executes them with papermill.

A chapter is `notebooks/NN_slug.ipynb` and is called by its slug. Its notebook metadata say what each profile costs,

    "chapter": {"cost": {"smoke": {"device": "cpu", "minutes": 0.2, "disk_mb": 1}, ...}}

and one cell tagged `parameters` holds annotated assignments with defaults. Executed copies lie under
`_build/executed/`; the clean notebooks are never written to.

    chapter.py     what chapters there are, their cost, their parameters
    executed.py    where executed copies and their manifests lie, and whether one still holds
    execute.py     executes one notebook (a process of its own)
    run.py         checks, prints the cost, runs chapters side by side
"""

from model_collapse.chapters import _quick  # noqa: F401  first, before anything imports nbformat
from model_collapse.chapters.chapter import PROFILES, Chapter, Cost, find
from model_collapse.chapters.run import run

__all__ = ["PROFILES", "Chapter", "Cost", "find", "run"]
