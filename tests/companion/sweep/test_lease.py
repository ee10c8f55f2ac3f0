"""Leases: one holder at a time, and nothing of a late one reaches anybody."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier

import pytest
from waiting import until

from model_collapse.companion.sweep import lease
from model_collapse.companion.sweep.lease import Lease, Lost, Watch, claim, current


@contextmanager
def on(machine: str) -> Iterator[None]:
    """What is claimed inside is claimed by another machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lease, "machine", lambda: machine)
        yield


def claimed(task: Path, over: lease.Mark | None = None) -> Lease:
    found = claim(task, over=over)
    assert found is not None
    return found


def far(task: Path) -> Lease:
    """A lease of a process on another machine."""
    with on("another"):
        return claimed(task)


def taken_over(task: Path) -> Lease:
    """The lease, stale or not, in the hands of somebody new."""
    found = current(task)
    assert found is not None
    return claimed(task, found.mark)


def made(one: Lease, text: str) -> list[Path]:
    """A result in its holder's work, which a late holder's code makes whether its folder is there or not."""
    one.work.mkdir(parents=True, exist_ok=True)
    (one.work / "result").write_text(text)
    return [one.work / "result"]


def test_one_holder_at_a_time(tmp_path: Path):
    first = claimed(tmp_path / "task")
    assert first.owned and claim(tmp_path / "task") is None
    first.release()
    second = claimed(tmp_path / "task")
    assert second.owned and not first.owned


def test_of_many_that_claim_at_a_time_one_has_it(tmp_path: Path):
    for turn in range(20):
        task, together = tmp_path / str(turn), Barrier(8)

        def attempt(_: int, task: Path = task, together: Barrier = together) -> Lease | None:
            together.wait()
            return claim(task)

        with ThreadPoolExecutor(8) as threads:
            found = [one for one in threads.map(attempt, range(8)) if one]
        assert len(found) == 1 and found[0].owned and claim(task) is None


CLAIMS = "import pathlib, sys, time; from model_collapse.companion.sweep.lease import claim\n"
CLAIMS += "one = claim(pathlib.Path(sys.argv[1])); (one.work / 'state').touch(); print(flush=True); time.sleep(1e6)"


def test_a_process_of_this_machine_that_ended_holds_nothing(tmp_path: Path):
    with subprocess.Popen([sys.executable, "-c", CLAIMS, str(tmp_path / "task")], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdout.readline()
        assert claim(tmp_path / "task") is None
        holder.send_signal(signal.SIGSTOP)
        assert claim(tmp_path / "task") is None  # stopped is not ended
        holder.kill()
        # Not yet waited for by its parent, as those of a scheduler are: a zombie.
        until(lambda: (found := current(tmp_path / "task")) and found.free)
        assert (claimed(tmp_path / "task").work / "state").exists()


def test_a_number_that_another_process_has_by_now_holds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lease, "_begun", lambda pid: "long ago")
    claimed(tmp_path / "task")
    assert claim(tmp_path / "task") is None
    monkeypatch.setattr(lease, "_begun", lambda pid: "just now")
    claimed(tmp_path / "task")


@pytest.mark.parametrize("off", [-3600.0, 0.0, 3600.0])
def test_stale_is_who_was_not_touched_while_we_watched(off: float, tmp_path: Path):
    """Whatever the clocks of other hosts say: theirs are an hour late, or early."""
    holder = far(tmp_path / "task")
    file = holder.place / "holder.json"
    begun = file.stat().st_mtime + off

    def touch(seconds: float) -> None:
        os.utime(file, (begun + seconds, begun + seconds))

    now = [0.0]
    watch, patience = Watch(lambda: now[0]), lease.MISSED * lease.HEARTBEAT

    def stale() -> lease.Mark | None:
        found = current(tmp_path / "task")
        assert found is not None and not found.free
        return watch.stale(tmp_path / "task", found)

    touch(0)
    assert stale() is None
    now[0] += patience
    assert stale() is None
    touch(1)
    now[0] += patience + 1
    assert stale() is None  # seen with a new touch for the first time
    now[0] += patience + 1
    mark = stale()
    assert mark is not None
    touch(2)
    assert claim(tmp_path / "task", over=mark) is None  # it lives after all
    assert holder.owned
    found = current(tmp_path / "task")
    assert found is not None and claim(tmp_path / "task", over=found.mark) is not None
    assert not holder.owned


