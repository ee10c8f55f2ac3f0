"""A run by name: settings -> objects -> loop -> metrics -> record. Resumable, and spread over processes by blocks.

A run is R replicate chains. Chains are dealt into blocks; every block has random streams of its own, so that neither
the number of processes nor an interruption changes a bit of the result.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field, TypeAdapter, ValidationError

from model_collapse import corpora, families, filters, paths, record, regimes, registry, streams
from model_collapse import metrics as measures
from model_collapse.data import Data, Rows, Source
from model_collapse.errors import InputError, OutsideError
from model_collapse.loop import Generation, generations
from model_collapse.record import Run

Count = Annotated[int, Field(ge=1, le=10**9)]
Index = Annotated[int, Field(ge=0, le=2**63 - 1)]


def plan(
    family: str,
    regime: str = "replace",
    *,
    n: Any = None,
    generations: Any = 9,
    seed: Any = 0,
    replicates: Any = 1,
    given: str = "original",
    filter: Sequence[str] = (),
    settings: Mapping[str, Any] | None = None,
    corpus: str | None = None,
    metrics: Sequence[str] | None = None,
    every: Any = 1,
) -> Run:
    """A run from names and values; everything is checked here, before any work.

    n            rows per generation; None: the family's default; "all": every block of the corpus
    generations  g of the last generation; generation 0 is fitted to real data
    replicates   chains, each with data and randomness of its own
    settings     {"family.epochs": 5, "regime.real_fraction": .1, "NAME.key": ...}; text is read as the setting's type
    corpus       text a family reads; None: the embedded one
    every        metrics are taken at generations 0, k, 2k, ... and at the last

    InputError names the argument and what is allowed.
    """
    parts: dict[str, dict[str, Any]] = {"family": {}, "regime": {}} | {name: {} for name in filter}
    for key, value in (settings or {}).items():
        owner, dot, name = key.partition(".")
        # The member's own name works as well as its role: opt.epochs is family.epochs.
        owner = {family: "family", regime: "regime"}.get(owner, owner)
        if not dot or owner not in parts:
            raise InputError(f"--set {key}: write family.KEY, regime.KEY or the name of a filter in use, then =VALUE")
        parts[owner][name] = value
    kind = registry.build(families, family, parts["family"], "family")
    how = registry.build(regimes, regime, parts["regime"], "regime")
    judges = tuple((name, asdict(registry.build(filters, name, parts[name]))) for name in filter)
    if given not in ("original", "training", "fresh"):
        raise InputError(f"--given: {given!r} is not allowed; it is original, training or fresh")
    taken = tuple(metrics) if metrics else kind.metrics
    measures.chosen(taken, kind)
    if kind.reads == "numbers" and corpus:
        raise InputError(f"--corpus: {family} reads no corpus")
    content = ""
    if kind.reads == "text":
        text = corpora.load(corpus or "embedded")
        corpus, content = text.name, "".join([text.fingerprint, *kind.contents()])
        n = len(text.source(None, **kind.reading()).train) if n == "all" else n
    return Run(
        family=family,
        family_args=asdict(kind),
        regime=regime,
        regime_args=asdict(how),
        n=_checked("-n", Count, kind.rows if n is None else n),
        generations=_checked("-g", Index, generations),
        seed=_checked("--seed", Index, seed),
        replicates=_checked("--replicates", Count, replicates),
        given=given,
        metrics=taken,
        every=_checked("--every", Count, every),
        block=kind.block_size,
        filters=judges,
        corpus=corpus or "",
        content=content,
    )


def _checked(argument: str, kind: Any, value: Any) -> Any:
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        said = error.errors()[0]["msg"]
        raise InputError(f"{argument} {value}: {said[0].lower()}{said[1:]}") from None


def execute(
    run: Run,
    out: Path | str | None = None,
    *,
    resume: bool = True,
    jobs: int | None = None,
    progress: Callable[[str], None] | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """The tidy table of `run`, and the texts it wrote (None for a family that writes none); see `execute_all`."""
    if out is not None:
        execute_all({Path(out): run}, resume=resume, jobs=jobs, progress=progress)
        return record.read(out), _texts(Path(out))
    with tempfile.TemporaryDirectory() as folder:
        return execute(run, Path(folder) / "run.parquet", jobs=jobs, progress=progress)


def execute_all(
    runs: Mapping[Path, Run],
    *,
    resume: bool = True,
    jobs: int | None = None,
    progress: Callable[[str], None] | None = None,
) -> None:
    """Bring every run to its end, their blocks side by side in `jobs` processes (None: one for each core, if that pays).

    A finished run is left alone, an unfinished one continued (InputError unless `resume`), a file of another run refused.
    State lies in FILE.parquet.state/ until FILE.parquet is there, whole.
    """
    waiting = {out: run for out, run in runs.items() if not _finished(run, out, resume)}
    begun = [out for out in waiting if not any(state_folder(out).glob("block-*"))]
    try:
        _complete(waiting, jobs, progress)
    except InputError:
        # A combination that only the work itself could refuse: leave no state behind that would ask for --resume.
        for out in begun:
            shutil.rmtree(state_folder(out), ignore_errors=True)
        raise
    for out, run in waiting.items():
        _gather(run, out)


def study(
    arms: Mapping[str, Run],
    folder: Path,
    *,
    jobs: int | None = None,
    progress: Callable[[str], None] | None = None,
) -> tuple[dict[str, pd.DataFrame], dict[str, pd.DataFrame]]:
    """Tables and texts of several runs by label, each kept in `folder` under its run_id and not run twice."""
    files = {label: folder / f"{run.run_id}.parquet" for label, run in arms.items()}
    execute_all({files[label]: run for label, run in arms.items()}, jobs=jobs, progress=progress)
    tables = {label: record.read(file) for label, file in files.items()}
    texts = {label: _texts(file) for label, file in files.items()}
    return tables, {label: text for label, text in texts.items() if text is not None}


def _complete(waiting: Mapping[Path, Run], jobs: int | None, progress: Callable[[str], None] | None) -> None:
    """Work through all blocks that are not done."""
    units = [_Unit(run, out, block) for out, run in waiting.items() for block in range(blocks(run))]
    units = [unit for unit in units if not unit.done]
    heavy = any(registry.member(families, unit.run.family).checkpoints for unit in units)
    # The runner of chapters says how many processes each may have.
    allowed = jobs or int(os.environ.get("MODEL_COLLAPSE_JOBS", os.cpu_count() or 1))
    workers = min(allowed, len(units)) if jobs or heavy else 1
    with _pool(workers) as pool:
        bases = {key: unit for unit in units if (key := unit.base_key)}
        _all(pool, _make_base, list(bases.values()), None)
        total = sum(unit.run.generations + 1 for unit in units)
        _all(pool, _work, units, _Progress(units, total, progress) if progress and units else None)


def blocks(run: Run) -> int:
    """How many blocks of chains a run has."""
    return math.ceil(run.replicates / run.block)


def _texts(out: Path) -> pd.DataFrame | None:
    return record.read(record.texts_file(out)) if record.texts_file(out).exists() else None


def state_folder(out: Path) -> Path:
    """Where the state of the unfinished run of `out` lies."""
    return out.with_name(out.name + ".state")


def _finished(run: Run, out: Path, resume: bool) -> bool:
    """Whether `out` holds this run. Refuses another run's file or state; sets up the state of a new one."""
    if out.exists():
        found = record.about(out)
        if found.get("run_id") == run.run_id:
            shutil.rmtree(state_folder(out), ignore_errors=True)  # a kill may have left a part of it
            return True
        raise InputError(f"--out: {out} holds another run; it differs in {run.differs(found.get('run', {}))}")
    if not out.parent.is_dir():
        raise InputError(f"--out: the folder {out.parent} does not exist")
    state = state_folder(out)
    described = state / "run.json"
    if described.exists():
        try:
            found = json.loads(described.read_text(encoding="utf-8"))
            same, other = found["run_id"] == run.run_id, found["run"]
        except (ValueError, KeyError, TypeError):
            raise InputError(f"--out: {described} is damaged, so whose state it is is lost; remove {state}") from None
        if not same:
            raise InputError(f"--out: {state} holds another run; it differs in {run.differs(other)}")
        if not resume:
            raise InputError(f"--out: {out} is unfinished; add --resume to continue it")
        return False
    with record.disk_errors():
        state.mkdir(exist_ok=True)
        for stray in state.glob("block-*"):
            # Left by a kill while the state of a finished run was being removed; it may be another run's.
            shutil.rmtree(stray)
        with record.whole_file(described) as temporary:
            about = {"run_id": run.run_id, "run": record.describe(run)}
            temporary.write_text(json.dumps(about, indent=1, sort_keys=True), encoding="utf-8")
    return False


