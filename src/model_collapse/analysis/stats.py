"""Estimates with intervals. What is resampled or averaged over is always the replicate chain, never a generation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy


@dataclass(frozen=True)
class Estimate:
    """A number with a two-sided interval of the stated level, from `n` independent values."""

    value: float
    low: float
    high: float
    n: int
    level: float = 0.95

    def __format__(self, spec: str) -> str:
        spec = "z" + (spec or ".3g")  # z: a rounded zero has no sign
        if np.isnan(self.value):
            return "no value"
        if np.isnan(self.low):
            return f"{self.value:{spec}} [no interval]"
        low = "no lower end" if self.low == -np.inf else f"{self.low:{spec}}"
        high = "no upper end" if self.high == np.inf else f"{self.high:{spec}}"
        return f"{self.value:{spec}} [{low}, {high}]"


def means(values: np.ndarray, level: float = 0.95) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means of the last axis of values (..., n), and the ends of Student's t interval about each, of shape (...).

    For one value, or none, the ends are nan.
    """
    n = values.shape[-1]
    if n < 2:
        centre = values[..., 0] if n else np.full(values.shape[:-1], np.nan)
        return centre, np.full_like(centre, np.nan), np.full_like(centre, np.nan)
    centre = values.mean(axis=-1)
    half = scipy.stats.t.ppf((1 + level) / 2, n - 1) * values.std(axis=-1, ddof=1) / np.sqrt(n)
    return centre, centre - half, centre + half


def mean(values: Sequence[float] | np.ndarray | pd.Series, level: float = 0.95) -> Estimate:
    """Mean with Student's t interval; for one value, or none, the interval is (nan, nan)."""
    x = np.asarray(values, float)
    value, low, high = means(x, level)
    return Estimate(float(value), float(low), float(high), len(x), level)


def median(values: Sequence[float] | np.ndarray | pd.Series, level: float = 0.95) -> Estimate:
    """Median with the distribution-free interval between two order statistics (binomial ranks)."""
    x = np.sort(np.asarray(values, float))
    n = len(x)
    k = int(scipy.stats.binom.ppf((1 - level) / 2, n, 0.5))
    inside = k > 0
    low, high = (x[k - 1], x[n - k]) if inside else (np.nan, np.nan)
    return Estimate(float(np.median(x)), float(low), float(high), n, level)


def proportion(events: Sequence[bool] | np.ndarray | pd.Series, level: float = 0.95) -> Estimate:
    """Share of events that happened, with the exact interval of Clopper and Pearson (1934): never too short.

    Where an event is nan, neither 0 nor 1, there is no share.
    """
    x = np.asarray(events)
    n = len(x)
    if x.dtype.kind == "f" and np.isnan(x).any():
        return Estimate(np.nan, np.nan, np.nan, n, level)
    k = int(x.astype(bool).sum())
    tail = (1 - level) / 2
    low = scipy.stats.beta.ppf(tail, k, n - k + 1) if k else 0.0
    high = scipy.stats.beta.isf(tail, k + 1, n - k) if k < n else 1.0
    return Estimate(k / n if n else np.nan, float(low), float(high), n, level)


def paired(a: pd.Series, b: pd.Series, level: float = 0.95) -> Estimate:
    """Mean of a - b over the replicates that both have; the series are indexed by replicate."""
    both = a.index.intersection(b.index)
    return mean((a.loc[both] - b.loc[both]).to_numpy(), level)


def ratio(a: pd.Series, b: pd.Series, level: float = 0.95) -> Estimate:
    """Mean of a over mean of b, over the replicates that both have; the series are indexed by replicate.

    Fieller's interval (1954, doi:10.1111/j.2517-6161.1954.tb00159.x): all r for which the mean of a - r b is within t
    standard errors of 0. There is none where the mean of b is not surely above 0.
    """
    both = a.index.intersection(b.index)
    pairs, n = np.array([a.loc[both], b.loc[both]], float), len(both)
    if not mean(pairs[1], level).low > 0:
        return Estimate(float(np.divide(*pairs.mean(axis=1))) if n else np.nan, np.nan, np.nan, n, level)
    means = pairs.mean(axis=1)
    t = scipy.stats.t.ppf((1 + level) / 2, n - 1)
    (xx, xy), (_, yy) = np.outer(means, means) - t**2 / n * np.cov(pairs)
    half = np.sqrt(np.maximum(xy**2 - xx * yy, 0))
    return Estimate(float(means[0] / means[1]), float((xy - half) / yy), float((xy + half) / yy), n, level)


