"""Gaussian in d dimensions: the model of the paper's theorem 3.1 and of its supplement, many chains at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from model_collapse.data import Data, Moments, Rows, Source, square_root
from model_collapse.errors import InputError
from model_collapse.families._numbers import Numbers, bartlett


@dataclass(frozen=True, eq=False)
class Normal:
    """R fitted normal laws: mean (R, d) and root (R, d, d), covariance = root root'."""

    mean: np.ndarray
    root: np.ndarray


@dataclass(frozen=True)
class Gaussian(Numbers):
    """Refit N(mu, Sigma) to n rows, again and again; real rows come from N(0, I).

    `sampling=exact` draws the sample's sufficient statistics instead of its rows, which is the same in law: the mean
    is N(mu, Sigma / n), the scatter is independent of it and Wishart(Sigma, n - 1) by the Bartlett decomposition
    (Smith & Hocking 1972, algorithm AS 53, Applied Statistics 21, 341-345).
    """

    dim: Annotated[int, Field(ge=1, description="dimensions d")] = 1
    estimator: Annotated[
        Literal["mle", "unbiased"], Field(description="scatter divided by n (mle) or by n - 1 (unbiased)")
    ] = "mle"
    variance: Annotated[
        Literal["estimated", "known"], Field(description="known: only the mean is fitted, the covariance stays I")
    ] = "estimated"
    sampling: Annotated[
        Literal["exact", "draw"], Field(description="exact: sufficient statistics; draw: every row")
    ] = "exact"
    bias: Annotated[
        float, Field(gt=0, allow_inf_nan=False, description="factor on the variance of what is sampled; 1: none")
    ] = 1.0

    metrics: ClassVar[tuple[str, ...]] = ("mean", "variance", "log_det", "w2_squared")
    rows: ClassVar[int] = 100
    block_size: ClassVar[int] = 256

    def source(self, n: int, rng: np.random.Generator, replicates: int) -> Source:
        """n real rows of N(0, I) for each of the replicate chains."""
        truth = Normal(np.zeros((replicates, self.dim)), _identity(replicates, self.dim))
        return Source(Data.real(self._draw(truth, n, rng)), fresh=lambda m, rng: self._draw(truth, m, rng))

    def fit(
        self, data: Data, rng: np.random.Generator, *, start: None = None, validation: Data | None = None
    ) -> Normal:
        """mean = sum x / n; covariance = scatter / n (mle) or / (n - 1) (unbiased). No randomness is used.

        Weighted rows: mean = sum w x / sum w, and sum w in the place of n.
        """
        moments = data.rows if isinstance(data.rows, Moments) else _moments(data.rows.x, data.weight)
        n = moments.mass if data.weight is None else data.weight.sum(axis=0)
        divisor = n if self.estimator == "mle" else n - 1
        if self.variance == "known":
            return Normal(moments.mean, _identity(*moments.mean.shape))
        if np.min(divisor) <= 0:
            raise InputError("family.estimator=unbiased divides by n - 1: n must be at least 2")
        scale = np.sqrt(divisor)
        return Normal(moments.mean, moments.root / (scale if np.ndim(scale) == 0 else scale[..., None, None]))

    def sample(self, model: Normal, n: int, rng: np.random.Generator, *, given: Rows | None = None) -> Rows | Moments:
        """n rows of N(mu, bias Sigma) per chain: Rows (n, R, d), or Moments of such rows."""
        law = model if self.bias == 1 else Normal(model.mean, model.root * np.sqrt(self.bias))
        return self._draw(law, n, rng)

    def _draw(self, law: Normal, n: int, rng: np.random.Generator) -> Rows | Moments:
        chains, dim = law.mean.shape
        if self.sampling == "draw":
            z = rng.standard_normal((n, chains, dim))
            x = z * law.root[..., 0] if dim == 1 else np.einsum("nrj,rij->nri", z, law.root)
            x += law.mean
            return Rows(x, stacked=True)
        z = rng.standard_normal((chains, dim, 1))
        mean = law.mean + _product(law.root, z)[..., 0] / np.sqrt(n)
        if n == 1:
            return Moments(n, mean, np.zeros_like(law.root))
        return Moments(n, mean, square_root(_product(law.root, bartlett(chains, dim, n - 1, rng))))


def _identity(chains: int, dim: int) -> np.ndarray:
    return np.broadcast_to(np.eye(dim), (chains, dim, dim))


def _product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a @ b; a thousand products of single numbers are ten times faster as one array's product."""
    return a * b if a.shape[-2:] == b.shape[-2:] == (1, 1) else a @ b


def _moments(x: np.ndarray, weight: np.ndarray | None) -> Moments:
    """Moments of rows x (n, R, d), centred before they are squared."""
    n, _, dim = x.shape
    if weight is None:
        mean = x.mean(axis=0)
        centred = x - mean
    else:
        w = (weight if weight.ndim == 2 else weight[:, None])[..., None]
        mean = (w * x).sum(axis=0) / w.sum(axis=0)
        centred = np.sqrt(w) * (x - mean)
    if dim == 1:
        return Moments(n, mean, np.sqrt(np.einsum("nrd,nrd->rd", centred, centred))[..., None])
    root = square_root(np.moveaxis(centred, 0, -1))
    # n rows span n - 1 dimensions about their mean; what rounding leaves beyond them would hide a singular covariance.
    root[..., n - 1 :] = 0
    return Moments(n, mean, root)
