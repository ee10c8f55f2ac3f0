"""Who works on a task: a lease, of which there is at most one, and a process that has lost it discards its result.

A lease is a folder, TASK/lease-0001, with all that its holder needs:

    holder.json    host, process, a token of its own, how often it is touched
    work/          unfinished state, from which the next holder goes on
    made/          results on their way to where they belong

It is made under another name and renamed, which one process alone can do. Its holder touches holder.json; who sees it
untouched for too long *renames the folder*, to lease-0002, and goes on in it. So nothing of a late holder reaches
anybody: its paths are gone. It may finish its computation in a folder that it makes anew, but a result is published by
two renames, into made/ and from there, and only a lease has a made/. No two clocks are compared: an observer waits, by
its own clock, for a touch.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import socket
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from model_collapse import store
from model_collapse.engine.processes import periodically

HEARTBEAT = 10.0
"""Seconds between two touches."""

MISSED = 12
"""Touches that a holder on another host may miss in a row; folders on a network show a touch up to a minute late."""

Mark = tuple[int, int]
"""A lease as it was seen: its number, and when it was touched by the clock of the file system, in ns."""


class Lost(Exception):
    """Somebody else took the task over; what was computed is not wanted any more."""


@dataclass(frozen=True)
class Held:
    """A lease as others see it."""

    place: Path
    number: int
    mark: Mark
    holder: dict[str, Any]

    @property
    def free(self) -> bool:
        """Whether its holder let go, or was a process of this machine that has ended."""
        if self.holder.get("released"):
            return True
        if self.holder.get("machine") != machine():
            return False
        begun = _begun(int(self.holder["pid"]))
        return begun is None or begun != self.holder.get("begun")


@dataclass(frozen=True)
class Lease:
    """A lease as its holder has it."""

    place: Path
    token: str

    @property
    def work(self) -> Path:
        """Unfinished state."""
        return self.place / "work"

    @property
    def owned(self) -> bool:
        """Whether nobody has taken it over."""
        return _read(self.place / "holder.json").get("token") == self.token

    @contextmanager
    def kept(self, heartbeat: float) -> Iterator[None]:
        """Touches it while the block runs; Lost where the block fails because somebody else has it now."""

        def touch() -> bool:
            try:
                os.utime(self.place / "holder.json")
            except OSError:
                return self.owned  # a folder on a network may be away for a moment
            return True

        try:
            with periodically(heartbeat, touch):
                yield
        except Exception:
            if not self.owned:
                raise Lost from None
            raise

    def publish(self, made: Sequence[Path], where: Path, last: str) -> None:
        """Bring what was made in `work` to the folder `where`, under the same names and in this order.

        last    name of the result that makes the task done; where `has` it, an earlier holder left it ready

        Lost where the lease is no longer ours, however late that is found out.
        """
        ready = self.place / "made"
        try:
            for file in made:
                os.rename(file, ready / file.name)
            for name in sorted(os.listdir(ready), key=lambda name: (name == last, name)):
                os.rename(ready / name, where / name)
        except OSError:
            if not self.owned:
                raise Lost from None
            # A folder on a network may say that a rename failed which did not.
            if not (where / last).exists():
                raise

    def has(self, last: str) -> bool:
        """Whether an earlier holder had made everything."""
        return (self.place / "made" / last).exists()

    def release(self) -> None:
        """Let others resume from here."""
        if self.owned:
            with suppress(OSError):
                _write(self.place, _read(self.place / "holder.json") | {"released": True})

    def drop(self) -> None:
        """Remove what is left of it, also where it is somebody else's by now: then this is what we made anew."""
        if self.owned or not (self.place / "holder.json").exists():
            shutil.rmtree(self.place, ignore_errors=True)
            with suppress(OSError):
                self.place.parent.rmdir()


def current(task: Path) -> Held | None:
    """The lease of a task, if there is one."""
    for number in sorted(_numbers(task), reverse=True):
        place = _place(task, number)
        holder = _read(place / "holder.json")
        with suppress(OSError):
            return Held(place, number, (number, (place / "holder.json").stat().st_mtime_ns), holder)
    return None


