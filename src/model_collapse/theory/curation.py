"""Closed forms of curation, CF-L5 and its kin: verifiers who err, many rounds of them, and choice by preference.

phi = P(kept | right) and psi = P(kept | wrong) are a verifier's keep rates, p = P(wrong) is the share of errors in what
was written. numpy and scipy only.
"""

from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import ArrayLike

_GRID = 4001


def breakdown_point(right: ArrayLike, wrong: ArrayLike) -> np.ndarray:
    """CF-L5. p* = 1 / (1 + psi / phi): with more errors than that, what is kept teaches the opposite.

    Right rows kept are (1 - p) phi of all, wrong ones p psi; the majority turns at p*. Without selection 1/2, with an
    oracle 1. Feng et al. 2025, arXiv:2406.07515, theorem 4.2.
    """
    phi, psi = np.asarray(right, float), np.asarray(wrong, float)
    return phi / (phi + psi)


def averaging_accuracy(
    rows: int, dim: int, error: ArrayLike, right: ArrayLike = 1.0, wrong: ArrayLike = 1.0, *, teacher: int | None = None
) -> np.ndarray:
    """Mean accuracy of the averaging classifier w = sum of y x over the kept ones of n = `rows` rows, x ~ N(0, I_d).

    Labels are those of a teacher, turned over with probability p = `error`. With e = -1 for a wrong label and 1 for a
    right one y x has e |x_1| along w* and e sign(x_1) x_j across it. So with q = (1 - p) phi + p psi and
    s = (1 - p) phi - p psi, w is along w* about normal with mean n s sqrt(2/pi) and variance n q - n s^2 2/pi, and
    across it about normal with variance n q in each of d - 1 directions, if the teacher is w* itself.

    teacher  rows that the teacher, an averaging classifier too, was fitted to; None: the teacher is w*. It is off by an
             angle a, cos a about c = (1 + (d - 1) pi / (2 teacher))^(-1/2). With a/pi for the share of labels that it
             turns over unwillingly, and h = (phi + psi)/2 (1 - 2p), s is h c + (phi - psi)/2 and n^2 h^2 c^2 / teacher
             is added to the variance across.

    P(x.w and x.w* have one sign), given the angle a of x to the axis w*, is a normal probability;
    the mean over a, of density ~ sin^(d-2) a, is what is returned. d must be at least 2.
    """
    p, phi, psi = (np.asarray(value, float)[..., None] for value in np.broadcast_arrays(error, right, wrong))
    handed = (phi + psi) / 2 * (1 - 2 * p)
    cosine = 1.0 if teacher is None else (1 + (dim - 1) * np.pi / (2 * teacher)) ** -0.5
    all_wrong = p + (1 - 2 * p) * np.arccos(cosine) / np.pi
    kept, signal = (1 - all_wrong) * phi + all_wrong * psi, handed * cosine + (phi - psi) / 2
    across = kept / rows + (0 if teacher is None else (handed * cosine) ** 2 / teacher)
    along = (kept - signal**2 * 2 / np.pi) / rows
    a = np.linspace(0, np.pi / 2, _GRID)
    weight = np.sin(a) ** (dim - 2)
    spread = np.sqrt(along * np.cos(a) ** 2 + across * np.sin(a) ** 2)
    chance = scipy.special.ndtr(signal * np.sqrt(2 / np.pi) * np.cos(a) / spread)
    return np.trapezoid(weight * chance, a, axis=-1) / np.trapezoid(weight, a)


