"""Small runs of every family, regime and filter, held to the numbers that they gave when these were last recorded.

A change of the code that is meant to change no number can be checked with this file alone: it uses `plan`, `execute`
and what the record says of the machine. Compared are the columns replicate, generation, n_train, share_real, metric,
item and value of the tidy table, row by row, and every text and image that was written.

`same_numbers.json` has, for each run of `RUNS`, sha256 sums of these columns, and a summary in plain numbers: how many
rows there are, means of n_train and share_real, and the mean of each metric over all its rows of the last generation.
It also says on which machine it was made.

- On the same processor with the same versions of the libraries, the sums have to be equal: the same bits. (All values
  that are not a number count as one.)
- Elsewhere the last bits of a logarithm or of a matrix product may be others. There the labels have to be equal
  (replicates, generations, metrics, items), the numbers of rows, and the means within 1e-9 of themselves. Networks
  that are trained by torch (opt, vae, diffusion) make much of such a bit: of their means only those of n_train and
  share_real are compared; and where the watermark of what they wrote decides what stays, only how much they wrote.

When numbers are meant to change, and only then, write the file again, and say in the commit what changed and why:

    python tests/test_same_numbers.py --write

It asks for no confirmation, and afterwards the test knows nothing of the numbers that were there before. After a
renaming change the arguments in `RUNS`, never the file.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

import conftest  # noqa: F401  One thread for each process, also where this file is run as a program.
import numpy as np
import pandas as pd
import pytest

from model_collapse import families, filters, hardware, paths, regimes, registry, store
from model_collapse.engine.execute import execute
from model_collapse.engine.plan import plan

FILE = Path(__file__).with_name("same_numbers.json")

LIBRARIES = "numpy scipy torch scikit-learn transformers tokenizers diffusers".split()
"""What computes the numbers."""

VECTORS = ("avx", "fma", "amx", "asimd", "sve")
"""How those instructions of a processor begin that libraries choose their code by; names of processors are vague."""

# The runs ----------------------------------------------------------------------------------------------------------

DRAW = {"family.sampling": "draw"}
WORDS = {"family.block": 16, "family.evaluate": 12}
OPT = {
    "family.block": 8,
    "family.evaluate": 4,
    "family.epochs": 1,
    "family.vocabulary": 300,
    "family.pretrain": "none",
}
SAMPLED = OPT | {"family.decoding": "sample"}
PRETRAINED = OPT | {"family.pretrain": "web", "family.pretrain_epochs": 1, "family.pretrain_blocks": 16}
VAE = {"family.steps": 3, "family.evaluate": 12}
DIFFUSION = {"family.steps": 2, "family.timesteps": 10, "family.sampling_steps": 2, "family.evaluate": 12}

GAUSSIAN: dict[str, dict[str, Any]] = {
    "gaussian-mle-exact": dict(family="gaussian", regime="replace", n=10, generations=3, replicates=4, seed=1),
    "gaussian-unbiased-draw": dict(
        family="gaussian", regime="accumulate", n=8, generations=3, replicates=3,
        settings=DRAW | {"family.estimator": "unbiased"},
    ),
    "gaussian-unbiased-exact": dict(
        family="gaussian", regime="fixed", n=8, generations=3, replicates=3, seed=2,
        settings={"family.estimator": "unbiased", "regime.synthetic": 0.5},
    ),
    "gaussian-two-blocks-every-2": dict(
        family="gaussian", regime="fresh", n=6, generations=5, replicates=300, every=2,
        settings={"regime.real_fraction": 0.5},
    ),
    "gaussian-two-blocks-drawn": dict(
        family="gaussian", regime="subsample", n=6, generations=2, replicates=260, metrics=["log_det"], settings=DRAW
    ),
    "gaussian-in-three-dimensions": dict(
        family="gaussian", regime="grow", n=5, generations=3, replicates=3, seed=3,
        settings={"family.dim": 3, "family.bias": 1.1, "family.noise": 0.2, "regime.power": 1.5},
    ),
    "gaussian-in-two-dimensions-drawn": dict(
        family="gaussian", regime="blend", n=7, generations=2, replicates=3, settings=DRAW | {
            "family.dim": 2, "regime.real": 3, "regime.synthetic": 9,
        },
    ),
    "gaussian-bimodal": dict(
        family="gaussian", regime="heal", n=10, generations=4, replicates=3,
        settings={"family.truth": "bimodal", "regime.until": 2, "regime.real_fraction": 0.4},
    ),
    "gaussian-bimodal-drawn": dict(
        family="gaussian", regime="mix", n=10, generations=2, replicates=3,
        settings=DRAW | {"family.truth": "bimodal", "regime.real_fraction": 0.3},
    ),
    "gaussian-weighed": dict(
        family="gaussian", regime="weigh", n=10, generations=3, replicates=3,
        settings={"family.variance": "known", "regime.real_weight": 0.618},
    ),
    "gaussian-weighed-few-real-rows": dict(
        family="gaussian", regime="weigh", n=10, generations=3, replicates=3,
        settings={"regime.real_weight": 0.3, "regime.ratio": 0.2},
    ),
    "gaussian-inflow": dict(
        family="gaussian", regime="inflow", n=8, generations=3, replicates=3, settings={"regime.real_fraction": 0.25},
    ),
    "gaussian-provenance": dict(
        family="gaussian", regime="accumulate", n=12, generations=3, replicates=3, filter=["provenance"],
        settings=DRAW | {
            "provenance.missed": 0.3, "provenance.false_alarms": 0.1, "provenance.adoption": 0.8,
            "provenance.top_up": True,
        },
    ),
    "gaussian-for-thousands-of-generations": dict(
        family="gaussian", regime="replace", n=3, generations=3000, replicates=2, every=1500
    ),
}  # fmt: skip

DISCRETE: dict[str, dict[str, Any]] = {
    "discrete-exact": dict(
        family="discrete", regime="replace", n=15, generations=3, replicates=3,
        metrics=["heterozygosity", "support", "kl", "lost_mass", "share", "mean_reward", "entropy"],
    ),
    "discrete-poisson": dict(
        family="discrete", regime="fill", n=20, generations=3, replicates=3,
        settings={"family.counts": "poisson", "family.symbols": 9, "regime.half": 2, "regime.floor": 0.1},
    ),
    "discrete-top-k": dict(
        family="discrete", regime="weigh", n=30, generations=2, replicates=2, settings={"family.top_k": 6}
    ),
    "discrete-cold": dict(
        family="discrete", regime="fresh", n=20, generations=2, replicates=2,
        settings={"family.temperature": 0.6, "regime.real_fraction": 0.25},
    ),
    "discrete-surprise": dict(
        family="discrete", regime="replace", n=20, generations=2, replicates=3, filter=["surprise"],
        settings=DRAW | {"surprise.keep": "high", "surprise.share": 0.7},
    ),
    "discrete-reweighed": dict(
        family="discrete", regime="accumulate", n=20, generations=3, replicates=3, filter=["reweigh"],
        settings=DRAW | {"reweigh.majority": 3},
    ),
    "discrete-by-reward": dict(
        family="discrete", regime="fixed", n=12, generations=2, replicates=3, filter=["curate"],
        settings=DRAW | {"curate.by": "reward", "curate.candidates": 3, "curate.noise": 0.5, "curate.share": 1.0},
    ),
    "discrete-three-models-deal-split": dict(
        family="discrete", regime="replace", n=16, generations=3, replicates=3, models=3, reads="deal", real="split",
        settings=DRAW,
    ),
    "discrete-two-models-all-another-first": dict(
        family="discrete", regime="replace", n=16, generations=3, replicates=2, models=2, reads="all", first="fresh",
        settings=DRAW | {"first.real_fraction": 0.25},
    ),
    "breeds-exact": dict(family="breeds", regime="replace", n=30, generations=3, replicates=3, seed=4),
    "breeds-exact-accumulated": dict(
        family="breeds", regime="accumulate", n=20, generations=2, replicates=2, settings={"family.breeds": 5}
    ),
    "breeds-reweighed": dict(
        family="breeds", regime="subsample", n=25, generations=2, replicates=2, filter=["reweigh"], settings=DRAW
    ),
    "breeds-three-models-ring-split": dict(
        family="breeds", regime="mix", n=20, generations=2, replicates=2, models=3, reads="ring", share=0.3,
        real="split", settings=DRAW,
    ),
}  # fmt: skip

OTHER_NUMBERS: dict[str, dict[str, Any]] = {
    "gmm": dict(family="gmm", regime="replace", n=40, generations=2, replicates=3, seed=5),
    "gmm-clusters": dict(
        family="gmm", regime="weigh", n=30, generations=2, replicates=2,
        settings={"family.source": "clusters", "family.components": 3, "family.max_iter": 20},
    ),
    "gmm-provenance-drops-rows": dict(
        family="gmm", regime="mix", n=30, generations=1, replicates=2, filter=["provenance"],
        settings={"regime.real_fraction": 0.5, "provenance.missed": 0.5},
    ),
    "kde": dict(family="kde", regime="replace", n=12, generations=2, replicates=2),
    "kde-moons-by-a-rule": dict(
        family="kde", regime="weigh", n=12, generations=2, replicates=2,
        settings={"family.dim": 2, "family.shape": "moons", "family.rule": "silverman"},
    ),
    "kde-three-models-all-same": dict(
        family="kde", regime="fresh", n=10, generations=2, replicates=2, models=3, reads="all", share=0.6, real="same",
        settings={"regime.real_fraction": 0.2},
    ),
    "regression-exact-training": dict(
        family="regression", regime="replace", n=15, generations=2, replicates=3, given="training",
        settings={"family.dim": 3, "family.written_noise": 0.5},
    ),
    "regression-exact-accumulated": dict(family="regression", regime="accumulate", n=15, generations=2, replicates=3),
    "regression-drawn-fresh": dict(
        family="regression", regime="mix", n=24, generations=2, replicates=2, given="fresh", filter=["verifier"],
        settings=DRAW | {"family.dim": 4, "family.ridge": 0.1, "family.shift": 0.2, "verifier.right": 0.9,
                         "verifier.wrong": 0.2, "verifier.radius": 0.5, "regime.real_fraction": 0.5},
    ),
    "regression-two-models-own-same": dict(
        family="regression", regime="replace", n=15, generations=2, replicates=2, models=2, reads="own", real="same",
        settings={"family.dim": 3},
    ),
    "regression-shortest": dict(
        family="regression", regime="replace", n=4, generations=2, replicates=3,
        settings={"family.dim": 7, "family.interpolate": True, "family.real_weight": 0.6},
    ),
    "classifier-two-blocks": dict(family="classifier", regime="replace", n=20, generations=2, replicates=6),
    "classifier-verified": dict(
        family="classifier", regime="accumulate", n=20, generations=2, replicates=2, given="fresh",
        filter=["provenance", "verifier"],
        settings={"provenance.missed": 0.9, "verifier.wrong": 0.3, "verifier.bias": 0.4, "verifier.top_up": True},
    ),
    "classifier-by-certainty": dict(
        family="classifier", regime="fixed", n=20, generations=2, replicates=2, given="training", filter=["curate"],
        settings={"curate.by": "certainty", "curate.judged": 0.5, "curate.share": 0.7},
    ),
}  # fmt: skip

NGRAM: dict[str, dict[str, Any]] = {
    "ngram": dict(
        family="ngram", regime="replace", n=12, generations=2, replicates=2, settings=WORDS, every=2,
        metrics=["perplexity", "perplexity_block_mean", "written_perplexity", "distinct_3", "repeated_3",
                 "rare_coverage", "vocabulary", "entropy", "written_loss", "leaks", "distinct_2", "type_token_ratio",
                 "unique_sentences", "zipf", "skeletons", "real_text", "similarity", "facts", "groups", "group_loss",
                 "kl"],
    ),
    "ngram-of-three-training": dict(
        family="ngram", regime="fresh", n=10, generations=2, given="training",
        settings=WORDS | {"family.order": 3, "family.back": 0.3, "regime.real_fraction": 0.3},
    ),
    "ngram-of-pieces-of-words-fresh": dict(
        family="ngram", regime="subsample", n=10, generations=2, given="fresh",
        settings=WORDS | {"family.tokenizer": "corpus", "family.vocabulary": 300},
    ),
    "ngram-detector": dict(
        family="ngram", regime="accumulate", n=16, generations=1, filter=["detector"],
        settings=WORDS | {"detector.false_alarms": 0.3, "detector.top_up": True},
    ),
    "ngram-surprise": dict(
        family="ngram", regime="accumulate", n=10, generations=2, filter=["surprise"],
        settings=WORDS | {"surprise.keep": "high", "surprise.share": 0.6},
    ),
    "ngram-learned-judge": dict(
        family="ngram", regime="fixed", n=12, generations=2, filter=["curate"],
        settings=WORDS | {"curate.by": "learned", "curate.judged": 0.5, "curate.candidates": 2, "curate.share": 0.8},
    ),
    "ngram-verifier-of-candidates": dict(
        family="ngram", regime="replace", n=10, generations=2, filter=["verifier"],
        settings=WORDS | {"verifier.candidates": 3, "verifier.wrong": 0.4},
    ),
    "ngram-reweighed": dict(
        family="ngram", regime="blend", n=24, generations=2, filter=["reweigh"],
        settings=WORDS | {"regime.real": 12, "regime.synthetic": 24},
    ),
    "ngram-two-models-ring-split": dict(
        family="ngram", regime="replace", n=8, generations=1, models=2, reads="ring", real="split",
        settings=WORDS,
    ),
    "ngram-three-models-deal": dict(
        family="ngram", regime="accumulate", n=8, generations=2, models=3, reads="deal", settings=WORDS
    ),
}  # fmt: skip

SCANNER: dict[str, dict[str, Any]] = {
    "scanner-of-copies": dict(
        family="scanner", regime="replace", n=10, generations=3, replicates=2, given="training",
        settings={"family.evaluate": 10},
    ),
    "scanner-two-models": dict(
        family="scanner", regime="mix", n=12, generations=2, models=2, reads="all", given="training",
        settings={"family.evaluate": 12, "family.levels": 18, "family.blur": 1.0, "regime.real_fraction": 0.5},
        metrics=["sharpness", "pixel_sd"],
    ),
}  # fmt: skip

NETWORKS: dict[str, dict[str, Any]] = {
    "opt-beams-pre-trained": dict(
        family="lm", regime="mix", n=8, generations=2, replicates=2, settings=PRETRAINED | {
            "family.beams": 3, "regime.real_fraction": 0.25,
        },
    ),
    "opt-sampled-continued": dict(
        family="lm", regime="accumulate", n=6, generations=2, given="training", settings=PRETRAINED | {
            "family.continued": True, "family.decoding": "sample", "family.temperature": 0.8, "family.top_k": 50,
            "family.top_p": 0.9,
        },
    ),
    "opt-from-scratch-greedy": dict(
        family="lm", regime="fresh", n=6, generations=2, given="fresh", every=2,
        settings=OPT | {"family.decoding": "greedy", "family.repetition_penalty": 2.0, "family.schedule": "cosine",
                        "family.epochs": 2, "family.warmup": 0.2, "regime.real_fraction": 0.5},
        metrics=["perplexity", "entropy", "training", "state_diversity", "kl", "facts"],
    ),
    "opt-beams-reference-engine": dict(
        family="lm", regime="replace", n=4, generations=1,
        settings=OPT | {"family.engine": "reference", "family.beams": 3, "family.steps": 2},
    ),
    "opt-sampled-reference-engine": dict(
        family="lm", regime="replace", n=4, generations=1,
        settings=SAMPLED | {"family.engine": "reference", "family.end": "ordinary", "family.chunk": 2},
    ),
    "opt-green-watermark": dict(
        family="lm", regime="accumulate", n=8, generations=1, filter=["watermark"],
        settings=SAMPLED | {"family.watermark": "green", "family.watermark_bias": 1.5, "watermark.threshold": 2.2,
                            "family.evaluate": 8},
        metrics=["perplexity", "watermark", "detector"],
    ),
    "opt-synthid-watermark": dict(
        family="lm", regime="fixed", n=6, generations=1, filter=["watermark"], metrics=["perplexity", "watermark"],
        settings=SAMPLED | {"family.watermark": "synthid", "watermark.threshold": 4.8, "watermark.top_up": True},
    ),
    "opt-two-models-all-surprise": dict(
        family="lm", regime="replace", n=6, generations=1, models=2, reads="all", filter=["surprise"], settings=OPT
    ),
    "opt-two-models-ring-another-first": dict(
        family="lm", regime="replace", n=4, generations=1, models=2, reads="ring", real="same", first="fixed",
        settings=SAMPLED | {"first.synthetic": 1.0},
    ),
    "opt-by-likelihood": dict(
        family="lm", regime="replace", n=5, generations=1, filter=["curate"],
        settings=SAMPLED | {"curate.by": "likelihood", "curate.candidates": 2, "curate.share": 1.0},
    ),
    "vae": dict(
        family="vae", regime="replace", n=24, generations=2, replicates=2, settings=VAE,
        metrics=["training_loss", "confidence", "class_entropy", "frechet", "sharpness", "latent_sd", "classes",
                 "manifold", "pixel_sd", "real_images", "leaks", "latent_mean", "latent_histogram"],
    ),
    "vae-fresh-latents": dict(
        family="vae", regime="mix", n=12, generations=2, every=2, metrics=["training_loss", "sharpness", "latent_sd"],
        settings={"family.evaluate": 12, "family.latents": "fresh", "family.output": "bernoulli", "family.epochs": 2},
    ),
    "vae-two-models-ring": dict(
        family="vae", regime="fresh", n=12, generations=1, models=2, reads="ring", share=0.5, settings=VAE,
        metrics=["training_loss", "sharpness"],
    ),
    "vae-detector": dict(
        family="vae", regime="accumulate", n=24, generations=1, filter=["detector"],
        settings=VAE | {"detector.mode": "weigh"}, metrics=["training_loss", "sharpness"],
    ),
    "diffusion": dict(
        family="diffusion", regime="fill", n=12, generations=2, settings=DIFFUSION | {"family.eta": 0.5},
        metrics=["training_loss", "sharpness"],
    ),
    "diffusion-from-a-base": dict(
        family="diffusion", regime="accumulate", n=12, generations=1, metrics=["training_loss", "pixel_sd"],
        settings=DIFFUSION | {"family.start": "base", "family.base_steps": 3, "family.sampler": "ddpm",
                              "family.prediction": "epsilon", "family.temperature": 0.9},
    ),
}  # fmt: skip

RUNS = GAUSSIAN | DISCRETE | OTHER_NUMBERS | NGRAM | SCANNER | NETWORKS
"""Name of a run -> the arguments of `plan`."""

# What is kept of a run -----------------------------------------------------------------------------------------------


def computed(name: str) -> dict[str, Any]:
    """What this code makes of a run, as it is kept in the file."""
    # It waits for the disk at every step; these runs are thrown away.
    with mock.patch.object(os, "fsync", lambda descriptor: None):
        return described(*execute(plan(**RUNS[name]), jobs=1))


def described(table: pd.DataFrame, written: pd.DataFrame | None) -> dict[str, Any]:
    """Sums over the exact bytes of a run's tables, and a summary that can be read."""
    sums = {
        "labels": digest(table, ["replicate", "generation", "metric", "item"]),
        **{name: digest(table, [name]) for name in ("n_train", "share_real", "value")},
    }
    if written is not None:
        sums["written"] = digest(written, [name for name in written.columns if name != "run_id"])
    last = table[table["generation"] == table["generation"].max()]
    return {
        "device": str(table["device"].iloc[0]),
        "rows": len(table),
        "rows_written": 0 if written is None else len(written),
        "n_train": mean(table["n_train"]),
        "share_real": mean(table["share_real"]),
        "last_generation": {str(name): mean(part["value"]) for name, part in last.groupby("metric", observed=True)},
        "sha256": sums,
    }


