"""The remedies of the closing table: which condition of which recorded run is compared with which, and in what."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from model_collapse.analysis import stats


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

    def taken(self, table: pd.DataFrame) -> bool:
        """Whether the run took this metric."""
        return not stats.pick(table, self.metric, item=self.item).empty

    def values(self, table: pd.DataFrame, generation: int) -> pd.Series:
        """What a generation is measured at, the higher the worse, by replicate."""
        found = stats.per_replicate(table, self.metric, generation, self.item)
        if found.empty:
            raise KeyError(self.title)
        worse = np.log(found) if self.log else found
        return -worse if self.falls else worse

    def damage(self, table: pd.DataFrame) -> pd.Series:
        """How much worse the last generation is than generation 0, by replicate."""
        return self.values(table, stats.last_of(table)) - self.values(table, 0)


LOSS = Measure("cross-entropy, nats per token", "perplexity", log=True)
RARE = Measure("rare words", "rare_coverage", "rare")
FRECHET = Measure("Fréchet distance", "frechet")
FACTS = Measure("rare facts", "rare_coverage", "rare")
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


def _text(
    name: str, arm: str, baseline: str, does: str, leaves: str, chapter: str, tails: Measure | None = RARE
) -> Remedy:
    return Remedy(name, "wikitext", arm, baseline, LOSS, tails, does, leaves, chapter)


def _chosen(name: str, arm: str, does: str, leaves: str) -> Remedy:
    return Remedy(name, "curation", arm, "sampled", LOSS, FACTS, does, leaves, "curation")


def _filtered(name: str, arm: str, does: str, leaves: str) -> Remedy:
    return Remedy(name, "provenance", arm, "polluted", LOSS, None, does, leaves, "provenance")


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
        "is no remedy: it ignores generated text",
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
        "the real share of the training set still falls as 1 / t",
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
        "always needs text that is known to be real",
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
        "changes the generated text, not the model's knowledge",
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
    _chosen(
        "best of 8, an oracle",
        "curated",
        "writes eight continuations of each prompt and keeps the one that is most true",
        "nobody has such an oracle",
    ),
    _chosen(
        "best of 8, a learned score",
        "learned-30",
        "the same with a score learned from 30 % of the examples",
        "passes on the errors of the score",
    ),
    _chosen(
        "best of 8, by likelihood",
        "likely",
        "keeps the most likely of eight continuations",
        "prefers what everybody writes",
    ),
    _filtered(
        "a detector's weights",
        "weighed",
        "weighs rows by a trained detector of written text",
        "is only as good as the detector",
    ),
    _filtered(
        "a random quarter of the rows",
        "thinned",
        "trains on fewer rows, whoever wrote them: fewer steps away from the first model",
        "leaves three written rows in four",
    ),
    _filtered(
        "a watermark",
        "unmarked",
        "drops rows that carry the writer's watermark",
        "needs a model that marks all its output; a random set of the same size does much of this",
    ),
    _filtered(
        "perfect record of who wrote",
        "known",
        "drops all that is not by people",
        "nobody has such a record; as small a set at random does much of this",
    ),
    Remedy(
        "weights by group",
        "minorities",
        "reweigh",
        "replace",
        Measure("the minority's cross-entropy, nats per token", "group_loss", "people/island"),
        None,
        "gives groups the weight that their share has",
        "cannot weigh a group that is no longer there",
        "minorities",
    ),
)
