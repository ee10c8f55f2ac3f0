"""An extension of a chapter's kernel: it records the exit status that an error of the chapter stands for.

The kernel alone has the error itself; what it sends on is the name of its class and its text.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from model_collapse import errors

STATUS = "MODEL_COLLAPSE_STATUS"
"""Environment variable that names the file into which the status is written; none is written if all goes well."""


def load_ipython_extension(shell: Any) -> None:
    """Called by the kernel when it starts."""
    shell.events.register("post_run_cell", note)


def note(result: Any) -> None:
    """Write the status of a cell that failed."""
    error = result.error_before_exec or result.error_in_exec
    if error is not None:
        Path(os.environ[STATUS]).write_text(str(errors.status(error)), encoding="utf-8")
