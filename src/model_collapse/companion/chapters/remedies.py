"""What to do about it: the same four ways to build a training set for every kind of model, and what each remedy avoids.

Functions take the tables of their runs, or the size of the study and make the runs; each shows one figure or table,
with the sentence that states what one sees. Damage is by how much a model's measure (`claims.remedies.MEASURES`) is
worse at the last generation than at generation 0; the share that a remedy avoids is {eq}`remedies-avoided` in theory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from model_collapse import theory
from model_collapse.analysis import figures, stats
from model_collapse.analysis.stats import Estimate
from model_collapse.companion import claims
from model_collapse.companion.book import compare, language_run
from model_collapse.companion.book.estimates import markdown
from model_collapse.companion.book.notebook import recorded, runs_folder, say, show
from model_collapse.companion.claims import remedies as of_claims
from model_collapse.companion.claims import rows
from model_collapse.companion.records import Recorded, effects
from model_collapse.companion.studies import remedies as study_of
from model_collapse.companion.studies.remedies import FAMILIES, KINDS, Size
from model_collapse.engine.execute import on_stderr, run_all
from model_collapse.errors import InputError
from model_collapse.theory import real_share, regression
from model_collapse.theory.subsample import subsample_moments

Tables = Mapping[str, pd.DataFrame]

TITLES: Mapping[str, str] = {
    "gaussian": "Gaussian",
    "discrete": "symbols",
    "regression": "regression",
    "kde": "kernel density",
    "ngram": "word pairs",
}
UNITS: Mapping[str, str] = {
    "gaussian": "$W_2^2$ to the truth",
    "discrete": "heterozygosity lost",
    "regression": "excess risk",
    "kde": "KL, nats",
    "ngram": "nats per word",
    "lm": "nats per token",
    "vae": "Fréchet distance",
    "diffusion": "Fréchet distance",
}

_TEXT = {"replace": "sampled", "subsample": "subsample", "accumulate": "accumulate", "real only": "control"}
_IMAGES = {"replace": "full", "accumulate": "accumulate", "real only": "control"}
"""Condition of this chapter -> label in a study of text or of images."""

_RECORDED = {
    "wikitext": ("tiny OPT, recorded", "lm", _TEXT),
    "digits-vae": ("VAE, recorded", "vae", _IMAGES),
    "digits-diffusion": ("diffusion, recorded", "diffusion", _IMAGES),
}

_TRUTH = theory.zipf_law(20, 1.0)


@dataclass(frozen=True)
class Kind:
    """A kind of model.

    tables  by condition
    unit    of what gets worse
    """

    title: str
    family: str
    tables: Tables
    unit: str


def checked(size: Size) -> Size:
    """The size, if the chapter can show it."""
    if size.chains <= 0 or size.seeds not in (0, *range(2, 100)) or size.blocks < 20:
        raise InputError("chains must be above 0, seeds 0 or at least 2, and blocks at least 20")
    return size


def tiny_opt(size: Size) -> Tables:
    """Tables of a tiny OPT by condition, and who of them has lost all; none where the size has no seeds for it."""
    if not size.seeds:
        return {}
    tables, _ = run_all(study_of.STUDY.runs(size), runs_folder(), progress=on_stderr)
    language_run.who_is_back(tables, {theirs: f"{label} (tiny OPT, this run)" for label, theirs in _TEXT.items()})
    return tables


def records() -> dict[str, Recorded]:
    """The recorded runs of networks that are there, their labels shown."""
    return {name: found for name in _RECORDED if (found := recorded(name)) is not None}


def together(tables: Mapping[str, Tables], opt: Tables, found: Mapping[str, Recorded]) -> list[Kind]:
    """All kinds of models that have a condition to compare with: run here, and recorded; up to the last generation that
    all conditions of a kind have."""
    every = [Kind(TITLES[family], family, own, UNITS[family]) for family, own in tables.items()]
    networks = [("tiny OPT, this run", "lm", _TEXT, opt)]
    for name, record in found.items():
        title, family, labels = _RECORDED[name]
        if record.otherwise:  # of another version of its study than the present one
            title = title.replace("recorded", "earlier protocol")
        networks.append((title, family, labels, record.tables))
    for title, family, labels, own in networks:
        named = {label: own[theirs] for label, theirs in labels.items() if theirs in own}
        if "replace" in named:
            last = min(map(stats.last_of, named.values()))
            named = {label: table[table["generation"] <= last] for label, table in named.items()}
            every.append(Kind(title, family, named, UNITS[family]))
    return every


def _measured(kind: Kind) -> dict[str, pd.DataFrame]:
    """What gets worse, by condition; of symbols as a share of the truth's heterozygosity."""
    measure = of_claims.MEASURES[kind.family]
    found = {label: stats.pick(table, measure.metric, item=measure.item) for label, table in kind.tables.items()}
    if measure.log:
        return {label: table.assign(value=np.log(table["value"])) for label, table in found.items()}
    if kind.family == "discrete":
        whole = 1 - np.sum(_TRUTH**2)
        return {label: table.assign(value=1 - table["value"] / whole) for label, table in found.items()}
    return found


