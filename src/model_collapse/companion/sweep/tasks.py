"""The three kinds of tasks: a pre-trained model, a block of replicate chains, the tables of a run.

Each is known by its name, is done when its result is there, and computes them from what lies in the sweep's folder:

    RUN_ID.parquet                      a finished run, with its texts or images beside it
    RUN_ID.parquet.state/               of an unfinished one the blocks that are done
    bases/                              pre-trained models that runs start from
    tasks/NAME/                         leases of tasks in work, and why one failed
"""

from __future__ import annotations

import json
import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from model_collapse import modalities, store
from model_collapse.companion.sweep.file import Sweep
from model_collapse.engine import block, memory, merge, usage
from model_collapse.engine.choices import Choices
from model_collapse.engine.layout import CHOICES, finished_generations, state_folder
from model_collapse.engine.spec import Run
from model_collapse.engine.unit import Unit
from model_collapse.errors import ExternalError, InputError


class FirstChoices(Choices):
    """Choices that several hosts make at a time: the first counts for all."""

    def write(self, chosen: dict[str, Any]) -> None:
        """As it says; an earlier choice is replaced only by one that goes on from it."""
        if chosen.get("halved"):
            super().write(chosen)
            return
        temporary = self.file.with_name(f".{CHOICES}.{store.digest(os.uname().nodename, os.getpid())}")
        temporary.write_text(json.dumps(chosen, indent=1, sort_keys=True), encoding="utf-8")
        with suppress(FileExistsError):
            os.link(temporary, self.file)
        temporary.unlink()


@dataclass(frozen=True)
class SharedUnit(Unit):
    """A block whose state lies in a lease, and what it shares with other blocks in the sweep's folder.

    bases   folder of pre-trained models
    state   folder of what was chosen for the run
    """

    bases: Path = Path()
    state: Path = Path()

    @property
    def base_folder(self) -> Path:
        """Where the pre-trained model lies that the run starts from."""
        return self.bases / str(self.base_key)

    @property
    def choices(self) -> Choices:
        """What was chosen for the machine by who came first, for all blocks of the run."""
        return FirstChoices(self.state / CHOICES)


@dataclass(frozen=True)
class Task(ABC):
    """A piece of work, any number of which may be done side by side once what they need is done."""

    sweep: Sweep
    run: Run

    @property
    @abstractmethod
    def name(self) -> str:
        """Of the task, the same on all hosts."""

    @property
    @abstractmethod
    def result(self) -> Path:
        """The file or folder that makes it done."""

    @cached_property
    def needs(self) -> list[Task]:
        """Tasks that have to be done before."""
        return []

    @property
    def done(self) -> bool:
        """Whether its result is there."""
        return self.result.exists()

    @property
    def ready(self) -> bool:
        """Whether it can be worked on."""
        return all(task.done for task in self.needs)

    @property
    def folder(self) -> Path:
        """Where its leases lie."""
        return self.sweep.folder / "tasks" / self.name

    @abstractmethod
    def compute(self, work: Path) -> list[Path]:
        """Make the result in `work`, going on from what is there; all files to publish, under their names, it last."""

    def after(self) -> None:
        """Remove what the result makes superfluous."""
        return None

    @property
    def table(self) -> Path:
        """The finished table of the run."""
        return self.sweep.table(self.run)


@dataclass(frozen=True)
class Base(Task):
    """The pre-trained model that runs start from, made once for all of them."""

    @cached_property
    def unit(self) -> Unit:
        return SharedUnit(self.run, self.table, 0, bases=self.sweep.folder / "bases")

    @property
    def name(self) -> str:
        return f"base-{self.unit.base_key}"

    @property
    def result(self) -> Path:
        return self.unit.base_folder

    def compute(self, work: Path) -> list[Path]:
        """The model in a folder."""
        unit = SharedUnit(self.run, work / self.table.name, 0, bases=work)
        block.make_base(unit)
        self.result.parent.mkdir(exist_ok=True)
        return [unit.base_folder]


