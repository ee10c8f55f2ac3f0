"""Runs saved to a second place while they are computed: a mounted Drive, which is slow and has no atomic rename.

Runs are computed in a local folder. What lies there whole never changes again: a finished generation, a finished
block, the pre-trained model, a run's table. So a thread looks every EVERY seconds for such parts that the Drive lacks,
copies each under a temporary name and then renames it; the work never waits. A session that is cut loses no more than
what was finished in the last EVERY seconds and the generation it was in. At the start of the next one everything that
came over whole is copied back first, by the same rule, and the run resumes from there. A part whose copy was cut has
another name or fails its check, and never counts.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from model_collapse import paths, store
from model_collapse.engine.layout import CHOICES, DESCRIBED, finished_generations, state_folder
from model_collapse.engine.processes import periodically
from model_collapse.engine.spec import Run
from model_collapse.engine.unit import Unit
from model_collapse.errors import InputError

EVERY = 30.0
"""Seconds between two looks."""


@contextmanager
def saved(runs: Mapping[Path, Run]) -> Iterator[None]:
    """Bring back what is saved of these runs, and save what is added while the block runs, and when it ends.

    Does nothing where `paths.mirror()` names no place. A place that fails is reported once and costs no result.
    """
    place = paths.mirror()
    if place is None:
        yield
        return
    there = set[Path]()

    def save() -> bool:
        return _attempt(lambda: _save(runs, place, there))

    _attempt(lambda: _bring(runs, place))
    try:
        with periodically(EVERY, save):
            yield
    finally:
        save()


def _attempt(work: Callable[[], None]) -> bool:
    try:
        work()
    except OSError as error:
        why = error.strerror or str(error)[:120]
        print(f"{paths.mirror()}: {why}; the run goes on, and is saved on this machine only", file=sys.stderr)
        return False
    return True


def _bring(runs: Mapping[Path, Run], place: Path) -> None:
    for out, run in runs.items():
        if not out.exists():
            there = place / out.name
            parts = [*store.written_files(there), there] if there.exists() else _state(there)
            for part in parts:
                _copy(part, out.parent / part.relative_to(place))
        # Not for a run that has just come over whole.
        for base in [] if out.exists() else _bases(out, run):
            _copy(place / "bases" / base.name, base)


def _save(runs: Mapping[Path, Run], place: Path, there: set[Path]) -> None:
    """Copy what is not yet `there`, and put down there what now is."""
    for out, run in runs.items():
        parts = [*store.written_files(out), out] if out.exists() else _state(out)
        pairs = [(part, place / part.relative_to(out.parent)) for part in parts]
        pairs = [(base, place / "bases" / base.name) for base in _bases(out, run)] + pairs
        for part, target in pairs:
            if part.name == CHOICES and target.exists() and target.read_bytes() != part.read_bytes():
                _remove(target)  # the one part that can change
            if target not in there and _copy(part, target) and part.name != CHOICES:
                there.add(target)
        needed = {place / part.relative_to(out.parent) for part in parts}
        for target in state_folder(place / out.name).glob("block-????/**/model-????"):
            if target not in needed:
                _remove(target)
        if place / out.name in there:
            shutil.rmtree(state_folder(place / out.name), ignore_errors=True)


def _bases(out: Path, run: Run) -> list[Path]:
    """The pre-trained models that the chains of a run start from."""
    units = [Unit(run, out, block) for block in range(run.blocks if run.members.family.own_base else 1)]
    return [unit.base_folder for unit in units if unit.base_key]


def _state(out: Path) -> list[Path]:
    """Parts of an unfinished run, in the order in which they can be used."""
    state = state_folder(out)
    finished = [folder for block in sorted(state.glob("block-????")) for folder in finished_generations(block)]
    # Models that are still needed; that of a generation in work is large for what it saves.
    models = [folder.with_name(folder.name.replace("generation", "model")) for folder in finished]
    models = [folder for folder in models if folder.exists()]
    return [state / DESCRIBED, state / CHOICES, *sorted(state.glob("block-????.done")), *models, *finished]


def _copy(part: Path, target: Path) -> bool:
    """Copy a file or folder to where there is none that is whole: temporary name, rename. Whether it is there now."""
    if not part.exists():
        return False
    if target.exists() and _whole(target):
        return True
    temporary = target.with_name(f".{target.name}.tmp")
    _remove(temporary)
    temporary.parent.mkdir(parents=True, exist_ok=True)
    try:
        (shutil.copytree if part.is_dir() else shutil.copyfile)(part, temporary)
    except (FileNotFoundError, shutil.Error):
        _remove(temporary)
        if part.exists():
            raise
        return False  # the work has just put it away, because something later is there
    if not _whole(temporary, part.suffix):
        _remove(temporary)
        return False
    _remove(target)
    os.replace(temporary, target)
    return True


def _whole(part: Path, suffix: str | None = None) -> bool:
    """Whether everything is there; that a folder's bytes are right is checked where they are read."""
    try:
        if part.is_dir():
            files = json.loads((part / "manifest.json").read_text(encoding="utf-8"))["files"]
            return all((part / name).is_file() for name in files)
        if (part.suffix if suffix is None else suffix) == ".parquet":
            return bool(store.about(part))
        return bool(json.loads(part.read_text(encoding="utf-8")))
    except (OSError, InputError, ValueError, KeyError, TypeError):
        return False


def _remove(part: Path) -> None:
    if part.is_dir():
        shutil.rmtree(part, ignore_errors=True)
    else:
        part.unlink(missing_ok=True)