def _closed_forms(kinds: list[Kind]) -> dict[str, dict[str, Callable[[np.ndarray], Any]]]:
    """Closed forms by title and condition, for families that have them; regression under subsample to first order."""
    M, K, T = (rows(kind.tables["replace"]) for kind in kinds[:3])
    d = int(claims.family(kinds[2].tables["replace"])["dim"])
    first = float(regression.first_error(T, d))
    return {
        "Gaussian": {"replace": lambda g: theory.expected_w2_squared(g + 1, M, "mle")},
        "symbols": {
            "replace": lambda g: theory.inbreeding(g + 1, K),
            "subsample": lambda g: 1 - subsample_moments(g + 1, K)[1],
            "accumulate": lambda g: 1 - theory.accumulated_variance(g + 1, K),
            "real only": lambda g: np.full(len(g), 1 / K),
        },
        "regression": {
            "replace": lambda g: regression.replaced_error(g + 1, T, d),
            "subsample": lambda g: first * regression.pathway(g + 1, "subsample"),
            "accumulate": lambda g: regression.accumulated_error(g + 1, T, d),
            "real only": lambda g: np.full(len(g), first),
        },
    }


def families(kinds: list[Kind]) -> None:
    """What gets worse by generation under four regimes, one panel for each kind of model."""
    panels = {kind.title: _measured(kind) for kind in kinds}
    counts = {kind.title: rows(kind.tables["replace"]) for kind in kinds}
    ends = {title: compare.ends(own, stats.last_of(own["replace"])) for title, own in panels.items()}
    worst = sum(max(own, key=lambda label: own[label].value) == "replace" for own in ends.values())
    near = sum(_nearer(own) for own in ends.values())
    show(
        figures.by_family(panels, _closed_forms(kinds), ylabels={kind.title: kind.unit for kind in kinds}, columns=2),
        compare.listed(panels),
        "remedies-families",
        "The same four conditions for every kind of model; higher is worse. Means with 95 % bands over chains or "
        f"seeds; dashed: closed forms (regression under subsample: to first order). M = {counts['Gaussian']} rows for "
        f"the Gaussian and for symbols, {counts['regression']} for regression, {counts['kernel density']} for kernel "
        f"densities, {counts['word pairs']} blocks for word pairs. Panels marked *recorded* are the runs named above; "
        "the others were run for this page. Images have no condition subsample.",
        f"Small panels with generations to the right. In {worst} of {len(panels)} panels replace ends highest, and in "
        f"{near} accumulate ends nearer to the flat line of the control than to replace.",
    )
    say(
        f"Replace ends worst in {worst} of {len(panels)} panels. In {near}, accumulate ends closer to the control "
        "than to replace."
    )


def _nearer(ends: Mapping[str, Estimate]) -> bool:
    """Whether accumulate lies nearer to the control than to replace."""
    kept, replaced, control = (ends[label].value for label in ("accumulate", "replace", "real only"))
    return abs(kept - control) < abs(replaced - kept)


def damage_avoided(kinds: list[Kind], size: Size) -> None:
    """Share of the damage that each regime avoids, by kind of model, beside {eq}`remedies-avoided`."""
    end = min(9, size.fits - 1)
    head = ("family", "fits", "damage under replace", "avoided by subsample", "avoided by accumulate", "real only")
    lines = []
    for kind in kinds:
        measure, last = of_claims.MEASURES[kind.family], stats.last_of(kind.tables["replace"])
        g = end if kind.family in FAMILIES else last
        without = _until(kind.tables["replace"], g)
        cells = [f"{stats.mean(measure.damage(without)):.2g}"]
        for label in ("subsample", "accumulate", "real only"):
            if label not in kind.tables:
                cells.append("not run")
                continue
            found = effects.avoided(_until(kind.tables[label], g), without, measure)
            cells.append(_share(found))
            # Nothing in these two is random: refitted to the same rows they are the same model.
            exact = label == "real only" and kind.family in ("regression", "ngram")
            assert not exact or np.isclose(found.value, 1), "the control must lose nothing"
        lines.append((kind.title, str(g + 1), *cells))
    n = end + 1
    by_theory = {label: 1 - (regression.pathway(n, label) - 1) / (n - 1) for label in ("subsample", "accumulate")}
    say(
        markdown(head, lines)
        + "\n\nShare of the damage that is avoided, with 95 % intervals over chains or seeds; *unclear*: too few "
        "chains to be sure that replace does damage at all. More than 100%: the chain ends better than it began. "
        f"Theory to first order for {n} fits: subsample {by_theory['subsample']:.0%}, accumulate "
        f"{by_theory['accumulate']:.0%}."
    )


