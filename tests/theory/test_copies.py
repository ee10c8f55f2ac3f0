"""Closed forms of copying against Bessel kernels, draws without rounding, and the scanner itself.

Error rate: all seeded. Every comparison with a simulation is two-sided at level 1e-3 / COMPARISONS, so that a correct
program fails this file with probability at most 1e-3 (Bonferroni) for a freshly chosen seed.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage, special
from scipy.fft import dctn, idctn
from toy_comparisons import Comparisons

from model_collapse import streams
from model_collapse.data import Data, Rows, Source
from model_collapse.families.scanner import Scanner
from model_collapse.interfaces import Family
from model_collapse.loop import generations
from model_collapse.regimes.accumulate import Accumulate
from model_collapse.theory import copies

COMPARISONS = 24
compare = Comparisons(COMPARISONS)


def pictures(n: int, side: int, low: float = 0, high: float = 255, seed: int = 0) -> np.ndarray:
    """Smooth random pictures with grey levels from low to high."""
    x = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal((n, side, side)), (0, 1.2, 1.2))
    x -= x.min(axis=(1, 2), keepdims=True)
    return np.rint(low + (high - low) * x / x.max(axis=(1, 2), keepdims=True)).astype(np.uint8)


def blurred(x: np.ndarray, blur: float) -> np.ndarray:
    return idctn(dctn(x, axes=(1, 2), norm="ortho") * copies.transfer(x.shape[1], blur), axes=(1, 2), norm="ortho")


@pytest.mark.parametrize("blur", [0.3, 0.5, 2.0])
@pytest.mark.parametrize("side", [5, 8, 28])
def test_the_blur_is_the_discrete_gaussian_reflected_at_the_border(blur, side):
    """Against a convolution with exp(-s^2) I_j(s^2) along each axis, mirrored pixels beyond the border."""
    x = pictures(2, side).astype(float)
    kernel = special.ive(np.arange(-30, 31), blur**2)
    assert kernel.sum() == pytest.approx(1) and np.sum(kernel * np.arange(-30, 31) ** 2) == pytest.approx(blur**2)
    by_hand = x
    for axis in (1, 2):
        by_hand = ndimage.correlate1d(by_hand, kernel, axis, mode="reflect")
    np.testing.assert_allclose(blurred(x, blur), by_hand, atol=1e-8)


def test_many_blurs_are_one_of_root_n_times_the_width():
    np.testing.assert_allclose(copies.transfer(9, 0.5) ** 16, copies.transfer(9, 2.0), rtol=1e-12)


def test_power_adds_up_to_the_mean_square_and_holds_the_mean():
    x = pictures(7, 8)
    power = copies.power_spectrum(x)
    assert power.sum() == pytest.approx(np.mean(x.astype(float) ** 2))
    assert power[0, 0] == pytest.approx(np.mean(x.mean(axis=(1, 2)) ** 2))


@pytest.mark.parametrize(("blur", "noise"), [(0.5, 0.0), (0.0, 3.0), (0.5, 3.0), (1.5, 20.0)])
def test_error_against_draws(blur, noise):
    """Pictures of real numbers, neither rounded nor clipped: exact for every n."""
    x, chains, rng = pictures(3, 6).astype(float), 400, np.random.default_rng(1)
    power, copied = copies.power_spectrum(x), np.repeat(x[None], chains, axis=0)
    for n in range(1, 21):
        copied = blurred(copied.reshape(-1, 6, 6), blur).reshape(copied.shape) + noise * rng.standard_normal(
            copied.shape
        )
        expected = copies.copying_error(n, power, blur, noise)
        errors = np.mean((copied - x) ** 2, axis=(1, 2, 3))
        if noise == 0:
            np.testing.assert_allclose(errors, expected, rtol=1e-9)
        elif n in (1, 2, 5, 20):
            compare.within(f"error {blur} {noise} {n}", errors, float(expected))


@pytest.mark.parametrize(("noise", "levels"), [(1.0, 256), (1.5, 86), (2.5, 52), (9.0, 16)])
@pytest.mark.parametrize("blur", [0.0, 0.6])
def test_rounding_is_more_noise_where_there_is_noise(noise, levels, blur):
    """The scanner itself, on greys that stay clear of black and white; noise of half a step or more."""
    x, device = pictures(60, 8, 100, 155), Scanner(blur=blur, noise=noise, levels=levels)
    rng, copied, chains = np.random.default_rng(levels), x, []
    for _ in range(3):
        copied = device.copy(copied, rng)
    chains = np.mean((copied.astype(float) - x) ** 2, axis=(1, 2))
    single = [float(copies.copying_error(3, copies.power_spectrum(p[None]), blur, noise, levels)) for p in x]
    # The dither leaves a ripple of e^(-2 pi^2 (noise / step)^2) of the step's square, below 1 % of the error here.
    compare.within(f"rounded {noise} {levels} {blur}", chains - np.array(single), 0.0, slack=0.01 * np.mean(single))


def test_without_noise_rounding_is_no_noise_and_the_formula_fails():
    """The limit that `copying_noise` states: 16 levels, no noise, and after a few copies nothing moves."""
    x, device, rng = pictures(20, 8), Scanner(noise=0, levels=16), np.random.default_rng(0)
    copied = [x]
    for _ in range(40):
        copied.append(device.copy(copied[-1], rng))
    assert np.array_equal(copied[-1], copied[-2])
    stopped = np.mean((copied[-1].astype(float) - x) ** 2)
    assert stopped < 0.7 * copies.copying_error(40, copies.power_spectrum(x), device.blur, 0, 16)


def test_the_error_ends_on_its_line():
    power = copies.power_spectrum(pictures(5, 8))
    for noise in (0.0, 4.0):
        a, b = copies.copying_error_line(power, 0.5, noise, 52)
        for n in (2000, 4000):
            assert copies.copying_error(n, power, 0.5, noise, 52) == pytest.approx(a + b * n, rel=1e-9)
    assert copies.copying_error_line(power, 0.5, 0.0) == pytest.approx((power.sum() - power[0, 0], 0))


def test_error_grows_with_every_copy_and_takes_arrays():
    power = copies.power_spectrum(pictures(5, 8))
    errors = copies.copying_error(np.arange(200), power, 0.3, 1.0)
    assert errors.shape == (200,) and errors[0] == 0 and np.all(np.diff(errors) > 0)
    assert copies.copying_error(np.ones((2, 3)), power, 0.3, 1.0).shape == (2, 3)


def test_psnr_by_hand():
    """Error 1: 48.13 dB; a picture off by 255 everywhere: 0 dB; none: inf."""
    np.testing.assert_allclose(copies.psnr([1, 255**2, 0]), [48.1308, 0, np.inf], atol=1e-4)


def test_depth_law_by_hand_and_in_the_loop():
    """Small cases; mean 1 + 1/2 + ... + 1/n; and the loop's `accumulate`, in which a copier adds 1 to a picture."""
    np.testing.assert_allclose(copies.depth_law(3), [0, 1 / 3, 1 / 2, 1 / 6])
    distribution = copies.depth_law(30)
    assert distribution.sum() == pytest.approx(1) and distribution @ np.arange(31) == pytest.approx(
        np.sum(1 / np.arange(1, 31))
    )

    class Counter(Family):
        conditional = True

        def fit(self, data, rng, *, start=None, validation=None):
            return None

        def sample(self, model, n, rng, *, given=None):
            return Rows(given.x + 1)

    source = Source(Data.real(Rows(np.zeros((1, 1), int))), fresh=lambda n, rng: Rows(np.zeros((n, 1), int)))
    depths = []
    for seed in range(1000):
        *_, last = generations(source, Counter(), Accumulate(), 1, streams.stream(seed), last=7, given="training")
        depths.append(last.sample.rows.x.item())
    compare.within("depth", np.array(depths), float(copies.depth_law(8) @ np.arange(9)))