# One block of chains -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Unit:
    """Work for one process: a block of chains of a run."""

    run: Run
    out: Path
    block: int

    @property
    def folder(self) -> Path:
        return state_folder(self.out) / f"block-{self.block:04d}"

    @property
    def result(self) -> Path:
        return self.folder.with_suffix(".done")

    @property
    def done(self) -> bool:
        return record.intact(self.result)

    @property
    def chains(self) -> int:
        return min(self.run.block, self.run.replicates - self.block * self.run.block)

    @property
    def family(self) -> Any:
        return registry.build(families, self.run.family, self.run.family_args)

    @property
    def base_key(self) -> str | None:
        """Names the pre-trained model that the run starts from; runs with equal keys share it. None: no such model."""
        wanted = self.family.base_settings()
        if wanted is None:
            return None
        return record._digest(wanted, self.run.content, self.run.seed, record.source_hash(), record.lock_hash())

    def source(self) -> Source:
        if self.family.reads == "text":
            return corpora.load(self.run.corpus).source(self.run.n, **self.family.reading())
        return self.family.source(self.run.n, self.stream(-1, streams.SOURCE), self.chains)

    @property
    def stream(self) -> streams.Stream:
        return streams.stream(self.run.seed, self.block)


def _base_folder(unit: _Unit) -> Path:
    return paths.cache() / "bases" / str(unit.base_key)


