"""Chapter `copies`: devices against the family itself, numbers in sentences, and what it refuses."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from model_collapse.companion.chapters import copies as chapter
from model_collapse.errors import InputError
from model_collapse.families.scanner import Scanner
from model_collapse.theory.copies import power_spectrum

EXACT = Scanner(blur=0, noise=0, levels=256)


def test_a_device_copies_the_last_copy_or_the_original() -> None:
    picture = chapter.flower(32)
    assert picture.shape == (1, 32, 32) and picture.dtype == np.uint8
    chain = chapter.Device(replace(EXACT, blur=0.5)).copies(picture, 3, 1)
    again = chapter.Device(replace(EXACT, blur=0.5), given="original").copies(picture, 3, 1)
    assert (chain[0] == picture).all() and len(chain) == 4
    assert (chain[1] == again[1]).all() and (again[3] == again[1]).all() and (chain[3] != chain[1]).any()
    power, n = power_spectrum(picture), np.array([1, 3])
    measured = [np.mean((chain[c].astype(float) - picture) ** 2) for c in n]
    device = chapter.Device(replace(EXACT, blur=0.5))
    np.testing.assert_allclose(measured, device.error(n, power), rtol=0.05)
    original = chapter.Device(device.scanner, given="original").error(n, power)
    assert original[0] == original[1] == device.error(n, power)[0]


def test_the_copy_after_which_no_pixel_moves() -> None:
    picture = np.zeros((1, 2, 2), np.uint8)
    assert chapter._stops(np.stack([picture, picture + 1, picture + 2, picture + 2])) == 2
    assert chapter._stops(np.stack([picture, picture + 1])) is None


def test_the_flower_in_numbers(shown: list[Any]) -> None:
    size = replace(chapter.size("smoke"), copies=5)
    chapter.one_picture(size, {"exact": chapter.Device(EXACT), "black": chapter.Device(replace(EXACT, noise=20.0))})
    (_, table, name, *_), sentence = shown
    assert name == "copies-flower" and set(table["copy"]) == {1, 5}
    assert "| copy 5 | inf | " in sentence
    noisy = chapter.Device(replace(EXACT, noise=20.0)).copies(chapter.flower(), 5, size.seed)
    error = np.mean((noisy[5].astype(float) - noisy[0]) ** 2)
    assert f"{10 * np.log10(255**2 / error):.1f} |" in sentence.splitlines()[-1]


def test_copies_at_random_forget_originals() -> None:
    line = chapter.lineage(10, 50, 3)
    assert line.shape == (51, 10) and (line[0] == np.arange(10)).all()
    assert all(set(later) <= set(before) for before, later in itertools.pairwise(line))
    assert len(set(line[-1])) == 1, "after 50 generations of ten one is left, but for one chance in 70"


def test_the_control_must_not_get_worse(shown: list[Any]) -> None:
    rows = [
        {"replicate": r, "generation": g, "metric": "psnr", "item": "", "value": 30.0 - g + 0.01 * r}
        for r in range(4)
        for g in range(3)
    ]
    falling = pd.DataFrame(rows)
    still = falling.assign(value=30.0)
    size = chapter.size("smoke")
    tables = {"copies of copies": falling, "JPEG alone": still, "control: copies of the original": still}
    chapter.psnr_of_digits(tables, size)
    assert "0 [0, 0] dB with JPEG alone" in shown[1] and "3 blurs are one of 0.9 pixels" in shown[1]
    with pytest.raises(AssertionError, match="copies of the original"):
        chapter.psnr_of_digits({**tables, "control: copies of the original": falling}, size)


@pytest.mark.parametrize("given", [{"copies": 4}, {"n": 9}, {"replicates": 1}])
def test_too_little_is_one_line(given: dict[str, int]) -> None:
    with pytest.raises(InputError, match=r"at least 2 replicates, 5 copies and 10 pictures$"):
        chapter.size("smoke", **given)
