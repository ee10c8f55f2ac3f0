"""Tests of statements by intervals: several at once, p-values of any interval, and corrections for many tests.

A procedure gives an interval for every level: `partial(stats.mean, values)`. Everything here goes for any of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy

from model_collapse.analysis.stats import Estimate

Procedure = Callable[[float], Estimate]
"""Level -> estimate with its interval of that level."""

FARTHEST = 7.0
"""Normal quantile at which the search for a p-value ends: smaller ones than 1.3e-12 are given as that."""


def bonferroni(level: float, comparisons: int) -> float:
    """Level of each of several intervals that all cover with probability `level` or more."""
    return 1 - (1 - level) / comparisons


def less(part: Procedure, target: float) -> Procedure:
    """The procedure for the same quantity less a known number."""

    def moved(level: float) -> Estimate:
        found = part(level)
        return replace(found, value=found.value - target, low=found.low - target, high=found.high - target)

    return moved


@dataclass(frozen=True)
class Hull(Estimate):
    """An interval that holds several quantities at once; `value` is one of them.

    above  the largest of them is surely at least this, each part's interval having been widened for their number
    below  the smallest of them is surely at most this
    """

    above: float = np.nan
    below: float = np.nan


def lowest(parts: Iterable[Procedure], level: float) -> Estimate:
    """The smallest of several quantities.

    Its lower end is the lowest of the parts' own ends: that the smallest lies above a bound is an intersection-union
    test, in which each part is asked at the full level (Berger 1982, doi:10.1080/00401706.1982.10487790). That one of
    them lies below is found by looking for it, so that the upper end is the lowest of ends that allow for their number
    (Bonferroni). No interval, if a part has none.
    """
    each, sure, n = _made(parts, level)
    low, high = (ends(made, side).min() for made, side in ((each, "low"), (sure, "high")))
    return Estimate(float(ends(each, "value").min()), *_both(low, high), n, level)


def highest(parts: Iterable[Procedure], level: float) -> Estimate:
    """The largest of several quantities; as `lowest`, the other way round."""
    each, sure, n = _made(parts, level)
    low, high = (ends(made, side).max() for made, side in ((sure, "low"), (each, "high")))
    return Estimate(float(ends(each, "value").max()), *_both(low, high), n, level)


def farthest(parts: Iterable[Procedure], target: float, level: float) -> Hull:
    """Several quantities that are all to be near `target`: the one farthest from it, and what holds them all.

    That all lie in a band is an intersection-union test of equivalence: each part is asked at the full level, and the
    interval goes from the lowest end to the highest. That one of them lies outside is found by looking for it, so that
    `above` and `below` allow for their number (Bonferroni). No interval, if a part has none.
    """
    each, sure, n = _made(parts, level)
    values = ends(each, "value")
    off = np.nan_to_num(np.abs(values - target), nan=np.inf)
    low, high = _both(ends(each, "low").min(), ends(each, "high").max())
    below, above = (np.nan, np.nan) if np.isnan(low) else (ends(sure, "high").min(), ends(sure, "low").max())
    return Hull(float(values[off.argmax()]), low, high, n, level, float(above), float(below))


def ends(made: Sequence[Estimate], name: str) -> np.ndarray:
    """`value`, `low` or `high` of several estimates."""
    return np.array([getattr(one, name) for one in made])


def _made(parts: Iterable[Procedure], level: float) -> tuple[list[Estimate], list[Estimate], int]:
    """The parts at the full level and at that which allows for their number, and the fewest values of one."""
    parts = list(parts)
    each = [part(level) for part in parts]
    sure = each if len(parts) == 1 else [part(bonferroni(level, len(parts))) for part in parts]
    return each, sure, min(one.n for one in each)


def _both(low: float, high: float) -> tuple[float, float]:
    """Both ends, or none."""
    return (np.nan, np.nan) if np.isnan(low) or np.isnan(high) else (float(low), float(high))


def p_value(procedure: Procedure, room: Callable[[Estimate], float]) -> float:
    """One-sided p by inversion: the smallest alpha at which the interval of level 1 - 2 alpha decides.

    room  by how much the interval of an estimate decides, from its ends; not above 0, or nan, where it does not

    For Student's interval and `room = low - bound` this is the p of the t test of "not above the bound". 1 where not
    even the value itself decides: only halves are searched, p is at most 0.5 else.
    """

    def at(z: float) -> float:
        found = room(procedure(1 - 2 * float(scipy.stats.norm.sf(z))))
        return -1.0 if np.isnan(found) else float(np.clip(found, -1e300, 1e300))

    if not at(0.0) > 0:
        return 1.0
    if at(FARTHEST) > 0:
        return float(scipy.stats.norm.sf(FARTHEST))
    return float(scipy.stats.norm.sf(scipy.optimize.brentq(at, 0.0, FARTHEST, xtol=1e-11)))


def holm(p: Sequence[float] | np.ndarray) -> np.ndarray:
    """P-values adjusted so that rejecting those up to alpha errs at all with probability alpha at most (Holm 1979)."""
    p = np.asarray(p, float)
    order = np.argsort(p)
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(stepped, 1)
    return adjusted


def benjamini_hochberg(p: Sequence[float] | np.ndarray) -> np.ndarray:
    """P-values adjusted so that of those rejected up to q a share of q is wrong at most, on average
    (Benjamini & Hochberg 1995)."""
    return np.asarray(scipy.stats.false_discovery_control(np.asarray(p, float), method="bh")) if len(p) else np.empty(0)


def crossed_bootstrap(
    values: np.ndarray,
    rng: np.random.Generator,
    level: float = 0.95,
    *,
    weights: np.ndarray | None = None,
    draws: int = 10_000,
) -> Estimate:
    """Mean of values (seeds, articles), with an interval for other seeds and other articles at once.

    weights  of the articles, such as their tokens; None: all count the same

    Seeds and articles are drawn anew, each with replacement and independently of each other, and the interval is
    between quantiles of the `draws` means (pigeonhole bootstrap, Owen 2007, doi:10.1214/07-AOAS122). A mean of an
    effect of seeds plus one of articles has the variance of the means of both; what both have together is counted
    somewhat too often, so that the interval is rather too wide. Of k seeds (or articles, if these are fewer) drawn
    means have (k - 1) / k of the variance, and no more tails than a normal distribution: the interval is stretched by
    sqrt(k / (k - 1)) and by the quantile of Student's t over the normal one (Hesterberg 2015,
    doi:10.1080/00031305.2015.1089789). No interval from one seed or one article.
    """
    values = np.asarray(values, float)
    seeds, articles = values.shape
    weights = np.ones(articles) if weights is None else np.asarray(weights, float)
    value = float(values.mean(axis=0) @ weights / weights.sum())
    if min(seeds, articles) < 2:
        return Estimate(value, np.nan, np.nan, seeds, level)
    drawn_seeds = rng.multinomial(seeds, np.full(seeds, 1 / seeds), draws) / seeds
    drawn = rng.multinomial(articles, np.full(articles, 1 / articles), draws) * weights
    means = np.einsum("ds,sa,da->d", drawn_seeds, values, drawn, optimize=True) / drawn.sum(axis=1)
    few, tail = min(seeds, articles), (1 - level) / 2
    stretch = scipy.stats.t.isf(tail, few - 1) / scipy.stats.norm.isf(tail) * np.sqrt(few / (few - 1))
    low, high = value + stretch * (np.quantile(means, [tail, 1 - tail]) - value)
    return Estimate(value, float(low), float(high), seeds, level)


def enough(estimate: Estimate, bound: float) -> float:
    """Values that would part an estimate from a bound, if it stayed where it is: the fewest n' for which a Student
    interval of the same spread and level ends short of the bound. inf where it lies on it, or beyond a million.

    The spread is taken from the half of the interval on the side of the bound, times sqrt(n).
    """
    distance = abs(estimate.value - bound)
    half = estimate.value - estimate.low if bound < estimate.value else estimate.high - estimate.value
    if not distance > 0 or not np.isfinite(half) or estimate.n < 2:
        return np.inf

    def quantile(n: np.ndarray | int) -> np.ndarray:
        return np.asarray(scipy.stats.t.ppf((1 + estimate.level) / 2, np.asarray(n) - 1))

    spread = half / quantile(estimate.n) * np.sqrt(estimate.n)
    n = np.unique(np.geomspace(2, 1_000_000, 2000).round().astype(int))
    parted = quantile(n) * spread / np.sqrt(n) < distance
    return float(n[parted.argmax()]) if parted.any() else np.inf