def _make_base(unit: _Unit) -> None:
    """Pre-train what all generations of a run start from, once for all its chains, and keep it."""
    folder = _base_folder(unit)
    if record.intact(folder):
        return
    # Keyed by the seed alone: the paper's repetitions share one pre-trained model too.
    rng = streams.stream(unit.run.seed)(-1, streams.BASE)
    model = unit.family.base(unit.source(), rng)
    record.write_folder(folder, lambda inside: unit.family.save(model, inside), {"family": unit.run.family})


def _work(unit: _Unit) -> None:
    """Run one block to its end, from wherever it stands."""
    run, family, source = unit.run, unit.family, unit.source()
    if unit.base_key is None:
        start = family.base(source, unit.stream(-1, streams.BASE))
    else:
        start = family.load(_base_folder(unit))
    regime = registry.build(regimes, run.regime, run.regime_args)
    judges = [registry.build(filters, name, values) for name, values in run.filters]
    notes = _Notes(unit, family, source)
    chain = generations(
        source,
        family,
        regime,
        run.n,
        unit.stream,
        last=run.generations,
        filters=judges,
        given=run.given,  # type: ignore[arg-type]
        start=start,
        saved=notes,
    )
    for _ in chain:
        pass
    record.write_folder(unit.result, notes.write, {"run_id": run.run_id, "block": unit.block})
    shutil.rmtree(unit.folder, ignore_errors=True)


