"""Metrics of a fitted normal law, one value per chain. Real data come from N(0, I)."""

from __future__ import annotations

import numpy as np

from model_collapse.loop import Generation
from model_collapse.metrics import Reference


def mean(generation: Generation, reference: Reference) -> np.ndarray:
    """First coordinate of the fitted mean, shape (R,)."""
    return generation.model.mean[:, 0]


def variance(generation: Generation, reference: Reference) -> np.ndarray:
    """tr(Sigma) / d, shape (R,)."""
    root = generation.model.root
    return np.einsum("rij,rij->r", root, root) / root.shape[-1]


def log_det(generation: Generation, reference: Reference) -> np.ndarray:
    """ln det Sigma, shape (R,); -inf for a singular covariance. The log-variance if d = 1."""
    root = generation.model.root
    with np.errstate(divide="ignore"):
        if root.shape[-1] == 1:
            return 2 * np.log(np.abs(root[:, 0, 0]))
        return 2 * np.linalg.slogdet(root)[1]


def w2_squared(generation: Generation, reference: Reference) -> np.ndarray:
    """Squared 2-Wasserstein distance to N(0, I): |mu|^2 + tr Sigma + d - 2 tr Sigma^(1/2), shape (R,).

    Dowson & Landau 1982, doi:10.1016/0047-259X(82)90077-X. With sigma_j the singular values of the root of Sigma it
    is |mu|^2 + sum (sigma_j - 1)^2, which does not cancel near zero.
    """
    mu, root = generation.model.mean, generation.model.root
    sigma = np.abs(root[:, :, 0]) if root.shape[-1] == 1 else np.linalg.svd(root, compute_uv=False)
    return np.sum(mu**2, axis=-1) + np.sum((sigma - 1) ** 2, axis=-1)
