"""Kernel density estimates with Gaussian kernels: keep the rows, write by picking one of them and adding noise."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from model_collapse.data import Data, Rows, Source, square_root
from model_collapse.errors import InputError
from model_collapse.families._numbers import Numbers
from model_collapse.theory.kde import rule_factor

_CELLS = 2**21
"""Pairs of a point and a row that are looked at together: 16 MB for each array of them."""

_MOST = 1e290
"""Largest variance of rows by a rule: what is made of it must still be a number."""

Shape = Literal["normal", "blobs", "circles", "moons"]


@dataclass(frozen=True, eq=False)
class Kernels:
    """R densities, each a mixture of normal kernels about n rows.

    x       (n, R, d)
    kernel  (R, d, d), lower triangular root of the kernels' covariance
    weight  shares of the rows, (n, R) with sum 1 over n, or None for 1/n each
    """

    x: np.ndarray
    kernel: np.ndarray
    weight: np.ndarray | None = None

    @property
    def mean(self) -> np.ndarray:
        """Mean of the densities, which is that of the rows: (R, d)."""
        return np.average(self.x, axis=0, weights=None if self.weight is None else self._spread)

    @property
    def deviation(self) -> np.ndarray:
        """Root of the densities' covariance, (R, d, d): that of the rows (their sum over n) plus the kernel's."""
        share = 1 / len(self.x) if self.weight is None else self._spread
        centred = np.sqrt(share) * (self.x - self.mean)
        if centred.shape[-1] == 1:
            return np.hypot(np.sqrt(np.einsum("nrd,nrd->rd", centred, centred))[..., None], self.kernel)
        return square_root(np.moveaxis(centred, 0, -1), self.kernel)

    @property
    def _spread(self) -> np.ndarray:
        assert self.weight is not None
        return np.broadcast_to(self.weight[..., None], self.x.shape)

    def log_density(self, points: np.ndarray) -> np.ndarray:
        """ln of each density at its own points (T, R, d), in nats: (T, R). Memory is bounded, time T n R d."""
        n, chains, d = self.x.shape
        whiten = np.linalg.inv(self.kernel)
        rows = np.einsum("rij,nrj->rni", whiten, self.x)
        points = np.einsum("rij,trj->rti", whiten, points)
        with np.errstate(divide="ignore"):
            share = np.full((chains, n), -np.log(n)) if self.weight is None else np.log(self.weight.T)
        out = np.empty(points.shape[:2])
        per = max(1, _CELLS // n)
        for r in range(chains):
            for start in range(0, points.shape[1], per):
                part = slice(start, start + per)
                # Very narrow kernels leave a density of exactly 0, and a logarithm of -inf.
                with np.errstate(divide="ignore", over="ignore"):
                    squares = (np.subtract.outer(points[r, part, i], rows[r, :, i]) ** 2 for i in range(d))
                    exponent = share[r] - 0.5 * sum(squares)
                    top = np.maximum(exponent.max(axis=1), np.finfo(float).min)
                    out[r, part] = top + np.log(np.exp(exponent - top[:, None]).sum(axis=1))
        volume = np.log(np.abs(np.diagonal(self.kernel, axis1=-2, axis2=-1))).sum(axis=-1)
        return out.T - volume - d / 2 * np.log(2 * np.pi)


@dataclass(frozen=True)
class Kde(Numbers):
    """Resample from a kernel density estimate of the rows, again and again; the true density is known.

    Real rows are normal about the points of `centres`: N(0, I), three blobs, two rings or two half-moons.
    Widths by rule are the rows' unbiased covariance times the square of Scott's or Silverman's factor, as in
    scipy.stats.gaussian_kde. `Source.test` holds 200 real rows for every chain. Kazdan et al. 2025, arXiv:2410.16713.
    """

    dim: Annotated[int, Field(ge=1, le=2, description="dimensions d")] = 1
    shape: Annotated[
        Shape, Field(description="distribution of real rows; blobs, circles and moons lie in the plane")
    ] = "normal"
    rule: Annotated[
        Literal["fixed", "scott", "silverman"],
        Field(description="fixed: kernels of width `bandwidth`; scott, silverman: by number and spread of the rows"),
    ] = "fixed"
    bandwidth: Annotated[
        float,
        Field(ge=1e-12, le=1e6, allow_inf_nan=False, description="standard deviation h of kernels with rule=fixed"),
    ] = 0.5

    metrics: ClassVar[tuple[str, ...]] = ("mean", "variance", "nll", "kl_density", "w2_marginal")
    rows: ClassVar[int] = 100
    block_size: ClassVar[int] = 64
    width: ClassVar[str] = "dim"
    tests: ClassVar[int] = 200

    def __post_init__(self) -> None:
        if self.shape != "normal" and self.dim != 2:
            raise InputError(f"family.shape={self.shape} lies in the plane: set family.dim=2")

    def truth(self, chains: int) -> Kernels:
        """The density of real rows, for each of R chains."""
        points, width = centres(self.shape, self.dim)
        x = np.broadcast_to(points[:, None], (len(points), chains, self.dim))
        return Kernels(x, np.broadcast_to(width * np.eye(self.dim), (chains, self.dim, self.dim)))

    def source(self, n: int, rng: np.random.Generator, replicates: int) -> Source:
        """n real rows to train on and 200 to test with, for each of the replicate chains."""
        truth = self.truth(replicates)
        train, test = (Data.real(self.sample(truth, m, rng)) for m in (n, self.tests))
        return Source(train, fresh=lambda m, rng: self.sample(truth, m, rng), test=test)

    def fit(
        self, data: Data, rng: np.random.Generator, *, start: None = None, validation: Data | None = None
    ) -> Kernels:
        """Keep the rows and the shares of their weights, and choose the kernels' width. No randomness is used.

        A rule counts 1 / sum(share^2) rows, which is n for equal weights.
        """
        x, share = data.x, None
        n, chains, d = x.shape
        if data.weight is not None:
            weight = np.broadcast_to(data.weight.reshape(n, -1), (n, chains))
            share = weight / weight.sum(axis=0)
        if self.rule == "fixed":
            return Kernels(x, np.broadcast_to(self.bandwidth * np.eye(d), (chains, d, d)), share)
        if n <= d:
            raise InputError(f"-n {n}: family.rule={self.rule} needs at least {d + 1} rows; set family.rule=fixed")
        each = np.full((n, chains), 1 / n) if share is None else share
        count = 1 / np.sum(each**2, axis=0)
        centred = x - np.sum(each[..., None] * x, axis=0)
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            covariance = np.einsum("nr,nri,nrj->rij", each, centred, centred) * (count / (count - 1))[:, None, None]
        try:
            # nan is not below it either.
            root = np.linalg.cholesky(covariance) if np.all(np.abs(covariance) < _MOST) else None
        except np.linalg.LinAlgError:
            root = None
        if root is None:
            raise InputError(
                f"-n {n}: family.rule={self.rule} has let the rows spread or shrink beyond all numbers; set "
                "family.rule=fixed, raise -n or lower -g"
            )
        return Kernels(x, root * rule_factor(count, self.rule, d)[:, None, None], share)

    def sample(self, model: Kernels, n: int, rng: np.random.Generator, *, given: Rows | None = None) -> Rows:
        """n rows per chain, (n, R, d): a row of the model's by its share, plus a draw from its kernel."""
        size, chains, d = model.x.shape
        if model.weight is None:
            index = rng.integers(size, size=(n, chains))
        else:
            below = np.cumsum(model.weight, axis=0)
            below[below >= below[-1]] = np.inf  # the last row that has any weight takes what rounding leaves over
            u = rng.random((n, chains))
            index = np.stack([np.searchsorted(below[:, r], u[:, r], side="right") for r in range(chains)], axis=1)
        x = np.take_along_axis(model.x, index[..., None], axis=0)
        return Rows(x + np.einsum("rij,nrj->nri", model.kernel, rng.standard_normal((n, chains, d))), stacked=True)


@cache
def centres(shape: Shape, dim: int) -> tuple[np.ndarray, float]:
    """Points (K, d) and the standard deviation of the normal noise about each of them, chosen with equal chance."""
    if shape == "normal":
        return np.zeros((1, dim)), 1.0
    if shape == "blobs":
        angle = 2 * np.pi * np.arange(3) / 3
        return 2 * np.stack([np.cos(angle), np.sin(angle)], axis=1), 0.5
    if shape == "circles":
        angle = 2 * np.pi * np.arange(200) / 200
        ring = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        return np.concatenate([ring, ring / 2]), 0.1
    angle = np.pi * (np.arange(200) + 0.5) / 200
    upper = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return np.concatenate([upper, [1.0, 0.5] - upper]), 0.1
