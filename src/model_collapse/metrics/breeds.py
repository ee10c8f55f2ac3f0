"""Metrics of fitted breeds, one value per chain: which are left, and how different their members still are."""

from __future__ import annotations

import numpy as np
import scipy

from model_collapse.metrics import Measurement


def breeds_left(m: Measurement) -> np.ndarray:
    """Number of breeds with a share above 0, shape (R,)."""
    return np.count_nonzero(m.model.share, axis=1)


def majority_share(m: Measurement) -> np.ndarray:
    """Share of the commonest breed, whichever it is, shape (R,)."""
    return m.model.share.max(axis=1)


def majority_breed(m: Measurement) -> np.ndarray:
    """True rank of the commonest breed, from 1, shape (R,)."""
    return m.model.share.argmax(axis=1) + 1


def log_within(m: Measurement) -> np.ndarray:
    """ln of `within_deviation`, shape (R,), good to far below the smallest number; -inf where no spread is left."""
    model = m.model
    with np.errstate(divide="ignore"):
        variance = scipy.special.logsumexp(2 * model.log_deviation, b=model.share, axis=1)
    return variance / 2 - np.log(m.family.within)


def within_deviation(m: Measurement) -> np.ndarray:
    """Standard deviation of the trait within the breeds, root of sum share_k s_k^2, over the true one; shape (R,)."""
    return np.exp(log_within(m))


def trait_variance(m: Measurement) -> np.ndarray:
    """Variance of the trait over all rows, within the breeds and between them, shape (R,)."""
    model = m.model
    about = model.mean - np.sum(model.share * model.mean, axis=1, keepdims=True)
    return np.sum(model.share * (np.exp(2 * model.log_deviation) + about**2), axis=1)