def digest(table: pd.DataFrame, columns: list[str]) -> str:
    """sha256 over columns of a table, row by row as they stand there."""
    total = hashlib.sha256()
    for name in columns:
        column = table[name]
        if column.dtype.kind == "i":
            content = column.to_numpy("<i8").tobytes()
        elif column.dtype.kind == "f":
            content = np.where(column.isna(), np.nan, column).astype("<f8").tobytes()
        else:
            cells = [cell if isinstance(cell, bytes) else str(cell).encode() for cell in column]
            content = json.dumps([len(cell) for cell in cells]).encode() + b"".join(cells)
        total.update(f"{name} {len(content)}\n".encode() + content)
    return total.hexdigest()


def mean(column: pd.Series) -> str:
    """The mean of a column as text that says every digit; "nan" and "inf" have no other place in JSON."""
    with np.errstate(invalid="ignore"):
        return repr(float(np.mean(column.to_numpy(float))))


def machine() -> dict[str, str]:
    """What the last bits may depend on: processor, its vector instructions, and versions."""
    processor = re.sub(r", \d+ cores", "", hardware.machine())
    versions = store.versions()
    return {"processor": processor, "instructions": instructions()} | {
        name: versions.get(name, "") for name in LIBRARIES
    }


def instructions() -> str:
    """Vector instructions of the processor, where the system tells."""
    file = Path("/proc/cpuinfo")
    text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
    flags = re.search(r"^(?:flags|Features)\s*:(.*)", text, re.MULTILINE)
    return " ".join(sorted(flag for flag in flags[1].split() if flag.startswith(VECTORS))) if flags else ""


