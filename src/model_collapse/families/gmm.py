"""Gaussian mixture in the plane, as in the paper: refitted by EM again and again, many chains at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from model_collapse.data import Data, Rows, Source
from model_collapse.errors import InputError
from model_collapse.families import _em
from model_collapse.families._em import Mixture
from model_collapse.families._numbers import Numbers

CENTRES = {"blob": [[0.0, 0.0]], "clusters": [[-2.0, 0.0], [2.0, 0.0]]}
"""Centres of the real data: normal distributions of equal weight with covariance I."""


class Truth(str):
    """A distribution of real data by its name; source(n, rng, replicates) gives n real rows for each chain.

    A family's real data come from its `source`, and here that is also what the setting is called.
    """

    def __call__(self, n: int, rng: np.random.Generator, replicates: int) -> Source:
        means = np.array(CENTRES[self])
        shape = (replicates, len(means))
        distribution = Mixture(
            weights=np.full(shape, 1 / len(means)),
            means=np.broadcast_to(means, (*shape, 2)),
            covariances=np.broadcast_to(np.eye(2), (*shape, 2, 2)),
            iterations=np.zeros(replicates, int),
        )
        return Source(Data.real(draw(distribution, n, rng)), fresh=lambda m, rng: draw(distribution, m, rng))


@dataclass(frozen=True)
class Gmm(Numbers):
    """Refit a Gaussian mixture with full covariances to n rows in the plane, again and again.

    Fits as scikit-learn's GaussianMixture does (Pedregosa et al. 2011, JMLR 12, 2825-2830): same start, same
    stopping rule, same regularisation. The defaults are those of the paper's code: two components, one blob.
    """

    components: Annotated[int, Field(ge=1, le=100, description="normal components K of the mixture")] = 2
    source: Annotated[
        Literal["blob", "clusters"], Field(description="real data: one N(0, I), or two with centres 4 apart")
    ] = Truth("blob")  # type: ignore[assignment]
    tol: Annotated[
        float, Field(ge=0, allow_inf_nan=False, description="EM ends when the mean log-likelihood changes by less")
    ] = 1e-5
    max_iter: Annotated[int, Field(ge=1, le=10**6, description="steps of EM at most; then the last one is used")] = 2000
    reg_covar: Annotated[
        float, Field(ge=1e-12, le=1, allow_inf_nan=False, description="added to every fitted variance")
    ] = 1e-6

    metrics: ClassVar[tuple[str, ...]] = ("l2", "component_sd", "pooled_sd", "component")
    rows: ClassVar[int] = 1000
    block_size: ClassVar[int] = 64

    def __post_init__(self) -> None:
        object.__setattr__(self, "source", Truth(self.source))

    def fit(
        self, data: Data, rng: np.random.Generator, *, start: None = None, validation: Data | None = None
    ) -> Mixture:
        """EM from a k-means start; a row of weight w counts as w rows. InputError for fewer rows than components."""
        x = data.x
        if len(x) < self.components:
            raise InputError(f"-n: family.components={self.components} needs as many rows at least, not {len(x)}")
        weight = data.weight
        if weight is not None:
            weight = np.ascontiguousarray(np.broadcast_to(weight.T, x.shape[1::-1]))
        return _em.fit(
            np.moveaxis(x, 0, 2),
            weight,
            self.components,
            rng,
            tol=self.tol,
            max_iter=self.max_iter,
            reg_covar=self.reg_covar,
        )

    def sample(self, model: Mixture, n: int, rng: np.random.Generator, *, given: Rows | None = None) -> Rows:
        """n rows of each chain's mixture, Rows (n, R, 2)."""
        return draw(model, n, rng)


def draw(distribution: Mixture, n: int, rng: np.random.Generator) -> Rows:
    """n rows of each mixture, (n, R, 2), in memory chain by chain.

    A row of component k is m_k + L_k z with L_k L_k' its covariance: one product of all the steps from m_(k-1), L_(k-1)
    to m_k, L_k with 1 and z, each counted where the row's component is k or higher.
    """
    chains, components = distribution.weights.shape
    xx, xy, yy = (
        distribution.covariances[..., 0, 0],
        distribution.covariances[..., 0, 1],
        distribution.covariances[..., 1, 1],
    )
    steps = np.zeros((chains, components, 2, 3))
    steps[..., 0] = distribution.means
    steps[..., 0, 1] = np.sqrt(xx)
    steps[..., 1, 1] = xy / steps[..., 0, 1]
    steps[..., 1, 2] = np.sqrt(np.maximum(yy - np.square(steps[..., 1, 1]), 0))
    steps[:, 1:] -= steps[:, :-1].copy()
    terms = np.empty((chains, components, 3, n))
    terms[:, 0, 0] = 1
    terms[:, 0, 1:] = rng.standard_normal((chains, 2, n))
    if components > 1:
        level = rng.random((chains, 1, n))
        terms[:, 1:, 0] = level >= np.cumsum(distribution.weights, axis=1)[:, :-1, None]
        np.multiply(terms[:, 1:, :1], terms[:, :1, 1:], out=terms[:, 1:, 1:])
    x = steps.swapaxes(1, 2).reshape(chains, 2, -1) @ terms.reshape(chains, -1, n)
    return Rows(np.moveaxis(x, 2, 0), stacked=True)