class _Notes:
    """Takes down every generation of a block: its metrics, and for a family that checkpoints its sample."""

    def __init__(self, unit: _Unit, family: Any, source: Source) -> None:
        self.unit, self.family, self.source = unit, family, source
        self.metrics = measures.chosen(unit.run.metrics, family)
        self.reference: measures.Reference | None = None
        self.rows: list[pa.Table] = []
        self.texts: list[pa.Table] = []
        self.clock = time.perf_counter()

    def load(self, t: int, train: Data) -> Generation | None:
        folder = self._folder(t)
        if not self.family.checkpoints or not record.intact(folder):
            return None
        from safetensors.numpy import load_file

        arrays = load_file(folder / "sample.safetensors")
        model = self.family.load(folder / "model") if (folder / "model").exists() else None
        given = Rows(arrays["given"]) if "given" in arrays else None
        generation = Generation(t, train, model, Data.of(Rows(arrays["sample"]), born=t + 1, author=1), given)
        self._note(generation, pq.read_table(folder / "rows.parquet") if self._due(t) else None)
        self.clock = time.perf_counter()
        return generation

    def save(self, generation: Generation) -> None:
        self._note(generation, None)
        if self.family.checkpoints:
            record.write_folder(self._folder(generation.t), lambda inside: self._checkpoint(generation, inside), {})

    def write(self, folder: Path) -> None:
        """The block's tables."""
        pq.write_table(pa.concat_tables(self.rows), folder / "table.parquet", compression="zstd")
        if self.texts:
            pq.write_table(pa.concat_tables(self.texts), folder / "texts.parquet", compression="zstd")

    def _folder(self, t: int) -> Path:
        return self.unit.folder / f"generation-{t:04d}"

    def _checkpoint(self, generation: Generation, folder: Path) -> None:
        from safetensors.numpy import save_file

        arrays = {"sample": generation.sample.rows.x}  # type: ignore[union-attr]
        if generation.given is not None:
            arrays["given"] = generation.given.x
        save_file({name: np.ascontiguousarray(x) for name, x in arrays.items()}, folder / "sample.safetensors")
        if self._due(generation.t):
            pq.write_table(self.rows[-1], folder / "rows.parquet")
        if generation.t == 0:
            # Metrics compare with generation 0; no later model is needed again, and weights are large.
            (folder / "model").mkdir()
            self.family.save(generation.model, folder / "model")

    def _due(self, t: int) -> bool:
        """Whether metrics are taken at generation t."""
        return t % self.unit.run.every == 0 or t == self.unit.run.generations

    def _note(self, generation: Generation, rows: pa.Table | None) -> None:
        if generation.t == 0:
            self.reference = measures.Reference(generation, self.source, self.family)
        if rows is None and self._due(generation.t):
            rows = self._measure(generation)
        if rows is not None:
            self.rows.append(rows)
        if self.family.reads == "text":
            self.texts.append(self._written(generation))

    def _measure(self, generation: Generation) -> pa.Table:
        chains, first = self.unit.chains, self.unit.block * self.unit.run.block
        named = []
        for name, metric in self.metrics.items():
            value = metric(generation, self.reference)  # type: ignore[arg-type]
            items = value.items() if isinstance(value, Mapping) else [("", value)]
            named += [(name, item, np.broadcast_to(np.asarray(v, float), chains)) for item, v in items]
        count = len(named) * chains
        now = time.perf_counter()
        seconds, self.clock = (now - self.clock) / chains, now
        share = np.broadcast_to(generation.train.share_real, chains)
        columns = {
            "replicate": pa.array(np.tile(np.arange(first, first + chains, dtype=np.int64), len(named))),
            "generation": pa.array(np.full(count, generation.t, np.int64)),
            "n_train": pa.array(np.full(count, len(generation.train), np.int64)),
            "share_real": pa.array(np.tile(share, len(named))),
            "metric": _labels([name for name, _, _ in named], chains),
            "item": _labels([item for _, item, _ in named], chains),
            "value": pa.array(np.concatenate([value for _, _, value in named])),
            "seconds": pa.array(np.full(count, seconds)),
            "device": _labels([self.family.device()] * len(named), chains),
        }
        return record.table(self.unit.run, columns)

    def _written(self, generation: Generation) -> pa.Table:
        tokenizer = self.source.tokenizer  # type: ignore[attr-defined]
        count, chain = len(generation.sample), self.unit.block * self.unit.run.block
        columns = {
            "run_id": record._repeated(self.unit.run.run_id, count),
            "replicate": pa.array(np.full(count, chain, np.int64)),
            "generation": pa.array(np.full(count, generation.t, np.int64)),
            "row": pa.array(np.arange(count, dtype=np.int64)),
            "prompt": pa.array(tokenizer.decode(generation.given.x)).dictionary_encode(),  # type: ignore[union-attr]
            "text": pa.array(tokenizer.decode(generation.sample.rows.x)).dictionary_encode(),  # type: ignore[union-attr]
        }
        return pa.table(columns)


