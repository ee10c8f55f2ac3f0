"""Gaussian in d dimensions: the model of the paper's theorem 3.1 and of its supplement, many chains at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from model_collapse import theory
from model_collapse.data import Data, Moments, Rows, Source, scaled, square_root
from model_collapse.errors import InputError
from model_collapse.families._numbers import Summarised, bartlett

TINY = 1e-100
"""A root smaller than this hands its size over to `power`, long before it would underflow."""


@dataclass(frozen=True, eq=False)
class Normal:
    """R fitted normal distributions: mean (R, d), covariance = L L' with L lower triangular, (R, d, d).

    L is `root`, column j of it times 2^power_j where `power` (R, d) is given: after thousands of generations a
    standard deviation is far below the smallest floating-point number, and its logarithm is still exact.
    """

    mean: np.ndarray
    root: np.ndarray
    power: np.ndarray | None = None

    @property
    def deviation(self) -> np.ndarray:
        """L as it is, (R, d, d): 0 where it is below the smallest number. The standard deviations if d = 1."""
        return scaled(self.root, self.power)


@dataclass(frozen=True)
class Gaussian(Summarised):
    """Refit N(mu, Sigma) to n rows, again and again; real rows come from N(0, I).

    `sampling=exact` draws the sample's sufficient statistics instead of its rows, which is the same in distribution:
    the mean is N(mu, Sigma / n), the scatter is independent of it and Wishart(Sigma, n - 1) by the Bartlett
    decomposition (Smith & Hocking 1972, algorithm AS 53, Applied Statistics 21, 341-345).

    `truth=bimodal` makes the real rows a mixture that no normal distribution can express, `noise` makes training err:
    with the finite n, one setting for each of the paper's three sources of error.
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
    truth: Annotated[
        Literal["normal", "bimodal"],
        Field(description="real rows: N(0, I), or half N(-0.96, 0.28^2) and half N(0.96, 0.28^2) (mean 0, variance 1)"),
    ] = "normal"
    noise: Annotated[
        float,
        Field(
            ge=0,
            le=1e6,
            allow_inf_nan=False,
            description="sd of the error training adds to each fitted mean, in true sd",
        ),
    ] = 0.0

    metrics: ClassVar[tuple[str, ...]] = ("mean", "variance", "log_det", "w2_squared")
    rows: ClassVar[int] = 100
    block_size: ClassVar[int] = 256
    width: ClassVar[str] = "dim"

    def __post_init__(self) -> None:
        if self.truth == "bimodal" and self.dim > 1:
            raise InputError("family.truth=bimodal is a distribution in one dimension; set family.dim=1")

    @property
    def overlap(self) -> float:
        """How well a standard normal distribution can follow the truth, see `theory.overlap`: 1 for a normal truth."""
        return theory.overlap(self.truth)

    def source(self, n: int, rng: np.random.Generator, replicates: int) -> Source:
        """n real rows for each of the replicate chains."""

        def real(n: int, rng: np.random.Generator) -> Rows | Moments:
            if self.truth == "bimodal":
                return _bimodal(n, replicates, self.sampling, rng)
            return self._draw(Normal(np.zeros((replicates, self.dim)), _identity(replicates, self.dim)), n, rng)

        return Source(Data.real(real(n, rng)), fresh=real)

    def fit(
        self, data: Data, rng: np.random.Generator, *, start: None = None, validation: Data | None = None
    ) -> Normal:
        """mean = sum x / n; covariance = scatter / n (mle) or / (n - 1) (unbiased). Random only with `noise`.

        Weighted rows: mean = sum w x / sum w, and sum w in the place of n.
        """
        moments = data.rows if isinstance(data.rows, Moments) else _moments(data.x, data.weight)
        n = moments.mass if data.weight is None else data.weight.sum(axis=0)
        divisor = n if self.estimator == "mle" else n - 1
        mean = moments.mean
        if self.noise:
            mean = mean + self.noise * rng.standard_normal(mean.shape)
        if self.variance == "known":
            return Normal(mean, _identity(*mean.shape))
        if np.min(divisor) <= 0:
            raise InputError("family.estimator=unbiased divides by n - 1: n must be at least 2")
        scale = np.sqrt(divisor)
        root = moments.root / (scale if np.ndim(scale) == 0 else scale[..., None, None])
        return Normal(mean, root, moments.power)

    def sample(self, model: Normal, n: int, rng: np.random.Generator, *, given: Rows | None = None) -> Rows | Moments:
        """n rows of N(mu, bias Sigma) per chain: Rows (n, R, d), or Moments of such rows."""
        distribution = model if self.bias == 1 else Normal(model.mean, model.root * np.sqrt(self.bias), model.power)
        if self.bias > 1 and np.max(np.abs(distribution.root)) > 1 / TINY:
            raise InputError(f"family.bias={self.bias:g}: the variance has grown beyond 1e200; fewer generations (-g)")
        return self._draw(distribution, n, rng)

    def _draw(self, distribution: Normal, n: int, rng: np.random.Generator) -> Rows | Moments:
        chains, dim = distribution.mean.shape
        if self.draws_rows:
            _distinguishable(distribution, n)
            root = distribution.deviation
            z = rng.standard_normal((n, chains, dim))
            x = z * root[..., 0] if dim == 1 else np.einsum("nrj,rij->nri", z, root)
            x += distribution.mean
            return Rows(x, stacked=True)
        z = rng.standard_normal((chains, dim, 1))
        mean = distribution.mean + _product(distribution.deviation, z)[..., 0] / np.sqrt(n)
        if n == 1:
            return Moments(n, mean, np.zeros_like(distribution.root))
        triangle = bartlett(chains, dim, n - 1, rng)
        if n <= dim:
            return Moments(n, mean, square_root(_product(distribution.deviation, triangle)))
        return _safe(Moments(n, mean, _times(distribution, triangle), power=distribution.power))


