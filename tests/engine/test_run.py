"""A run by name: the same bits by any number of processes, after any interruption, from any damaged state."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pyarrow.parquet as pq
import pytest
from toy_numbers import alone
from toy_runs import Killed, added, killed_at, same
from waiting import until

from model_collapse import families, hardware, registry, store, streams
from model_collapse.engine import execute as execution
from model_collapse.engine import memory, spec
from model_collapse.engine.execute import execute
from model_collapse.engine.layout import state_folder
from model_collapse.engine.plan import plan
from model_collapse.engine.spec import Run
from model_collapse.engine.unit import Unit
from model_collapse.errors import ExternalError, InputError
from model_collapse.families.gaussian import Gaussian
from model_collapse.loop import generations
from model_collapse.metrics import gaussian as measures
from model_collapse.regimes.mix import Mix

WALK = '''
"""A toy that keeps checkpoints, starts from a shared base and continues what it is given."""
from dataclasses import dataclass
from typing import Annotated
from pydantic import Field
from model_collapse.data import Rows
from toy_runs import Toy

MADE = []

@dataclass(frozen=True)
class Walk(Toy):
    """A mean that walks."""
    pace: Annotated[float, Field(gt=0, description="length of a step")] = 1.0
    conditional = True
    metrics = ("drift", "own")
    rows = 6

    def base_settings(self):
        return {"pace": self.pace}

    def base(self, source, rng):
        MADE.append("base")
        return self.pace * rng.standard_normal(1)

    def fit(self, data, rng, *, start=None, validation=None):
        MADE.append("fit")
        return start + data.rows.x.mean(keepdims=True) + self.pace * rng.standard_normal(1)

    def sample(self, model, n, rng, *, given=None):
        return Rows(given.x / 2 + model + rng.standard_normal(n))
'''
WALK_METRICS = """
def drift(m):
    return {"up": abs(m.model - m.first.model), "row": m.sample.x.mean()}

def own(m):
    return float(m.model.item())