def _until(table: pd.DataFrame, g: int) -> pd.DataFrame:
    return table[table["generation"] <= g]


def _share(found: Estimate) -> str:
    """A share of the damage with its interval."""
    return "unclear" if np.isnan(found.low) else f"{found:.0%}"


# What keeping cannot bring back -------------------------------------------------------------------------------------


def symbols_left(size: Size) -> Tables:
    """Different symbols in each training set beside CF-W4, `theory.expected_support`. Returns the tables of ACC-6."""
    tables, _ = run_all(KINDS.runs(study_of.symbols(size)), runs_folder())
    any_of_them = tables["replace"]
    m, last = rows(any_of_them), stats.last_of(any_of_them)
    chains = any_of_them["replicate"].nunique()
    title = f"{len(_TRUTH)} symbols, {m} rows"
    curves = {label: stats.pick(table, "support") for label, table in tables.items()}
    new = real_share.fresh_schedule(m, 0.1)
    forms: dict[str, Callable[[np.ndarray], Any]] = {
        "replace": lambda g: theory.expected_support(g + 1, _TRUTH, m),
        "accumulate": lambda g: np.full(len(g), float(theory.expected_support(1, _TRUTH, m))),
        "10 % new real rows": lambda g: real_share.expected_presence(g + 1, _TRUTH, m, new),
    }
    show(
        figures.against_theory({title: curves}, {title: forms}, ylabel="different symbols"),
        compare.listed({title: curves}),
        "remedies-support",
        f"Different symbols in the training set of each generation, means with 95 % bands over {chains} chains; "
        f"dashed: closed forms. There are {len(_TRUTH)} symbols in the true distribution.",
        "A falling line for replace, a slowly falling one for subsample, and two flat ones on each other, accumulate "
        "and the control, at half of all symbols. With new real rows the line falls to a level of its own.",
    )
    start, end = compare.ends({"accumulate": curves["accumulate"]}, 0)["accumulate"], compare.ends(curves, last)
    say(
        f"The first {m} real rows contain {start.value:.1f} of the {len(_TRUTH)} symbols on average. At generation "
        f"{last} there are left: "
        + ", ".join(f"{label} {found.value:.1f}" for label, found in end.items())
        + ". Only new real rows can bring back what is lost, and with so few rows a generation does not hold all "
        "symbols at once."
    )
    never = curves["real only"].groupby("replicate")["value"].nunique()
    assert (never == 1).all(), "the control must not move"
    return {"accumulate": tables["accumulate"]}


def facts_left(size: Size) -> None:
    """Share of the real text's facts that a generation states, common and rare, by models of word triples."""
    tables, _ = run_all(KINDS.runs(study_of.triples(size)), runs_folder())
    bands = ["common", "medium", "rare"]
    last, chains = stats.last_of(tables["replace"]), tables["replace"]["replicate"].nunique()
    listed = {band: {label: stats.pick(t, "rare_coverage", item=band) for label, t in tables.items()} for band in bands}
    show(
        figures.by_item(tables, "rare_coverage", ["common", "rare"], ylabel="share still stated"),
        compare.listed(listed),
        "remedies-rare",
        "Word triples: share of the facts in the real training text that a generation's text states at least once, "
        f"for facts that the corpus states often and seldom; means with 95 % bands over {chains} chains.",
        "Two panels, common and rare facts. For common facts replace falls to less than half, accumulate falls a "
        "little below the flat control; for rare facts, of which fewer are stated from the start, the bands overlap.",
    )
    common, rare = (compare.ends(listed[band], last) for band in ("common", "rare"))
    words = {label: stats.per_replicate(table, "vocabulary", last) for label, table in tables.items()}
    gap = stats.paired(words["accumulate"], words["real only"])
    say(
        f"Share of common and of rare facts that are still stated at generation {last}: "
        + "; ".join(f"{label} {common[label].value:.3f} and {rare[label].value:.3f}" for label in tables)
        + ". Different words: "
        + ", ".join(f"{label} {stats.mean(values).value:.0f}" for label, values in words.items())
        + f"; accumulate less the control {gap:.0f}. The pool still holds every word of the real text, but among more "
        "and more synthetic text without some of them. The control too states only a part of the facts, because it "
        "generates no more than it was trained on and does not repeat everything."
    )


