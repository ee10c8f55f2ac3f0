"""Metrics of fitted shares of symbols, one value per chain. The true law is the family's Zipf law."""

from __future__ import annotations

import numpy as np

from model_collapse.loop import Generation
from model_collapse.metrics import Reference


def heterozygosity(generation: Generation, reference: Reference) -> np.ndarray:
    """1 - sum p^2, shape (R,): the probability that two draws differ. 0 where one symbol, or none, is left."""
    p = _normalised(generation)
    # As a sum of what is not there, which does not cancel close to fixation; exactly 0 at it.
    return np.sum(p * (1 - p), axis=1)


def support(generation: Generation, reference: Reference) -> np.ndarray:
    """Number of symbols with a share above 0, shape (R,)."""
    return np.count_nonzero(generation.model.shares, axis=1)


def kl(generation: Generation, reference: Reference) -> np.ndarray:
    """KL(true || model) = sum q ln(q / p) in nats, shape (R,); inf as soon as one symbol is lost."""
    p, q = _normalised(generation), reference.family.law
    with np.errstate(divide="ignore"):
        # A q that underflowed to 0 adds nothing, lost or not.
        terms = np.where(q > 0, q * (np.log(np.where(q > 0, q, 1)) - np.log(p)), 0.0)
    return np.maximum(terms.sum(axis=1), 0)


def share(generation: Generation, reference: Reference) -> dict[str, np.ndarray]:
    """Share of single symbols, (R,) each, by true rank from 1; a symbol survives where it is above 0.

    Ranks 1 to 20, then 50, 100, 200, 500, ... and K, so that a table stays small however many symbols there are.
    """
    p = _normalised(generation)
    return {str(rank): p[:, rank - 1] for rank in ranks(p.shape[1])}


def ranks(symbols: int) -> list[int]:
    """The ranks whose share is recorded."""
    series = {step * 10**power for power in range(1, 8) for step in (1, 2, 5)}
    return sorted(rank for rank in {*range(1, 21), *series, symbols} if rank <= symbols)


def _normalised(generation: Generation) -> np.ndarray:
    """Shares that sum to 1; all 0 for a Poisson chain that died out."""
    p = generation.model.shares
    total = p.sum(axis=1, keepdims=True)
    return p if np.all(total == 1) else p / np.where(total > 0, total, 1)
