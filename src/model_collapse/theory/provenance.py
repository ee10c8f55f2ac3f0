"""Closed forms about knowing who wrote a row, CF-P*: a watermark's test, and what provenance is worth. numpy and scipy.

A watermark prefers, at every token, a pseudo-random "green" share gamma of the vocabulary. Text of people has a green
share of gamma; whoever knows the key counts. Kirchenbauer et al. 2023, arXiv:2301.10226.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import scipy
from numpy.typing import ArrayLike

from model_collapse.theory.mixed import Variance


def green_z(green: ArrayLike, tokens: ArrayLike, gamma: ArrayLike = 0.25) -> np.ndarray:
    """CF-P1. z = (G - gamma T) / sqrt(T gamma (1 - gamma)) for G green tokens among T; standard normal if unmarked.

    Tokens must be independent. Repeated n-grams are not: they repeat their colours, so that repetitive text, such as a
    collapsed model's, gives large |z| whoever wrote it. Count every n-gram once.
    """
    T, gamma = np.asarray(tokens, float), np.asarray(gamma, float)
    return (np.asarray(green, float) - gamma * T) / np.sqrt(T * gamma * (1 - gamma))


def green_power(share: ArrayLike, tokens: ArrayLike, threshold: ArrayLike = 4.0, gamma: ArrayLike = 0.25) -> np.ndarray:
    """P(z > threshold) for independent tokens that are green with probability `share`; exact, a binomial tail.

    share = gamma gives the rate of false alarms, 3e-5 at z = 4 for long texts and more for short ones, whose binomial
    distribution has the longer upper tail.
    """
    T, gamma = np.asarray(tokens, float), np.asarray(gamma, float)
    most = gamma * T + np.asarray(threshold, float) * np.sqrt(T * gamma * (1 - gamma))
    return scipy.stats.binom.sf(np.floor(most), T, np.asarray(share, float))


def green_tokens(
    share: ArrayLike, power: ArrayLike = 0.95, threshold: ArrayLike = 4.0, gamma: ArrayLike = 0.25
) -> np.ndarray:
    """Tokens T at which text with this green share > gamma is found with probability `power`, normal approximation.

    From gamma T + threshold sqrt(T gamma (1-gamma)) = share T - z sqrt(T share (1-share)), z the quantile
    of the power: T = [(threshold sqrt(gamma (1-gamma)) + z sqrt(share (1-share))) / (share - gamma)]^2, one over the
    square of what the watermark adds. Good from some 50 tokens on.
    """
    p, gamma = np.asarray(share, float), np.asarray(gamma, float)
    spread = np.asarray(threshold, float) * np.sqrt(gamma * (1 - gamma)) + scipy.stats.norm.ppf(power) * np.sqrt(
        p * (1 - p)
    )
    return (spread / (p - gamma)) ** 2


def effective_rows(
    rows: ArrayLike, real_fraction: ArrayLike, provenance: Literal["none", "oracle"] = "none"
) -> np.ndarray:
    """CF-P2. Real rows that batches (..., batches) of n_i rows with real share a_i are worth; shape (...).

    none    sum n_i a_i^2, if only the shares are known (Kanabar & Gastpar 2025, arXiv:2501.19273)
    oracle  sum n_i a_i, if every row says whether it is real: then only these count

    For a mean: the average of batch i has the mean a theta + (1 - a) c, c the mean of the model that wrote the rest, so
    (average - (1 - a) c) / a estimates theta with variance sigma^2 / (n a^2). Estimates with uncorrelated errors,
    weighted by n_i a_i^2, have together the variance sigma^2 / sum n_i a_i^2. sigma^2 is the variance of a row of the
    mixture, the truth's if the model is near it. Not knowing costs a factor a: at a share of 1 % each real row counts
    for 0.01.
    """
    n, a = np.asarray(rows, float), np.asarray(real_fraction, float)
    return np.sum(n * (a**2 if provenance == "none" else a), axis=-1)


def unrecognised(missed: ArrayLike = 0.0, adoption: ArrayLike = 1.0) -> np.ndarray:
    """f = 1 - adoption (1 - missed): share of written rows that pass a filter by provenance.

    adoption  share of written rows that carry a mark at all
    missed    share of the marked rows that the filter does not recognise
    """
    return 1 - np.asarray(adoption, float) * (1 - np.asarray(missed, float))


def filtered_drift_limit(
    real: int,
    written: int,
    passing: ArrayLike,
    *,
    false_alarms: float = 0.0,
    kept: int | None = None,
    variance: Variance = "estimated",
) -> np.ndarray:
    """CF-P3. Limit of V_n = E[mu_n^2] where a filter by provenance judges every training set; shape of `passing`.

    real, written  rows k and m before the filter; k > 0
    passing        f, the chance of a written row to stay, see `unrecognised`
    false_alarms   chance of a real row to be dropped
    kept           None: real rows are new each time (`fresh`); N: they come from one finite set of N rows that the
                   chain began with (`mix`: N = k + m; `fixed`: N = k)

    With A real and B written rows left, A ~ Binomial(k, 1 - false_alarms), B ~ Binomial(m, f), the recursion of
    `theory.mixed` holds given A and B, and its expectation has the limit

        V = (E[1 / (A + B)] + 2 C E[A B / (A + B)^2]) / (1 - E[B (B - 1) / (A + B)^2])

    where C = 0, or 1/N. B (B - 1) is B^2 for a known variance, whose rows never narrow. f = 1 gives back the limits of
    `fresh`, `mix` and `fixed`; f = 0 gives 1/k. For the discrete chain V is the drift sum_i Var(p_i) over
    sum_i q_i (1 - q_i), as everywhere in `theory.mixed`. Both expectations are over A + B > 0.
    """
    f = np.asarray(passing, float)
    A, B = np.arange(real + 1)[:, None], np.arange(written + 1)
    people = scipy.stats.binom.pmf(A, real, 1 - false_alarms)
    N = np.maximum(A + B, 1)
    forgets = B * (B - 1) if variance == "estimated" else B**2
    limits = []
    for chance in f.ravel():
        distribution = people * scipy.stats.binom.pmf(B, written, chance) * (A + B > 0)
        distribution = distribution / distribution.sum()
        covariance = 0 if kept is None else 2 / kept * np.sum(distribution * A * B / N**2)
        limits.append((np.sum(distribution / N) + covariance) / (1 - np.sum(distribution * forgets / N**2)))
    return np.array(limits).reshape(f.shape)


def harm_left(passing: ArrayLike, real_fraction: ArrayLike) -> np.ndarray:
    """Share of the excess drift that a filter leaves under `fixed`, in large sets: (1-h)(2-g) / ((2-h)(1-g)).

    The excess is k V - 1, V the drift and k the real rows: 0 for a perfect filter, (1 - g) / (2 - g) for none. With a
    share f of the written rows passing, the real share rises from g to h = g / (g + f (1 - g)), and the excess becomes
    (1 - h) / (2 - h). For g -> 0 everything is left unless f -> 0 as well: h depends on f / g.
    """
    f, g = np.asarray(passing, float), np.asarray(real_fraction, float)
    h = g / (g + f * (1 - g))
    return (1 - h) * (2 - g) / ((2 - h) * (1 - g))
