"""Metrics of fitted shares of symbols, one value per chain. The true distribution is the family's Zipf law."""

from __future__ import annotations

import numpy as np
import scipy

from model_collapse.data import Rows
from model_collapse.metrics import Measurement


def heterozygosity(m: Measurement) -> np.ndarray:
    """1 - sum p^2, shape (R,): the probability that two draws differ. 0 where one symbol, or none, is left."""
    p = _normalised(m)
    # As a sum of what is not there, which does not cancel close to fixation; exactly 0 at it.
    return np.sum(p * (1 - p), axis=1)


def support(m: Measurement) -> np.ndarray:
    """Number of symbols with a share above 0, shape (R,)."""
    return np.count_nonzero(m.model.share, axis=1)


def kl(m: Measurement) -> np.ndarray:
    """KL(true || model) = sum q ln(q / p) in nats, shape (R,); inf as soon as one symbol is lost."""
    p, distribution = _normalised(m), m.family.distribution
    q = np.where(p > 0, distribution[m.model.symbol], 0)
    # A q that underflowed to 0 adds nothing, lost or not.
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(q > 0, q * (np.log(q) - np.log(p)), 0.0)
    lost = np.count_nonzero(q, axis=1) < np.count_nonzero(distribution)
    return np.where(lost, np.inf, np.maximum(terms.sum(axis=1), 0))


def lost_mass(m: Measurement) -> np.ndarray:
    """True probability of the symbols that the model has lost, shape (R,): the test error of Hutter's learner.

    It answers correctly about symbols it has seen and wrongly about the rest (Hutter 2021, arXiv:2102.04074). Precise
    to 1e-15, and 0 if nothing is lost.
    """
    model, distribution = m.model, m.family.distribution
    kept = np.sum(distribution[model.symbol], axis=1, where=model.share > 0)
    return np.where(support(m) == len(distribution), 0.0, np.maximum(distribution.sum() - kept, 0))


def share(m: Measurement) -> dict[str, np.ndarray]:
    """Share of single symbols, (R,) each, by true rank from 1; a symbol survives where it is above 0.

    Ranks 1 to 20, then 50, 100, 200, 500, ... and K, so that a table stays small however many symbols there are.
    """
    model, p = m.model, _normalised(m)
    recorded = ranks(model.symbols)
    row = np.full(model.symbols, -1)
    row[np.array(recorded) - 1] = np.arange(len(recorded))
    place = np.where(p > 0, row[model.symbol], -1)
    found = np.nonzero(place >= 0)
    values = np.zeros((len(recorded), len(p)))
    values[place[found], found[0]] = p[found]
    return {str(rank): value for rank, value in zip(recorded, values, strict=True)}


def mean_reward(m: Measurement) -> np.ndarray:
    """Mean reward of readers for the model's samples, shape (R,); the family says how much they like what."""
    model = m.model
    liked = m.family.reward(Rows(model.symbol))
    return np.sum(_normalised(m) * liked, axis=1)


def entropy(m: Measurement) -> np.ndarray:
    """Entropy -sum p ln p in nats, shape (R,): ln K for equal shares, 0 where one symbol is left."""
    return scipy.special.entr(_normalised(m)).sum(axis=1)


def ranks(symbols: int) -> list[int]:
    """The ranks whose share is recorded."""
    series = {step * 10**power for power in range(1, 8) for step in (1, 2, 5)}
    return sorted(rank for rank in {*range(1, 21), *series, symbols} if rank <= symbols)


def _normalised(m: Measurement) -> np.ndarray:
    """Shares that sum to 1, (R, W) as in the model; all 0 for a Poisson chain that died out."""
    p = m.model.share
    total = p.sum(axis=1, keepdims=True)
    return p if np.all(total == 1) else p / np.where(total > 0, total, 1)