"""


@pytest.fixture
def walk(tmp_path, monkeypatch) -> Iterator[list[str]]:
    """The family `walk` is there, and an empty cache; gives the list of what it had to compute."""
    with added("walk", WALK, WALK_METRICS, tmp_path, monkeypatch) as module:
        yield module.MADE


def gaussian(**changes) -> Run:
    return plan("gaussian", **{"n": 10, "generations": 4, "seed": 3, "replicates": 600, **changes})


# The table ---------------------------------------------------------------------------------------------------------


def test_a_table_has_one_row_per_replicate_generation_and_metric(tmp_path):
    plotted = gaussian(replicates=300, seed=5, regime="accumulate")
    table, texts = execute(plotted, tmp_path / "c.parquet")
    assert texts is None
    assert list(table.columns) == store.COLUMNS
    keys = table[["metric", "generation", "replicate"]].astype({"metric": str})
    assert len(table) == 300 * 5 * 4 and not keys.duplicated().any()
    assert sorted(set(keys["metric"])) == ["log_det", "mean", "variance", "w2_squared"]
    assert set(table["replicate"]) == set(range(300)) and set(table["generation"]) == set(range(5))
    assert np.all(table["n_train"] == 10 * (table["generation"] + 1))
    np.testing.assert_allclose(table["share_real"], 1 / (table["generation"] + 1))
    one = {"family": "gaussian", "regime": "accumulate", "corpus": "", "item": "", "device": "cpu", "seed": 5}
    for name, value in one.items():
        assert set(table[name]) == {value}
    assert json.loads(table["family_args"].iloc[0]) == plotted.family_args
    assert set(table["run_id"]) == {plotted.run_id} and table.attrs["run_id"] == plotted.run_id
    assert table.attrs["run"] == json.loads(json.dumps(spec.describe(plotted)))
    assert np.all(table["seconds"] > 0)
    assert os.listdir(tmp_path) == ["c.parquet"]
    schema = pq.read_schema(tmp_path / "c.parquet")
    text = [field.name for field in schema if str(field.type).startswith("dictionary<values=string")]
    assert text == "run_id family family_args regime regime_args corpus metric item device".split()


def test_a_table_holds_what_the_loop_gives():
    """Metric values, real shares and chain numbers against the loop called by hand, block by block."""
    planned = plan("gaussian", "mix", n=10, generations=3, seed=4, replicates=300, settings={"family.sampling": "draw"})
    table, _ = execute(planned)
    family = Gaussian(sampling="draw")
    for block, chains in ((0, 256), (1, 44)):
        stream = streams.stream(4, block)
        source = family.source(10, stream(-1, streams.SOURCE), chains)
        for generation in generations(source, family, Mix(), 10, stream, last=3):
            here = table[(table["generation"] == generation.t) & (table["replicate"] // 256 == block)]
            for name in family.metrics:
                rows = here[here["metric"] == name].sort_values("replicate")
                np.testing.assert_array_equal(rows["value"], getattr(measures, name)(alone(generation)))
                assert list(rows["replicate"]) == list(range(256 * block, 256 * block + chains))
            assert set(here["share_real"]) == {0.1 if generation.t else 1.0}


@pytest.mark.parametrize(("every", "last", "taken"), [(1, 3, [0, 1, 2, 3]), (3, 7, [0, 3, 6, 7]), (9, 4, [0, 4])])
def test_every_thins_the_table_and_changes_nothing_else(every, last, taken):
    all_of_them, _ = execute(gaussian(generations=last, replicates=5))
    some, _ = execute(gaussian(generations=last, replicates=5, every=every))
    kept = all_of_them[all_of_them["generation"].isin(taken)].reset_index(drop=True)
    assert list(dict.fromkeys(some["generation"])) == taken
    same(some.drop(columns="run_id"), kept.drop(columns="run_id"))


def test_metrics_are_those_asked_for():
    table, _ = execute(gaussian(replicates=2, metrics=["log_det", "mean"]))
    assert list(dict.fromkeys(table["metric"])) == ["log_det", "mean"]


def test_generation_0_alone_is_the_fit_to_real_data():
    table, _ = execute(gaussian(replicates=3, generations=0))
    assert set(table["generation"]) == {0} and set(table["share_real"]) == {1.0}


# Same bits ---------------------------------------------------------------------------------------------------------


def test_any_number_of_processes_gives_the_same_bits(tmp_path):
    planned = gaussian()
    assert planned.blocks == 3
    alone, _ = execute(planned, tmp_path / "1.parquet", jobs=1)
    several, _ = execute(planned, tmp_path / "2.parquet", jobs=2)
    same(alone, several)
    assert len(set(alone[(alone["metric"] == "mean") & (alone["generation"] == 4)]["value"])) == 600


def test_one_process_has_a_gpu_for_itself_unless_more_are_asked_for(monkeypatch):
    """Each would choose its batches as if it had the memory alone, the chapters' runner's processes too."""
    runs = [plan("lm", n=4, replicates=8)]
    monkeypatch.setenv("MODEL_COLLAPSE_JOBS", "6")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(hardware, "gpus", lambda *asked: [])
    assert execution._processes(runs, None) == 6
    monkeypatch.setattr(hardware, "gpus", lambda *asked: ["0"])
    assert execution._processes(runs, None) == 1 and execution._processes(runs, 3) == 3
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert execution._processes(runs, None) == 6


@pytest.mark.parametrize("code", [errno.EROFS, errno.ENOSPC, errno.EACCES])
def test_shared_memory_that_cannot_be_written_is_one_line(code, tmp_path, monkeypatch):
    """Locks between processes lie there, and nothing large does."""

    def refused(self, kind, *given, **more):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("multiprocessing.synchronize.SemLock.__init__", refused)
    with pytest.raises(
        ExternalError, match=rf"^processes side by side need /dev/shm, .*{os.strerror(code)}.*--jobs 1$"
    ):
        execute(gaussian(), tmp_path / "run.parquet", jobs=2)
    same(execute(gaussian(), tmp_path / "run.parquet", jobs=1)[0], execute(gaussian())[0])


FORKSERVER = """
import multiprocessing, sys
from model_collapse import cli
if __name__ == "__main__":
    multiprocessing.set_start_method("forkserver")
    sys.exit(cli.main(["chain", "gaussian", "-n", "10", "-g", "1", "--replicates", "300", *sys.argv[1:]]))
