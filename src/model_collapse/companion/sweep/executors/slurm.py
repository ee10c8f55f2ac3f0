"""An array of Slurm jobs. Each does its share of the tasks and ends; the sweep's folder says how far all of them are.

A job that is requeued, after a node died or gave way to another's, resumes from the state in the folder.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from model_collapse import store
from model_collapse.companion.sweep.executors import Options
from model_collapse.companion.sweep.file import Sweep
from model_collapse.companion.sweep.tasks import Block, Task
from model_collapse.companion.sweep.work import Outcome
from model_collapse.errors import ExternalError, InputError

MOST = 1000
"""Jobs of an array at most, one less than what Slurm allows where nobody changed it (MaxArraySize)."""


def run(sweep: Sweep, tasks: Sequence[Task], options: Options, tell: Callable[[str], None]) -> list[Outcome]:
    """Write the script of the array, and submit it where Slurm is there; the sweep goes on without us."""
    script = sweep.folder / "sweep.sbatch"
    blocks = [task for task in tasks if isinstance(task, Block)]
    jobs = min(options.jobs or MOST, MOST, len(blocks))
    left = sorted({number % jobs for number, task in enumerate(blocks) if not task.done})
    # Tables that a job left behind, ended just before it put them together, are made by the first of them.
    left = left or [0] * any(not task.done for task in tasks)
    if not left:
        tell("nothing is left to do")
        return []
    with store.disk_errors():
        (sweep.folder / "log").mkdir(exist_ok=True)
    with store.whole_file(script) as temporary:
        temporary.write_text(_script(sweep, left, jobs, options), encoding="utf-8")
    if shutil.which("sbatch") is None:
        raise ExternalError(
            "no sbatch on this machine, so nothing was submitted; the script is written, and where there is one: "
            f"sbatch {shlex.quote(str(script))}"
        )
    asked = subprocess.run(["sbatch", str(script)], capture_output=True, text=True)
    if asked.returncode:
        raise ExternalError(f"sbatch {script}: {' '.join(asked.stderr.split())[:300] or 'failed'}")
    tell(f"{asked.stdout.strip()}; {len(left)} jobs, see model-collapse sweep status")
    return []


def _quoted(name: str) -> str:
    """A name as Slurm reads it in a line of options: whole between two ", with a \\ before every " in it."""
    return '"' + name.replace('"', '\\"') + '"'


def _script(sweep: Sweep, left: Sequence[int], jobs: int, options: Options) -> str:
    """The job script: each job of the array does every `jobs`-th task, from its own number on."""
    if odd := next((line for line in options.sbatch if "\n" in line or not line.startswith("-")), None):
        raise InputError(f"--sbatch {odd}: write an option of sbatch, such as --sbatch=--time=4:00:00")
    if not {"\\", "\n"}.isdisjoint(str(sweep.folder)):
        # Where there is a \ Slurm would take %a as it stands, and all jobs write to one file.
        raise InputError(f"--folder {str(sweep.folder)!r}: Slurm needs a name of one line without a backslash")
    words = [sys.executable, "-m", "model_collapse", "sweep", "run", *sweep.source.words]
    log = f"{sweep.folder}/log/".replace("%", "%%") + "%a.txt"  # %% is a % for Slurm, %a the number of the job
    given = [f"--array={','.join(map(str, left))}", "--requeue", f"--output={_quoted(log)}", "--open-mode=append"]
    given += [f"--job-name={_quoted(sweep.folder.stem)}", *options.sbatch]
    return "\n".join(
        [
            "#!/bin/bash",
            *(f"#SBATCH {line}" for line in given),
            f"cd {shlex.quote(str(Path.cwd()))} || exit 3",
            f'exec {shlex.join(words)} --heartbeat {options.heartbeat:g} --task "$SLURM_ARRAY_TASK_ID/{jobs}"',
            "",
        ]
    )
