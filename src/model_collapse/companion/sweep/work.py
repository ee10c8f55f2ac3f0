"""One task executed by one process."""

from __future__ import annotations

import errno
import json
import os
import shutil
import socket
import sys
import traceback
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from model_collapse import store
from model_collapse.companion.sweep import file, lease, tasks
from model_collapse.companion.sweep.file import Source
from model_collapse.companion.sweep.tasks import Task
from model_collapse.engine.layout import state_folder
from model_collapse.errors import ExternalError, InputError, status

FAILED = "failed.json"
"""In a task's folder: why it failed when it was tried last."""


@dataclass(frozen=True)
class Outcome:
    """How it went with a task: few bytes, all that a scheduler ever carries.

    state   done; held by somebody else; lost to somebody else, the result thrown away; failed
    line    why it failed
    status  of a command that would have failed so: 2 bad input, 3 something outside is missing, 1 anything else
    """

    task: str
    state: Literal["done", "held", "lost", "failed"]
    line: str = ""
    status: int = 0
    host: str = ""


@cache
def _known(source: Source) -> dict[str, Task]:
    return tasks.of(file.read(source))


def bring(
    source: Source,
    name: str,
    heartbeat: float = lease.HEARTBEAT,
    over: lease.Mark | None = None,
    folder_id: str | None = None,
) -> Outcome:
    """Bring the task of that name to its end, unless somebody else has it. What every executor does, on every host.

    over       a stale lease that may be taken over, see `lease.claim`
    folder_id  of the sweep's folder as the scheduling process sees it, see `folder_id`
    """
    try:
        found = _known(source).get(name)
        if found is None:
            raise InputError(f"task {name} is none of {source} here: another version of package, data or file")
        if folder_id is not None and folder_id_of(found.sweep.folder) != folder_id:
            raise ExternalError(f"{found.sweep.folder} is not shared with the host that schedules")
        return attempt(found, heartbeat, over)
    except Exception as error:
        return _failed(name, error)


def attempt(task: Task, heartbeat: float = lease.HEARTBEAT, over: lease.Mark | None = None) -> Outcome:
    """The same for a task at hand."""
    if task.done:
        _tidy(task)
        return Outcome(task.name, "done")
    if not task.ready:
        return Outcome(task.name, "held")
    held = lease.claim(task.folder, heartbeat, over)
    if held is None:
        return Outcome(task.name, "held")
    try:
        with store.disk_errors(), held.kept(heartbeat):
            (task.folder / FAILED).unlink(missing_ok=True)
            if not task.done:
                made = [] if held.has(task.result.name) else task.compute(held.work)
                held.publish(made, task.result.parent, task.result.name)
    except lease.Lost:
        held.drop()
        return Outcome(task.name, "lost")
    except Exception as error:
        failed = _failed(task.name, error)
        if failed.status == InputError.status:
            # A combination that only the work itself could refuse leaves nothing behind.
            shutil.rmtree(held.work, ignore_errors=True)
            with suppress(OSError):
                state_folder(task.table).rmdir()
        with suppress(OSError):
            (task.folder / FAILED).write_text(json.dumps(asdict(failed)), encoding="utf-8")
        held.release()
        return failed
    except BaseException:
        held.release()
        raise
    _tidy(task)
    return Outcome(task.name, "done")


def _tidy(task: Task) -> None:
    """Remove what nobody needs any more; a late holder's leases too, which can come to nothing."""
    task.after()
    shutil.rmtree(task.folder, ignore_errors=True)


def _failed(name: str, error: Exception) -> Outcome:
    if not isinstance(error, InputError | ExternalError | MemoryError):
        traceback.print_exception(error, file=sys.stderr)
    said = " ".join(str(error).split())
    if isinstance(error, MemoryError):
        said = f"not enough memory ({said})"
    elif not isinstance(error, InputError | ExternalError):
        said = f"{type(error).__name__}: {said}"
    number = ExternalError.status if isinstance(error, MemoryError | ModuleNotFoundError) else status(error)
    return Outcome(name, "failed", said, number, socket.gethostname())


def failure(task: Task) -> dict[str, Any] | None:
    """Why the task failed when it was tried last; None if it did not."""
    try:
        return dict(json.loads((task.folder / FAILED).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None


def folder_id_of(folder: Path) -> str:
    """What a sweep's folder is known by on all hosts that share it; "" where it was never set up."""
    try:
        return (folder / "folder-id").read_text(encoding="utf-8")
    except OSError:
        return ""


def set_up(folder: Path) -> str:
    """Make the sweep's folder, if it is not there, and give its id."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--folder {folder}: must be a folder, or not yet there")
    with store.disk_errors():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            mine = folder / f".folder-id.{os.urandom(4).hex()}"
            # Written in any case: a folder that cannot be is said here once, and not by every task.
            mine.write_text(os.urandom(8).hex(), encoding="utf-8")
            # The first counts, of several that set it up at a time.
            with suppress(FileExistsError, FileNotFoundError):
                os.link(mine, folder / "folder-id")
            for file in folder.glob(".folder-id.*"):
                file.unlink(missing_ok=True)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise InputError(f"--folder {folder}: cannot be written ({error.strerror})") from None
    return folder_id_of(folder)
