"""What each remedy is worth: the share of a chain's damage that it avoids, out of this book's recorded runs.

    effects, missing = effects.measured()      every remedy whose recorded run is there; a line for every other
    print(effects.listing(effects))            as a table in Markdown

The damage of a chain is by how much a metric is worse at its last generation than at generation 0. A remedy and its
baseline are two conditions of one recorded run, which differ in nothing else; their chains are paired by seed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from model_collapse.analysis import stats
from model_collapse.analysis.stats import Estimate
from model_collapse.companion import records
from model_collapse.companion.records import Recorded, of_study
from model_collapse.companion.records.effects.remedies import (
    FACTS,
    FRECHET,
    LOSS,
    RARE,
    RECALL,
    REMEDIES,
    Measure,
    Remedy,
)
from model_collapse.errors import ExternalError

__all__ = [
    "FACTS",
    "FRECHET",
    "LOSS",
    "RARE",
    "RECALL",
    "REMEDIES",
    "Effect",
    "Measure",
    "Remedy",
    "avoided",
    "effect",
    "frame",
    "listing",
    "measured",
]


@dataclass(frozen=True)
class Effect:
    """The effect of a remedy in its run, with 95 % intervals over seeds.

    avoided  share of the baseline's damage; 1: all of it, below 0: it made things worse
    without  damage of the baseline, and `with_it` that of the remedy, in the unit of the measure
    tails    share of the tails that is there at the end: of the baseline, of the remedy, and their difference by seed
    rows     size of the training sets, generation 1 to the last, over that of the baseline
    real     share of real rows in them
    """

    remedy: Remedy
    avoided: Estimate
    without: Estimate
    with_it: Estimate
    tails: tuple[Estimate, Estimate, Estimate] | None
    rows: float
    real: float


def avoided(with_it: pd.DataFrame, without: pd.DataFrame, measure: Measure, confidence: float = 0.95) -> Estimate:
    """1 - damage with the remedy / damage without it: mean over mean, paired by replicate, Fieller's interval.

    No interval where the damage without it is not surely above 0: there is nothing to avoid.
    """
    left = stats.ratio(measure.damage(with_it), measure.damage(without), confidence)
    return replace(left, value=1 - left.value, low=1 - left.high, high=1 - left.low)


def measured(remedies: Iterable[Remedy] | None = None) -> tuple[list[Effect], list[str]]:
    """The effects of all remedies whose recorded run has their conditions, and a line for each that is missing.

    InputError for a recorded run that is damaged.
    """
    found: list[Effect] = []
    missing: dict[str, None] = {}
    read: dict[str, Recorded] = {}
    for remedy in REMEDIES if remedies is None else remedies:
        try:
            if not records.begun(remedy.record):
                missing[f"Recorded run `{remedy.record}` is not there yet: nothing is said of {remedy.chapter}."] = None
                continue
            if remedy.record not in read:
                read[remedy.record] = records.read(remedy.record)
        except ExternalError as error:
            return [], [str(error)]
        recorded = read[remedy.record]
        absent = [arm for arm in (remedy.arm, remedy.baseline) if arm not in recorded.tables]
        if absent:
            missing[f"Recorded run `{remedy.record}` has no arm {absent[0]}."] = None
            continue
        # What an arm is called says nothing of what it is.
        whys = [(arm, of_study.arm_otherwise(recorded.about, arm)) for arm in (remedy.arm, remedy.baseline)]
        if unlike := next((f"{arm} {why}" for arm, why in whys if why), None):
            missing[f"Recorded run `{remedy.record}` says nothing of {remedy.chapter}: its arm {unlike}."] = None
            continue
        try:
            found.append(effect(remedy, recorded.tables[remedy.arm], recorded.tables[remedy.baseline]))
        except KeyError as error:
            missing[f"Recorded run `{remedy.record}` does not measure {error.args[0]}."] = None
    return found, list(missing)


def effect(remedy: Remedy, with_it: pd.DataFrame, without: pd.DataFrame) -> Effect:
    """What these two tables say to a remedy, up to the last generation that both have; of tails where both measure
    them."""
    last = min(map(stats.last_of, (with_it, without)))
    with_it, without = (table[table["generation"] <= last] for table in (with_it, without))
    tails = remedy.tails if remedy.tails and all(remedy.tails.taken(table) for table in (with_it, without)) else None
    return Effect(
        remedy=remedy,
        avoided=avoided(with_it, without, remedy.loss),
        without=stats.mean(remedy.loss.damage(without)),
        with_it=stats.mean(remedy.loss.damage(with_it)),
        tails=_tails(tails, with_it, without) if tails else None,
        rows=_later(with_it)["n_train"].mean() / _later(without)["n_train"].mean(),
        real=float(np.average(_later(with_it)["share_real"], weights=_later(with_it)["n_train"])),
    )


def frame(effects: Iterable[Effect]) -> pd.DataFrame:
    """One row per effect: remedy, run, measure, the share avoided and its interval, both damages, tails and cost."""
    nothing = Estimate(np.nan, np.nan, np.nan, 0)
    return pd.DataFrame(
        [
            {
                "remedy": e.remedy.name,
                "run": e.remedy.record,
                "measure": e.remedy.loss.title,
                "avoided": e.avoided.value,
                "low": e.avoided.low,
                "high": e.avoided.high,
                "without": e.without.value,
                "with": e.with_it.value,
                "tails_without": (e.tails or (nothing,))[0].value,
                "tails_with": (e.tails or (nothing, nothing))[1].value,
                "rows": e.rows,
                "real": e.real,
                "seeds": e.avoided.n,
            }
            for e in effects
        ]
    )


def listing(effects: Iterable[Effect]) -> str:
    """The effects as a table in Markdown."""
    lines = [
        "| remedy | what it does | damage avoided | tails at the end | training set | what it does not do | chapter |",
        "|---|---|---|---|---|---|---|",
    ]
    for e in effects:
        of, tails = e.remedy, "not measured"
        if e.tails and of.tails:
            before, after, gain = e.tails
            points = replace(gain, value=100 * gain.value, low=100 * gain.low, high=100 * gain.high)
            tails = f"{before.value:.0%} to {after.value:.0%}: {points:.0f} points of {of.tails.title}"
        cells = (
            f"**{of.name}** (`{of.record}`)",
            of.does,
            f"{e.avoided:.0%} of {e.without.value:.2g} {of.loss.title}",
            tails,
            f"times {e.rows:.2g}, {e.real:.0%} real",
            of.leaves,
            of.chapter,
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _tails(share: Measure, with_it: pd.DataFrame, without: pd.DataFrame) -> tuple[Estimate, Estimate, Estimate]:
    """Share that is there at the last generation: without the remedy, with it, and the difference by seed."""
    end = [share.values(table, stats.last_of(table)) for table in (without, with_it)]
    return stats.mean(end[0]), stats.mean(end[1]), stats.paired(end[1], end[0])


def _later(table: pd.DataFrame) -> pd.DataFrame:
    """One row for each training set from generation 1 on."""
    return table[table["generation"] > 0].drop_duplicates(["replicate", "generation"])