@dataclass(frozen=True)
class Block(Task):
    """A block of replicate chains: from its last finished generation to its end."""

    number: int

    @property
    def name(self) -> str:
        return f"{self.run.run_id}-{self.number:04d}"

    @property
    def result(self) -> Path:
        return state_folder(self.table) / f"block-{self.number:04d}.done"

    @property
    def done(self) -> bool:
        return super().done or self.table.exists()

    @cached_property
    def needs(self) -> list[Task]:
        base = Base(self.sweep, self.run)
        return [base] if base.unit.base_key else []

    def unit(self, work: Path) -> SharedUnit:
        """The block with its state in `work`."""
        bases, state = self.sweep.folder / "bases", state_folder(self.table)
        return SharedUnit(self.run, work / self.table.name, self.number, bases=bases, state=state)

    def finished(self, work: Path) -> int:
        """How many generations are finished in `work`, of all its models."""
        return len(finished_generations(self.unit(work).place))

    def compute(self, work: Path) -> list[Path]:
        """The block's tables in a folder, with when and how long this call worked on them."""
        unit, clock = self.unit(work), usage.Clock([])
        memory.check(self.run, 1)
        for state in (unit.state, state_folder(unit.out)):
            state.mkdir(exist_ok=True)
        if not unit.done:
            block.work(unit)
            (unit.result / "session.json").write_text(json.dumps(clock.session()), encoding="utf-8")
        return [unit.result]

    @property
    def session(self) -> usage.Session:
        """When and how long somebody worked on it at last."""
        try:
            return dict(json.loads((self.result / "session.json").read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return usage.UNKNOWN


@dataclass(frozen=True)
class Tables(Task):
    """The tables of a run, put together from its blocks."""

    @property
    def name(self) -> str:
        return f"{self.run.run_id}-tables"

    @property
    def blocks(self) -> list[Block]:
        """The run's blocks."""
        return [Block(self.sweep, self.run, number) for number in range(self.run.blocks)]

    @cached_property
    def needs(self) -> list[Task]:
        return list(self.blocks)

    @property
    def result(self) -> Path:
        return self.table

    def compute(self, work: Path) -> list[Path]:
        """The files. A block that is damaged is removed, to be computed again."""
        damaged = [each for each in self.blocks if not store.intact(each.result)]
        for each in damaged:
            shutil.rmtree(each.result, ignore_errors=True)
        if damaged:
            raise ExternalError(f"{damaged[0].result} is damaged, and computed again by the same command")
        sessions = usage.together([each.session] for each in self.blocks)
        return merge.merge(self.run, state_folder(self.table), work / self.table.name, sessions)

    def after(self) -> None:
        shutil.rmtree(state_folder(self.table), ignore_errors=True)

    def damage(self) -> str:
        """Why the finished files are not what this run wrote; "" if they are, or if there are none yet."""
        if not self.done:
            return ""
        kind = modalities.of(self.run.members.family).generated
        for file in [self.table, *([store.written_file(self.table, kind)] if kind else [])]:
            try:
                store.load(file)
            except InputError as error:
                return str(error)
            if store.about(file).get("run_id") != self.run.run_id:
                return f"{file}: holds another run"
        return ""

    def put_aside(self) -> None:
        """Rename the finished files to NAME.damaged, so that the run counts as not begun."""
        for file in [self.table, *store.written_files(self.table)]:
            with suppress(FileNotFoundError):
                os.replace(file, file.with_name(f"{file.name}.damaged"))


def of(sweep: Sweep) -> dict[str, Task]:
    """All tasks by name: pre-trained models, the first blocks of all runs before the second of any, and tables."""
    runs = {run.run_id: run for run in sweep.runs.values()}.values()
    tables = [Tables(sweep, run) for run in runs]
    chains = sorted((each for one in tables for each in one.blocks), key=lambda each: each.number)
    bases = [base for each in chains if each.number == 0 for base in each.needs]
    return {task.name: task for task in (*bases, *chains, *tables)}


def all_blocks(sweep: Sweep) -> list[Block]:
    """The blocks, in an order that is the same on all hosts: what is counted as a task."""
    return [task for task in of(sweep).values() if isinstance(task, Block)]


def with_needs(sweep: Sweep, chosen: Sequence[Block]) -> list[Task]:
    """These blocks with what they need and, last, the tables that they belong to."""
    bases = {base.name: base for each in chosen for base in each.needs}
    tables = {each.run.run_id: Tables(sweep, each.run) for each in chosen}
    return [*bases.values(), *chosen, *tables.values()]