def _identity(chains: int, dim: int) -> np.ndarray:
    return np.broadcast_to(np.eye(dim), (chains, dim, dim))


def _product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a @ b; a thousand products of single numbers are ten times faster as one array's product."""
    return a * b if a.shape[-2:] == b.shape[-2:] == (1, 1) else a @ b


def _times(distribution: Normal, triangle: np.ndarray) -> np.ndarray:
    """The root B of L A = B 2^power, for a lower triangular A: lower triangular again, with the product's diagonal.

    So ln det never meets a subtraction. With L = root 2^power, B = root (2^power A 2^-power).
    """
    if distribution.power is not None and triangle.shape[-1] > 1:
        triangle = np.ldexp(triangle, distribution.power[..., :, None] - distribution.power[..., None, :])
    return _product(distribution.root, triangle)


def _safe(moments: Moments) -> Moments:
    """The same moments; where a root gets tiny, its binary exponents move to `power`, which changes no digit."""
    assert moments.root is not None
    diagonal = moments.root[..., 0] if moments.root.shape[-1] == 1 else np.diagonal(moments.root, axis1=-2, axis2=-1)
    if not 0 < np.abs(diagonal).min() < TINY:
        return moments
    size = np.frexp(diagonal)[1]
    return replace(
        moments, root=scaled(moments.root, -size), power=size + (0 if moments.power is None else moments.power)
    )


def _bimodal(n: int, chains: int, sampling: str, rng: np.random.Generator) -> Rows | Moments:
    """n rows x = a s + b z of the mixture, s = -1 or 1 and z standard normal; or their moments, of exactly that.

    With k rows of s = 1 and S = 4 k (n - k) / n the scatter of s, the part of z along s adds to a sqrt(S), and the rest
    of z's scatter is chi-square with n - 2 degrees of freedom: scatter = (a sqrt(S) + b w)^2 + b^2 chi^2_(n-2).
    """
    a, b = theory.BIMODAL
    if sampling == "draw":
        side = 2 * rng.integers(0, 2, (n, chains, 1)) - 1
        return Rows(a * side + b * rng.standard_normal((n, chains, 1)), stacked=True)
    k = rng.binomial(n, 0.5, (chains, 1))
    z, w = rng.standard_normal((2, chains, 1))
    mean = a * (2 * k - n) / n + b * z / np.sqrt(n)
    if n == 1:
        return Moments(n, mean, np.zeros((chains, 1, 1)))
    rest = 2 * rng.standard_gamma((n - 2) / 2, (chains, 1))
    along = a * np.sqrt(4 * k * (n - k) / n) + b * w
    return Moments(n, mean, np.hypot(along, b * np.sqrt(rest))[..., None])


def _distinguishable(distribution: Normal, n: int) -> None:
    """InputError where rows of this distribution would be so close together that rounding them changes their variance.

    Rows are multiples of u = 2^-52 |mean| or so. That and the rounded mean of n rows change the scatter by about
    (n / 12) u^2 a row, and the error of the last n / 2 generations adds up: 10 n u keeps it below a thousandth. A
    direction of variance exactly 0 (n = 1, n <= d) has nothing to lose.
    """
    spread = np.abs(np.diagonal(distribution.deviation, axis1=-2, axis2=-1))
    grain = np.finfo(float).eps * np.max(np.abs(distribution.mean), axis=-1, keepdims=True)
    if np.any((spread < 10 * n * grain) & (spread > 0)):
        raise InputError(
            f"family.sampling=draw: a standard deviation fell below {10 * n * np.finfo(float).eps:.0e} of the mean, "
            "where rounding the rows changes it; set family.sampling=exact or run fewer generations (-g)"
        )


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
