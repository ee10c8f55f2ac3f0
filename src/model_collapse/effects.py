"""What each remedy is worth: the share of a chain's damage that it avoids, out of this book's recorded runs.

    effects, missing = effects.measured()      every remedy whose recorded run is there; a line for every other
    print(effects.listing(effects))            as a table in Markdown

The damage of a chain is by how much a metric is worse at its last generation than at generation 0. A remedy and its
baseline are two arms of one recorded run, which differ in nothing else; their chains are paired by seed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from model_collapse import records, stats
from model_collapse.errors import InputError, OutsideError
from model_collapse.records import Recorded
from model_collapse.stats import Estimate


@dataclass(frozen=True)
class Measure:
    """What gets worse.

    title  with its unit
    log    whether the damage is counted in the logarithm of the metric
    falls  whether less is worse
    """

    title: str
    metric: str
    item: str = ""
    log: bool = False
    falls: bool = False

    def values(self, table: pd.DataFrame, generation: int) -> pd.Series:
        """What a generation is measured at, the higher the worse, by replicate."""
        found = stats.per_replicate(table, self.metric, generation, self.item)
        if found.empty:
            raise KeyError(f"{self.metric} {self.item}".strip())
        worse = np.log(found) if self.log else found
        return -worse if self.falls else worse

    def damage(self, table: pd.DataFrame) -> pd.Series:
        """How much worse the last generation is than generation 0, by replicate."""
        return self.values(table, int(table["generation"].max())) - self.values(table, 0)


LOSS = Measure("cross-entropy, nats per token", "perplexity", log=True)
RARE = Measure("rare words", "rare_coverage", "rare")
FRECHET = Measure("Fréchet distance", "frechet")
RECALL = Measure("recall", "manifold", "recall")


@dataclass(frozen=True)
class Remedy:
    """A remedy, and where it was tried.

    record    recorded run
    arm       with the remedy
    baseline  without it
    loss      whose damage is compared
    tails     a share of what is rare or varied; None where the run does not measure it fairly
    does      in a few words
    leaves    what it does not do
    chapter   slug
    """

    name: str
    record: str
    arm: str
    baseline: str
    loss: Measure
    tails: Measure | None
    does: str
    leaves: str
    chapter: str


@dataclass(frozen=True)
class Effect:
    """What a remedy was worth in its run, with 95 % intervals over seeds.

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
    """The effects of all remedies whose recorded run has their arms, and a line for each run or arm that is missing."""
    found: list[Effect] = []
    missing: dict[str, None] = {}
    read: dict[str, Recorded] = {}
    for remedy in REMEDIES if remedies is None else remedies:
        try:
            recorded = read.setdefault(remedy.record, records.read(remedy.record))
        except InputError:
            missing[f"Recorded run `{remedy.record}` is not there yet: nothing is said of {remedy.chapter}."] = None
            continue
        except OutsideError as error:
            return [], [str(error)]
        absent = [arm for arm in (remedy.arm, remedy.baseline) if arm not in recorded.tables]
        if absent:
            missing[f"Recorded run `{remedy.record}` has no arm {absent[0]}."] = None
            continue
        found.append(effect(remedy, recorded.tables[remedy.arm], recorded.tables[remedy.baseline]))
    return found, list(missing)


def effect(remedy: Remedy, with_it: pd.DataFrame, without: pd.DataFrame) -> Effect:
    """What these two tables say to a remedy."""
    return Effect(
        remedy=remedy,
        avoided=avoided(with_it, without, remedy.loss),
        without=stats.mean(remedy.loss.damage(without)),
        with_it=stats.mean(remedy.loss.damage(with_it)),
        tails=_tails(remedy.tails, with_it, without) if remedy.tails else None,
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
    end = [share.values(table, int(table["generation"].max())) for table in (without, with_it)]
    return stats.mean(end[0]), stats.mean(end[1]), stats.paired(end[1], end[0])


def _later(table: pd.DataFrame) -> pd.DataFrame:
    """One row for each training set from generation 1 on."""
    return table[table["generation"] > 0].drop_duplicates(["replicate", "generation"])


def _text(
    name: str, arm: str, baseline: str, does: str, leaves: str, chapter: str, tails: Measure | None = RARE
) -> Remedy:
    return Remedy(name, "wikitext", arm, baseline, LOSS, tails, does, leaves, chapter)


def _images(name: str, record: str, arm: str, does: str, leaves: str, chapter: str) -> Remedy:
    return Remedy(name, record, arm, "full", FRECHET, RECALL, does, leaves, chapter)


_KEEP = "keeps the real data and all that was written"
_NOTHING_BACK = "brings nothing back that the first data lacked; training grows with every generation"

_CONTROL = "trains on the first real data and nothing else"
_HALF = "half of every training set is real images never seen before"
_DRY = "needs a source of new real data that does not dry up"

REMEDIES = (
    _text(
        "control: real text only",
        "control",
        "A",
        _CONTROL,
        "is no remedy: it ignores what was written",
        "language_model",
    ),
    _images("control: real images only", "digits-vae", "control", _CONTROL, "is no remedy either", "vae"),
    _text("accumulate", "accumulate", "sampled", _KEEP, _NOTHING_BACK, "accumulate"),
    _images("accumulate, VAE", "digits-vae", "accumulate", _KEEP, _NOTHING_BACK, "vae"),
    _images("accumulate, diffusion", "digits-diffusion", "accumulate", _KEEP, _NOTHING_BACK, "diffusion"),
    _text(
        "subsample",
        "subsample",
        "sampled",
        "keeps everything, reads as much as the baseline",
        "the real share of what is read still falls as 1 / t",
        "accumulate",
    ),
    _text(
        "more of the same",
        "grow",
        "sampled",
        "replaces by a set that grows as the accumulated one does",
        "has no real data, however much is written",
        "language_model",
        tails=None,
    ),
    _text(
        "a tenth real",
        "B5",
        "A",
        "every training set has 10 % of the first real text",
        "needs real text that is known to be real, for ever",
        "real_share",
    ),
    _images(
        "half real, VAE",
        "digits-vae",
        "augmentation",
        "half of every training set is of the first real images",
        "the same images every time: nothing new comes in",
        "vae",
    ),
    _images(
        "half real and new, VAE",
        "digits-vae",
        "fresh",
        _HALF,
        _DRY,
        "vae",
    ),
    _images(
        "half real and new, diffusion",
        "digits-diffusion",
        "fresh",
        _HALF,
        _DRY,
        "diffusion",
    ),
    _text(
        "sample, no beams",
        "sampled",
        "A",
        "writes by drawing from the model, not by searching for the likeliest text",
        "single texts are less polished; the error of finite samples stays",
        "decoding",
    ),
    _text(
        "repetition penalty",
        "penalty-2",
        "A",
        "forbids models to repeat themselves",
        "changes what is written, not what is known",
        "decoding",
    ),
    _text(
        "the surprising half",
        "surprising",
        "sampled",
        "trains on the half that generation 0 finds least probable",
        "judges by a model that may itself be wrong",
        "diversity",
    ),
    _images(
        "healing, diffusion",
        "digits-diffusion",
        "healing",
        "nothing until generation 2, then half real and new",
        "the generations before are lost",
        "diffusion",
    ),
)
