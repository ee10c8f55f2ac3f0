"""Closed forms of scaling laws in Hutter's model of learning, CF-T*: exact sums, and power laws with their range.

The learner knows what it has seen: it answers right about symbol i if i was among its T training rows. Its test error
is the true probability of the symbols that it has not seen (metric `lost_mass`). `shares` is the true distribution
(K,), commonest first; the power laws are for Zipf's law p_i = a i^-beta, a = p_1, beta > 1.

Hutter 2021, arXiv:2102.04074; Dohmatob et al. 2024, arXiv:2402.07043.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy
from numpy.typing import ArrayLike

from model_collapse.theory.discrete import _evolve, survival_rate, zipf_law


def expected_loss(T: ArrayLike, shares: ArrayLike) -> np.ndarray:
    """CF-T1, exact. E(T) = sum_i p_i (1 - p_i)^T, the error after T >= 0 rows of the truth; shape of T."""
    p = np.asarray(shares, float)
    return _each(T, lambda rows: p @ np.exp(scipy.special.xlog1py(rows, -p)))


def loss_exponent(beta: ArrayLike) -> np.ndarray:
    """CF-T1. c = (beta - 1) / beta in E(T) ~ T^-c."""
    return 1 - 1 / np.asarray(beta, float)


def expected_loss_power_law(T: ArrayLike, symbols: float, beta: float) -> np.ndarray:
    """CF-T1, asymptotic. E(T) = (1/beta) a^(1/beta) Gamma(c, u) T^-c with c = 1 - 1/beta and u = a T K^-beta.

    sum p_i exp(-p_i T) as an integral over i, from 0 to K, with u = T p_i as its variable. For T << K^beta / a the
    incomplete Gamma(c, u) is Gamma(c), and this is a power law; symbols=inf means K without end, a = 1/zeta(beta).
    Good for a T >> 1: within 2.5 % from a T = 10 on and 1 % from a T = 50 on, for beta <= 3.
    """
    T, a = np.asarray(T, float), _commonest(symbols, beta)
    c = 1 - 1 / beta
    u = a * T * float(symbols) ** -beta
    return a ** (1 / beta) / beta * scipy.special.gamma(c) * scipy.special.gammaincc(c, u) * T**-c


def tail_mass(k: ArrayLike, shares: ArrayLike) -> np.ndarray:
    """CF-T2, exact. Probability of all symbols beyond rank k, sum_(i > k) p_i; shape of k."""
    beyond = np.append(np.cumsum(np.asarray(shares, float)[::-1])[::-1], 0.0)
    return beyond[np.minimum(np.asarray(k), len(beyond) - 1)]


def tail_mass_power_law(k: ArrayLike, symbols: float, beta: float) -> np.ndarray:
    """CF-T2, asymptotic. a [(k + 1/2)^(1 - beta) - (K + 1/2)^(1 - beta)] / (beta - 1): ~ k^-(beta - 1) for k << K.

    The sum as an integral with its ends half way between two ranks: within 1 % from k = 3 on, for beta <= 2.
    """
    ends = (np.asarray(k, float) + 0.5) ** (1 - beta) - (float(symbols) + 0.5) ** (1 - beta)
    return _commonest(symbols, beta) * ends / (beta - 1)


def cut_loss(T: ArrayLike, k: int, shares: ArrayLike) -> np.ndarray:
    """CF-T2, exact. Error after T rows of the distribution cut at rank k: p_i / P for i <= k, P = sum_(i <= k) p_i.

    sum_(i <= k) p_i (1 - p_i / P)^T + sum_(i > k) p_i: falls like T^-c until the plateau `tail_mass` is reached.
    """
    return clean_share_loss(T, 0, k, shares)


def clean_share_loss(T: ArrayLike, real: ArrayLike, k: int, shares: ArrayLike) -> np.ndarray:
    """TT-4, exact. Error after T rows of which `real` are of the truth and the others of the truth cut at rank k.

    sum_(i <= k) p_i (1 - p_i)^real (1 - p_i / P)^(T - real) + sum_(i > k) p_i (1 - p_i)^real; T and real broadcast.
    With real = pi T the plateau is gone, and for pi T p_k >> 1 the error is E(pi T): that of the real rows alone.
    """
    p = np.asarray(shares, float)
    cut = np.zeros(len(p))
    cut[:k] = p[:k] / p[:k].sum()
    T, real = np.broadcast_arrays(np.asarray(T), np.asarray(real))
    values = [
        p @ np.exp(scipy.special.xlog1py(r, -p) + _log_miss(t - r, cut))
        for t, r in zip(T.ravel(), real.ravel(), strict=True)
    ]
    return np.array(values).reshape(T.shape)


def equivalent_cut(T0: ArrayLike, shares: ArrayLike) -> np.ndarray:
    """CF-T3. The rank k at which a cut loses as much as T0 rows do: tail_mass(k) = E(T0)."""
    return cut_of_loss(expected_loss(T0, shares), shares)


def cut_of_loss(loss: ArrayLike, shares: ArrayLike) -> np.ndarray:
    """The rank k of a cut that loses as much, tail_mass(k) = loss; log-linear between ranks, shape of loss."""
    p = np.asarray(shares, float)
    k = np.arange(len(p))
    return np.interp(-np.log(loss), -np.log(tail_mass(k, p)), k)


def equivalent_cut_power_law(T0: ArrayLike, symbols: float, beta: float) -> np.ndarray:
    """CF-T3, asymptotic. k = Gamma(2 - 1/beta)^(-1/(beta - 1)) (a T0)^(1/beta) - 1/2: about the rank expected once.

    From CF-T1 = CF-T2 as power laws without end, so for 1/a << T0 << K^beta / a: within 1 % from a T0 = 50 on.
    """
    rank = (_commonest(symbols, beta) * np.asarray(T0, float)) ** (1 / beta)
    return scipy.special.gamma(2 - 1 / beta) ** (-1 / (beta - 1)) * rank - 0.5


def recursive_loss(n: ArrayLike, T0: int, shares: ArrayLike) -> np.ndarray:
    """CF-T4, exact. Error of fit n of a `replace` chain of T0 rows, sum_i p_i P(X_n = 0 | p_i); shape of n.

    It is also the floor for a learner that reads any number of rows of fit n. Cost as for `theory.survival`.
    """
    p = np.asarray(shares, float)
    return _evolve(n, p, T0, (np.arange(T0 + 1) == 0).astype(float)) @ p


def recursive_loss_bound(n: ArrayLike, T0: ArrayLike, shares: ArrayLike) -> np.ndarray:
    """CF-T4, approximation and upper bound. sum_i p_i exp(-T0 p_i g_n), g_n = `survival_rate`; shape of n (or T0).

    Exact for Poisson counts. Above the exact sum, by less than 1 % while n < T0 / 20; later it also counts symbols as
    lost that have taken over. As E(T) is about sum p_i exp(-p_i T), fit n knows as much
    as g_n T0 real rows would have taught it, and for 1 << n << T0 the error grows like (n / T0)^c.
    """
    p = np.asarray(shares, float)
    return _each(np.asarray(T0, float) * survival_rate(n), lambda rows: p @ np.exp(-rows * p))


def learner_loss(T: int, n: ArrayLike, T0: int, shares: ArrayLike) -> np.ndarray:
    """Exact error after T rows written by fit n of a chain of T0 rows: sum_i p_i E[(1 - X_n / T0)^T]; shape of n.

    T = T0 is `recursive_loss` at n + 1; it falls to `recursive_loss` at n as T grows.
    """
    p = np.asarray(shares, float)
    return _evolve(n, p, T0, np.exp(_log_miss(T, np.arange(T0 + 1) / T0))) @ p


def token_price(n: ArrayLike) -> np.ndarray:
    """How many times the tokens the same error costs after n fits: 1 / g_n, from CF-T4; about n/2 + ln(n)/6 + 0.4.

    1, 1.58, 2.13, 2.67, ...: whatever the distribution and the error, while `recursive_loss_bound` is good.
    """
    return 1 / survival_rate(n)


def _log_miss(T: ArrayLike, share: np.ndarray) -> np.ndarray:
    """ln (1 - q)^T: 0 for T = 0, -inf for q = 1 and T > 0."""
    with np.errstate(divide="ignore"):
        return scipy.special.xlog1py(T, -share)


def _each(values: ArrayLike, function: Callable[[float], Any]) -> np.ndarray:
    """`function` of one value at a time, so that memory stays that of one distribution; shape of `values`."""
    values = np.asarray(values)
    return np.array([function(value) for value in values.ravel()], float).reshape(values.shape)


def _commonest(symbols: float, beta: float) -> float:
    """a = p_1 of Zipf's law."""
    if np.isinf(symbols):
        return float(1 / scipy.special.zeta(beta))
    return float(zipf_law(int(symbols), beta)[0])