def kept() -> dict[str, Any]:
    """What the file has: `machine`, and `runs` by name."""
    return json.loads(FILE.read_text(encoding="utf-8"))


def write() -> None:
    """Compute every run and write the file."""
    with (
        tempfile.TemporaryDirectory() as cache,
        mock.patch.dict(os.environ, MODEL_COLLAPSE_CACHE=cache),
    ):
        runs = {name: computed(name) for name in RUNS}
    FILE.write_text(json.dumps({"machine": machine(), "runs": runs}, indent=1) + "\n", encoding="utf-8")
    print(f"{len(runs)} runs in {FILE}")


# Comparing -----------------------------------------------------------------------------------------------------------

COUNTED = ("n_train", "share_real")

SAID = 5
"""Differences that a failure message lists, at most."""


def same_bits(now: dict[str, Any], then: dict[str, Any]) -> list[str]:
    """What differs at all, in a few words each."""
    names = sorted(now["sha256"].keys() | then["sha256"].keys())
    differing = [name for name in names if now["sha256"].get(name) != then["sha256"].get(name)]
    means = same_summary(now, then, rtol=0.0) if differing else []
    return [f"differs in {' and '.join(differing)}", *(means or ["all means agree"])] if differing else []


def same_about(name: str, now: dict[str, Any], then: dict[str, Any]) -> list[str]:
    """What differs by more than another machine may change it."""
    if name in NETWORKS and "watermark" in RUNS[name].get("filter", ()):
        return same_summary(now, then, rtol=0.0, only=("rows_written",))
    labels = ["differs in labels"] if now["sha256"]["labels"] != then["sha256"]["labels"] else []
    only = ("rows", "rows_written", *COUNTED) if name in NETWORKS else None
    return labels + same_summary(now, then, rtol=1e-9, only=only)


