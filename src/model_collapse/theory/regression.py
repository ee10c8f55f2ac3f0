"""Closed forms of the relabelling chain of linear regression, CF-L*: n fits of T rows each in d dimensions.

x ~ N(0, I_d), y = x.w* + sigma e, least squares. Errors are E|w_n - w*|^2, the excess risk on new x. With G the sum of
x x' over the rows of a fit and X, e those of them that are new in it, each fit is

    w_n = w_(n-1) + G^-1 X'e        (replace: all rows are new; accumulate: the last T of n T)

because the older rows already had w_(n-1) as their least-squares solution, or because the new labels stand about it.
The noise of one generation has mean 0 whatever went before, so the errors of the steps add up.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike


def first_error(T: ArrayLike, d: ArrayLike, noise: ArrayLike = 1.0) -> np.ndarray:
    """sigma^2 d / (T - d - 1): the error of one fit, sigma^2 E tr G^-1 with G ~ Wishart_d(I, T); inf for T <= d + 1."""
    T, d = np.asarray(T, float), np.asarray(d, float)
    with np.errstate(divide="ignore"):
        return np.square(noise) * np.where(d + 1 < T, d / np.maximum(T - d - 1, 0), np.inf)


def replaced_error(
    n: ArrayLike,
    T: ArrayLike,
    d: ArrayLike,
    noise: float = 1.0,
    written_noise: float | None = None,
    shift: float = 0.0,
) -> np.ndarray:
    """CF-L1. n sigma^2 d / (T - d - 1), exact whether the same x are relabelled or new ones are drawn.

    With another noise tau on written labels, (sigma^2 + (n - 1) tau^2) d / (T - d - 1): none, and the error stays. A
    labeller who adds Delta to w, |Delta| = c, adds c^2 (n - 1)^2. Gerstgrasser et al. 2024, arXiv:2404.01413.
    """
    n = np.asarray(n, float)
    tau = noise if written_noise is None else written_noise
    return (noise**2 + (n - 1) * tau**2) * first_error(T, d) + (shift * (n - 1)) ** 2


def accumulated_error(
    n: ArrayLike,
    T: int,
    d: int,
    noise: float = 1.0,
    written_noise: float | None = None,
    given: Literal["original", "fresh"] = "original",
    shift: float = 0.0,
) -> np.ndarray:
    """CF-L2. The sum over fits k = 1 .. n of the k-th batch's share, exact in both cases:

    original  sigma^2 d / (T - d - 1) / k^2. Fit k has the Gram matrix k X'X, so its step is 1/k of that of a lone fit;
              the sum of 1 / k^2 stays below pi^2 / 6 (arXiv:2404.01413).
    fresh     sigma^2 d / (k (k T - d - 1)). E tr G^-1 X_k'X_k G^-1 is, by symmetry between the k batches, 1/k of
              E tr G^-1 with G ~ Wishart_d(I, k T). Always smaller from k = 2 on.

    A labeller who adds Delta, |Delta| = c, moves fit k by Delta / k: c^2 (1/2 + ... + 1/n)^2 more, which is about
    (c ln n)^2. Exact for the original x; not known here for fresh ones.
    """
    if shift and given == "fresh":
        raise ValueError("the effect of a shift is known for given='original' only")
    n = np.asarray(n, int)
    k = np.arange(1, n.max(initial=1) + 1)
    tau = noise if written_noise is None else written_noise
    share = first_error(T, d) / k**2 if given == "original" else first_error(k * T, d) / k
    bias = shift * np.cumsum(np.where(k == 1, 0, 1 / k))
    return (np.cumsum(share * np.where(k == 1, noise**2, tau**2)) + bias**2)[n - 1]


def projected_error(n: ArrayLike, T: ArrayLike, d: ArrayLike) -> np.ndarray:
    """1 - (T/d)^n: E|w_n - w*|^2 / |w*|^2 of the shortest w through T <= d rows without noise, new x each time.

    Such a fit keeps the part of what labelled its rows that lies in their span, w_n = P_n w_(n-1) with w_0 = w* and
    P_n the projection on T random directions of d. E P_n = (T/d) I, so E w_n.w* = E|w_n|^2 = (T/d)^n, the latter since
    |P w|^2 = w.P w. Without any noise all is lost, exponentially fast: the norm goes to 0. Derived here; Dohmatob, Feng
    & Kempe 2024, arXiv:2402.07712, of which only the abstract was read, have the statement.
    """
    return 1 - (np.asarray(T, float) / np.asarray(d, float)) ** np.asarray(n, float)


def mixed_label_error(
    real_weight: ArrayLike,
    spectrum: ArrayLike,
    signal: ArrayLike,
    T: int,
    noise: float = 1.0,
    ridge: float = 0.0,
) -> np.ndarray:
    """Limit of E|w_n - w*|^2 where each label is w (new real label) + (1 - w) (written one), of the same T rows x.

    spectrum  s_i, (r,), the non-zero eigenvalues of X'X / T
    signal    b_i, (r,) or (r + 1,): (v_i.w*)^2 along their eigenvectors; one more, what of |w*|^2 no row spans
    ridge     penalty per row; 0: the shortest w that fits (minimum norm), for any d and T

    With u_i = s_i / (s_i + ridge) the error along v_i obeys e' = -(1 - u) v.w* + u (1 - w) e + noise of variance
    u^2 (w^2 + (1-w)^2) sigma^2 / (T s), so that in the limit, summed over i,

        [(1 - u) / (1 - u (1-w))]^2 b  +  u^2 sigma^2 / (T s) (w^2 + (1-w)^2) / (1 - u^2 (1-w)^2) .

    Minimum norm, u = 1: w appears only as in `mixed.weigh_drift_limit`, and the best w is 0.618 for every X. Ridge: up
    to w = 1/2 every term falls, so that the best w is at least 1/2 for every X. Shape of real_weight, which is above 0.
    Derived here for the same x in every generation; Garg, Bhattacharya & Sur 2025, arXiv:2509.22341, of which only the
    abstract was read, have these statements for classes of covariance.
    """
    w = np.asarray(real_weight, float)[..., None]
    s, b = np.asarray(spectrum, float), np.asarray(signal, float)
    u = s / (s + ridge)
    bias = ((1 - u) / (1 - u * (1 - w))) ** 2 * b[: len(s)]
    spread = u**2 * noise**2 / (T * s) * (w**2 + (1 - w) ** 2) / (1 - u**2 * (1 - w) ** 2)
    return (bias + spread).sum(axis=-1) + b[len(s) :].sum()


def pathway(n: ArrayLike, regime: Literal["replace", "accumulate", "subsample"]) -> np.ndarray:
    """CF-L3. Error of fit n over that of fit 1 for any estimator that is efficient to first order, T -> infinity.

    replace     n
    accumulate  sum_(k<=n) 1 / k^2, to pi^2 / 6 = 1.645 (Dey & Donoho 2024, arXiv:2410.22812)
    subsample   sum_(k<=n) 1 / k^2 + sum_(k<n) (1 - 1/k) / (k + 1)^2 + 1 - 1/n, to pi^2 / 2 - 2 = 2.935.
                The pool of k batches has the mean m_k of all parameters in it; a fit to T of its k T rows lies
                (1 - 1/k) / T about m_k, by what rows it happened to take, and the batch it writes moves the pool by
                1 / (k + 1) of that and of its own noise. `theory.subsample` has the exact form for a normal
                distribution.
    """
    n = np.asarray(n, int)
    k = np.arange(1, n.max(initial=1) + 1)
    if regime == "replace":
        return n.astype(float)
    accumulate = np.cumsum(1 / k**2)[n - 1]
    if regime == "accumulate":
        return accumulate
    taken = np.append(0, np.cumsum((1 - 1 / k) / (k + 1) ** 2))[n - 1]
    return accumulate + taken + 1 - 1 / n


def biased_error(
    n: ArrayLike, T: int, d: int, real_fraction: float, shift: float = 0.0, noise: float = 1.0
) -> np.ndarray:
    """CF-L4. E|w_n - w*|^2 under regime `fresh` with given=fresh, when labels are written by w + Delta, |Delta| = c.

    Of T rows, T_2 = T - round(g T) are written. With G = G_1 + G_2 and the new error u = G^-1 (G_2 (u + Delta) + X'e):

        E|u'|^2 = sigma^2 d / (T - d - 1) + kappa E|u + Delta|^2,    E u' = (T_2 / T) (E u + Delta)

    where kappa = E tr(G_2 G^-2 G_2) / d (`leverage`) and E|u + Delta|^2 = E|u|^2 + 2 Delta.E u + c^2. Exact for
    T > d + 1. For T >> d, kappa is p^2 with p = T_2 / T, and fit 2 has sigma^2 d / T + p^2 c^2: the part that more rows
    do not remove (Dohmatob et al. 2025, arXiv:2410.04840).
    """
    n = np.asarray(n, int)
    written = T - round(real_fraction * T)
    kappa, step = leverage(written, T, d), first_error(T, d, noise)
    errors, along = [step], 0.0
    for _ in range(n.max(initial=1) - 1):
        errors.append(step + kappa * (errors[-1] + 2 * shift * along + shift**2))
        along = written / T * (along + shift)
    return np.array(errors, float)[n - 1]


def leverage(written: ArrayLike, T: ArrayLike, d: ArrayLike) -> np.ndarray:
    """kappa = E tr(G_2 G^-2 G_2) / d, G = G_1 + G_2, independent Wishart of T - T_2 and T_2 rows, T > d + 1.

    U = G^(-1/2) G_2 G^(-1/2) is a matrix beta variate, independent of G and invariant under rotations, with
    E U_ij U_kl = p 1_ij 1_kl + q (1_ik 1_jl + 1_il 1_jk), q = T_2 (T - T_2) / (T (T-1) (T+2)) and p + 2q =
    T_2 (T_2 + 2) / (T (T + 2)). So kappa = p + q + q E[tr G tr G^-1] / d, with E[tr G tr G^-1] = d (T d - 2) /
    (T - d - 1), from the derivative of E tr G^-1 in the scale of G.
    """
    T2, T, d = np.asarray(written, float), np.asarray(T, float), np.asarray(d, float)
    q = T2 * (T - T2) / (T * (T - 1) * (T + 2))
    pq = T2 * (T2 + 2) / (T * (T + 2)) - q
    return pq + q * (T * d - 2) / (T - d - 1)


def breakdown_point(keep_right: ArrayLike, keep_wrong: ArrayLike) -> np.ndarray:
    """CF-L5. p* = 1 / (1 + psi / phi): the share of wrong labels up to which selected data still teach the truth.

    phi, psi: probabilities that a right and a wrong label are kept. Of the kept labels, phi (1 - p) : psi p are right;
    the majority is wrong for p > p* (Feng et al. 2025, arXiv:2406.07515). No selection: 1/2. An oracle: 1.
    """
    phi, psi = np.asarray(keep_right, float), np.asarray(keep_wrong, float)
    return phi / (phi + psi)


def averaging_accuracy(
    wrong: ArrayLike, keep_right: ArrayLike, keep_wrong: ArrayLike, d: int, rows: ArrayLike
) -> np.ndarray:
    """Accuracy of the classifier sign(x.mean(y x)) on selected labels y = +-sign(x.w*), x ~ N(0, I_d), many rows.

    Of `rows` written rows a share k = phi (1 - p) + psi p is kept. Along w* the mean of y x is a = sqrt(2 / pi)
    (phi (1 - p) - psi p) / k, across it noise of variance 1 / (k rows) in each of d - 1 directions; the accuracy is
    1 - angle / pi, angle = arctan2(sqrt((d - 1) / (k rows)), a). First order in 1 / rows.
    """
    p, phi, psi = np.asarray(wrong, float), np.asarray(keep_right, float), np.asarray(keep_wrong, float)
    kept = phi * (1 - p) + psi * p
    along = np.sqrt(2 / np.pi) * (phi * (1 - p) - psi * p) / kept
    return 1 - np.arctan2(np.sqrt((d - 1) / (kept * np.asarray(rows, float))), along) / np.pi
