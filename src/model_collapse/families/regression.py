"""Linear regression whose labels are written by the last fit: the relabelling chain of the accumulate results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from model_collapse.data import Data, Moments, Rows, Source, square_root
from model_collapse.errors import InputError
from model_collapse.families._numbers import Summarised, bartlett

_SINGULAR = 1e-9
"""A root's diagonal that spans more than this ratio belongs to rows that do not span all dimensions."""


@dataclass(frozen=True, eq=False)
class Linear:
    """R fitted linear maps y = x.w: weights (R, d)."""

    weights: np.ndarray


@dataclass(frozen=True)
class Regression(Summarised):
    """Refit y = x.w by least squares to labels of the last fit, plus noise; real x come from N(0, I_d).

    Real labels are y = x.w* + sigma e with w* = (1, ..., 1) / sqrt d; which x get new labels, the loop's `given` says.
    A row is (x, y), its d + 1 numbers side by side. No intercept is fitted, so that all a fit needs are the sums X'X
    and X'y. `sampling=exact` draws them instead of rows, which is the same in distribution: `Moments` with the scatter
    about the origin (mean 0) and root [[A, 0], [c', r]], A lower triangular, so X'X = A A' and X'y = A c. For given x,
    c = A'w + sigma z with z normal and r = sigma chi_(n-d); for new x, A is the Bartlett root of Wishart_d(I, n).
    Gerstgrasser et al. 2024, arXiv:2404.01413.
    """

    dim: Annotated[int, Field(ge=1, le=10**4, description="dimensions d of x")] = 10
    noise: Annotated[
        float, Field(ge=0, le=1e6, allow_inf_nan=False, description="standard deviation sigma of the label noise")
    ] = 1.0
    written_noise: Annotated[
        float | None,
        Field(ge=0, le=1e6, allow_inf_nan=False, description="the same for generated labels; None: noise"),
    ] = None
    ridge: Annotated[
        float, Field(ge=0, le=1e6, allow_inf_nan=False, description="penalty per row: |y - Xw|^2 / n + ridge |w|^2")
    ] = 0.0
    interpolate: Annotated[bool, Field(description="rows that do not span all dimensions: the least-norm solution")] = (
        False
    )
    real_weight: Annotated[
        float, Field(ge=0, le=1, description="weight of a new real label in every generated label, of the same x")
    ] = 0.0
    shift: Annotated[
        float,
        Field(
            ge=0, le=1e6, allow_inf_nan=False, description="length c of what a biased labeller adds to w; 0: unbiased"
        ),
    ] = 0.0
    sampling: Annotated[
        Literal["exact", "draw"], Field(description="exact: sufficient statistics; draw: every row")
    ] = "exact"

    conditional: ClassVar[bool] = True
    metrics: ClassVar[tuple[str, ...]] = ("test_error", "weight_norm")
    rows: ClassVar[int] = 100
    # 256 chains of 100 dimensions are 21 MB of moments.
    block_size: ClassVar[int] = 256
    width: ClassVar[str] = "dim"
    scores: ClassVar[frozenset[str]] = frozenset({"truth"})

    @property
    def truth(self) -> np.ndarray:
        """w*, shape (d,), of length 1."""
        return np.full(self.dim, self.dim**-0.5)

    def source(self, n: int, rng: np.random.Generator, replicates: int) -> Source:
        """n real rows for each of the replicate chains."""
        truth = np.broadcast_to(self.truth, (replicates, self.dim))

        def fresh(m: int, rng: np.random.Generator) -> Rows | Moments:
            return self._label(truth, self.noise, m, rng, None)

        return Source(Data.real(fresh(n, rng)), fresh=fresh)

    def fit(
        self, data: Data, rng: np.random.Generator, *, start: None = None, validation: Data | None = None
    ) -> Linear:
        """w = (X'X + ridge n I)^-1 X'y, or with `interpolate` the w of least norm, X^+ y. No randomness is used.

        Weighted rows: weighted sums, and sum of the weights in the place of n. Without either of these settings the
        rows must span all d dimensions and be more than d, or InputError.
        """
        moments = data.rows if isinstance(data.rows, Moments) else _moments(data.x, data.weight)
        root, d = moments.root, self.dim
        assert root is not None
        if self.ridge:
            # A penalty is d more rows: x along each axis, y = 0.
            mass = np.asarray(moments.mass if data.weight is None else data.weight.sum(axis=0), float)
            length = np.sqrt(self.ridge * np.broadcast_to(mass, len(root)))
            root = square_root(root, length[:, None, None] * np.eye(d + 1, d))
        if self.interpolate:
            # X'X = A A' and X'y = A c, so X^+ y = (A')^+ c.
            inverse = np.linalg.pinv(np.swapaxes(root[:, :d, :d], -1, -2), rcond=_SINGULAR)
            return Linear((inverse @ root[:, d, :d, None])[..., 0])
        diagonal = np.abs(np.diagonal(root, axis1=-2, axis2=-1))[:, :d]
        if not self.ridge and len(data) <= d:
            raise InputError(
                f"-n {len(data)}: least squares with family.dim={d} needs at least {d + 1}; "
                "set family.ridge above 0, or family.interpolate"
            )
        if np.any(diagonal.min(axis=1) <= _SINGULAR * diagonal.max(axis=1)):
            raise InputError(f"family.dim={d}: the rows do not span it all; raise -n or set family.ridge above 0")
        return Linear(np.linalg.solve(np.swapaxes(root[:, :d, :d], -1, -2), root[:, d, :d, None])[..., 0])

    def sample(
        self, model: Linear, n: int, rng: np.random.Generator, *, given: Rows | Moments | None = None
    ) -> Rows | Moments:
        """The n rows `given`, or new ones, with labels x.(w + shift e_1) + noise: Rows (n, R, d + 1), or Moments.

        With real_weight a, every label is a (x.w* + sigma e') + (1 - a) times that: two labels of one x, averaged.
        """
        weights = model.weights
        if self.shift:
            weights = weights + self.shift * np.eye(1, self.dim)
        noise = self.noise if self.written_noise is None else self.written_noise
        if self.real_weight:
            a = self.real_weight
            weights = a * self.truth + (1 - a) * weights
            noise = float(np.hypot(a * self.noise, (1 - a) * noise))
        return self._label(weights, noise, n, rng, given)

    def miss(self, rows: Rows, bias: float = 0.0) -> np.ndarray:
        """|y - x.c| / |x|, shape (n, R), for a verifier that believes in c = (1 + bias) w*.

        It is the distance from c to the nearest w with y = x.w: a row misses by at most r if, and only if, some map in
        the ball of radius r about c would have written it without noise.
        """
        x, y = rows.x[..., : self.dim], rows.x[..., self.dim]
        return np.abs(y - (1 + bias) * (x @ self.truth)) / np.linalg.norm(x, axis=-1)

    def _label(
        self, weights: np.ndarray, noise: float, n: int, rng: np.random.Generator, given: Rows | Moments | None
    ) -> Rows | Moments:
        chains, d = weights.shape
        if self.draws_rows:
            x = given.x[..., :d] if isinstance(given, Rows) else rng.standard_normal((n, chains, d))
            y = np.einsum("nrd,rd->nr", x, weights) + noise * rng.standard_normal((n, chains))
            return Rows(np.concatenate([x, y[..., None]], axis=-1), stacked=True)
        # Root of the sums over (x, e); then e becomes y = x.w + noise e.
        root = np.zeros((chains, d + 1, d + 1))
        if given is None:
            drawn = bartlett(chains, d + 1, n, rng)
            root[:] = drawn if n > d else square_root(drawn)
        else:
            assert isinstance(given, Moments) and given.root is not None
            root[:, :d, :d] = given.root[:, :d, :d]
            # n rows have no part beyond n dimensions.
            root[:, d, : min(n, d)] = rng.standard_normal((chains, min(n, d)))
            if n > d:
                root[:, d, d] = np.sqrt(rng.chisquare(n - d, chains))
        root[:, d] *= noise
        root[:, d, :d] += (weights[:, None] @ root[:, :d, :d])[:, 0]
        return Moments(n, np.zeros((chains, d + 1)), root)


def _moments(x: np.ndarray, weight: np.ndarray | None) -> Moments:
    """Moments about the origin of rows x (n, R, d + 1), weighted."""
    if weight is not None:
        x = x * np.sqrt(weight if weight.ndim == 2 else weight[:, None])[..., None]
    return Moments(len(x), np.zeros(x.shape[1:]), square_root(np.moveaxis(x, 0, -1)))
