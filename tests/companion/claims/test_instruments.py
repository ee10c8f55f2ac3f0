"""Checks of instruments, on tables made by hand: each stands where all is right and falls where it is not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats

from model_collapse.companion.claims import instruments, named
from model_collapse.theory.mixed import mix_moments


def table(values: Mapping[tuple[str, str], Any], settings: Mapping[str, Any] | None = None, **columns: Any):
    """A table of a claim: {(metric, item): array (generations, replicates)}."""
    parts = []
    for (metric, item), by_generation in values.items():
        array = np.atleast_2d(by_generation)
        g, r = np.indices(array.shape)
        parts.append(
            pd.DataFrame(
                {
                    "generation": g.ravel(),
                    "replicate": r.ravel(),
                    "metric": metric,
                    "item": item,
                    "value": array.ravel(),
                }
            )
        )
    named_columns = {"family": "lm", "corpus": "embedded", "n_train": 10, "share_real": 1.0} | columns
    return pd.concat(parts, ignore_index=True).assign(family_args=json.dumps(dict(settings or {})), **named_columns)


def walk(steps: np.ndarray) -> dict[str, pd.DataFrame]:
    return {"walk": table({("mean", ""): np.cumsum(steps, axis=0)}, seed=1)}


def steps(chains: int = 2**15) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((4, chains)) / np.sqrt(20)


def holds(name: str, tables: Mapping[str, pd.DataFrame]) -> bool:
    verdict = named(name).judge(tables)
    assert np.isnan(verdict.estimate.low) or verdict.estimate.level == named(name).level
    return verdict.holds


def test_the_interval_of_a_correlation_covers():
    """2,000 samples of 50 pairs with correlation 0.6: the 90 % interval misses 10 +- 2.7 % (four standard errors)."""
    rng = np.random.default_rng(3)
    missed = 0
    for _ in range(2000):
        a, noise = rng.standard_normal((2, 50))
        found = instruments.correlation(a, 0.6 * a + 0.8 * noise, 0.9)
        missed += not found.low < 0.6 < found.high
    assert missed / 2000 == pytest.approx(0.1, abs=0.027)
    same = instruments.correlation(np.arange(9.0), 2 * np.arange(9.0), 0.9)
    assert same.value == pytest.approx(1) and same.low > 0.99


def test_chains_and_generations_that_share_numbers_are_seen():
    drawn = steps()
    assert holds("IN-1", walk(drawn))
    for shift in (1, 256, 2048):
        alike = drawn.copy()
        alike[1, shift:] += 0.2 * drawn[1, :-shift]
        assert not holds("IN-1", walk(alike))
    again = drawn.copy()
    again[2] = drawn[1]
    assert not holds("IN-1", walk(again))


def test_the_closed_form_of_mixing_is_asked_in_every_generation():
    spread = np.sqrt(mix_moments(np.arange(5) + 1, 10, 0.5, variance="known")[0])
    means = np.random.default_rng(2).standard_normal((5, 2**17)) * spread[:, None]
    assert holds("IN-2", {"mix": table({("mean", ""): means})})
    means[3] *= 1.05
    assert not holds("IN-2", {"mix": table({("mean", ""): means})})


def test_one_row_too_many_or_one_that_is_real_is_seen():
    def of(regime: str, extra: float = 0.0) -> pd.DataFrame:
        due = [1 / (t + 1) if regime in ("accumulate", "subsample") else instruments.SHARES[regime] for t in range(5)]
        frame = table({("mean", ""): np.zeros((5, 64))})
        share = np.where(frame["generation"] == 0, 1.0, np.array(due)[frame["generation"]] + extra)
        times = {"accumulate": frame["generation"] + 1, "fixed": 1 + (frame["generation"] > 0)}.get(regime, 1)
        return frame.assign(share_real=share, n_train=40 * times)

    regimes = named("IN-3").runs
    tables = {regime: of(regime) for regime in regimes}
    assert holds("IN-3", tables)
    for regime in regimes:
        assert not holds("IN-3", tables | {regime: of(regime, 1 / 40)}), regime
        larger = tables[regime].assign(n_train=tables[regime]["n_train"] + (tables[regime]["generation"] == 3))
        assert not holds("IN-3", tables | {regime: larger}), regime


def test_intervals_that_are_too_short_or_too_long_are_seen(monkeypatch):
    tables = walk(steps())
    assert holds("IN-4", tables)
    original = instruments.stats.means
    for factor in (0.75, 1.33):

        def other(values: np.ndarray, level: float = 0.95, factor: float = factor):
            centre, _, high = original(values, level)
            return centre, centre - factor * (high - centre), centre + factor * (high - centre)

        monkeypatch.setattr(instruments.stats, "means", other)
        assert not holds("IN-4", tables)


@pytest.mark.parametrize("claimed", [0.975, 0.999, 0.9997, 0.99997])
def test_intervals_of_another_level_are_not_those_of_theory(claimed, monkeypatch):
    """What 4,096 groups could not tell: intervals of 97.5 % were taken for 99.99 % until November 2026."""
    original = instruments.stats.means
    other = {instruments.LEVEL: claimed}
    monkeypatch.setattr(instruments.stats, "means", lambda values, level: original(values, other.get(level, level)))
    assert not holds("IN-4", walk(steps()))


def words(loss: float, block: float = 101.0, uniform: float = 1000.0) -> dict[str, pd.DataFrame]:
    noise = np.random.default_rng(4).normal(0, 0.01, (2, 16))
    values = {
        ("written_loss", ""): loss + noise,
        ("entropy", "written"): 4 + noise,
        ("perplexity", ""): 100 + noise,
        ("perplexity_block_mean", ""): block + noise,
    }
    even = table({("perplexity", ""): uniform + 0 * noise}, {"vocabulary": 1000})
    return {"own words": table(values), "uniform distribution": even}


def test_words_are_as_likely_as_the_entropy_says_and_block_means_lie_above():
    assert holds("IN-5", words(4.0))
    assert not holds("IN-5", words(4.4)) and not holds("IN-5", words(3.6))
    assert not holds("IN-5", words(4.0, block=100.0))
    assert not holds("IN-5", words(4.0, uniform=2 ** np.log(1000)))


def test_an_arm_that_gains_nothing_breaks_the_order():
    noise = np.random.default_rng(5).normal(0, 0.01, 10)
    losses = {"sample": 5.0, "cold": 4.0, "greedy": 3.0, "beam": 2.8, "untrained": 7.0}

    def tables(changed: Mapping[str, float]) -> dict[str, pd.DataFrame]:
        # Arms but the untrained one are the same model.
        return {
            arm: table(
                {
                    ("written_loss", ""): loss + noise,
                    ("perplexity", ""): np.exp(noise) * (99 if arm == "untrained" else real),
                }
            )
            for arm, loss in (losses | changed).items()
        }

    real = 20.0
    assert holds("IN-6", tables({}))
    for changed in ({"beam": 3.0}, {"greedy": 4.0}, {"cold": 5.0}):
        assert not holds("IN-6", tables(changed))
    real = 99.0
    assert not holds("IN-6", tables({}))


def test_a_leak_of_one_kind_in_one_generation_is_seen():
    def of(leaked: float) -> pd.DataFrame:
        some = np.zeros((2, 6))
        some[1] = leaked
        moving = np.random.default_rng(6).random((2, 6))
        return table({("leaks", "test"): np.zeros((2, 6)), ("leaks", "written"): some, ("perplexity", ""): moving})

    assert holds("IN-7", {"text": of(0.0), "images": of(0.0)})
    assert not holds("IN-7", {"text": of(0.0), "images": of(0.25)})


def test_green_shares_follow_from_z():
    """z of rows of T tokens that are green with the exact chances, by binomial draws."""
    rng, counted, gamma, bias = np.random.default_rng(8), 31, 0.25, 2.0
    raised = gamma * np.exp(bias) / (gamma * np.exp(bias) + 1 - gamma)

    def of(chance: float) -> pd.DataFrame:
        green = scipy_stats.binom.rvs(counted, chance, size=(20, 64), random_state=rng)
        z = (green - gamma * counted) / np.sqrt(counted * gamma * (1 - gamma))
        settings = {"block": counted + 1, "watermark_bias": bias}
        return table({("watermark", "z repeats"): z.mean(axis=1)}, settings)

    assert holds("IN-8", {"marked": of(raised), "unmarked": of(gamma)})
    assert not holds("IN-8", {"marked": of(0.5), "unmarked": of(gamma)})
    assert not holds("IN-8", {"marked": of(raised), "unmarked": of(0.4)})
