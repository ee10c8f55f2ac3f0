"""Detecting the author of a row: a trained classifier, its errors, and receiver operating characteristics.

    detector = detection.trained(reference)       once for a chain
    detector.scores(rows)                         log-odds that a model wrote each row
    detection.roc(real, written)                  from scores of rows whose makers are known

Classifiers and curves are scikit-learn's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy

from model_collapse.data import Rows
from model_collapse.errors import InputError
from model_collapse.interfaces import Family, Model, Reference
from model_collapse.ngrams import grams

if TYPE_CHECKING:
    import pandas as pd

MOST = 512
"""Rows of each kind that a classifier is trained on, at most."""

LEAST = 8
"""Real rows that it needs at least, both of those that generation 0 read and of others."""


@dataclass(frozen=True, eq=False)
class Classifier:
    """A trained classifier of one family's rows.

    held_out  sorted scores of real rows that it was not trained on: of those that generation 0 had read, and of others
    """

    family: Family
    model: Model
    pipeline: Any
    held_out: tuple[np.ndarray, np.ndarray]

    def scores(self, rows: Rows) -> np.ndarray:
        """Log-odds that a model wrote each row, if as many were written as real, (n,)."""
        return self.pipeline.decision_function(features(self.family, self.model, rows))

    def chance_real(self, score: np.ndarray) -> np.ndarray:
        """P(real | row) from its score."""
        return scipy.special.expit(-score)

    def threshold(self, false_alarms: float) -> float:
        """The score that at most this share of the held-out real rows exceeds, of either kind."""
        return max(float(scores[-1 - int(false_alarms * len(scores))]) for scores in self.held_out)


def trained(reference: Reference) -> Classifier:
    """The classifier of a chain, trained the first time that somebody asks; see `_train`."""
    return reference.once(_train)


def _train(reference: Reference) -> Classifier:
    """The classifier of a chain: what generation 0 wrote against real rows, some that it had read and some that not.

    Of both kinds, because a model that knows its rows by heart (an n-gram model) finds them as little surprising as
    what it writes. Rows it has not read are the validation rows, or new ones of the source where none are set aside
    (images). Every other real row is kept from the classifier, to set its threshold by. A logistic regression on
    standardised `features`, the same every time.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    family, first, source = reference.family, reference.first, reference.source
    wrote = first.sample.drawn
    if source.validation is not None:
        unread = source.validation.drawn
    else:
        # The same rows whenever they are asked for, so that a chain that goes on has the same detector.
        unread = source.draw(min(len(wrote), MOST), np.random.default_rng(0)).drawn
    kinds = (source.train.drawn, unread)
    if (least := min(map(len, kinds))) < LEAST:
        raise InputError(f"--filter detector: it needs {LEAST} real rows of either kind, there are {least}")
    wrote, *real = (rows.take(np.arange(min(len(rows), MOST))) for rows in (wrote, *kinds))
    seen = [features(family, first.model, rows) for rows in real]
    learned = np.concatenate([part[::2] for part in seen])
    x = np.concatenate([learned, features(family, first.model, wrote)])
    y = np.repeat([0, 1], [len(learned), len(wrote)])
    # Balanced, so that a score is the log-odds in a set that is half real.
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=1000))
    pipeline.fit(x, y)
    read, other = (np.sort(pipeline.decision_function(part[1::2])) for part in seen)
    return Classifier(family, first.model, pipeline, (read, other))


def features(family: Family, model: Model, rows: Rows) -> np.ndarray:
    """What a classifier sees of each row, (n, features).

    text    ln of the share of different n-grams, n = 1, 2, 3; how surprising the tokens are to generation 0's model, in
            nats: mean, standard deviation and quantiles; and the mean surprise less the entropy of the distribution
            before each token, which is 0 on average where that model wrote (Bao et al. 2024, arXiv:2310.05130)
    images  every pixel, and of each image the mean, the spread, the mean step between neighbours, the share of greys
    """
    return _of_text(family, model, rows) if "likelihood" in family.scores else _of_images(rows.x)


def _of_text(family: Family, model: Model, rows: Rows) -> np.ndarray:
    found = [np.log(_different(grams(rows.x, length))) for length in (1, 2, 3)]
    nats = np.asarray(family.score(model, rows), float)
    quantiles = np.quantile(nats, (0.1, 0.25, 0.5, 0.75, 0.9), axis=1)
    beyond = (nats - np.asarray(family.entropy(model, rows), float)).mean(axis=1)
    return np.stack([*found, nats.mean(axis=1), nats.std(axis=1), *quantiles, beyond], axis=1)


def _different(codes: np.ndarray) -> np.ndarray:
    """Share of different entries in each row."""
    ordered = np.sort(codes, axis=1)
    return (1 + (ordered[:, 1:] != ordered[:, :-1]).sum(axis=1)) / codes.shape[1]


def _of_images(images: np.ndarray) -> np.ndarray:
    x = images.astype(float) / 255
    steps = [np.abs(np.diff(x, axis=axis)).mean(axis=(1, 2)) for axis in (1, 2)]
    greys = ((x > 0.1) & (x < 0.9)).mean(axis=(1, 2))
    return np.column_stack([x.reshape(len(x), -1), x.mean(axis=(1, 2)), x.std(axis=(1, 2)), *steps, greys])


def roc(
    real: np.ndarray, written: np.ndarray, *, weights: tuple[np.ndarray, np.ndarray] | None = None
) -> tuple[pd.DataFrame, float]:
    """ROC curve of scores, larger for written rows: columns false_alarms, found, threshold; and the area below it.

    weights  of the real and of the written scores, where each stands for a share of rows
    """
    import pandas as pd
    from sklearn.metrics import roc_auc_score, roc_curve

    score, truth = np.concatenate([real, written]), np.repeat([0, 1], [len(real), len(written)])
    weight = None if weights is None else np.concatenate(weights)
    false_alarms, found, threshold = roc_curve(truth, score, sample_weight=weight)
    table = pd.DataFrame({"false_alarms": false_alarms, "found": found, "threshold": threshold})
    return table, float(roc_auc_score(truth, score, sample_weight=weight))
