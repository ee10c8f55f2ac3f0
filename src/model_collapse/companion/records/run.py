"""Record a study: run it for a number of minutes, resume it with the same command, and keep what is finished."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from model_collapse import families, paths, registry, store
from model_collapse.companion import records
from model_collapse.companion.records import manifest, of_study
from model_collapse.companion.studies.gate import UNTOUCHED, gate, said
from model_collapse.companion.studies.study import Size, Study
from model_collapse.engine import spec, usage
from model_collapse.engine.execute import execute_all, on_stderr, so_far
from model_collapse.engine.spec import Run
from model_collapse.errors import InputError


class TimeUp(Exception):
    """The minutes are over."""


def run(
    study: Study[Any],
    size: str,
    out: Path | None = None,
    work: Path | None = None,
    minutes: float | None = None,
    jobs: int = 3,
) -> records.Recorded | None:
    """Work on a study for so long, and record what all conditions have finished; None if that is nothing.

    out   folder of the record; None: the checkout's records/
    work  folder of unfinished runs; None: the checkout's _build/records/

    InputError lists the sizes that are recorded.
    """
    root = paths.project() or Path.cwd()
    absolute()
    recorded = {name: each.record for name, each in study.sizes.items() if each.record}
    if size not in recorded:
        raise InputError(f"--size {size}: recorded sizes of study {study.name} are {', '.join(recorded) or 'none'}")
    out = (out or root / "records").resolve()
    out.mkdir(parents=True, exist_ok=True)
    about = {"command": f"model-collapse record {study.name} --size {size}", "study": of_study.described(study, size)}
    return make(study, study.at(size), about, out, (work or root / "_build" / "records").resolve(), minutes, jobs)


def absolute() -> None:
    """Places in the environment in full: the work is done in another folder."""
    for variable in ("MODEL_COLLAPSE_DATA", "MODEL_COLLAPSE_CACHE"):
        if os.environ.get(variable):
            os.environ[variable] = str(Path(os.environ[variable]).resolve())


def make(
    study: Study[Any],
    size: Size,
    about: Mapping[str, Any],
    out: Path,
    work: Path,
    minutes: float | None,
    jobs: int,
) -> records.Recorded | None:
    """As `run`, of any size that has a `record`.

    about  what the manifest says of it: the command that makes it, and the study and size that have a name
    """
    record = size.record
    assert record is not None
    work.mkdir(parents=True, exist_ok=True)
    inputs = together(record.pretrain, work)
    if record.pretrain:
        size = study.at(size, settings={**size.settings, "family.pretrain": of_study.pretrained_on(record.pretrain)})
    # The text to pre-train on lies in the present folder, so that a record names no folder of its machine.
    with chdir(work):
        runs = study.runs(size)
        files = {label: Path(f"{run.run_id}.parquet") for label, run in runs.items()}
        try:
            with _at_most(minutes):
                execute_all({files[label]: run for label, run in runs.items()}, jobs=jobs, progress=on_stderr)
        except (TimeUp, KeyboardInterrupt):
            on_stderr("time is up; the same command resumes from here")
        took = usage.together(usage.of(file) for file in files.values())
        found = {label: so_far(run, files[label]) for label, run in runs.items()}
    ends = {label: run.generations for label, run in runs.items()}
    tables, _ = rectangle({label: table for label, (table, _) in found.items()}, ends, size.seeds)
    if not tables:
        on_stderr("no generation is finished in all conditions yet; nothing recorded")
        return None
    if UNTOUCHED in tables:
        on_stderr(said(gate(tables, next(label for label in tables if label != UNTOUCHED))))
    last = max(table["generation"].max() for table in tables.values())
    written = {label: kept[kept["generation"] <= last] for label, (_, kept) in found.items() if kept is not None}
    facts = {**about, **counted(runs, tables), "sessions": took, "inputs": inputs}
    return records.write(record.name, runs, tables, written, out, bins=record.bins, **facts)


def rectangle(
    tables: Mapping[str, pd.DataFrame], ends: Mapping[str, int], seeds: int
) -> tuple[dict[str, pd.DataFrame], bool]:
    """What can be compared: the generations that every condition's first replicate has finished, of the replicates that
    are as far in every condition. A condition that ends before the others is as far as any once it is at its end. And
    whether that is all of the study. Empty if there is no such generation.

    ends  label -> last generation
    """
    end = max(ends.values())
    reached = [
        table.groupby("replicate")["generation"].max().map(lambda g, own=ends[label]: end if g >= own else g)
        for label, table in tables.items()
    ]
    if any(0 not in each.index for each in reached):
        return {}, False
    last = min(each[0] for each in reached)
    kept = [r for r in range(seeds) if all(r in each.index and each[r] >= last for each in reached)]
    cut = {label: t[(t["generation"] <= last) & t["replicate"].isin(kept)] for label, t in tables.items()}
    return cut, bool(last == end and len(kept) == seeds)


def counted(runs: Mapping[str, Run], tables: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    """How much was trained and written in all recorded generations, for the manifest.

    Of text tokens (tokens_pretrained is at most that), where models read each other blocks, of images how many and how
    many a second, of anything else models and the seconds each took, evaluation included.
    """
    one = next(iter(runs.values()))
    turns = {label: table.drop_duplicates(["replicate", "generation"]) for label, table in tables.items()}
    seconds = float(sum(each["seconds"].sum() for each in turns.values()))
    fits = sum(map(len, turns.values()))
    if any(run.models > 1 for run in runs.values()):
        read = {label: table[table["metric"] == "perplexity"] for label, table in tables.items()}
        return {
            "blocks_trained": sum(int(each["n_train"].sum()) for each in read.values()),
            "blocks_written": sum(len(each) * runs[label].n for label, each in read.items()),
        }
    settings = one.family_args
    if registry.member(families, one.family).reads == "images":
        batch = registry.build(families, one.family, settings).rows_per_step
        images = fits * (settings["steps"] * batch or one.n * settings["epochs"])
        return {"images_trained": images, "images_per_second": round(images / seconds, 1)}
    tokens = [manifest.tokens(spec.describe(runs[label]), each) for label, each in turns.items()]
    if one.family != "lm" or None in tokens:
        return {"models_trained": fits, "seconds_per_model": round(seconds / fits, 2)}
    return {
        "tokens_pretrained": settings["pretrain_blocks"] * settings["pretrain_epochs"] * settings["block"],
        "tokens_trained": sum(each[0] for each in tokens if each),
        "tokens_written": sum(each[1] for each in tokens if each),
    }


def together(folders: tuple[str, ...], work: Path) -> dict[str, str]:
    """Fill the folder with the training text of several folders in `work` with links; sha256 of every file."""
    if not folders:
        return {}
    data = paths.data()
    if data is None:
        raise InputError(f"MODEL_COLLAPSE_DATA: set it to a folder that holds {' and '.join(folders)}")
    name = of_study.pretrained_on(folders)
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


@contextmanager
def _at_most(minutes: float | None) -> Iterator[None]:
    """Raises TimeUp inside when the minutes are over."""

    def stop(*_: Any) -> None:
        raise TimeUp

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, (minutes or 0) * 60)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
