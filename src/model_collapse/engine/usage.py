"""Calls that worked on a run: when, how long and with how much memory. Kept beside its state until it is finished."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from model_collapse import hardware, store
from model_collapse.engine.layout import state_folder
from model_collapse.engine.processes import periodically
from model_collapse.errors import ExternalError, InputError

Session = dict[str, Any]
"""started_at, ended_at (UTC), seconds (wall clock), peak_memory_gb (of the largest process). None: not known."""

NOTED = 30.0
"""Seconds between two notes of a session that lasts: as much of it is lost if it is killed."""

UNKNOWN: Session = {"started_at": None, "ended_at": None, "seconds": None, "peak_memory_gb": None}


class Clock:
    """Times one call that works on several runs side by side: each of them has the whole call as a session."""

    def __init__(self, outs: Iterable[Path]) -> None:
        self.begun, self.started = time.monotonic(), datetime.now(UTC)
        self.earlier = {out: _earlier(out) for out in outs}

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Writes the session beside the runs' states when the block is left by an error."""
        try:
            yield
        except BaseException:
            self.note()
            raise

    @contextmanager
    def ticking(self) -> Iterator[None]:
        """Writes it every NOTED seconds while the block runs, in which no state may be removed."""
        with periodically(NOTED, self.note) if self.earlier else nullcontext():
            yield

    def note(self) -> None:
        """Write down the sessions so far of the runs that have a state. A disk that is full is the work's to report."""
        now = self.session()
        for out, earlier in self.earlier.items():
            if state_folder(out).is_dir():
                with suppress(InputError, ExternalError), store.whole_file(_file(out)) as temporary:
                    temporary.write_text(json.dumps([*earlier, now]), encoding="utf-8")

    def session(self) -> Session:
        """This one, as far as it is."""
        return {
            "started_at": self.started.isoformat(timespec="milliseconds"),
            "ended_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "seconds": round(time.monotonic() - self.begun, 1),
            "peak_memory_gb": round(hardware.peak_memory(workers=True) / 1e9, 2),
        }


def of(out: Path) -> list[Session]:
    """The sessions of a run, finished or not; of one that was finished before they were noted, an unknown one."""
    return store.about(out).get("sessions", [UNKNOWN]) if out.exists() else _earlier(out)


def together(runs: Iterable[Sequence[Session]]) -> list[Session]:
    """The sessions of several runs in order, one that worked on many of them counted once."""
    distinct = {json.dumps(session, sort_keys=True): session for sessions in runs for session in sessions}
    return sorted(distinct.values(), key=lambda session: (str(session["started_at"]), str(session["ended_at"])))


def spent(sessions: Sequence[Session]) -> dict[str, Any]:
    """Start, end, wall seconds and memory of all of them; null where a session is not known."""

    def known(name: str, combine: Any) -> Any:
        values = [session[name] for session in sessions]
        return combine(values) if values and None not in values else None

    return {
        "started_at": known("started_at", min),
        "ended_at": known("ended_at", max),
        "seconds": known("seconds", lambda seconds: round(sum(seconds), 1)),
        "peak_memory_gb": known("peak_memory_gb", max),
    }


def _file(out: Path) -> Path:
    return state_folder(out) / "sessions.json"


def _earlier(out: Path) -> list[Session]:
    """Sessions before this one. State without a note of who made it was killed early, or came from another machine."""
    state = state_folder(out)
    try:
        noted: Mapping[str, Any] | list[Session] = json.loads(_file(out).read_text(encoding="utf-8"))
        if isinstance(noted, list) and all(set(session) == set(UNKNOWN) for session in noted):
            return noted
    except (OSError, ValueError, TypeError):
        pass
    return [UNKNOWN] if any(state.glob("block-*")) else []
