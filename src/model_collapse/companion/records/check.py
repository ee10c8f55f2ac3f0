"""Whether a record's tables are what its manifest says: each condition by itself, row by row, and all of them together.

Everything that follows from the settings is computed again and compared, by nothing that was read: run_ids
(`identity`), what the columns repeat of the settings, which chains, generations and metrics there have to be and in
which order, how many rows each training set has and how many of them are real (`replay`), label, device, rates.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from model_collapse import corpora, families, registry
from model_collapse.analysis import stats
from model_collapse.companion.records import code, manifest, replay, settings
from model_collapse.families.lm.pinned import PINNED

Tables = Mapping[str, pd.DataFrame]
Arm = Mapping[str, Any]

BINS = "bin "
"""Items of histograms begin with it. They are most of a table, and kept only of the conditions that ask for them."""

HISTOGRAMS = "histogram"
"""Metrics that are nothing but a histogram end with it."""

NUMBERS = ("replicate", "generation", "n_train", "share_real", "value", "seconds")

DERIVED = ("label", "complete", "reached", "device", "not_finite", "rows_per_second", "tokens_per_second")
"""Of a manifest what follows from settings and tables."""

UNSAID = {
    "not_finite": "has values that are no finite number, and its manifest does not say so",
    "complete": "is cut, with fewer generations or replicates than planned, and its manifest does not say so",
}
"""How it is said that one of them is not so."""


def wrong(about: Mapping[str, Any], tables: Tables, written: Tables, first: Mapping[str, int]) -> str:
    """What is wrong with a record, in a few words; "" if nothing.

    first  kind of generated rows -> number of rows that are kept of each generation
    """
    found: Iterator[str] = (
        f"arm {arm} {said}"
        for arm, described in about["arms"].items()
        if (said := _arm(arm, described, about, tables) or _written(arm, described["run"], tables, written, first))
    )
    return next(found, "") or _together(about, tables, written)


def _arm(arm: str, described: Arm, about: Mapping[str, Any], tables: Tables) -> str:
    if arm not in tables:
        return "has no rows"
    run, table = described["run"], tables[arm]
    return (
        _columns(run, table)
        or _chains(run, table, about["reached"])
        or _measured(run, table)
        or _training_sets(run, table)
        or _read_in(run, described["hashes"]["content"], about)
    )


def _columns(run: Arm, table: pd.DataFrame) -> str:
    """The columns that are the same in all rows, against the settings."""
    for column in NUMBERS:
        if not pd.api.types.is_numeric_dtype(table[column]):
            return f"has something else than numbers as {column}"
    for column in ("family", "family_args", "regime", "regime_args", "corpus", "seed"):
        if table[column].nunique() != 1:
            return f"has more than one {column} in its table"
    try:
        said = settings.of_table(table)
    except (ValueError, TypeError, AttributeError):
        return "has settings in its table that cannot be read"
    known = settings.seen(run)
    if odd := next((key for key in {**known, **said} if known.get(key) != said.get(key)), None):
        return f"has another {odd} in its table than in its manifest"
    if not (table["seconds"] >= 0).all():
        return "has seconds below 0"
    return ""


def _chains(run: Arm, table: pd.DataFrame, reached: Mapping[str, Any] | None) -> str:
    """Which chains and generations are there, once and in the order in which the loop writes them."""
    chains = range(run["replicates"]) if reached is None else reached["replicates"]
    last = run["generations"] if reached is None else min(reached["generation"], run["generations"])
    there = sorted(table["replicate"].unique())
    if there != list(chains) or not set(there) <= set(range(run["replicates"])):
        return f"has other replicates in its table than in its manifest, {len(there)} instead of {len(chains)}"
    required = {t for t in range(last + 1) if t % run["every"] == 0 or t == run["generations"]}
    if any(set(one) != required for one in table.groupby("replicate")["generation"].unique()):
        return f"lacks a generation of some replicate, or has one too many: 0 to {last} are required"
    if table.duplicated(["replicate", "generation", "metric", "item"]).any():
        return "has a value twice"
    model = stats.by_model(table)["model"]
    places = pd.DataFrame({"block": table["replicate"] // run["block"], "model": model, "t": table["generation"]})
    steps = places.diff().iloc[1:]
    later = (steps["block"] > 0) | (steps["block"].eq(0) & (steps["model"] > 0))
    later |= steps["block"].eq(0) & steps["model"].eq(0) & (steps["t"] >= 0)
    return "" if later.all() else "has its rows in another order than the loop writes them"


def _measured(run: Arm, table: pd.DataFrame) -> str:
    """Every metric that was asked for, at every generation of every replicate; and no two chains that are one."""
    named = table.astype({"metric": str, "item": str})
    plain = named[~named["item"].str.contains(f"(?:^|/){BINS}")]
    if strange := set(named["metric"]) - set(run["metrics"]):
        return f"has a metric that its run does not take: {min(strange)}"
    if lost := {name for name in set(run["metrics"]) - set(named["metric"]) if not name.endswith(HISTOGRAMS)}:
        return f"lacks the metric {min(lost)}"
    turns = len(plain[["replicate", "generation"]].drop_duplicates())
    times = plain.groupby(["metric", "item"]).size()
    if (times != turns).any():
        metric, item = times.index[times != turns][0]
        return f"lacks {metric}{f' {item}' if item else ''} of some generation"
    # Chains of numbers may well have equal values, above all when they are at rest.
    return _copied(plain) if registry.member(families, run["family"]).reads != "numbers" else ""


def _copied(table: pd.DataFrame) -> str:
    """Two replicates that are the same number for number, though they read what different models wrote."""
    known: dict[bytes, int] = {}
    table = table[table["share_real"] < 1]
    for replicate in sorted(set(table["replicate"].tolist())):
        values = table.loc[table["replicate"] == replicate, "value"].to_numpy("<f8")
        other = known.setdefault(values.tobytes(), replicate)
        if other != replicate:
            return f"has the same numbers as replicates {other} and {replicate}"
    return ""


def _training_sets(run: Arm, table: pd.DataFrame) -> str:
    """n_train and share_real of every generation, against the loop's own."""
    found = stats.by_model(table).assign(block=table["replicate"] // run["block"])
    turns = found[["block", "replicate", "generation", "model", "n_train", "share_real"]].drop_duplicates()
    if turns.duplicated(["replicate", "generation", "model"]).any():
        return "has more than one n_train or share_real in a generation"
    # Where models are alone their number is 0, else it counts from 1.
    turns["model"] = (turns["model"] - 1).clip(lower=0)
    # Else what holds for one chain holds for all.
    drawn = run["regime"] in replay.DRAWN
    for block in sorted(set(turns["block"].tolist())) if drawn else [0]:
        rows = turns[turns["block"] == block] if drawn else turns
        if said := _counted(run, rows.drop(columns="block"), block, drawn):
            return said
    if not table["share_real"].between(0, 1).all() or not (table["n_train"] > 0).all():
        return "has a training set of no rows, or a share of real rows that is none"
    return ""


def _counted(run: Arm, turns: pd.DataFrame, block: int, drawn: bool) -> str:
    """As `_training_sets`, of a block: replicate, generation, model, n_train, share_real."""
    size = run["block"]
    chains = min(size, run["replicates"] - block * size) if drawn and size > 1 else 0
    counts = replay.counts(run, block, chains)
    if counts is None:
        # Of a filtered run only generation 0 is known, which no filter sees.
        counts = [replay.Counts(0, m, replay.first_rows(run), np.array(1.0), 0) for m in set(turns["model"].tolist())]
        turns = turns[turns["generation"] == 0]
    known = {(each.generation, each.model): each for each in counts}
    for replicate, t, model, n, share in turns.to_numpy().tolist():
        own = known[int(t), int(model)]
        real = own.share_real.ravel()[int(replicate) % size if own.share_real.ndim else 0]
        if n != own.n_train:
            return f"has n_train {n:.0f} in generation {t:.0f}, where its settings make {own.n_train}"
        if share != real:
            return f"has share_real {share:g} in generation {t:.0f}, where its settings make {real:g}"
    return ""


def _read_in(run: Arm, content: str, about: Mapping[str, Any]) -> str:
    """The hashes of corpus and weights, against the inputs and those that we know."""
    known = about["inputs"] or {}
    if odd := next((key for key, own in manifest.inputs(run, content).items() if known.get(key) != own), None):
        return f"read another {odd} than its inputs say"
    preset = PINNED.get(str(run.get("family.preset")))
    if preset and run.get("family.start") == "pretrained" and not content.endswith(preset.weights.sha256 or ""):
        return f"has other weights than those of {run['family.preset']}"
    # Of the invented text every version of the code writes one and the same.
    if run["corpus"] == "embedded" and run["source"] == manifest.here():
        known_text = corpora.load("embedded").fingerprint
        return "" if content.startswith(known_text) else "read another invented text than this code writes"
    return ""


def _written(arm: str, run: Arm, tables: Tables, written: Tables, first: Mapping[str, int]) -> str:
    """The first rows that the first replicate wrote, in each generation."""
    if arm not in written:
        return ""
    rows = written[arm]
    kind = "images" if "image" in rows else "texts"
    if set(rows["replicate"]) != {0} or rows.duplicated(["generation", "row"]).any():
        return f"has {kind} of another replicate than the first, or one twice"
    last = stats.last_of(tables[arm])
    if sorted(rows["generation"].unique()) != list(range(last + 1)):
        return f"has {kind} of other generations than its table"
    # A probe is row -1, of each of several models.
    lowest = -run.get("exchange.models", 1) if run.get("family.probe") else 0
    if rows["row"].min() < lowest or rows["row"].max() >= first[kind]:
        return f"has other {kind} than the first {first[kind]}"
    if rows.groupby("generation")["row"].apply(tuple).nunique() > 1 and not run["filters"]:
        return f"lacks {kind} of some generation"
    return ""


def _together(about: Mapping[str, Any], tables: Tables, written: Tables) -> str:
    """What all conditions say together: prompts, and what of the manifest follows from them."""
    runs = {arm: described["run"] for arm, described in about["arms"].items()}
    if said := _prompts(runs, written) or _arms(runs, tables):
        return said
    counted = manifest.derived(runs, tables, about)
    for key in DERIVED:
        if about[key] != counted[key]:
            said = f"has another {key} in its manifest than its settings and tables make: {counted[key]}"
            return UNSAID.get(key, said)
    if about["code"] is None or any(run["source"] != manifest.here() for run in runs.values()):
        return ""  # made by other code
    changed = code.changed(about["code"], code.of(runs.values()))
    return f"says that this code made it, and has another hash of {changed[0]}" if changed else ""


def _arms(runs: Mapping[str, Arm], tables: Tables) -> str:
    """Two conditions with identical numbers, though their training sets are made in different ways."""
    known: dict[bytes, str] = {}
    for arm, table in tables.items():
        run, later = runs[arm], table[table["generation"] > 0]
        if later.empty or registry.member(families, run["family"]).reads == "numbers" or _unmoved(run, later):
            continue
        # Histograms are not kept of all arms.
        plain = later[~later["item"].astype(str).str.contains(f"(?:^|/){BINS}")]
        other = known.setdefault(plain["value"].to_numpy("<f8").tobytes(), arm)
        if any(runs[other][key] != run[key] for key in ("regime", "filters")) or _mixed(runs[other]) != _mixed(run):
            return f"arms {other} and {arm} are the same number for number, and read different rows"
    return ""


def _unmoved(run: Arm, later: pd.DataFrame) -> bool:
    """Whether every model may be its start, which a checkpoint may be: then what was read makes no difference."""
    if run.get("family.checkpoint") != "any":
        return False
    loss = later[later["metric"] == "perplexity"]
    return bool((loss.groupby(["replicate", "item"], observed=True)["value"].nunique() == 1).all())


def _mixed(run: Arm) -> dict[str, Any]:
    return {key: value for key, value in run.items() if key.startswith(("regime.", "exchange."))}


def _prompts(runs: Mapping[str, Arm], written: Tables) -> str:
    """Prompts are the first blocks of the training text in every generation, so that runs that read the same blocks
    have the same ones."""
    seen: dict[tuple[Any, ...], tuple[str, dict[int, str]]] = {}
    for arm, rows in written.items():
        run = runs[arm]
        if "prompt" not in rows or run["given"] != "original":
            continue
        counts = replay.counts(run)
        if counts is None or any(each.wrote < replay.first_rows(run) for each in counts):
            continue  # fewer rows than there are prompts: some of them, drawn anew in every generation
        pairs = set(zip(rows["row"].tolist(), rows["prompt"].astype(str), strict=True))
        prompts = dict(pairs)
        if len(prompts) < len(pairs):
            return f"arm {arm} has texts after other prompts than in its generation 0"
        reading = ("tokenizer", "vocabulary", "block", "draw", "pretrain", "start", "preset", "probe")
        key = (run["corpus"], run["content"], run["n"], run["seed"], *(run.get(f"family.{name}") for name in reading))
        other, theirs = seen.setdefault(key, (arm, prompts))
        if any(theirs.get(row, own) != own for row, own in prompts.items()):
            return f"arm {arm} has other prompts than arm {other}, which reads the same text"
    return ""
