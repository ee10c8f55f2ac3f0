"""Closed forms of copying a picture again and again: a blur that multiplies, and noise that adds up.

One copy takes the picture x (side, side), in grey levels, to K x + v, K a blur and v new noise of variance sigma^2 in
every pixel. Below, n counts copies, and power is that of the original at every frequency (`power_spectrum`). The mean
is over the noise; rounding counts as more of it, and nothing is clipped at black or white.

The blur is diffusion on the grid of pixels for a time of blur^2 / 2, nothing passing the border. The cosine transform
(type II) makes it diagonal, so that n blurs of s pixels are one of s sqrt(n) exactly. Its kernel is the discrete
Gaussian of Lindeberg (1990, doi:10.1109/34.49051): no weight is negative, and its standard deviation is s.
"""

from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import ArrayLike

WHITE = 255.0
"""The largest grey level."""


def transfer(side: int, blur: float) -> np.ndarray:
    """h (side, side): what a blur of standard deviation `blur` pixels leaves of the wave with (k, l) half turns.

    h_kl = exp(-blur^2 (2 - cos(pi k / side) - cos(pi l / side))). h_00 = 1: the mean grey stays.
    """
    turn = np.cos(np.pi * np.arange(side) / side)
    return np.exp(-(blur**2) * (2 - turn[:, None] - turn))


def power_spectrum(pictures: np.ndarray) -> np.ndarray:
    """P (side, side): mean over pictures (n, side, side) of the squared cosine coefficients, over side^2.

    They sum to the mean square of a pixel. P_00 is the square of the mean grey; the rest is the variance in a picture.
    """
    side = pictures.shape[-1]
    return np.mean(scipy.fft.dctn(pictures.astype(float), axes=(-2, -1), norm="ortho") ** 2, axis=0) / side**2


def copying_noise(noise: float, levels: int | None = None) -> float:
    """sigma^2 of one copy: noise^2 + D^2 / 12, D = 255 / (levels - 1) the step between grey levels; None: no rounding.

    Good from a noise of D / 2 up, which makes the rounding error uniform and independent of the picture (dither). With
    less, the same value is rounded the same way every time, and after a while nothing moves. D has to be a whole number
    (256, 86, 52, 18, 16 levels), or levels stored as bytes lie unevenly and greys drift towards some of them.
    """
    return noise**2 + (0.0 if levels is None else (WHITE / (levels - 1)) ** 2 / 12)


def copying_error(n: ArrayLike, power: np.ndarray, blur: float, noise: float, levels: int | None = None) -> np.ndarray:
    """Mean squared error per pixel of the n-th copy; shape of n.

    MSE_n = sum_k P_k (1 - h_k^n)^2 + sigma^2 mean_k sum_(j<n) h_k^(2j)

    The first part is detail that was lost, the second the noise of all copies so far, each blurred by those after it.
    """
    n = np.asarray(n, float)[..., None, None]
    h = transfer(len(power), blur)
    lost = np.sum(power * (1 - h**n) ** 2, axis=(-2, -1))
    with np.errstate(invalid="ignore"):
        kept = np.where(h < 1, (1 - h ** (2 * n)) / (1 - h**2), n)
    return lost + copying_noise(noise, levels) * kept.mean(axis=(-2, -1))


def copying_error_line(power: np.ndarray, blur: float, noise: float, levels: int | None = None) -> tuple[float, float]:
    """(a, b): MSE_n - (a + b n) goes to 0 as n grows, for blur > 0.

    a = sum_(k>0) P_k + (sigma^2 / side^2) sum_(k>0) 1 / (1 - h_k^2),  b = sigma^2 / side^2

    All detail is lost and the noise of it stands still; only the mean grey goes on wandering, which no blur holds back.
    """
    sigma2, pixels = copying_noise(noise, levels), power.size
    h = transfer(len(power), blur).ravel()[1:]
    return float(np.sum(power) - power[0, 0] + sigma2 / pixels * np.sum(1 / (1 - h**2))), sigma2 / pixels


def psnr(error: ArrayLike) -> np.ndarray:
    """Peak signal-to-noise ratio in dB of a mean squared error: 10 log10(255^2 / error); inf without error."""
    with np.errstate(divide="ignore"):
        return 10 * np.log10(WHITE**2 / np.asarray(error, float))


def depth_law(n: int) -> np.ndarray:
    """P(depth = d), d = 0 .. n, of the n-th copy if each is made from a picture drawn at random, original or copy.

    q_t(d + 1) = mean_(i<t) q_i(d), q_0 = 1 at d = 0 (the original). The mean is 1 + 1/2 + ... + 1/n, about ln n: the
    copies form a random recursive tree. Derived; sum_d P(d) MSE_d is the expected error of the n-th copy.
    """
    distribution = np.zeros((n + 1, n + 1))
    distribution[0, 0] = 1
    for t in range(1, n + 1):
        distribution[t, 1:] = distribution[:t, :-1].mean(axis=0)
    return distribution[n]