# The remedies of recorded runs --------------------------------------------------------------------------------------

_BESIDE = "provenance"
"""A record whose baseline is a web with a quarter of real text: another damage than that of all others."""


def effects_of_remedies() -> tuple[list[effects.Effect], list[str]]:
    """Share of the damage that each remedy avoids in its recorded run. Returns them, and lines on the missing."""
    every, missing = effects.measured()
    found = [effect for effect in every if effect.remedy.record != _BESIDE]
    if not found:
        say("No recorded run is there that remedies can be measured in.")
        return every, missing
    table = effects.frame(found)
    groups = {name: own.assign(label=own["remedy"], y=own["avoided"]) for name, own in table.groupby("run", sort=False)}
    ranked = table.sort_values("avoided")
    least, most = ranked.iloc[0], ranked.iloc[-1]
    show(
        figures.forest(groups, xlabel="share of the damage avoided"),
        table,
        "remedies-effects",
        "Share of the damage that each remedy avoids in its recorded run, with 95 % intervals over seeds (Fieller); "
        "dotted: nothing and everything. Colours: recorded runs.",
        f"A list of {len(table)} remedies with points and intervals, from {least['remedy']} at {least['avoided']:.0%} "
        f"to {most['remedy']} at {most['avoided']:.0%} of the damage.",
    )
    tried = ranked[~ranked["remedy"].str.startswith("control")]
    say(
        f"Recorded runs that can be used exist for {len(tried)} remedies, which avoid from "
        f"{tried['avoided'].iloc[0]:.0%} ({tried['remedy'].iloc[0]}) to {tried['avoided'].iloc[-1]:.0%} "
        f"({tried['remedy'].iloc[-1]}) of the damage. Shares of different runs are shares of different damages. "
        f"{len(missing)} comparisons are not shown, because their runs are missing or were made with other settings."
    )
    return every, missing


def every_remedy(found: list[effects.Effect], missing: list[str]) -> None:
    """All effects as a table, with what became of the tails and what each remedy costs."""
    say(effects.listing(found))
    say("\n".join(f"- {line}" for line in missing))
    beside = (
        f" In the run `{_BESIDE}` the chain without the remedy has a quarter of real text, so that its damage is "
        "another one."
    )
    say(
        "Shares have 95 % intervals over seeds. *Tails:* share of rare words that are still generated, or of real "
        "images that lie near synthetic ones. *Training set:* its size over that of the chain without the remedy, and "
        "the share of real rows in it, mean over generations. Where the chain without the remedy searches for the "
        "likeliest text, its tails are gone already in generation 0."
        + (beside if any(effect.remedy.record == _BESIDE for effect in found) else "")
    )


# Claims -------------------------------------------------------------------------------------------------------------


def of_this_run(tables: Mapping[str, Tables], left: Tables) -> dict[str, Tables]:
    """Tables of the claims that this page's own runs speak to; `left` are those of `symbols_left`."""
    flat = {f"{family} {label}": table for family, own in tables.items() for label, table in own.items()}
    order = {
        label: stats.pick(flat[label], of_claims.MEASURES[label.split()[0]].metric)
        for label in claims.named("ACC-3").runs
    }
    return {"REM-1": flat, "ACC-3": order, "ACC-6": left}


def of_records(found: Mapping[str, Recorded]) -> dict[str, dict[str, Tables]]:
    """Tables of the claims that recorded runs speak to, by what they are of."""
    said: dict[str, dict[str, Tables]] = {}
    if "wikitext" in found:
        said["recorded run `wikitext`"] = dict.fromkeys(("REM-3", "ACC-4", "ACC-5"), found["wikitext"].tables)
    if set(found) == set(_RECORDED):
        said["recorded runs of three families"] = {
            "REM-2": {
                f"{family} {condition}": found[name].tables[labels[condition]]
                for name, (_, family, labels) in _RECORDED.items()
                for condition in ("replace", "accumulate")
            }
        }
    return said