"""


def test_processes_are_started_alike_whatever_python_would_do(tmp_path):
    """From version 3.14 on its default is a server that forks."""
    (tmp_path / "program.py").write_text(FORKSERVER)
    for jobs in "12":
        asked = [
            sys.executable,
            str(tmp_path / "program.py"),
            "--jobs",
            jobs,
            "--out",
            str(tmp_path / f"{jobs}.parquet"),
        ]
        done = subprocess.run(asked, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    same(*(store.read(tmp_path / f"{jobs}.parquet") for jobs in "12"))


@pytest.mark.parametrize("family", [name for name in registry.names(families) if name not in ("ngram", "lm")])
def test_every_family_of_numbers_gives_the_same_bits_in_two_processes(family, tmp_path):
    """Two blocks of chains, one of them with a single chain; language models have tests of their own."""
    block = registry.build(families, family, {}).block_size
    planned = plan(family, n=20, generations=2, replicates=block + 1, seed=4)
    one, two = (execute(planned, tmp_path / f"{jobs}.parquet", jobs=jobs)[0] for jobs in (1, 2))
    assert one["replicate"].nunique() == block + 1
    assert one.drop(columns="seconds").equals(two.drop(columns="seconds"))


def test_more_replicates_leave_full_blocks_as_they_were():
    few, _ = execute(gaussian(replicates=256))
    many, _ = execute(gaussian())
    first = many[many["replicate"] < 256].reset_index(drop=True)
    same(few.drop(columns="run_id"), first.drop(columns="run_id"))


def test_the_block_size_is_recorded_and_decides_the_streams():
    usual, smaller = gaussian(), replace(gaussian(), block=100)
    assert usual.block == Gaussian.block_size and smaller.blocks == 6
    assert smaller.run_id != usual.run_id and "block (256 there, 100 here)" in smaller.differs(spec.describe(usual))
    other, _ = execute(smaller, jobs=1)
    assert len(other) == 600 * 5 * 4 and set(other["replicate"]) == set(range(600))


def test_seeds_differ_and_repeat():
    one, again, other = (execute(gaussian(replicates=9, seed=s))[0] for s in (1, 1, 2))
    same(one, again)
    assert not set(one["value"]) & set(other["value"])


# Interruptions -----------------------------------------------------------------------------------------------------


def kill_at(moment: int, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Every later call that touches the disk fails, clean-up included; gives what says how many calls there were."""
    calls = [0]

    def guarded(real):
        def call(*args, **kwargs):
            calls[0] += 1
            if calls[0] >= moment:
                raise Killed
            return real(*args, **kwargs)

        return call

    # What fsync does is between the kernel and the disk; that it is a moment to be killed at is what counts here.
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    for owner, name in ((os, "replace"), (os, "fsync"), (shutil, "rmtree"), (Path, "unlink"), (Path, "mkdir")):
        monkeypatch.setattr(owner, name, guarded(getattr(owner, name)))
    return lambda: calls[0]


@pytest.mark.parametrize("family", ["gaussian", "walk"])
def test_a_kill_at_every_step_that_touches_the_disk(family, walk, tmp_path, monkeypatch):
    """Kill before the 1st, 2nd, 3rd ... such step; whatever is left, the same command gives the same table."""
    planned = {
        "gaussian": lambda: replace(gaussian(replicates=5, generations=2), block=3),
        "walk": lambda: plan("walk", "mix", generations=2, every=2, given="training"),
    }[family]()
    monkeypatch.setattr(store, "origin", dict)  # asks git, which takes its time
    undisturbed, _ = execute(planned)
    moment, finished = 0, False
    while not finished:
        moment += 1
        folder = tmp_path / f"{moment}"
        folder.mkdir()
        monkeypatch.setenv("MODEL_COLLAPSE_CACHE", str(folder / "cache"))
        with monkeypatch.context() as patch:
            calls = kill_at(moment, patch)
            try:
                execute(planned, folder / "c.parquet")
                finished = True
            except Killed:
                pass
            assert finished or calls() >= moment
        resumed, _ = execute(planned, folder / "c.parquet")
        same(resumed, undisturbed)
    assert moment > {"gaussian": 25, "walk": 40}[family]


