"""A command that ends its process with SIGKILL just before its k-th change on the disk, or finds the disk full."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
TAKES_ROOM = {"os.rename", "os.mkdir", "os.link"}
CHANGES = {*TAKES_ROOM, "os.remove", "os.rmdir", "shutil.rmtree", "os.utime"}

ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]),
}
"""For a process that imports this module."""


def attempt(arguments: Sequence[str], place: str, touched: str, moment: int, said: str = os.devnull) -> NoReturn:
    """Run the command and exit with its status, unless it is killed; for a fork.

    place    only changes of what begins with this path count
    touched  file that gets their number, if the command comes to its end
    moment   number of the change that is prevented by the kill, from 1; -1: none
    said     file for what it says on stderr
    """

    def kill(number: int, event: str, path: str) -> None:
        if number == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    _watched(arguments, place, touched, said, kill)


def on_a_full_disk(arguments: Sequence[str], place: str, touched: str, moment: int, said: str) -> NoReturn:
    """As `attempt`, but from this change on there is no room left for anything new."""

    def fill(number: int, event: str, path: str) -> None:
        if number >= moment and event in (*TAKES_ROOM, "open"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)

    _watched(arguments, place, touched, said, fill)


def _watched(
    arguments: Sequence[str], place: str, touched: str, said: str, at: Callable[[int, str, str], None]
) -> NoReturn:
    """Run the command and exit with its status; at(number, event, path) is called before every change."""
    from model_collapse import cli

    count = 0

    def watch(event: str, given: Any) -> None:
        nonlocal count
        touches = event in CHANGES or (event == "open" and given[2] and given[2] & WRITES)
        if touches and str(given[0]).startswith(place):
            count += 1
            at(count, event, str(given[0]))

    sys.stderr = open(said, "w", buffering=1)  # noqa: SIM115  It is open until the process ends.
    sys.addaudithook(watch)
    status = cli.main(list(arguments))
    with open(touched, "w") as file:
        file.write(str(count))
    os._exit(status)
