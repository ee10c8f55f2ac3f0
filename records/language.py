"""Makes the recorded runs of the language experiment.

    python records/language.py wikitext|curation|provenance|marks|cost|cpu|gpu|gpu-all|toy [--minutes M] [--jobs N]
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

from model_collapse import paths, store
from model_collapse.companion.records import manifest
from model_collapse.companion.studies import curation, language
from model_collapse.companion.studies.language import Scale
from model_collapse.engine import spec
from model_collapse.engine.spec import Run
from model_collapse.errors import InputError

PAPER = ("A", "B", "control")

CLAIMS = (
    *PAPER,
    *("A10", "B5", "penalty-2", "greedy", "sampled", "cold", "top-k"),
    *("accumulate", "subsample", "grow", "surprising", "unsurprising"),
)


WRITERS = ("A", "marked", "polluted", "thinned", "weighed", "unmarked", "known", "control")

MARKS = ("marked", "marked-beam", "synthid")

BLOCKS = (96, 192, 384, 768)


@dataclass(frozen=True)
class Plan:
    """A study to record.

    web     folders under $MODEL_COLLAPSE_DATA to pre-train on, together; none: what the scale says
    bins    arms whose histograms are kept
    blocks  sizes of training sets that every arm is run with; none: what the scale says
    """

    scale: Scale
    arms: tuple[str, ...] = PAPER
    web: tuple[str, ...] = ()
    bins: tuple[str, ...] = ("A", "B")
    blocks: tuple[int, ...] = ()

    def prepared(self, work: Path) -> dict[str, Any]:
        """Link the text to pre-train on into `work`; the sha256 of its files."""
        return {"inputs": _together(self.web, work) if self.web else {}}

    def runs(self) -> dict[str, Run]:
        """Arm -> run. The text lies in the present folder, so that a record names no folder of its machine."""
        named = {"family.pretrain": _named(self.web)} if self.web else {}
        scale = replace(self.scale, model={**self.scale.model, **named})
        return language.sizes(self.arms, self.blocks, scale) if self.blocks else language.runs(self.arms, scale)

    def counted(self, runs: Mapping[str, Run], tables: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
        """tokens_trained and tokens_written are of all recorded generations; tokens_pretrained is at most that."""
        counted = [
            manifest.tokens(spec.describe(runs[arm]), table.drop_duplicates(["replicate", "generation"]))
            for arm, table in tables.items()
        ]
        settings = next(iter(runs.values())).family_args
        return {
            "tokens_pretrained": settings["pretrain_blocks"] * settings["pretrain_epochs"] * settings["block"],
            "tokens_trained": sum(trained for trained, _ in counted),
            "tokens_written": sum(written for _, written in counted),
        }


SMALL: Mapping[str, Any] = {
    "family.preset": "small",
    "family.vocabulary": 4096,
    "family.pretrain_blocks": 65536,
    "family.pretrain_epochs": 1,
    "family.lr": 3e-4,  # a third of the rate of pre-training, as at the other scales
    "family.dropout": 0.0,
    "family.evaluate": 256,
    # Half as long as fp32 where the processor has bf16, and what GPUs compute in.
    "family.precision": "bf16",
}

SHAPED: Mapping[str, Any] = {
    "family.preset": "opt-125m",
    "family.tokenizer": "opt",
    "family.pretrain_blocks": 720_000,
    "family.pretrain_epochs": 2,
    "family.pretrain_lr": 5e-4,
    "family.warmup": 0.02,
    "family.lr": 2e-5,
    "family.batch": 128,
    "family.precision": "bf16",
    "family.evaluate": 2048,
    "family.sample_batch": 256,
}
"""OPT-125m's shape and tokenizer, and the released script's rate and batch; not its weights."""

BOOKS = ("wikipedia-en-2015", "eltec-eng")

PLANS: Mapping[str, Plan] = {
    "toy": Plan(
        replace(
            language.SCALES["smoke"],
            n=16,
            model={**language.TINY, "family.pretrain_blocks": 32, "family.pretrain_epochs": 1, "family.evaluate": 8},
        )
    ),
    "wikitext": Plan(language.SCALES["wikitext"], CLAIMS, bins=("A",)),
    "curation": Plan(language.SCALES["curation"], curation.ARMS, bins=()),
    "provenance": Plan(language.SCALES["provenance"], WRITERS, bins=("A", "marked")),
    "marks": Plan(language.SCALES["marks"], MARKS, bins=MARKS),
    "cost": Plan(language.SCALES["cost"], ("sampled", "accumulate", "mixed", "control"), bins=(), blocks=BLOCKS),
    "cpu": Plan(Scale("wikitext-2-v1", 640, 9, 2, model=SMALL), web=BOOKS[:1]),
    "gpu": Plan(Scale("wikitext-2-v1", 8192, 9, 2, model=SHAPED), web=BOOKS),
    "gpu-all": Plan(Scale("wikitext-2-v1", "all", 9, 2, model=SHAPED), web=BOOKS),
}


def _named(folders: tuple[str, ...]) -> str:
    """The folder with the training text of several folders."""
    return "+".join(folders)


def _together(folders: tuple[str, ...], work: Path) -> dict[str, str]:
    """Fill that folder in `work` with links; sha256 of every file."""
    data = paths.data()
    if data is None:
        raise InputError(f"MODEL_COLLAPSE_DATA: set it to a folder that holds {' and '.join(folders)}")
    name = _named(folders)
    (work / name).mkdir(exist_ok=True)
    sums = {}
    for folder in folders:
        files = sorted(file for file in (data / folder).glob("*.parquet") if file.name.startswith("train"))
        if not files:
            raise InputError(f"MODEL_COLLAPSE_DATA: {data / folder} holds no train*.parquet")
        for file in files:
            link = work / name / f"{folder}-{file.name}"
            link.unlink(missing_ok=True)
            link.symlink_to(file.resolve())
            sums[f"{folder}/{file.name}"] = store.checksum(file)
    return sums


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    return study.main("language", __doc__ or "", PLANS, arguments)


if __name__ == "__main__":
    sys.exit(main())
