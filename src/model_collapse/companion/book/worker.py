"""Executes one notebook with papermill, in a process of its own: `python -m model_collapse.companion.book.worker JOB`.

JOB is JSON with `source`, `executed` and `parameters`. The last line on stdout is JSON: {} if all went well, else
`ename`, `evalue` and exit `status` of what was raised. Standard input must stay open: when it ends, the runner is gone,
and so is this process; its kernel watches it and follows.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import nbformat
import papermill
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError

from model_collapse.companion.book import kernel


class OwnPython(AsyncKernelManager):
    """A kernel of the interpreter that runs this, whatever kernelspecs are installed on the machine."""

    @property
    def kernel_spec(self) -> KernelSpec:
        extension = f"--IPKernelApp.extra_extensions={kernel.__name__}"
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", extension]
        return KernelSpec(argv=argv, display_name="Python 3", language="python")


def execute(source: Path, executed: Path, parameters: dict[str, Any]) -> dict[str, Any]:
    """Write the executed copy of `source`; what was raised in it, or {}."""
    with tempfile.TemporaryDirectory() as folder:
        noted = Path(folder) / "status"
        os.environ[kernel.STATUS] = str(noted)
        raised = _run(source, executed, parameters)
        if raised:
            raised["status"] = int(noted.read_text(encoding="utf-8")) if noted.exists() else 1
    if executed.exists():
        _strip(executed)
    return raised


def _run(source: Path, executed: Path, parameters: dict[str, Any]) -> dict[str, Any]:
    """Name and text of what was raised, or {}."""
    try:
        papermill.execute_notebook(
            source,
            executed,
            parameters=parameters,
            progress_bar=False,
            kernel_name="python3",
            language="python",
            kernel_manager_class=OwnPython,
        )
    except PapermillExecutionError as error:
        return {"ename": error.ename, "evalue": error.evalue}
    except DeadKernelError:
        return {"ename": "DeadKernel", "evalue": "the kernel died, most often because memory ran out"}
    return {}


def _strip(executed: Path) -> None:
    """Take out the paths of this machine that papermill writes into the metadata."""
    notebook = nbformat.read(executed, as_version=4)
    kept = {key: value for key, value in notebook.metadata.papermill.items() if not key.endswith("_path")}
    notebook.metadata.papermill = kept
    nbformat.write(notebook, executed)


def _follow() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_follow, daemon=True).start()
    job = json.loads(sys.argv[1])
    print(json.dumps(execute(Path(job["source"]), Path(job["executed"]), job["parameters"])))
    sys.stdout.flush()
    # Without waiting for the thread above, which still reads.
    os._exit(0)
