"""Makes the recorded run of models that read each other.

    python records/exchange.py exchange|toy [--minutes M] [--jobs N] [--out FOLDER] [--work FOLDER]

The same command goes on where it was cut; README.md beside this file says what each record is.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import study

from model_collapse.companion.studies import other_ai
from model_collapse.companion.studies.language import Scale
from model_collapse.engine.spec import Run


@dataclass(frozen=True)
class Plan:
    """A study to record."""

    scale: Scale
    arms: tuple[str, ...] = (*other_ai.MANY, "first", "both", "control")
    bins: tuple[str, ...] = ()

    def prepared(self, work: Path) -> dict[str, Any]:
        """Nothing is needed."""
        return {}

    def runs(self) -> dict[str, Run]:
        """Arm -> run."""
        return other_ai.runs(self.arms, self.scale)

    def counted(self, runs: Mapping[str, Run], tables: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
        """Blocks that all models of all recorded generations were trained on in each of their epochs, and wrote."""
        trained, written = 0, 0
        for arm, table in tables.items():
            turns = table[table["metric"] == "perplexity"]
            trained += int(turns["n_train"].sum())
            written += len(turns) * runs[arm].n
        return {"blocks_trained": trained, "blocks_written": written}


PLANS: Mapping[str, Plan] = {
    "exchange": Plan(other_ai.SCALES["recorded"]),
    "toy": Plan(replace(other_ai.SCALES["smoke"], n=16, generations=1), ("M1", "M2", "first")),
}


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    return study.main("exchange", __doc__ or "", PLANS, arguments)


if __name__ == "__main__":
    sys.exit(main())
