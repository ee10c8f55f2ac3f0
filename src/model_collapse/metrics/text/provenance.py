"""Who wrote it? The family's watermark, and a trained classifier, put to what was written and to real text."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from model_collapse import detection
from model_collapse.data import Rows, Source
from model_collapse.loop import Generation
from model_collapse.metrics import Reference
from model_collapse.metrics.text import rows_of

THRESHOLD, FALSE_ALARMS = 4.0, 0.05
"""z above which a row counts as marked; share of held-out real rows above the classifier's threshold."""

MARK_BINS, SCORE_BINS = np.arange(-24, 121) / 4, np.arange(-40, 41) / 4
"""Edges of the histograms of z and of the classifier's log-odds; the last bins also hold what lies beyond."""


def watermark(generation: Generation, reference: Reference) -> dict[str, float]:
    """The test for the family's watermark, with watermark=none for a green one that nobody wrote.

    Items "written", "real": share of what this generation wrote, and of the real test blocks, with z > 4, every n-gram
    counted once; "written repeats", "real repeats": the same with n-grams counted as often as they come; "z", "z
    repeats": mean z of what was written; "real rows": how many test blocks there are; "bin real 4.00", "bin written
    4.00": share with z in [4, 4.25), and so on from -6 to 30.
    """
    family, model = reference.family, generation.model
    assert reference.source.test is not None and isinstance(reference.source.test.rows, Rows)
    test = reference.source.test.rows.x.astype(np.int32)
    items: dict[str, float] = {"real rows": len(reference.source.test)}
    for end, repeats in (("", False), (" repeats", True)):
        wrote = family.marks(rows_of(generation), model.vocabulary, repeats=repeats)
        real = _on_test(family, model.vocabulary, test.tobytes(), test.shape, repeats)
        items |= {f"written{end}": float((wrote > THRESHOLD).mean()), f"real{end}": float((real > THRESHOLD).mean())}
        items[f"z{end}"] = float(wrote.mean())
        if not repeats:
            items |= _histogram("real", real, MARK_BINS) | _histogram("written", wrote, MARK_BINS)
    return items


def detector(generation: Generation, reference: Reference) -> dict[str, float]:
    """Errors of the classifier of `detection.trained`, its threshold where 5 % of held-out real rows are accused.

    Items "false alarms": share of the real test blocks that it accuses; "misses": share of what this generation wrote
    that it lets pass; "auc": chance that a written row scores higher than a real one; "bin real 1.00", "bin written
    1.00": share with log-odds in [1, 1.25), and so on from -10 to 10.
    """
    judge = detection.trained(reference)
    wrote, real = judge.scores(rows_of(generation)), _test_scores(judge, reference.source)
    threshold = judge.threshold(FALSE_ALARMS)
    _, auc = detection.roc(real, wrote)
    errors = {
        "false alarms": float((real > threshold).mean()),
        "misses": float((wrote <= threshold).mean()),
        "auc": auc,
    }
    return errors | _histogram("real", real, SCORE_BINS) | _histogram("written", wrote, SCORE_BINS)


@lru_cache(maxsize=2)
def _test_scores(judge: detection.Classifier, source: Source) -> np.ndarray:
    """A classifier's scores of the real test blocks, which no generation changes."""
    assert source.test is not None and isinstance(source.test.rows, Rows)
    return judge.scores(source.test.rows)


def _histogram(name: str, values: np.ndarray, edges: np.ndarray) -> dict[str, float]:
    """{"bin NAME EDGE": share of values from that edge on}, empty bins left out."""
    place = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
    bins, counts = np.unique(place, return_counts=True)
    return {f"bin {name} {edges[i]:.2f}": float(count / len(values)) for i, count in zip(bins, counts, strict=True)}


@lru_cache(maxsize=4)
def _on_test(family: Any, vocabulary: int, content: bytes, shape: tuple[int, ...], repeats: bool) -> np.ndarray:
    """z of real test blocks, which are the same for all generations and chains: known by their content."""
    return family.marks(Rows(np.frombuffer(content, np.int32).reshape(shape)), vocabulary, repeats=repeats)
