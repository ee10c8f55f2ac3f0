"""Makes the recorded runs of the language experiment.

    python records/language.py wikitext|cpu|gpu|gpu-all|toy [--minutes M] [--jobs N] [--out FOLDER] [--work FOLDER]

The same command goes on where it was cut: by --minutes, by Ctrl-C, or by force. At the end of every call, whatever all
arms have finished is written as a valid record. README.md beside this file says what each record is.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from model_collapse import paths, protocol, record, records
from model_collapse.errors import InputError, OutsideError
from model_collapse.protocol import Scale
from model_collapse.record import Run
from model_collapse.run import execute_all, on_stderr, so_far

PAPER = ("A", "B", "control")

CLAIMS = (
    *PAPER,
    *("A10", "B5", "penalty-2", "greedy", "sampled", "cold", "top-k"),
    *("accumulate", "subsample", "grow", "surprising", "unsurprising"),
)


@dataclass(frozen=True)
class Plan:
    """A study to record.

    web   folders under $MODEL_COLLAPSE_DATA to pre-train on, together; none: what the scale says
    bins  arms whose histograms are kept
    """

    scale: Scale
    arms: tuple[str, ...] = PAPER
    web: tuple[str, ...] = ()
    bins: tuple[str, ...] = ("A", "B")


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
            protocol.SCALES["smoke"],
            n=16,
            model={**protocol.TINY, "family.pretrain_blocks": 32, "family.pretrain_epochs": 1, "family.evaluate": 8},
        )
    ),
    "wikitext": Plan(protocol.SCALES["wikitext"], CLAIMS, bins=("A",)),
    "cpu": Plan(Scale("wikitext-2-v1", 640, 9, 2, model=SMALL), web=BOOKS[:1]),
    "gpu": Plan(Scale("wikitext-2-v1", 8192, 9, 2, model=SHAPED), web=BOOKS),
    "gpu-all": Plan(Scale("wikitext-2-v1", "all", 9, 2, model=SHAPED), web=BOOKS),
}


class TimeUp(Exception):
    """The minutes are over."""


def make(name: str, plan: Plan, out: Path, work: Path, minutes: float | None, jobs: int) -> records.Recorded | None:
    """Work on a plan for so long, and record what all arms have finished; None if that is nothing.

    out   where the record is written
    work  where unfinished runs and their spent time are kept
    """
    begun = time.time()
    work.mkdir(parents=True, exist_ok=True)
    scale, texts_of_web = plan.scale, {}
    if plan.web:
        # Relative to `work`, so that a record names no folder of the machine it was made on.
        folder, texts_of_web = _together(plan.web, work)
        scale = replace(scale, model={**scale.model, "family.pretrain": folder})
    with chdir(work):
        runs = protocol.runs(plan.arms, scale)
        files = {arm: Path(f"{run.run_id}.parquet") for arm, run in runs.items()}
        try:
            with _at_most(minutes):
                execute_all({files[arm]: run for arm, run in runs.items()}, jobs=jobs, progress=on_stderr)
        except (TimeUp, KeyboardInterrupt):
            on_stderr("time is up; the same command goes on from here")
        sessions = _noted(runs, Path(f"{name}.sessions.json"), begun)
        found = {arm: so_far(run, files[arm]) for arm, run in runs.items()}
    tables, complete = rectangle({arm: table for arm, (table, _) in found.items()}, scale)
    if not tables:
        on_stderr("no generation is finished in all arms yet; nothing recorded")
        return None
    last = max(table["generation"].max() for table in tables.values())
    texts = {arm: text[text["generation"] <= last] for arm, (_, text) in found.items() if text is not None}
    return records.write(
        name,
        runs,
        tables,
        texts,
        out,
        bins=plan.bins,
        command=f"python records/language.py {name}",
        complete=complete,
        pretraining_files=texts_of_web,
        machine=record.machine(),
        sessions=sessions,
        **cost(runs, tables, sessions),
    )


def rectangle(tables: Mapping[str, pd.DataFrame], scale: Scale) -> tuple[dict[str, pd.DataFrame], bool]:
    """What can be compared: the generations that every arm's first replicate has finished, of the replicates that are
    as far in every arm. And whether that is all of the study. An empty dict if there is no such generation."""
    reached = [table.groupby("replicate")["generation"].max() for table in tables.values()]
    if any(0 not in arm.index for arm in reached):
        return {}, False
    last = min(arm[0] for arm in reached)
    kept = [r for r in range(scale.seeds) if all(r in arm.index and arm[r] >= last for arm in reached)]
    cut = {arm: t[(t["generation"] <= last) & t["replicate"].isin(kept)] for arm, t in tables.items()}
    return cut, bool(last == scale.generations and len(kept) == scale.seeds)


def cost(runs: Mapping[str, Run], tables: Mapping[str, pd.DataFrame], sessions: list[dict[str, Any]]) -> dict[str, Any]:
    """Wall seconds, memory, and tokens of what is recorded.

    tokens_trained and tokens_written are of all recorded generations; tokens_per_second is both over the seconds those
    took, evaluation included, each in one of several processes side by side; tokens_pretrained is at most that.
    """
    trained, written, seconds = 0, 0, 0.0
    for arm, table in tables.items():
        settings = runs[arm].family_args
        turns = table.drop_duplicates(["replicate", "generation"])
        trained += int(turns["n_train"].sum()) * settings["epochs"] * settings["block"]
        written += len(turns) * runs[arm].n * settings["block"]
        seconds += float(turns["seconds"].sum())
    settings = next(iter(runs.values())).family_args
    return {
        "started_at": sessions[0]["started_at"],
        "ended_at": sessions[-1]["ended_at"],
        "seconds": round(sum(session["seconds"] for session in sessions), 1),
        "peak_memory_gb": max(session["peak_memory_gb"] for session in sessions),
        "tokens_pretrained": settings["pretrain_blocks"] * settings["pretrain_epochs"] * settings["block"],
        "tokens_trained": trained,
        "tokens_written": written,
        "tokens_per_second": round((trained + written) / seconds, 1),
    }


def _together(folders: tuple[str, ...], work: Path) -> tuple[str, dict[str, str]]:
    """A folder in `work` with links to the training text of several folders: its name, and sha256 of every file."""
    data = paths.data()
    if data is None:
        raise InputError(f"MODEL_COLLAPSE_DATA: set it to a folder that holds {' and '.join(folders)}")
    name = "+".join(folders)
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
            sums[f"{folder}/{file.name}"] = record.checksum(file)
    return name, sums


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


def _noted(runs: Mapping[str, Run], file: Path, begun: float) -> list[dict[str, Any]]:
    """The calls that worked on these very runs, this one added."""
    ids = sorted(run.run_id for run in runs.values())
    kept = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    earlier = kept["sessions"] if kept.get("runs") == ids else []
    # Of the largest process, in KiB on Linux.
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    session = {
        "started_at": datetime.fromtimestamp(begun, UTC).isoformat(timespec="seconds"),
        "ended_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(time.time() - begun, 1),
        "peak_memory_gb": round(peak * 1024 / 1e9, 2),
    }
    with record.whole_file(file) as temporary:
        temporary.write_text(json.dumps({"runs": ids, "sessions": [*earlier, session]}), encoding="utf-8")
    return [*earlier, session]


def main(arguments: list[str] | None = None) -> int:
    """The command line; exit status as everywhere in this project."""
    root = paths.project() or Path.cwd()
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("plan", choices=PLANS)
    parser.add_argument("--minutes", type=float, help="stop after so many; default: work to the end")
    parser.add_argument("--jobs", type=int, default=3, help="processes side by side; default 3")
    parser.add_argument("--out", type=Path, default=root / "records", help="where the record is written")
    parser.add_argument("--work", type=Path, default=root / "_build" / "records", help="where unfinished runs are kept")
    given = parser.parse_args(arguments)
    # The work is done in another folder.
    for variable in ("MODEL_COLLAPSE_DATA", "MODEL_COLLAPSE_CACHE"):
        if os.environ.get(variable):
            os.environ[variable] = str(Path(os.environ[variable]).resolve())
    try:
        given.out.mkdir(parents=True, exist_ok=True)
        made = make(given.plan, PLANS[given.plan], given.out.resolve(), given.work.resolve(), given.minutes, given.jobs)
    except (InputError, OutsideError) as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error, InputError) else 3
    if made:
        print(f"{given.out / given.plan}.json: {made.label}" + ("" if made.about["complete"] else " (unfinished)"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
