"""Metrics of a fitted normal distribution, one value per chain. The truth has mean 0 and covariance I."""

from __future__ import annotations

import numpy as np

from model_collapse.metrics import Measurement


def mean(m: Measurement) -> np.ndarray:
    """First coordinate of the fitted mean, shape (R,)."""
    return m.model.mean[:, 0]


def variance(m: Measurement) -> np.ndarray:
    """tr(Sigma) / d, shape (R,); 0 where it is below the smallest floating-point number."""
    root = m.model.deviation
    return np.einsum("rij,rij->r", root, root) / root.shape[-1]


def log_det(m: Measurement) -> np.ndarray:
    """ln det Sigma, shape (R,); -inf for a singular covariance. The log-variance if d = 1.

    Exact however small the determinant: the root is triangular, so only its diagonal counts.
    """
    model = m.model
    with np.errstate(divide="ignore"):
        logs = np.log(np.abs(np.diagonal(model.root, axis1=-2, axis2=-1)))
    if model.power is not None:
        logs = logs + np.log(2) * model.power
    return 2 * logs.sum(axis=-1)


def w2_squared(m: Measurement) -> np.ndarray:
    """Squared 2-Wasserstein distance to the truth, shape (R,).

    To N(0, I): |mu|^2 + tr Sigma + d - 2 tr Sigma^(1/2) (Dowson & Landau 1982, doi:10.1016/0047-259X(82)90077-X). With
    sigma_j the singular values of the root of Sigma it is |mu|^2 + sum (sigma_j - 1)^2, which does not cancel near
    zero. In one dimension, to a truth of mean 0, variance 1 and overlap c (see `theory.overlap`), it is
    mu^2 + sigma^2 + 1 - 2 c sigma = mu^2 + (sigma - c)^2 + 1 - c^2.
    """
    mu, root = m.model.mean, m.model.deviation
    c = m.family.overlap
    sigma = np.abs(root[:, :, 0]) if root.shape[-1] == 1 else np.linalg.svd(root, compute_uv=False)
    return np.sum(mu**2, axis=-1) + np.sum((sigma - c) ** 2, axis=-1) + (1 - c**2)