def same_summary(
    now: dict[str, Any], then: dict[str, Any], rtol: float, only: tuple[str, ...] | None = None
) -> list[str]:
    """What differs in the summary: each number as it is and as it was."""
    found, known = flat(now), flat(then)
    said = []
    for key in [key for key in {**known, **found} if only is None or key in only]:
        one, other = found.get(key, np.nan), known.get(key, np.nan)
        alike = key in found and key in known
        if not (alike and np.isclose(one, other, rtol=rtol, atol=1e-12 if rtol else 0.0, equal_nan=True)):
            said.append(f"{key} is {found.get(key, 'missing')}, was {known.get(key, 'missing')}")
    return said


def flat(run: dict[str, Any]) -> dict[str, float]:
    """The numbers of a summary by name."""
    counts = {name: float(run[name]) for name in ("rows", "rows_written", *COUNTED)}
    return counts | {f"mean {name}": float(value) for name, value in run["last_generation"].items()}


@pytest.mark.parametrize("name", RUNS)
def test_numbers_are_as_recorded(name: str):
    there = kept()
    if name not in there["runs"]:
        pytest.fail(f"{name}: nothing is recorded of it; see the docstring for how to write {FILE.name}", pytrace=False)
    now = computed(name)
    then = there["runs"][name]
    exact = machine() == there["machine"] and now["device"] == then["device"]
    differing = same_bits(now, then) if exact else same_about(name, now, then)
    if differing:
        more = f"; and {len(differing) - SAID} more" if len(differing) > SAID else ""
        pytest.fail(f"{name}: {'; '.join(differing[:SAID])}{more}", pytrace=False)