def claim(task: Path, heartbeat: float = HEARTBEAT, over: Mark | None = None) -> Lease | None:
    """The lease of the task for this process; None where somebody else has it.

    over    a lease that was seen to be stale, see `Watch`: it is taken over if it was not touched since
    """
    # Listed first: a lease that is made from now on stands in the way of ours.
    number = max(_numbers(task), default=0) + 1
    found = current(task)
    if found and not (found.free or found.mark == over):
        return None
    token = uuid.uuid4().hex
    try:
        with store.disk_errors():
            place = _taken(task, found, token, heartbeat) if found else _made(task, number, token, heartbeat)
    except _Beaten:
        return None
    lease = Lease(place, token)
    now = current(task)
    if now is None or now.place != place or not lease.owned:
        # Made from an old view of the task: somebody had come and gone, or came just before.
        lease.drop()
        return None
    return lease


class Watch:
    """Leases seen over time: which are stale, by the clock of who watches.

    clock   seconds, of which only differences count
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock, self.seen = clock, dict[Path, tuple[Mark, float]]()

    def stale(self, task: Path, found: Held) -> Mark | None:
        """The lease's mark, if it was not touched for MISSED heartbeats while we watched."""
        mark, since = self.seen.get(task, (None, 0.0))
        if mark != found.mark:
            self.seen[task] = found.mark, self.clock()
            return None
        late = self.clock() - since > MISSED * float(found.holder.get("heartbeat", HEARTBEAT))
        return found.mark if late else None


class _Beaten(Exception):
    """Somebody else was quicker."""


def _made(task: Path, number: int, token: str, heartbeat: float) -> Path:
    """A new lease of that number, unless there is one."""
    temporary, place = task / f".{token}", _place(task, number)
    with _quicker():
        try:
            for name in ("work", "made"):
                (temporary / name).mkdir(parents=True)
            _write(temporary, _myself(token, heartbeat))
            os.rename(temporary, place)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return place


def _taken(task: Path, found: Held, token: str, heartbeat: float) -> Path:
    """Somebody's lease, with all that is in it."""
    place = _place(task, max(_numbers(task)) + 1)
    with _quicker():
        os.rename(found.place, place)
        _write(place, _myself(token, heartbeat))
    return place


@contextmanager
def _quicker() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EEXIST, errno.ENOTEMPTY):
            raise _Beaten from None
        raise


def _myself(token: str, heartbeat: float) -> dict[str, Any]:
    return {
        "token": token,
        "host": socket.gethostname(),
        "machine": machine(),
        "pid": os.getpid(),
        "begun": _begun(os.getpid()),
        "heartbeat": heartbeat,
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }


@cache
def machine() -> str:
    """Names the machine, since it was started, and on Linux the container: in it a process is known by its number."""
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip())
    with suppress(OSError):
        parts.append(os.readlink("/proc/self/ns/pid"))
    return store.digest(*parts)


def _begun(pid: int) -> str | None:
    """When a process of this machine began, in a unit of the system's ("" where it does not tell); None: it ended."""
    try:
        # After the name, which is in parentheses and may hold any: state, parent, ..., begin.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return None if fields[0] in "ZX" else fields[19]
    except (OSError, IndexError):
        pass
    if Path("/proc/self/stat").exists():
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return ""


def _place(task: Path, number: int) -> Path:
    return task / f"lease-{number:04d}"


def _numbers(task: Path) -> list[int]:
    with suppress(OSError):
        return [int(name[6:]) for name in os.listdir(task) if name.startswith("lease-") and name[6:].isdecimal()]
    return []


def _read(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(place: Path, holder: dict[str, Any]) -> None:
    """Whole or not at all, and only into a lease that is there."""
    temporary = place / f".holder.{holder['token']}"
    temporary.write_text(json.dumps(holder), encoding="utf-8")
    os.replace(temporary, place / "holder.json")
