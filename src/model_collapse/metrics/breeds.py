"""Metrics of fitted breeds, one value per chain: which are left, and how different their members still are."""

from __future__ import annotations

import numpy as np
import scipy

from model_collapse.loop import Generation
from model_collapse.metrics import Reference


def breeds_left(generation: Generation, reference: Reference) -> np.ndarray:
    """Number of breeds with a share above 0, shape (R,)."""
    return np.count_nonzero(generation.model.share, axis=1)


def majority_share(generation: Generation, reference: Reference) -> np.ndarray:
    """Share of the commonest breed, whichever it is, shape (R,)."""
    return generation.model.share.max(axis=1)


def majority_breed(generation: Generation, reference: Reference) -> np.ndarray:
    """True rank of the commonest breed, from 1, shape (R,)."""
    return generation.model.share.argmax(axis=1) + 1


def log_within(generation: Generation, reference: Reference) -> np.ndarray:
    """ln of `within_deviation`, shape (R,), good to far below the smallest number; -inf where no spread is left."""
    model = generation.model
    with np.errstate(divide="ignore"):
        variance = scipy.special.logsumexp(2 * model.log_deviation, b=model.share, axis=1)
    return variance / 2 - np.log(reference.family.within)


def within_deviation(generation: Generation, reference: Reference) -> np.ndarray:
    """Standard deviation of the trait within the breeds, root of sum share_k s_k^2, over the true one; shape (R,)."""
    return np.exp(log_within(generation, reference))


def trait_variance(generation: Generation, reference: Reference) -> np.ndarray:
    """Variance of the trait over all rows, within the breeds and between them, shape (R,)."""
    model = generation.model
    about = model.mean - np.sum(model.share * model.mean, axis=1, keepdims=True)
    return np.sum(model.share * (np.exp(2 * model.log_deviation) + about**2), axis=1)
