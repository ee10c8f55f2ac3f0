"""Estimates with intervals as chapters show them: points of a figure, rows of the table below it, cells in Markdown."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

import pandas as pd

from model_collapse.analysis import stats
from model_collapse.analysis.stats import Estimate

K = TypeVar("K", bound=Hashable)

SHARES = {
    *((name, "") for name in ("repeated_3", "distinct_2", "distinct_3", "confidence", "accuracy")),
    *(("rare_coverage", band) for band in ("common", "medium", "rare")),
    *(("manifold", item) for item in ("precision", "recall")),
    *(("similarity", item) for item in ("overlap_1", "overlap_2")),
    *(("watermark", f"{who}{repeats}") for who in ("written", "real") for repeats in ("", " repeats")),
    *(("detector", item) for item in ("false alarms", "misses", "auc")),
    ("facts", "true"),
}
"""Metrics, with their items, that lie between 0 and 1; so do all items of `classes` and of `groups`."""


def at(table: pd.DataFrame, metric: str, generation: int | None = None, item: str = "") -> Estimate:
    """Mean over replicates with its 95 % interval, which for a share ends at 0 and 1.

    generation  None: the last one of the table
    """
    last = stats.last_of(table)
    found = stats.mean(stats.per_replicate(table, metric, last if generation is None else generation, item))
    return share(found) if (metric, item) in SHARES or metric in ("classes", "groups") else found


def share(estimate: Estimate) -> Estimate:
    """A mean of shares with its interval cut off at 0 and 1, which Student's t does not know."""
    low, high = (min(max(end, 0.0), 1.0) if end == end else end for end in (estimate.low, estimate.high))
    return Estimate(estimate.value, low, high, estimate.n, estimate.level)


def rounded(estimate: Estimate) -> Estimate:
    """An estimate whose ends are 0 where they are less than a thousandth of the largest number in it."""
    small = max(map(abs, (estimate.value, estimate.low, estimate.high))) / 1000
    low, high = (0.0 if abs(end) < small else end for end in (estimate.low, estimate.high))
    return Estimate(estimate.value, low, high, estimate.n, estimate.level)


def points(found: Mapping[K, Estimate]) -> pd.DataFrame:
    """Points of a figure, {x: estimate}: columns x, y, low, high."""
    return pd.DataFrame([(x, e.value, e.low, e.high) for x, e in found.items()], columns=["x", "y", "low", "high"])


def plane(found: Mapping[tuple[float, float], Estimate]) -> pd.DataFrame:
    """A plane for `figures.phase`, {(x, y): estimate}: columns x, y, value, low, high."""
    rows = [{"x": x, "y": y, "value": e.value, "low": e.low, "high": e.high} for (x, y), e in found.items()]
    return pd.DataFrame(rows)


def below(tables: Mapping[K, pd.DataFrame], *names: str) -> pd.DataFrame:
    """Tables by label, one below the other, the label in a first column; of labels in pairs, two columns.

    names  of these columns; none: condition
    """
    keys = list(names or ("condition",))
    return pd.concat(dict(tables), names=keys).reset_index(keys)


def curves(rows: Mapping[K, pd.DataFrame], *names: str) -> pd.DataFrame:
    """Means by generation with their intervals, of rows of one metric by label, as the table below a figure."""
    return below({label: stats.by_generation(each) for label, each in rows.items()}, *names)


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rows))


def joined(words: Iterable[str]) -> str:
    """ "a, b and c"."""
    *first, end = words
    return f"{', '.join(first)} and {end}" if first else end


def listed(found: Mapping[str, str]) -> str:
    """{label: text} in a sentence: "replace 1.2; control 0.9"."""
    return "; ".join(f"{label} {text}" for label, text in found.items())


def spans(values: Sequence[int], noun: str = "generation") -> str:
    """Values by place, equal neighbours together: "1 in generation 0, 8 in generations 1 to 5"."""
    said, start = [], 0
    for end in range(1, len(values) + 1):
        if end == len(values) or values[end] != values[start]:
            place = f"{noun} {start}" if end - start == 1 else f"{noun}s {start} to {end - 1}"
            said.append(f"{values[start]} in {place}")
            start = end
    return ", ".join(said)
