"""Makes the recorded runs of two open questions: how much synthetic text is too much, and what becomes of minorities.

    python records/questions.py how-much|minorities|toy-worth [--minutes M] [--jobs N] [--out FOLDER] [--work FOLDER]

The same command goes on where it was cut: by --minutes, by Ctrl-C, or by force. At the end of every call, whatever all
arms have finished is written as a valid record. README.md beside this file says what each record is.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import study

from model_collapse.companion.studies import open_questions
from model_collapse.companion.studies.language import Scale
from model_collapse.engine.spec import Run


@dataclass(frozen=True)
class Plan:
    """A study to record: its size, and what makes its runs from that."""

    scale: Scale
    made: Callable[[Scale], dict[str, Run]]
    bins: tuple[str, ...] = ()

    def prepared(self, work: Path) -> dict[str, Any]:
        """The corpus is written by the package."""
        return {}

    def runs(self) -> dict[str, Run]:
        """Arm -> run."""
        return self.made(self.scale)

    def counted(self, runs: Mapping[str, Run], tables: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
        """Models that were trained in all recorded generations, and the seconds each took, evaluation included."""
        turns = pd.concat(table.drop_duplicates(["replicate", "generation"]) for table in tables.values())
        return {"models_trained": len(turns), "seconds_per_model": round(float(turns["seconds"].mean()), 2)}


def common(scale: Scale) -> dict[str, Any]:
    """Arguments of `plan` that all arms share."""
    sizes = {"n": scale.n, "generations": scale.generations, "replicates": scale.seeds, "seed": scale.seed}
    return {**sizes, "corpus": scale.corpus, "metrics": scale.metrics, "settings": dict(scale.model)}


def worth(real: tuple[int, ...], synthetic: tuple[int, ...]) -> Callable[[Scale], dict[str, Run]]:
    """Every number of real blocks beside every number of written ones."""
    return lambda scale: open_questions.worth("opt", real, synthetic, **common(scale))


def minorities(scale: Scale) -> dict[str, Run]:
    """The arms of the chapter on minorities."""
    return open_questions.minorities("opt", **common(scale))


READ = ("perplexity", "vocabulary", "training")
BY_GROUP = ("perplexity", "groups", "group_loss", "facts")
WORTH: Mapping[str, Any] = open_questions.WORTH
SHORT = {**WORTH, "family.steps": 4, "family.evaluate": 8}

PLANS: Mapping[str, Plan] = {
    "toy-worth": Plan(Scale("embedded", 16, 1, 2, seed=1, model=SHORT, metrics=READ), worth((4, 16), (0, 8))),
    "how-much": Plan(
        Scale("embedded", 384, 2, 12, seed=2, model=WORTH, metrics=READ), worth((48, 144, 384), (0, 96, 384))
    ),
    "minorities": Plan(
        Scale("embedded", 384, 5, 12, seed=2, model=open_questions.OPEN, metrics=BY_GROUP),
        minorities,
    ),
}


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    return study.main("questions", __doc__ or "", PLANS, arguments)


if __name__ == "__main__":
    sys.exit(main())