def verified_rate(radius: ArrayLike, noise: float, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """(rho, q): what a round of verified regression leaves of the distance to the verifier's centre c, and of the rows.

    A row y = x.w + sigma z is kept if |y - x.c| <= r |x|. Close to c the mean of a kept y is x.c + g x.(w - c) with
    g(a) = 1 - 2 a f(a) / (2 F(a) - 1), a = r |x| / sigma, f and F the normal density and distribution function. Least
    squares on many rows takes w - c to rho (w - c),

        rho = E[k |x|^2 g] / E[k |x|^2],   q = E[k |x|^2] / d,   k = 2 F(a) - 1,   |x| ~ chi_d .

    rho < 1 for every radius: the radius decides how fast, not whereto. Derived here for the chain of Yi et al. 2025,
    arXiv:2510.16657.
    """
    length = np.linspace(0, scipy.stats.chi.isf(1e-14, dim), _GRID)[1:]
    a = np.asarray(radius, float)[..., None] * length / noise
    kept = 2 * scipy.special.ndtr(a) - 1
    weight = scipy.stats.chi.pdf(length, dim) * length**2
    # g = 1 - 2 a f / k, so that k g has no division.
    shrunk = kept - 2 * a * np.exp(-(a**2) / 2) / np.sqrt(2 * np.pi)
    q = np.trapezoid(weight * kept, length, axis=-1)
    return np.trapezoid(weight * shrunk, length, axis=-1) / q, q / dim


def verified_error(
    generation: ArrayLike, real: int, rows: int, noise: float, dim: int, radius: float, bias: float
) -> np.ndarray:
    """E |w_g - w*|^2 in verified regression with the verifier's centre `bias` away from w*, to first order in w - c.

    With v_0 = sigma^2 d / (real - d - 1), the error of least squares on real rows, and t = g rounds

        rho^2t v_0 + (1 - rho^t)^2 bias^2 + u (1 - rho^2t) / (1 - rho^2),   u = sigma^2 d rho / (rows q)

    where u is what each round adds: the kept labels vary by sigma^2 g about their mean. First the verifier averages the
    noise of few real rows away, then its bias is all that is left. rows: written in every round, before the verdict.
    """
    rho, q = verified_rate(radius, noise, dim)
    left = rho ** np.asarray(generation, float)
    first = noise**2 * dim / (real - dim - 1)
    added = noise**2 * dim * rho / (rows * q) / (1 - rho**2)
    return left**2 * first + (1 - left) ** 2 * bias**2 + (1 - left**2) * added


def preferred(
    shares: ArrayLike,
    reward: ArrayLike,
    candidates: float,
    noise: float,
    *,
    real: ArrayLike | None = None,
    part: float = 0,
) -> np.ndarray:
    """Shares (K,) after one round in which the best of k candidates is kept, with infinitely many rows.

    With probability ~ exp(reward / noise) among the k (Bradley-Terry, Plackett-Luce), symbol x gets p(x) h(x),

        h(x) = k E[e_x / (e_x + sum of k - 1 others)] = k int e_x exp(-e_x u) m(u)^(k-1) du,

    e = exp(reward / noise), m(u) = sum_x p(x) exp(-e_x u). For k = inf, h = e / E[e]: after t rounds
    p_t ~ p_0 exp(t reward / noise). For noise = 0 the best is taken: h p is the difference of P(reward <= r)^k.
    Ferbach et al. 2024, arXiv:2407.09499.

    real, part  a share `part` of the training set are rows of the distribution `real` (K,), which nobody curates
    """
    p, r = np.asarray(shares, float), np.asarray(reward, float)
    if noise == 0:
        levels, place = np.unique(r, return_inverse=True)
        mass = np.bincount(place, p, len(levels))
        distribution = np.diff(np.cumsum(mass) ** candidates, prepend=0)
        chosen = p * np.divide(distribution, mass, out=np.zeros(len(levels)), where=mass > 0)[place]
    else:
        e = np.exp((r - r.max()) / noise)
        if np.isinf(candidates):
            chosen = p * e / np.sum(p * e)
        else:
            # In v = ln u the integrand is smooth and dies off at both ends, where the trapezoidal rule is exact.
            u = np.exp(np.linspace(-45, 8 + np.log(1 / e.min()), _GRID))
            m = np.exp(-np.outer(u, e)) @ p
            terms = e * u[:, None] * np.exp(-np.outer(u, e)) * (m ** (candidates - 1))[:, None]
            chosen = p * candidates * np.trapezoid(terms, np.log(u), axis=0)
    return chosen if real is None else part * np.asarray(real, float) + (1 - part) * chosen
