"""One process at a time: two chapters that want the same run compute it once."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from model_collapse import paths, store


@contextmanager
def locked(thing: Path, wait: bool = True) -> Iterator[bool]:
    """Whether `thing` is this process's alone inside. With `wait` it always is, as soon as others have let go.

    The system lets go for a process that ends, however it ends. The lock is a file in the cache folder, because the
    thing itself is renamed and removed.
    """
    file = _file(thing)
    if file is None:
        # A cache that cannot be written costs time, no more.
        yield True
        return
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True


def _file(thing: Path) -> IO[str] | None:
    folder = paths.cache() / "locks"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return (folder / store.digest(str(thing.resolve()))).open("w")
    except OSError:
        return None
