"""A command that ends its process with SIGKILL just before its k-th change on the disk."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
CHANGES = {"os.rename", "os.mkdir", "os.remove", "os.rmdir", "shutil.rmtree", "os.link", "os.utime"}

ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]),
}
"""For a process that imports this module."""


def attempt(arguments: Sequence[str], place: str, touched: str, moment: int) -> NoReturn:
    """Run the command and exit with its status, unless it is killed; for a fork.

    place    only changes of what begins with this path count
    touched  file that gets their number, if the command comes to its end
    moment   number of the change that is prevented by the kill, from 1; -1: none
    """
    from model_collapse import cli

    count = 0

    def watch(event: str, given: Any) -> None:
        nonlocal count
        touches = event in CHANGES or (event == "open" and given[2] and given[2] & WRITES)
        if touches and str(given[0]).startswith(place):
            count += 1
            if count == moment:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115  It is open until the process ends.
    status = cli.main(list(arguments))
    with open(touched, "w") as file:
        file.write(str(count))
    os._exit(status)
