"""The command `model-collapse`. Exit status: 0 done, 1 a check failed, 2 bad input, 3 something outside is missing."""

from __future__ import annotations

import argparse
import errno
import json
import math
import os
import select
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NoReturn

from model_collapse import distributed
from model_collapse.errors import ExternalError, InputError

if TYPE_CHECKING:
    from model_collapse.engine.spec import Run


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, without the usage."""

    def error(self, message: str) -> NoReturn:
        raise InputError(message)


class _Command(_Parser):
    """A parser of one command, whose positional arguments may stand before, between and after its options."""

    mixing = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """What the main parser calls; the standard library's way to mix calls it again, for each kind of argument."""
        if self.mixing:
            return super().parse_known_args(args, namespace)
        self.mixing = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self.mixing = False


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; errors a user can mend are one line on stderr."""
    try:
        chosen = _parser().parse_args(arguments)
        if distributed.count() > 1 and chosen.command is not _chain:
            raise InputError("torchrun, accelerate launch: of the commands only `chain` works in several processes")
        status = chosen.command(chosen) or 0
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        output = select.poll()
        output.register(sys.stdout)
        if not any(event & select.POLLERR for _, event in output.poll(0)):
            raise  # another pipe, to a process of ours
        # Who reads the output has seen enough, as `| head` does; at the end of Python there is nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except (InputError, ExternalError) as error:
        return _complain(error, error.status)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("model_collapse"):
            raise
        return _complain(f"{error.name} is not installed; install it with pip install 'model-collapse[lm,book]'", 3)
    except MemoryError as error:
        return _complain(f"not enough memory ({error}); ask for fewer rows or replicates", 3)
    except OSError as error:
        # A name that no file can have may be met wherever one is looked for.
        if error.errno != errno.ENAMETOOLONG:
            raise
        return _complain(f"{str(error.filename)[:60]}...: too long for the name of a file", InputError.status)
    except KeyboardInterrupt:
        return _complain("interrupted; run the same command to continue (for `chain` add --resume)", 130)


def _complain(error: object, status: int) -> int:
    # Of several processes that were asked for the same, one says it; what another lacks it says itself.
    if distributed.leads() or status == ExternalError.status:
        print("model-collapse: " + " ".join(str(error).split()), file=sys.stderr)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="model-collapse", description=__doc__)
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=_Command)

    def command(name: str, work: Callable[[argparse.Namespace], int | None], summary: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=summary, description=summary, allow_abbrev=False)
        added.set_defaults(command=work)
        return added

    for add in (
        _add_run,
        _add_chain,
        _add_pack,
        _add_unpack,
        _add_record,
        _add_sweep,
        _add_fetch,
        _add_lists,
        _add_verify,
        _add_bench,
        _add_build,
        _add_release,
        _add_address,
    ):
        add(command)
    return parser


_Adding = Callable[[str, Callable[[argparse.Namespace], int | None], str], argparse.ArgumentParser]
"""Adds a command: its name, what does it, and a summary in a line."""


def _add_run(command: _Adding) -> None:
    chapters = command("run", _run, "run chapters of the book")
    chapters.add_argument("chapters", nargs="*", metavar="CHAPTER", help="slugs; default: all chapters")
    chapters.add_argument("--profile", default="laptop", help="smoke, laptop, t4 or paper")
    chapters.add_argument("-p", dest="parameters", action="append", default=[], metavar="NAME=VALUE")
    chapters.add_argument("--jobs", help="chapters side by side")
    chapters.add_argument("--force", action="store_true", help="run again even if nothing has changed")


def _add_chain(command: _Adding) -> None:
    chain = command("chain", _chain, "one recursive chain, or R of them, without a notebook")
    chain.add_argument("family", metavar="FAMILY")
    chain.add_argument("regime", metavar="REGIME", nargs="?", default="replace")
    chain.add_argument("-n", help="rows per generation")
    chain.add_argument("-g", dest="generations", default=9, help="last generation; 0 is fitted to real data")
    chain.add_argument("--seed", default=0)
    chain.add_argument("--replicates", default=1, metavar="R")
    chain.add_argument("--given", default="original", help="what a conditional family continues")
    chain.add_argument("--filter", action="append", default=[], metavar="NAME")
    chain.add_argument("--set", dest="settings", action="append", default=[], metavar="OWNER.KEY=VALUE")
    chain.add_argument("--corpus", metavar="NAME|FOLDER")
    chain.add_argument("--metrics", metavar="A,B")
    chain.add_argument("--every", default=1, metavar="K", help="take metrics at every K-th generation")
    chain.add_argument("--models", default=1, metavar="K", help="number of models that read each other")
    chain.add_argument("--reads", metavar="WHO", help="who reads whom: all, ring, deal or own")
    chain.add_argument("--share", metavar="S", help="share of the rows that are others', for all and ring")
    chain.add_argument("--real", metavar="WHOSE", help="real data: own, same, or split by what they are about")
    chain.add_argument("--first", metavar="REGIME", help="regime of the first model alone; --set first.KEY=VALUE")
    chain.add_argument("--jobs", metavar="N", help="processes")
    chain.add_argument("--out", metavar="FILE.parquet")
    chain.add_argument("--resume", action="store_true", help="continue an unfinished run")
    chain.add_argument("--keep-models", action="store_true", help="leave every generation's model in FILE.models/")
    chain.add_argument(
        "--json", action="store_true", help="print the summary as JSON; null where there is no finite number"
    )


def _add_pack(command: _Adding) -> None:
    packing = command("pack", _pack, "put finished runs into one file")
    packing.add_argument("runs", nargs="+", metavar="RUN", help="FILE.parquet, or a folder of them")
    packing.add_argument("--out", required=True, metavar="FILE.zip")


def _add_unpack(command: _Adding) -> None:
    unpacking = command("unpack", _unpack, "unpack a file of `pack` to the folder where chapters look for runs")
    unpacking.add_argument("file", metavar="FILE.zip")
    unpacking.add_argument("--to", metavar="FOLDER", help="default: the folder of the chapters' runs")


def _add_record(command: _Adding) -> None:
    recording = command("record", _record, "keep runs as a record, add one made elsewhere, or rewrite the RO-Crate")
    recording.add_argument(
        "runs",
        nargs="*",
        metavar="CHAPTER|RUN|STUDY",
        help="a slug, FILE.parquet and folders of them; with --size a study",
    )
    recording.add_argument("--size", metavar="SIZE", help="run the study at this size, or resume it, and record it")
    recording.add_argument("--minutes", metavar="M", help="stop a study after M minutes; the same command resumes it")
    recording.add_argument("--jobs", metavar="N", help="of a study: processes side by side; default 3")
    recording.add_argument("--work", metavar="FOLDER", help="of a study: unfinished runs; default _build/records")
    recording.add_argument(
        "--check", action="store_true", help="of a study: run a part of its record again and compare"
    )
    recording.add_argument("--add", metavar="FILE.zip|FOLDER", help="check a record made elsewhere, and add it")
    recording.add_argument("--profile", default="laptop", help="of the chapter's executed copy")
    recording.add_argument("--name", metavar="NAME", help="of the record; default: that of the chapter or file")
    recording.add_argument("--out", metavar="FOLDER|FILE.zip", help="default: the checkout's records/")


def _add_sweep(command: _Adding) -> None:
    sweep = command("sweep", _sweep, "many runs over many processes and hosts: plan, run, status or collect")
    sweep.add_argument("verb", metavar="VERB", help="plan, run, status or collect")
    sweep.add_argument("file", metavar="FILE", nargs="?", help="a sweep file (YAML); or --study and --size")
    sweep.add_argument("--study", metavar="NAME", help="a study of the book")
    sweep.add_argument("--size", metavar="SIZE", help="and its size")
    sweep.add_argument("--folder", metavar="FOLDER", help="where state and tables lie; every host has to see it")
    sweep.add_argument("--executor", metavar="NAME", help="run: local (default), ray or slurm")
    sweep.add_argument("--jobs", metavar="N", help="run: tasks side by side; of Slurm, jobs of the array")
    sweep.add_argument(
        "--address", metavar="HOST:PORT", help="run: head of a Ray cluster; default: one on this machine"
    )
    sweep.add_argument("--gpus", metavar="G", help="run: GPUs of a task under Ray, such as 0.25")
    sweep.add_argument(
        "--sbatch",
        action="append",
        metavar="OPTION",
        help="run: an option for Slurm, written --sbatch=--time=4:00:00; may be repeated",
    )
    sweep.add_argument(
        "--task", metavar="I/K", help="run: only every K-th task from number I on, as jobs of an array do"
    )
    sweep.add_argument("--heartbeat", metavar="SECONDS", help="run: between signs of life; default 10")
    sweep.add_argument("--out", metavar="FILE.parquet", help="collect: the table of all runs")
    sweep.add_argument("--json", action="store_true", help="status: for programs")


def _add_fetch(command: _Adding) -> None:
    fetching = command("fetch", _fetch, "download weights, tokenizers and data sets in advance")
    fetching.add_argument(
        "names",
        nargs="+",
        metavar="NAME",
        help="opt-125m, smollm2-135m, smollm2-135m-q4, owner/name[@revision] of the hub, opt-125m-tokenizer, "
        "wikitext-2-raw, wikitext-2-v1 or mnist",
    )


def _add_lists(command: _Adding) -> None:
    for name in ("families", "regimes", "filters", "corpora", "claims"):
        listing = command(name, _list, f"list the {name}")
        listing.set_defaults(kind=name, codecheck=False)
        listing.add_argument("--json", action="store_true")
        if name == "claims":
            listing.add_argument("--codecheck", action="store_true", help="print codecheck.yml")


def _add_verify(command: _Adding) -> None:
    verify = command("verify", _verify, "check claims afresh; exit status 1 if a claim that passed before now fails")
    verify.add_argument("names", nargs="*", metavar="ID", help="ids of claims; default: all claims of the scale")
    verify.add_argument("--scale", help="simulation (default), small or gpu; of named claims, each one's own")
    verify.add_argument("--seed", default="1", metavar="S")
    verify.add_argument("--jobs", metavar="N", help="processes side by side; default: one for each core")
    verify.add_argument("--json", metavar="FILE", help="write the result there")
    verify.add_argument(
        "--need-baseline",
        dest="baseline",
        action="store_true",
        help="exit status 1 also if records/ has no verification of this scale",
    )
    verify.add_argument("--diff", nargs=2, metavar=("A.json", "B.json"), help="only list where B differs from A")
    verify.add_argument(
        "--mutants",
        "--sabotage",
        dest="mutants",
        action="store_true",
        help="inject faults (IDs name them) and report which are caught",
    )
    verify.add_argument(
        "--false-alarms",
        "--alarms",
        dest="alarms",
        metavar="SECONDS",
        help="judge claims from many seeds, this many seconds for each, and report which fail by chance",
    )


def _add_bench(command: _Adding) -> None:
    bench = command("bench", _bench, "time our implementation against the published one")
    bench.add_argument("names", nargs="*", metavar="NAME", help="benchmarks; default: all")
    bench.add_argument("--json", metavar="FILE", help="write the results there")


def _add_build(command: _Adding) -> None:
    build = command("build", _build, "build the book from the executed chapters")
    build.add_argument("--profile", default="laptop")


def _add_release(command: _Adding) -> None:
    publish = command("release", _release, "put the built book, its EPUB and PDF and the records into files to publish")
    publish.add_argument("--out", metavar="FOLDER", help="default: _build/release")
    publish.add_argument("--without-pdf", action="store_true", help="where there is no browser to print with")


def _add_address(command: _Adding) -> None:
    address = command("address", _address, "write the repository's address to where it is needed")
    address.add_argument("url", metavar="URL", nargs="?", help="default: the one in _config.yml")


def _pairs(texts: Sequence[str], option: str) -> dict[str, str]:
    pairs = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise InputError(f"{option} {text}: write NAME=VALUE")
        pairs[name] = value
    return pairs


def _run(chosen: argparse.Namespace) -> int:
    from model_collapse.companion.book import runner

    return runner.run(
        chosen.chapters,
        chosen.profile,
        _pairs(chosen.parameters, "-p"),
        jobs=_jobs(chosen.jobs),
        force=chosen.force,
    )


def _jobs(text: str | None) -> int | None:
    return None if text is None else _whole("--jobs", text, 1)


def _whole(option: str, text: str, least: int = 0) -> int:
    """A whole number that an option was given. Python itself refuses to read thousands of digits."""
    if not text.isdecimal() or len(text) > 18 or int(text) < least:
        raise InputError(f"{option} {text}: must be a whole number of at least {least}")
    return int(text)


def _planned(chosen: argparse.Namespace) -> Run:
    """The checked run that `chain` asks for."""
    from model_collapse.engine.plan import plan

    return plan(
        chosen.family,
        chosen.regime,
        n=chosen.n,
        generations=chosen.generations,
        seed=chosen.seed,
        replicates=chosen.replicates,
        given=chosen.given,
        filter=chosen.filter,
        settings=_pairs(chosen.settings, "--set"),
        corpus=chosen.corpus,
        metrics=chosen.metrics.split(",") if chosen.metrics is not None else None,
        every=chosen.every,
        models=chosen.models,
        reads=chosen.reads,
        share=chosen.share,
        real=chosen.real,
        first=chosen.first,
    )


def _chain(chosen: argparse.Namespace) -> int:
    from model_collapse import store
    from model_collapse.analysis import summary
    from model_collapse.engine import card
    from model_collapse.engine.execute import execute_all, on_stderr
    from model_collapse.engine.layout import kept_models

    jobs = _jobs(chosen.jobs)
    if not distributed.leads():
        distributed.follow()
        return 0
    planned = _planned(chosen)
    distributed.check(planned.members.family, jobs)
    if chosen.out == "":
        raise InputError("--out needs the name of a file")
    out = Path(chosen.out) if chosen.out else None
    if chosen.keep_models and out is None:
        raise InputError("--keep-models: needs --out, beside which they are left")
    if chosen.keep_models and out is not None and out.exists() and not kept_models(out).exists():
        raise InputError(f"--keep-models: {out} is finished and its models were dropped; name another --out")
    with tempfile.TemporaryDirectory() as scratch:
        file = out or Path(scratch) / "run.parquet"
        with distributed.leading():
            execute_all(
                {file: planned},
                resume=chosen.resume or out is None,
                jobs=jobs if distributed.count() == 1 else 1,
                keep_models=chosen.keep_models,
                progress=on_stderr,
            )
        found = summary.summarise(store.load(file))
    about = card.write(out) if out else None
    if out and (lost := card.lost(out)):
        print(f"model-collapse: {lost} is gone; remove {out} and run the same command to get both", file=sys.stderr)
    if chosen.json:
        described = {"run_id": planned.run_id, "out": chosen.out, "summary": summary.finite(found)}
        print(json.dumps(described, allow_nan=False))
    else:
        print(summary.aligned(found))
        if out:
            print(f"run {planned.run_id} in {out}" + (f", data card in {about}" if about else ""))
    return 0


def _pack(chosen: argparse.Namespace) -> int:
    from model_collapse.store import archive

    out = Path(chosen.out)
    runs = archive.pack([Path(run) for run in chosen.runs], out)
    print(f"{_count(runs)} in {out}, {out.stat().st_size / 1e6:.2g} MB")
    return 0


def _unpack(chosen: argparse.Namespace) -> int:
    from model_collapse.companion.book import notebook
    from model_collapse.store import archive

    folder = Path(chosen.to) if chosen.to else notebook.runs_folder()
    runs = archive.unpack(Path(chosen.file), folder)
    print(f"{_count(runs)} in {folder}")
    if other := archive.foreign(folder, runs):
        print(f"{_count(other)} of them made by another version of the package; chapters here compute their own")
    return 0


def _record(chosen: argparse.Namespace) -> int:
    if chosen.size is not None:
        return _record_study(chosen)
    odd = next((name for name in ("minutes", "jobs", "work") if getattr(chosen, name) is not None), None)
    if odd or chosen.check:
        raise InputError(f"--{odd or 'check'}: goes with a study and --size")
    from model_collapse.companion import records
    from model_collapse.companion.book import recording
    from model_collapse.companion.records import crate, transfer
    from model_collapse.companion.verify import evidence

    out = Path(chosen.out) if chosen.out else None
    if not chosen.runs and out is not None and not out.is_dir():
        raise InputError(f"--out {out}: must be a folder that exists")
    if chosen.add:
        if chosen.runs or chosen.name:
            raise InputError("--add: takes records as they are; name neither runs nor --name beside it")
        for found in transfer.add(Path(chosen.add), out):
            served = ", ".join(evidence.speaks_to(found)) or "none"
            print(f"{found.name}: {found.label}; device {found.about['device']}; claims it serves: {served}")
    elif chosen.runs:
        made, place = recording.make(chosen.runs, chosen.profile, chosen.name, out)
        print(f"{made.name} in {place}: {_label(made)}")
    else:
        crate.write(records.where(out))
        print(f"{records.where(out) / crate.FILE} renewed")
    return 0


def _label(made: Any) -> str:
    """Of a record, with a note if its study was cut."""
    return str(made.label) if made.about["complete"] else f"{made.label} (cut)"


def _record_study(chosen: argparse.Namespace) -> int:
    from model_collapse.companion import studies
    from model_collapse.companion.records import run

    if len(chosen.runs) != 1 or chosen.add or chosen.name:
        raise InputError(f"--size: needs one study beside it: {', '.join(studies.names())}")
    try:
        minutes = None if chosen.minutes is None else float(chosen.minutes)
    except ValueError:
        minutes = math.nan
    if minutes is not None and not 0 < minutes < math.inf:
        raise InputError(f"--minutes {chosen.minutes}: must be a number above 0")
    out, work = (Path(folder) if folder else None for folder in (chosen.out, chosen.work))
    found = studies.find(chosen.runs[0])
    if chosen.check:
        import numpy as np

        from model_collapse.companion.records import again

        # Nobody is to know beforehand what is chosen.
        checked = again.check(found, chosen.size, np.random.default_rng(), out)
        print(checked)
        return 1 if checked.other else 0
    made = run.run(found, chosen.size, out, work, minutes, _jobs(chosen.jobs) or 3)
    if made:
        print(f"{made.name}: {_label(made)}")
    return 0


SWEEP = {
    "plan": (),
    "run": ("executor", "jobs", "address", "gpus", "sbatch", "task", "heartbeat"),
    "status": ("json",),
    "collect": ("out",),
}
"""Verb of `sweep` -> its options, beside those that say which sweep."""


def _sweep(chosen: argparse.Namespace) -> int:
    from model_collapse.companion.sweep import command

    if chosen.verb not in SWEEP:
        raise InputError(f"sweep {chosen.verb}: it is {', '.join(SWEEP)}")
    given = {name: getattr(chosen, name) for names in SWEEP.values() for name in names}
    for name, value in given.items():
        if value not in (None, False) and name not in SWEEP[chosen.verb]:
            raise InputError(f"--{name}: not an option of sweep {chosen.verb}")
    sweep = command.asked(chosen.file, chosen.study, chosen.size, chosen.folder)
    if chosen.verb == "plan":
        return command.plan(sweep)
    if chosen.verb == "status":
        return command.status(sweep, chosen.json)
    if chosen.verb == "collect":
        return command.collect(sweep, chosen.out)
    options = command.options(
        _jobs(chosen.jobs), chosen.address, chosen.gpus, chosen.sbatch or [], chosen.heartbeat, chosen.task
    )
    return command.run(sweep, chosen.executor or "local", options, chosen.task)


def _fetch(chosen: argparse.Namespace) -> int:
    from model_collapse import fetch

    for name in chosen.names:
        line = _Progress()
        try:
            fetch.fetch(name, print, line)
        finally:
            line.end()
    return 0


class _Progress:
    """One line on stderr that is written again and again on a terminal; elsewhere nothing."""

    def __init__(self) -> None:
        self.shown = 0.0

    def __call__(self, text: str) -> None:
        if sys.stderr.isatty() and time.monotonic() > self.shown + 0.2:
            print(f"\r{text:<70}", end="", file=sys.stderr, flush=True)
            self.shown = time.monotonic()

    def end(self) -> None:
        if self.shown:
            print("\r" + " " * 70 + "\r", end="", file=sys.stderr, flush=True)


def _count(runs: Sequence[str]) -> str:
    return f"{len(runs)} {'run' if len(runs) == 1 else 'runs'}"


def _list(chosen: argparse.Namespace) -> int:
    if chosen.codecheck:
        from model_collapse.companion.verify.codecheck import codecheck

        print(codecheck(), end="")
        return 0
    other = {"corpora": _corpora, "claims": _claims}.get(chosen.kind)
    listed = other() if other else _members(chosen.kind)
    if chosen.json:
        print(json.dumps(listed, indent=1))
        return 0
    for entry in listed:
        print(f"{entry['name']}: {entry['summary']}" if entry["summary"] else entry["name"])
        for record, said in entry.get("records", {}).items():
            print(f"    recorded run {record}: {said}")
        for setting in entry.get("settings", []):
            default = "" if setting["default"] is None else f" = {setting['default']}"
            print(f"    {setting['name']}{default}    {setting['description']}")
    if not listed:
        print(f"no {chosen.kind} yet")
    return 0


def _members(kind: str) -> list[dict[str, Any]]:
    from model_collapse import families, filters, regimes, registry

    package: ModuleType = {"families": families, "regimes": regimes, "filters": filters}[kind]
    listed = []
    for name in registry.names(package):
        cls = registry.member(package, name)
        entry = {"name": name, "summary": registry.summary(cls), "settings": registry.settings(cls)}
        if kind == "families":
            # The first are taken by default, the others on request.
            entry |= {"metrics": list(cls.metrics), "more_metrics": list(cls.more_metrics)}
        listed.append(entry)
    return listed


def _corpora() -> list[dict[str, Any]]:
    from model_collapse import corpora
    from model_collapse.corpora import images

    kinds = {"text": corpora.NAMES, "images": images.NAMES}
    return [
        {"name": name, "reads": kind, "summary": summary}
        for kind, known in kinds.items()
        for name, summary in known.items()
    ]


def _claims() -> list[dict[str, Any]]:
    from model_collapse.companion import claims, verify
    from model_collapse.companion.verify import evidence

    recorded = verify.before()
    return [
        {"name": claim.id, "summary": claim.statement, **verify.about(claim), "cost": verify.price(claim, recorded)}
        | {"runs": {label: dict(run) for label, run in claim.runs.items()}, "records": evidence.named(claim)}
        for claim in claims.known().values()
    ]


def _verify(chosen: argparse.Namespace) -> int:
    from model_collapse import store
    from model_collapse.companion import verify
    from model_collapse.companion.verify import false_alarms, mutation
    from model_collapse.engine.execute import on_stderr

    if chosen.diff:
        one, other = (verify.read(Path(file)) for file in chosen.diff)
        print("\n".join(verify.differences(one, other)) or "no difference but in times")
        fell = verify.fallen(other, dict.fromkeys(verify.SCALES, one))
        print("".join(f"{name} passed in the first, and {said}\n" for name, said in fell.items()), end="")
        return 1 if fell else 0
    seed = _whole("--seed", chosen.seed)
    out = Path(chosen.json) if chosen.json else None
    if out is not None and (out.is_dir() or not out.parent.is_dir()):
        raise InputError(f"--json {out}: must be a file in a folder that exists")
    seconds = None if chosen.alarms is None else _whole("--false-alarms", chosen.alarms)
    earlier, jobs = verify.before(), _jobs(chosen.jobs)
    if chosen.mutants:
        found = mutation.inject(chosen.names, seed=seed, jobs=jobs, progress=on_stderr)
    elif seconds is not None:
        found = false_alarms.count(chosen.names, seconds=float(seconds), jobs=jobs, progress=on_stderr)
    else:
        found = verify.verify(chosen.names, chosen.scale, seed=seed, jobs=jobs, progress=on_stderr)
    if out is not None:
        with store.disk_errors(), store.whole_file(out) as temporary:
            temporary.write_text(json.dumps(found, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    if chosen.mutants:
        return mutation.report(found)
    if seconds is not None:
        return false_alarms.report(found)
    return verify.report(found, earlier, every=bool(chosen.names), needed=chosen.baseline)


def _bench(chosen: argparse.Namespace) -> int:
    from model_collapse import hardware, store
    from model_collapse.companion import bench
    from model_collapse.engine.execute import on_stderr

    out = Path(chosen.json) if chosen.json else None
    if out is not None and not out.parent.is_dir():
        raise InputError(f"--json: the folder {out.parent} does not exist")
    found = bench.run(chosen.names, progress=on_stderr)
    if out is not None:
        with store.disk_errors(), store.whole_file(out) as temporary:
            made = {"made": store.origin() | {"machine": hardware.machine()}}
            temporary.write_text(json.dumps(found | made, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    for r in found["results"]:
        verdict = "met" if r["met"] else "not met"
        print(f"{r['name']}: {r['ratio']:.4g} times as fast ({r['ratio_min']:.4g} to {r['ratio_max']:.4g}), ", end="")
        print(f"goal {r['goal']:g}: {verdict}; {r['note']}")
    return 0


def _build(chosen: argparse.Namespace) -> int:
    from model_collapse.companion.book import build

    return build.build(chosen.profile)


def _release(chosen: argparse.Namespace) -> int:
    from model_collapse.companion.book.release import release

    return release(out=Path(chosen.out) if chosen.out else None, pdf=not chosen.without_pdf)


def _address(chosen: argparse.Namespace) -> int:
    from model_collapse.companion.book import build

    return build.address(chosen.url)


if __name__ == "__main__":
    sys.exit(main())
