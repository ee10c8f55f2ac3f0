"""A part of a record, chosen at random, is run again and compared with the record, bit for bit.

A forger cannot know in advance which chain will be run again, and up to which generation. Equal settings, code
and packages give equal numbers, on the same kind of processor to the last bit; where one of them has changed, nothing
can be compared, and the command says so.
"""

from __future__ import annotations

import tempfile
from contextlib import chdir
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from model_collapse import store
from model_collapse.companion import records
from model_collapse.companion.records import of_study, settings
from model_collapse.companion.records.check import BINS
from model_collapse.companion.records.run import absolute, together
from model_collapse.companion.studies.study import Study
from model_collapse.engine import spec
from model_collapse.engine.block import make_base, tables_so_far, work
from model_collapse.engine.layout import state_folder
from model_collapse.engine.unit import Unit
from model_collapse.errors import ExternalError, InputError

SECONDS = 120.0
"""Of a chain, as recorded, that are run again at most; of what takes longer the shortest part."""

KEYS = ["generation", "metric", "item"]
HELD = ["n_train", "share_real", "value"]


@dataclass(frozen=True)
class Again:
    """Generations 0 to `generation` of one chain, run again.

    values  that were compared
    other   that are others now
    """

    record: str
    arm: str
    replicate: int
    generation: int
    values: int
    other: int

    def __str__(self) -> str:
        what = f"{self.record}: arm {self.arm}, seed {self.replicate}, generations 0 to {self.generation} run again"
        if self.other:
            return f"{what}: {self.other} of {self.values} values are others than recorded"
        return f"{what}: all {self.values} values are as recorded, bit for bit"


def check(study: Study[Any], size: str, rng: np.random.Generator, folder: Path | None = None) -> Again:
    """Run a part of the record of a study again.

    rng     chooses the part
    folder  of the record; None: the checkout's records/

    InputError where the size is not recorded; ExternalError where the record cannot be compared, with the reason.
    """
    wanted = study.at(size)
    if wanted.record is None:
        kept = ", ".join(name for name, each in study.sizes.items() if each.record)
        raise InputError(f"--size {size}: recorded sizes of study {study.name} are {kept or 'none'}")
    absolute()
    recorded = records.read(wanted.record.name, records.where(folder).resolve())
    with tempfile.TemporaryDirectory() as scratch:
        together(wanted.record.pretrain, Path(scratch))
        if wanted.record.pretrain:
            text = of_study.pretrained_on(wanted.record.pretrain)
            wanted = study.at(wanted, settings={**wanted.settings, "family.pretrain": text})
        with chdir(scratch):
            runs = study.runs(wanted)
            arm, replicate, last = _chosen(recorded, rng)
            if why := _apart(recorded, arm, runs.get(arm)):
                raise ExternalError(f"{recorded.name} cannot be compared: {why}")
            return _compared(recorded, arm, replicate, last, _run(runs[arm], replicate, last))


def _chosen(recorded: records.Recorded, rng: np.random.Generator) -> tuple[str, int, int]:
    """A condition, a replicate, and a generation up to which its chain is run again."""
    spent = {
        (arm, int(replicate), int(t)): float(seconds)
        for arm, table in recorded.tables.items()
        for (replicate, t), seconds in _until(table).items()
    }
    affordable = [place for place, seconds in spent.items() if seconds <= SECONDS]
    places = affordable or [min(spent, key=lambda place: spent[place])]
    return places[int(rng.integers(len(places)))]


def _until(table: pd.DataFrame) -> dict[tuple[int, int], float]:
    """(replicate, generation) -> seconds that the chain took up to it, as recorded."""
    each = table.drop_duplicates(["replicate", "generation"]).sort_values(["replicate", "generation"])
    total = each.groupby("replicate")["seconds"].cumsum()
    places = zip(each["replicate"].tolist(), each["generation"].tolist(), strict=True)
    return dict(zip(places, total.tolist(), strict=True))


def _apart(recorded: records.Recorded, arm: str, run: spec.Run | None) -> str:
    """Why a run here would not have to give the same bits; "" if it would."""
    if recorded.changed is None:
        return "nobody noted which code made it"
    if recorded.changed:
        which = ", ".join(recorded.changed[:3])
        return f"it was made by earlier code, {which} changed since"
    if run is None:
        return f"the study has no arm {arm} any more"
    kept = recorded.about["arms"][arm]["run"]
    if differs := settings.different(kept, spec.describe(run)):
        return f"arm {arm} has {settings.said(differs)}"
    if kept["content"] != run.content[:12]:
        return "the text or the weights here are others"
    theirs, mine = recorded.about["versions"], store.versions()
    packages = {*theirs, *mine} - {"model-collapse"}
    if other := sorted(name for name in packages if theirs.get(name) != mine.get(name)):
        return f"it was made with {other[0]} {theirs.get(other[0])}, and here is {mine.get(other[0])}"
    device = run.members.family.device()
    return (
        "" if device == recorded.about["device"] else f"it was made on {recorded.about['device']}, and here is {device}"
    )


def _run(run: spec.Run, replicate: int, last: int) -> pd.DataFrame:
    """The rows of one chain up to a generation, in the present folder."""
    unit = Unit(replace(run, generations=last), Path("again.parquet"), replicate // run.block_size)
    state_folder(unit.out).mkdir()
    if unit.base_key is not None:
        make_base(unit)
    work(unit)
    parts = [table for name, table in tables_so_far(unit) if name == "table"]
    found = pa.concat_tables(parts).unify_dictionaries().to_pandas()
    return found[found["replicate"] == replicate]


def _compared(recorded: records.Recorded, arm: str, replicate: int, last: int, now: pd.DataFrame) -> Again:
    table = recorded.tables[arm]
    kept = table[(table["replicate"] == replicate) & (table["generation"] <= last)]
    kept, now = (frame.astype({"metric": str, "item": str}) for frame in (kept, now))
    if not kept["item"].str.contains(f"(?:^|/){BINS}").any():
        now = now[~now["item"].str.contains(f"(?:^|/){BINS}")]
    one, other = (frame.set_index(KEYS)[HELD].sort_index() for frame in (kept, now))
    one, other = one.align(other)
    same = (one == other) | (one.isna() & other.isna())
    return Again(recorded.name, arm, replicate, last, len(one), int((~same.all(axis=1)).sum()))
