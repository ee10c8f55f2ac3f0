"""Who wrote it? The family's watermark, and a trained classifier, applied to generated and to real text."""

from __future__ import annotations

import numpy as np

from model_collapse import detection
from model_collapse.data import Data, Rows
from model_collapse.interfaces import Reference
from model_collapse.metrics import Measurement

THRESHOLD, FALSE_ALARMS = 4.0, 0.05
"""z above which a row counts as marked; share of held-out real rows above the classifier's threshold."""

MARK_BINS, SCORE_BINS = np.arange(-24, 121) / 4, np.arange(-40, 41) / 4
"""Edges of the histograms of z and of the classifier's log-odds; the last bins also hold what lies beyond."""


def watermark(m: Measurement) -> dict[str, float]:
    """The test for the family's watermark, with watermark=none for a green one that no text has.

    Items "written", "real": share of what this generation wrote, and of the real test blocks, with z > 4, every n-gram
    counted once; "written repeats", "real repeats": the same with n-grams counted as often as they come; "z", "z
    repeats": mean z of generated text; "real rows": how many test blocks there are; "bin real 4.00", "bin written
    4.00": share with z in [4, 4.25), and so on from -6 to 30.
    """
    items: dict[str, float] = {"real rows": len(m.test)}
    for end, repeats in (("", False), (" repeats", True)):
        wrote = m.family.marks(m.sample.drawn, m.model.vocabulary, repeats=repeats)
        real = m.reference.once(_marks_of_real)[repeats]
        items |= {f"written{end}": float((wrote > THRESHOLD).mean()), f"real{end}": float((real > THRESHOLD).mean())}
        items[f"z{end}"] = float(wrote.mean())
        if not repeats:
            items |= _histogram("real", real, MARK_BINS) | _histogram("written", wrote, MARK_BINS)
    return items


def detector(m: Measurement) -> dict[str, float]:
    """Errors of the classifier of `detection.trained`, its threshold where 5 % of held-out real rows are accused.

    Items "false alarms": share of the real test blocks that it accuses; "misses": share of what this generation wrote
    that it lets pass; "auc": chance that a written row scores higher than a real one; "bin real 1.00", "bin written
    1.00": share with log-odds in [1, 1.25), and so on from -10 to 10.
    """
    detector = detection.trained(m.reference)
    wrote, real = detector.scores(m.sample.drawn), m.reference.once(_scores_of_real)
    threshold = detector.threshold(FALSE_ALARMS)
    _, auc = detection.roc(real, wrote)
    errors = {
        "false alarms": float((real > threshold).mean()),
        "misses": float((wrote <= threshold).mean()),
        "auc": auc,
    }
    return errors | _histogram("real", real, SCORE_BINS) | _histogram("written", wrote, SCORE_BINS)


def _marks_of_real(reference: Reference) -> tuple[np.ndarray, np.ndarray]:
    """z of the real test blocks: with every n-gram counted once, and as often as it comes."""
    rows, vocabulary = Rows(_test(reference).x.astype(np.int32)), reference.first.model.vocabulary
    once, repeats = (reference.family.marks(rows, vocabulary, repeats=repeats) for repeats in (False, True))
    return once, repeats


def _scores_of_real(reference: Reference) -> np.ndarray:
    """The classifier's scores of the real test blocks."""
    return detection.trained(reference).scores(_test(reference).drawn)


def _test(reference: Reference) -> Data:
    assert reference.source.test is not None
    return reference.source.test


def _histogram(name: str, values: np.ndarray, edges: np.ndarray) -> dict[str, float]:
    """{"bin NAME EDGE": share of values from that edge on}, empty bins left out."""
    place = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
    bins, counts = np.unique(place, return_counts=True)
    return {f"bin {name} {edges[i]:.2f}": float(count / len(values)) for i, count in zip(bins, counts, strict=True)}