def _labels(names: list[str], times: int) -> pa.DictionaryArray:
    """Each name `times` times over, dictionary-encoded."""
    known = sorted(set(names))
    codes = np.repeat(np.array([known.index(name) for name in names], np.int32), times)
    return pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(known))


def _gather(run: Run, out: Path) -> None:
    """Put the blocks' tables together; the file itself is written last, and then the state can go."""
    state = state_folder(out)
    results = [state / f"block-{block:04d}.done" for block in range(blocks(run))]
    about = record.provenance() | {"run_id": run.run_id, "run": record.describe(run)}
    for name, file in (("texts.parquet", record.texts_file(out)), ("table.parquet", out)):
        parts = [pq.read_table(folder / name) for folder in results if (folder / name).exists()]
        if parts:
            record.write_table(file, pa.concat_tables(parts).unify_dictionaries().combine_chunks(), about)
    shutil.rmtree(state, ignore_errors=True)


# Processes ---------------------------------------------------------------------------------------------------------


@contextmanager
def _pool(workers: int) -> Iterator[Executor | None]:
    """A pool of fresh processes, or None for work done here."""
    if workers <= 1:
        yield None
        return
    context = get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=_follow, initargs=(os.getpid(),)) as pool:
        try:
            yield pool
        except BaseException as error:
            # After an error nobody may still be writing the state that is tidied up next; Ctrl-C answers at once.
            pool.shutdown(wait=isinstance(error, Exception), cancel_futures=True)
            raise


def _follow(parent: int) -> None:
    """End this process when its parent is gone, so that a killed run leaves no worker behind that writes its state."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.2)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _all(pool: Executor | None, task: Callable[[_Unit], None], units: list[_Unit], progress: _Progress | None) -> None:
    if pool is None:
        for unit in units:
            task(unit)
            if progress:
                progress.tell()
        return
    try:
        pending: set[Future[None]] = {pool.submit(task, unit) for unit in units}
        while pending:
            done, pending = wait(pending, timeout=1, return_when="FIRST_EXCEPTION")
            for future in done:
                future.result()
            if progress:
                progress.tell()
    except BrokenProcessPool:
        raise OutsideError(
            "a worker process was ended from outside (out of memory?); run the same command with fewer --jobs"
        ) from None


class _Progress:
    """Says how many generations are finished, and when the rest will be, by looking at what lies on disk."""

    def __init__(self, units: list[_Unit], total: int, tell: Callable[[str], None]) -> None:
        self.units, self.total, self._tell = units, total, tell
        self.begun, self.at_first, self.said = time.monotonic(), self._count(), -1

    def _count(self) -> int:
        return sum(
            unit.run.generations + 1 if unit.result.exists() else len(list(unit.folder.glob("generation-????")))
            for unit in self.units
        )

    def tell(self) -> None:
        done = self._count()
        if done == self.said:
            return
        self.said, spent = done, time.monotonic() - self.begun
        left = spent / (done - self.at_first) * (self.total - done) if done > self.at_first else None
        rest = "" if left is None else f", about {left:.0f} s left"
        self._tell(f"{done} of {self.total} generations, {spent:.0f} s{rest}")


def on_stderr(line: str) -> None:
    """A progress callback for terminals and logs."""
    print(line, file=sys.stderr, flush=True)