def log_ratio(a: pd.Series, b: pd.Series, level: float = 0.95) -> Estimate:
    """ln(mean of a / mean of b) by the delta method, over the replicates that both have; nan if a value is."""
    both = a.index.intersection(b.index)
    a, b = a.loc[both], b.loc[both]
    over, under = a.mean(skipna=False), b.mean(skipna=False)
    centre = float(np.log(over / under))
    around = mean(a / over - b / under, level)
    return Estimate(centre, centre + around.low, centre + around.high, around.n, level)


def times(a: pd.Series, b: pd.Series, level: float = 0.95) -> Estimate:
    """How many times as large a is as b: geometric mean of a / b over the replicates that both have."""
    log = paired(np.log(a), np.log(b), level)
    value, low, high = np.exp([log.value, log.low, log.high]).tolist()
    return Estimate(value, low, high, log.n, level)


def by_generation(table: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """Mean over replicates with its interval, one row per generation and item: generation, item, mean, low, high."""
    groups = table.astype({"item": str}).groupby(["generation", "item"], sort=True)["value"]
    curve = groups.agg(mean="mean", sd="std", replicates="count").reset_index()
    count = curve["replicates"].to_numpy()
    # As `mean` of each group, all at once; one value alone has no interval.
    half = scipy.stats.t.ppf((1 + level) / 2, np.where(count > 1, count - 1, np.nan)) * curve["sd"] / np.sqrt(count)
    curve = curve.assign(low=curve["mean"] - half, high=curve["mean"] + half)
    return curve[["generation", "item", "mean", "low", "high", "replicates"]]


def deviation(rows: pd.DataFrame, expected: Callable[[np.ndarray], Any], last: float = np.inf) -> float:
    """Largest distance of a mean over replicates from what is expected of its generation, in standard errors.

    rows      of one metric and item
    expected  of an array of generations
    last      later generations are left out
    """
    means = rows[rows["generation"] <= last].groupby("generation")["value"].agg(["mean", "std", "count"])
    # Chains that all agree have no spread; what rounding adds to an exact mean is no deviation.
    error = np.maximum(means["std"] / np.sqrt(means["count"]), 1e-12)
    return float(np.max(np.abs(means["mean"] - expected(means.index.to_numpy())) / error))


def pick(table: pd.DataFrame, metric: str, generation: int | None = None, item: str | None = None) -> pd.DataFrame:
    """The rows of one metric, and if asked of one generation or item."""
    chosen = table["metric"] == metric
    if generation is not None:
        chosen &= table["generation"] == generation
    if item is not None:
        chosen &= table["item"] == item
    return table[chosen]


def last_of(table: pd.DataFrame) -> int:
    """The last generation of a table."""
    return int(table["generation"].max())


def by_model(table: pd.DataFrame) -> pd.DataFrame:
    """A table of models that read each other with a column `model` (from 1; 0: alone) and items without it."""
    parts = table["item"].astype(str).str.extract(r"^(?:model (?P<model>\d+)(?:/|$))?(?P<item>.*)$")
    return table.assign(model=parts["model"].fillna("0").astype(int), item=parts["item"])


def of_model(table: pd.DataFrame, model: int) -> pd.DataFrame:
    """The rows of one of several models, as a table of a model alone."""
    rows = by_model(table)
    return rows[rows["model"] == model].drop(columns="model")


def over_models(table: pd.DataFrame) -> pd.DataFrame:
    """Every metric averaged over the models that read each other, as a table of a model alone; others as they are."""
    rows = by_model(table).astype({"metric": str})
    keys = ["replicate", "generation", "metric", "item"]
    means = rows.groupby(keys, sort=False)["value"].mean()
    return rows.drop_duplicates(keys).drop(columns="model").assign(value=means.to_numpy()).reset_index(drop=True)


def per_replicate(table: pd.DataFrame, metric: str, generation: int, item: str = "") -> pd.Series:
    """Values of one metric at one generation, indexed by replicate."""
    return pick(table, metric, generation, item).set_index("replicate")["value"].sort_index()


def relative(table: pd.DataFrame, metric: str, item: str = "") -> pd.DataFrame:
    """The rows of one metric with value = value / the same replicate's value at generation 0, minus 1."""
    rows = pick(table, metric, item=item)
    start = rows["replicate"].map(per_replicate(table, metric, 0, item))
    return rows.assign(value=rows["value"] / start - 1)


def listing(arms: Mapping[str, pd.DataFrame], metrics: Mapping[str, tuple[str, str]]) -> pd.DataFrame:
    """Means with intervals of several metrics in several arms, as below a figure: arm, quantity, generation, mean, ...

    metrics  {quantity: (metric, item)}
    """
    found = {
        (arm, quantity): by_generation(pick(table, metric, item=item)).drop(columns="item")
        for arm, table in arms.items()
        for quantity, (metric, item) in metrics.items()
    }
    return pd.concat(found, names=["arm", "quantity"]).reset_index(["arm", "quantity"])
