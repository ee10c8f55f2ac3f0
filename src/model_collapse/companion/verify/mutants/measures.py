"""Faults of what measures: metrics, intervals, closed forms, verdicts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from model_collapse import theory
from model_collapse.analysis import stats
from model_collapse.analysis.stats import Estimate
from model_collapse.companion import claims
from model_collapse.companion.verify.mutants import Patch, fault
from model_collapse.metrics import Measurement, discrete, gaussian
from model_collapse.metrics.text import perplexity


@fault(family="discrete")
def heterozygosity_rescaled() -> Iterator[Patch]:
    """Heterozygosity has the factor n / (n - 1) that estimates it from a sample, though the shares are known."""
    original = discrete.heterozygosity

    def rescaled(m: Measurement) -> np.ndarray:
        n = len(m.train)
        return original(m) * n / (n - 1)

    yield discrete, "heterozygosity", rescaled


@fault(family="discrete")
def lost_symbols_counted() -> Iterator[Patch]:
    """Lost mass is the share of the symbols that are lost, not their probability."""

    def lost(m: Measurement) -> np.ndarray:
        return 1 - discrete.support(m) / m.model.symbols

    yield discrete, "lost_mass", lost


@fault(family="gaussian")
def distance_of_variances() -> Iterator[Patch]:
    """The Wasserstein distance takes the difference of variances, not of standard deviations."""

    def distance(m: Measurement) -> np.ndarray:
        mean, spread = gaussian.mean(m), gaussian.variance(m)
        return mean**2 + (spread - 1) ** 2

    yield gaussian, "w2_squared", distance


@fault(family="ngram")
def perplexity_of_blocks() -> Iterator[Patch]:
    """Perplexity is the mean of the blocks' perplexities, not exp of the mean over tokens."""
    yield perplexity, "perplexity", perplexity.perplexity_block_mean


@fault(family="ngram")
def perplexity_in_bits() -> Iterator[Patch]:
    """Perplexity is 2 to the nats per token."""
    original = perplexity.perplexity
    yield perplexity, "perplexity", lambda *args: 2 ** float(np.log(original(*args)))


@fault(family="gaussian")
def intervals_of_95() -> Iterator[Patch]:
    """Intervals are of 95 %, whatever level is asked for and reported."""
    original = stats.means
    yield stats, "means", lambda values, level=0.95: original(values)


@fault(family="gaussian")
def standard_error_over_n() -> Iterator[Patch]:
    """A standard error is the standard deviation over n, not over its root."""
    original = stats.means

    def means(values: np.ndarray, level: float = 0.95) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        value, _, high = original(values, level)
        half = (high - value) / np.sqrt(max(values.shape[-1], 1))
        return value, value - half, value + half

    yield stats, "means", means


@fault(family="gaussian")
def median_for_mean() -> Iterator[Patch]:
    """The mean over chains is their median."""
    original = stats.mean

    def mean(values: Any, level: float = 0.95) -> Estimate:
        found = original(values, level)
        shift = float(np.median(np.asarray(values, float))) - found.value
        return replace(found, value=found.value + shift, low=found.low + shift, high=found.high + shift)

    yield stats, "mean", mean


@fault(family="discrete")
def closed_form_one_fit_short() -> Iterator[Patch]:
    """The closed form of heterozygosity is taken one fit too early."""
    original = theory.expected_heterozygosity
    yield theory, "expected_heterozygosity", lambda n, *args: original(np.asarray(n) - 1, *args)


@fault(family="gaussian")
def verdict_by_the_value() -> Iterator[Patch]:
    """A claim holds if its value lies inside the band, wherever its interval reaches."""

    def outcome(self: claims.Verdict) -> claims.Outcome:
        low, high = self.claim.band
        return "supported" if low < self.estimate.value < high else "contradicted"

    yield claims.Verdict, "outcome", property(outcome)