def test_a_killed_process_is_taken_up_again_with_the_same_bits(tmp_path):
    """SIGKILL at random moments of a run of 20 blocks in 2 processes, then the same command to the end.

    Every second time only the parent is killed: its workers must follow it, for they hold its standard error open.
    """
    out, moments = tmp_path / "c.parquet", random.Random(6)
    arguments = ["chain", "gaussian", "accumulate", "-n", "20", "-g", "250", "--replicates", "5000", "--seed", "9"]
    command = [sys.executable, "-m", "model_collapse.cli", *arguments, "--every", "100", "--out", str(out)]

    def done() -> int:
        return len(list(state_folder(out).glob("*.done")))

    left = []
    for kill in range(5):
        last = kill == 4
        started = subprocess.Popen(
            [*command, "--jobs", "2", "--resume"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        wanted = done() + moments.choice([0, 1, 2])
        if not last:
            until(lambda wanted=wanted: done() >= wanted, lambda started=started: started.poll() is None)
            (started.send_signal if kill % 2 else lambda s, p=started.pid: os.killpg(p, s))(signal.SIGKILL)
        said = started.communicate()[1].decode()
        if last:
            assert started.returncode == 0, said
        elif state_folder(out).exists():
            left.append(done())
    assert left == sorted(left) and left[-1] > 0 and len(set(left)) > 1, f"no kill in the midst of the work: {left}"
    planned = plan("gaussian", "accumulate", n=20, generations=250, replicates=5000, seed=9, every=100)
    same(store.read(out), execute(planned)[0])
    assert not state_folder(out).exists()


@pytest.fixture
def unfinished(tmp_path, monkeypatch) -> Path:
    """All blocks of a run are done, the table is not written."""
    out = tmp_path / "c.parquet"
    with monkeypatch.context() as patch:

        def interrupted(*_):
            raise KeyboardInterrupt

        patch.setattr("model_collapse.engine.execute.gather", interrupted)
        with pytest.raises(KeyboardInterrupt):
            execute(gaussian(), out)
    assert len(list(state_folder(out).glob("*.done"))) == 3
    return out


@pytest.mark.parametrize("file", ["table.parquet", "manifest.json"])
@pytest.mark.parametrize("how", ["flip", "shorten", "remove"])
def test_a_damaged_block_is_reported_and_computed_again(unfinished, file, how, capsys):
    broken = state_folder(unfinished) / "block-0001.done" / file
    content = bytearray(broken.read_bytes())
    if how == "flip":
        content[len(content) // 2] ^= 0x40
    broken.write_bytes(content[:-7] if how == "shorten" else content)
    if how == "remove":
        broken.unlink()
    resumed, _ = execute(gaussian(), unfinished)
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "block-0001.done: " in said and "is damaged; computed again" in said
    # A flip inside the manifest may hit the checksum of the table, and then the two only disagree.
    assert file in said or (file, how) == ("manifest.json", "flip")
    same(resumed, execute(gaussian())[0])


def test_a_flipped_byte_anywhere_in_a_manifest_never_changes_the_result(unfinished, tmp_path):
    """A damaged manifest is either seen, or the block it describes is whole all the same."""
    undisturbed, _ = execute(gaussian())
    saved = tmp_path / "saved"
    shutil.copytree(state_folder(unfinished), saved)
    size = (saved / "block-0000.done" / "manifest.json").stat().st_size
    for position in range(0, size, 17):
        if not state_folder(unfinished).exists():
            unfinished.unlink()
            shutil.copytree(saved, state_folder(unfinished))
        manifest = state_folder(unfinished) / "block-0000.done" / "manifest.json"
        content = bytearray(manifest.read_bytes())
        content[position] ^= 0x04
        manifest.write_bytes(content)
        same(execute(gaussian(), unfinished)[0], undisturbed)


def test_state_whose_owner_is_unknown_is_refused(unfinished):
    (state_folder(unfinished) / "run.json").write_bytes(b'{"run_id"')
    with pytest.raises(InputError, match=r"run\.json is damaged.*remove .*\.state") as refused:
        execute(gaussian(), unfinished)
    assert "\n" not in str(refused.value)


def test_blocks_left_by_another_run_are_not_taken_for_ones_own(unfinished):
    """A kill while the state of a finished run is removed may leave blocks without the file that names their run."""
    (state_folder(unfinished) / "run.json").unlink()
    other = gaussian(seed=4)
    same(execute(other, unfinished)[0], execute(other)[0])


def test_damaged_and_lost_checkpoints_are_computed_again(walk, tmp_path, monkeypatch, capsys):
    """One generation's sample is damaged, another's folder is gone: only those are fitted again."""
    planned, out = plan("walk", "replace", generations=5, every=2), tmp_path / "c.parquet"
    undisturbed, _ = execute(planned)
    killed_at(monkeypatch, "block-0000.done", planned, out)
    block = state_folder(out) / "block-0000"
    assert sorted(os.listdir(block)) == [*(f"generation-000{t}" for t in range(6)), "model-0000"], "no other model"
    sample = block / "generation-0003" / "sample.safetensors"
    content = bytearray(sample.read_bytes())
    content[-1] ^= 1
    sample.write_bytes(content)
    shutil.rmtree(block / "generation-0001")
    walk.clear()
    resumed, _ = execute(planned, out)
    assert walk == ["fit", "fit"]
    assert "generation-0003: sample.safetensors is damaged; computed again" in capsys.readouterr().err
    same(resumed, undisturbed)


def test_the_base_is_made_once_and_again_only_if_damaged(walk, tmp_path, capsys):
    one, _ = execute(plan("walk", replicates=3, generations=1))
    assert walk.count("base") == 1
    execute(plan("walk", "mix", replicates=1, generations=0))
    assert walk.count("base") == 1, "another regime shares it"
    execute(plan("walk", generations=0, seed=1))
    execute(plan("walk", generations=0, settings={"walk.pace": 2}))
    assert walk.count("base") == 3, "another seed and another setting do not"
    [file] = [f for f in (tmp_path / "cache").rglob("model.json") if json.loads(f.read_text())][:1]
    file.write_text("[7.0]")
    for seed in (0, 1):
        for pace in (1, 2):
            execute(plan("walk", generations=0, seed=seed, settings={"walk.pace": pace}))
    assert "model.json is damaged; computed again" in capsys.readouterr().err
    same(execute(plan("walk", replicates=3, generations=1))[0], one)


# Finished, unfinished, another's -----------------------------------------------------------------------------------


def test_a_finished_run_is_left_alone(tmp_path):
    out = tmp_path / "c.parquet"
    first, _ = execute(gaussian(), out)
    before, content = out.stat(), out.read_bytes()
    for resume in (True, False):
        again, _ = execute(gaussian(), out, resume=resume)
        pd.testing.assert_frame_equal(first, again)
    assert out.read_bytes() == content and out.stat().st_mtime_ns == before.st_mtime_ns
    assert out.stat().st_ino == before.st_ino and os.listdir(tmp_path) == ["c.parquet"]


def test_an_unfinished_run_needs_resume(unfinished):
    before = sorted(state_folder(unfinished).rglob("*"))
    with pytest.raises(InputError, match=r"c\.parquet is unfinished; add --resume"):
        execute(gaussian(), unfinished, resume=False)
    assert sorted(state_folder(unfinished).rglob("*")) == before and not unfinished.exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seed": 4}, r"seed \(3 there, 4 here\)$"),
        ({"settings": {"family.estimator": "unbiased"}}, r"family\.estimator \(mle there, unbiased here\)$"),
        ({"n": 11, "generations": 5}, r"n \(10 there, 11 here\), generations \(4 there, 5 here\)$"),
        ({"regime": "accumulate"}, r"regime \(replace there, accumulate here\)"),
    ],
)
def test_the_place_of_another_run_is_refused_finished_or_not(changes, said, unfinished):
    other = gaussian(**changes)
    with pytest.raises(InputError, match=r"state holds another run; it differs in " + said):
        execute(other, unfinished)
    execute(gaussian(), unfinished)
    content = unfinished.read_bytes()
    with pytest.raises(InputError, match=r"c\.parquet holds another run; it differs in " + said):
        execute(other, unfinished)
    assert unfinished.read_bytes() == content and not state_folder(unfinished).exists()


def test_what_only_the_work_can_refuse_leaves_nothing_behind(tmp_path):
    """`mix` needs rows, exact sampling has none: the same command must not ask for --resume next time."""
    for jobs in (1, 2):
        with pytest.raises(InputError, match=r"^exact sampling cannot subsample; set family\.sampling=draw$"):
            execute(gaussian(regime="mix"), tmp_path / "c.parquet", jobs=jobs)
        assert os.listdir(tmp_path) == []


def test_a_worker_ended_from_outside_is_one_line(monkeypatch, tmp_path):
    """The out-of-memory killer, say: exit status 3, and the finished blocks stay."""
    import threading

    def workers() -> Iterator[psutil.Process]:
        for child in psutil.Process().children():
            with contextlib.suppress(psutil.Error):
                if any("spawn_main" in word for word in child.cmdline()):
                    yield child

    def end_a_worker() -> None:
        until(lambda: any(workers()))
        for worker in workers():
            with contextlib.suppress(psutil.Error):
                worker.kill()

    killer = threading.Thread(target=end_a_worker)
    killer.start()
    try:
        with pytest.raises(ExternalError, match="a worker process was ended from outside"):
            execute(gaussian(generations=20_000, every=20_000), tmp_path / "c.parquet", jobs=2)
    finally:
        killer.join()


def test_a_worker_that_ends_while_the_next_one_starts_is_the_same_line(monkeypatch, tmp_path):
    """The pool closes the pipe that the new worker was to inherit; seen once, on a busy machine."""
    start = ProcessPoolExecutor._spawn_process

    def start_after_a_death(executor: ProcessPoolExecutor) -> None:
        for worker in list(executor._processes.values()):
            worker.kill()
            until(lambda: executor._broken)
        start(executor)

    monkeypatch.setattr(ProcessPoolExecutor, "_spawn_process", start_after_a_death)
    with pytest.raises(ExternalError, match="a worker process was ended from outside"):
        execute(gaussian(generations=20_000, every=20_000), tmp_path / "c.parquet", jobs=2)


# Memory ------------------------------------------------------------------------------------------------------------

DRAW = {"family.sampling": "draw"}


@pytest.fixture
def eight_gigabytes(monkeypatch) -> None:
    """A machine with 8 GB, whatever this one has."""
    monkeypatch.setattr(memory, "machine", lambda: 8e9)


@pytest.mark.parametrize(
    ("planned", "said"),
    [
        (
            {"regime": "grow", "n": 100, "generations": 1000, "settings": {"regime.power": 4, **DRAW}},
            r"^-g 1000: grow with 1\.01e\+14 rows in one chain needs about 6\.45e\+06 GB of memory, "
            r"and this machine has 8 GB; lower -n or -g; family\.sampling=exact draws no rows$",
        ),
        (
            {"n": 10**9, "replicates": 100, "settings": DRAW},
            r"^-n 1000000000: 1e\+09 rows in each of 100 chains at a time needs .*; lower -n or --replicates; family\.",
        ),
        (
            {"regime": "accumulate", "n": 10**5, "generations": 10**4, "settings": DRAW},
            r"^-g 10000: accumulate with 1e\+09 rows in one chain needs about 64 GB .*; lower -n or -g; ",
        ),
        (
            {"replicates": 10**9},
            r"^--replicates 1000000000: a table of 4e\+10 rows needs about 1\.2e\+04 GB of memory, "
            r"and this machine has 8 GB; lower --replicates or -g, raise --every or ask for fewer --metrics$",
        ),
        ({"generations": 10**7}, r"^-g 10000000: a table of 4e\+07 rows needs about 12 GB"),
        (
            {"family": "discrete", "settings": {"family.symbols": 10**7}, "replicates": 64},
            r"^family\.symbols=10000000: a model of that size in each of 64 chains at a time needs about 51\.2 GB of "
            r"memory, and this machine has 8 GB; lower it$",
        ),
    ],
    ids=["growing sets", "rows", "a pool", "replicates", "generations", "symbols"],
)
def test_what_cannot_fit_into_memory_is_refused_before_any_work(planned, said, eight_gigabytes, tmp_path):
    """One line that names the argument, what it needs and what there is; no state is left."""
    with pytest.raises(ExternalError, match=said) as refused:
        execute(plan(**{"family": "gaussian", **planned}), tmp_path / "c.parquet")
    assert "\n" not in str(refused.value) and not os.listdir(tmp_path)


@pytest.mark.parametrize(
    "planned",
    [
        *({"n": n, "generations": 1000, "replicates": 1000} for n in (10, 100, 1000, 10_000)),
        {"family": "discrete", "settings": {"family.symbols": 10**5}, "replicates": 64},
        {"replicates": 10**5},
        {"family": "discrete", "replicates": 10**5, "metrics": ["heterozygosity", "support"]},
        {"regime": "grow", "n": 100, "generations": 1000, "settings": {"regime.power": 4}},
        {"n": 10**9, "replicates": 10},
        {"generations": 10**7, "every": 1000},
        {"n": 10**5, "replicates": 256, "settings": DRAW},
    ],
    ids=lambda planned: " ".join(f"{key}={value}" for key, value in planned.items()),
)
def test_what_is_large_but_fits_is_not_refused(planned, eight_gigabytes):
    memory.check(plan(**{"family": "gaussian", **planned}), processes=1)


def test_more_text_than_fits_is_refused(eight_gigabytes):
    memory.check(plan("lm", n=10**7), processes=1)
    with pytest.raises(ExternalError, match=r"^-n 999999999: 1e\+09 rows in one chain needs? about 768 GB of memory"):
        memory.check(plan("lm", n=999_999_999), processes=1)


def test_every_process_needs_its_own_memory(eight_gigabytes):
    planned = gaussian(n=200_000, replicates=2000, settings=DRAW)
    memory.check(planned, processes=2)
    with pytest.raises(ExternalError, match=r"in each of 1024 chains at a time .* lower -n or --jobs; "):
        memory.check(planned, processes=4)


def test_a_finished_run_is_not_asked_for_memory(tmp_path, monkeypatch):
    execute(gaussian(), tmp_path / "c.parquet")
    monkeypatch.setattr(memory, "machine", lambda: 1.0)
    execute(gaussian(), tmp_path / "c.parquet")
    with pytest.raises(ExternalError):
        execute(gaussian(seed=4), tmp_path / "d.parquet")


# getrusage, which other systems have too, counts what a process inherits from the one that started it.
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the peak memory of a process alone, in /proc")
def test_the_estimate_is_of_the_right_size(tmp_path):
    """A drawn sample and a table, each against the peak that a process of its own reaches: within a factor of 3."""
    code = """
import re, sys
from pathlib import Path
from model_collapse.engine.execute import execute
from model_collapse.engine.plan import plan

def peak():
    return 1024 * int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])

n, generations, replicates = (int(text) for text in sys.argv[2:])
settings = {"family.sampling": sys.argv[1]}
run = plan("gaussian", n=n, generations=generations, replicates=replicates, settings=settings)
before = peak()
execute(run)
print(peak() - before)
"""
    for sampling, n, last, replicates in (("draw", 10**6, 2, 4), ("exact", 10, 250, 1000)):
        arguments = [sampling, *(str(value) for value in (n, last, replicates))]
        done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
        used = float(done.stdout)
        family = Gaussian(sampling=sampling)  # type: ignore[arg-type]
        table = replicates * (last + 1) * 4 * memory.ROW_OF_TABLE
        estimate = max(table, family.chain_bytes(n) * min(replicates, 256))
        assert estimate / 3 < used < 3 * estimate, (sampling, used, estimate)


def test_the_machine_has_some_memory():
    assert 1e8 < memory.machine() < 1e15


def test_a_run_builds_its_objects_once(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[str] = []
    build = registry.build
    monkeypatch.setattr(
        registry, "build", lambda package, name, *rest: built.append(name) or build(package, name, *rest)
    )
    planned = plan("gaussian", "mix", n=10, generations=1, settings=DRAW)
    unit = Unit(planned, Path("unused"), 0)
    for _ in range(3):
        assert unit.base_key is None and unit.family.sampling == "draw" and unit.regime == Mix()
        unit.source()
    assert built == ["gaussian", "mix"]
    # Its other form, the record of their settings, gives them again.
    again = replace(planned)
    assert again.members == planned.members and again.members is again.members
    assert built == ["gaussian", "mix"] * 2
    other = replace(unit, run=replace(unit.run, family="kde", family_args={}))
    assert type(other.family).__name__ == "Kde", "another run builds its own"
