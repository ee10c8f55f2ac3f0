"""Makes the recorded runs of the image experiments.

    python records/images.py mnist|mnist-finite|digits-vae|digits-diffusion|toy-images [--minutes M] [--jobs N]
        [--out FOLDER] [--work FOLDER]

The same command goes on where it was cut: by --minutes, by Ctrl-C, or by force. At the end of every call, whatever all
arms have finished is written as a valid record. README.md beside this file says what each record is.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import study

from model_collapse import families, registry
from model_collapse.companion.studies import images
from model_collapse.companion.studies.language import Scale
from model_collapse.engine.spec import Run


@dataclass(frozen=True)
class Plan:
    """A study to record.

    bins  arms whose histograms are kept
    """

    family: str
    scale: Scale
    arms: tuple[str, ...]
    bins: tuple[str, ...] = ()

    def prepared(self, work: Path) -> dict[str, Any]:
        """Images are read where they lie."""
        return {}

    def runs(self) -> dict[str, Run]:
        """Arm -> run."""
        return images.runs(self.family, self.arms, self.scale)

    def counted(self, runs: Mapping[str, Run], tables: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
        """Images per second of all recorded generations: trained on, each as often as it was, over their seconds."""
        turns = pd.concat(table.drop_duplicates(["replicate", "generation"]) for table in tables.values())
        settings = next(iter(runs.values())).family_args
        one = next(iter(runs.values()))
        batch = registry.build(families, self.family, settings).rows_per_step
        trained = len(turns) * (settings["steps"] * batch or one.n * settings["epochs"])
        return {"images_trained": trained, "images_per_second": round(trained / turns["seconds"].sum(), 1)}


VAE, DIFFUSION = images.SCALES["vae"], images.SCALES["diffusion"]

PLANS: Mapping[str, Plan] = {
    "toy-images": Plan("vae", replace(VAE["smoke"], n=64, generations=1), ("full", "control"), bins=("full",)),
    "mnist": Plan("vae", VAE["mnist"], ("published",), bins=("published",)),
    "mnist-finite": Plan("vae", VAE["mnist"], ("full",)),
    "digits-vae": Plan(
        "vae",
        VAE["digits"],
        ("published", "full", "drawn", "augmentation", "fresh", "accumulate", "control"),
        bins=("published",),
    ),
    "digits-diffusion": Plan(
        "diffusion",
        DIFFUSION["digits"],
        ("full", "pretty", "fresh", "accumulate", "control", "share-3", "healing"),
    ),
}


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    return study.main("images", __doc__ or "", PLANS, arguments)


if __name__ == "__main__":
    sys.exit(main())