HASHING = (
    "import json, sys, test_same_numbers as t; print(json.dumps({name: t.computed(name) for name in sys.argv[1:]}))"
)


@pytest.mark.parametrize("networks", [False, True])
def test_numbers_do_not_depend_on_the_order_of_sets(networks: bool, tmp_path: Path):
    """One run of each family, in two processes that hash text in two ways."""
    chosen = {run["family"]: name for name, run in RUNS.items() if (name in NETWORKS) == networks}
    made = []
    for seed in ("1", "2"):
        named = {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join([str(FILE.parent), str(paths.PACKAGE.parent)])}
        named["MODEL_COLLAPSE_CACHE"] = str(tmp_path / seed)
        asked = [sys.executable, "-c", HASHING, *chosen.values()]
        done = subprocess.run(asked, env=os.environ | named, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        made.append(json.loads(done.stdout.splitlines()[-1]))
    assert made[0] == made[1] and set(made[0]) == set(chosen.values())


# The reference itself ------------------------------------------------------------------------------------------------


def test_what_is_recorded_are_these_runs():
    assert list(kept()["runs"]) == list(RUNS)
    assert FILE.stat().st_size < 100_000


def test_every_member_has_a_run():
    used = {
        families: {run["family"] for run in RUNS.values()},
        regimes: {run["regime"] for run in RUNS.values()},
        filters: {name for run in RUNS.values() for name in run.get("filter", ())},
    }
    for package, names in used.items():
        assert names == set(registry.names(package)), f"{package.__name__}: each needs a run, see RUNS"


def test_one_changed_bit_is_found_here_and_only_there():
    table, _ = execute(plan("gaussian", n=5, generations=1, replicates=2))
    then = described(table, None)
    assert same_bits(then, then) == [] == same_about("gaussian-mle-exact", then, then)
    place = table.columns.get_loc("value")
    table.iloc[-1, place] = np.nextafter(table.iloc[-1, place], np.inf)
    now = described(table, None)
    assert same_bits(now, then)[0] == "differs in value"
    assert same_about("gaussian-mle-exact", now, then) == []


def test_elsewhere_numbers_have_to_agree_and_networks_only_to_have_the_same_shape():
    then = kept()["runs"]["gaussian-mle-exact"]
    now = copy.deepcopy(then)
    now["last_generation"]["variance"] = repr(float(then["last_generation"]["variance"]) * (1 + 1e-6))
    said = same_about("gaussian-mle-exact", now, then)
    assert len(said) == 1 and said[0].startswith("mean variance is ")
    assert same_about("opt-beams-pre-trained", now, then) == []
    now["rows"] += 1
    assert same_about("opt-beams-pre-trained", now, then) == [f"rows is {now['rows']:.1f}, was {then['rows']:.1f}"]


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit(f"python {sys.argv[0]} --write: writes {FILE} again; see the docstring for when")
    write()