def test_a_late_result_is_thrown_away(tmp_path: Path):
    late = far(tmp_path / "task")
    made(late, "early")
    now = taken_over(tmp_path / "task")
    assert (now.work / "result").read_text() == "early"  # its state is ours
    with pytest.raises(Lost):
        late.publish(made(late, "late"), tmp_path, "result")
    assert not (tmp_path / "result").exists()
    late.drop()
    assert now.owned and (now.work / "result").read_text() == "early"
    now.publish(made(now, "ours"), tmp_path, "result")
    assert (tmp_path / "result").read_text() == "ours"
    with pytest.raises(Lost):
        late.publish(made(late, "later"), tmp_path, "result")
    assert (tmp_path / "result").read_text() == "ours"


@pytest.mark.parametrize("event", [0, 1])
def test_taken_over_just_before_each_rename_of_its_result(event: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    late = far(tmp_path / "task")
    seen: list[str] = []
    now: list[Lease] = []

    def rename(old: Path, new: Path, real: Callable[[Path, Path], None] = os.rename) -> None:
        seen.append(Path(new).name)
        if len(seen) == event + 1:
            monkeypatch.setattr(os, "rename", real)
            now.append(taken_over(tmp_path / "task"))
        real(old, new)

    monkeypatch.setattr(os, "rename", rename)
    with pytest.raises(Lost):
        late.publish(made(late, "late"), tmp_path, "result")
    assert not (tmp_path / "result").exists()
    # What was ready is published by who took it over, and is not made again.
    assert now[0].has("result") == (event == 1)
    now[0].publish([] if event else made(now[0], "ours"), tmp_path, "result")
    assert (tmp_path / "result").read_text() == ("late" if event else "ours")


def test_who_claims_from_an_old_view_steps_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Nobody had it when C looked; A came, B took it over from A, and only then C goes on."""
    task, now = tmp_path / "task", list[Lease]()

    def rename(old: Path, new: Path, real: Callable[[Path, Path], None] = os.rename) -> None:
        monkeypatch.setattr(os, "rename", real)
        far(task)
        now.append(taken_over(task))
        real(old, new)

    monkeypatch.setattr(os, "rename", rename)
    assert claim(task) is None
    assert now[0].owned and [each.name for each in task.iterdir()] == ["lease-0002"]


def test_who_takes_over_from_an_old_view_steps_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    far(tmp_path / "task")
    found, now = current(tmp_path / "task"), list[Lease]()

    def rename(old: Path, new: Path, real: Callable[[Path, Path], None] = os.rename) -> None:
        monkeypatch.setattr(os, "rename", real)
        now.append(taken_over(tmp_path / "task"))
        real(old, new)

    assert found is not None
    monkeypatch.setattr(os, "rename", rename)
    assert claim(tmp_path / "task", over=found.mark) is None and now[0].owned


def test_a_holder_touches_it_and_hears_that_it_is_lost(tmp_path: Path):
    holder = claimed(tmp_path / "task")
    file = holder.place / "holder.json"
    os.utime(file, (0, 0))
    with pytest.raises(Lost), holder.kept(0.01):
        until(lambda: file.stat().st_mtime > 0)
        taken_over(tmp_path / "task")
        raise ValueError("what fails because the folder is gone")
    with pytest.raises(ValueError), (mine := taken_over(tmp_path / "task")).kept(10):
        raise ValueError("what fails for another reason")
    assert mine.owned
