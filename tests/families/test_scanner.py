"""The scanner: each error of the device by itself, the two chains, and what its metrics refuse to compare."""

from __future__ import annotations

import io
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from model_collapse import streams
from model_collapse.analysis.stats import per_replicate
from model_collapse.corpora import images
from model_collapse.data import Rows
from model_collapse.engine.execute import execute
from model_collapse.engine.plan import plan
from model_collapse.errors import InputError
from model_collapse.families import scanner
from model_collapse.families.scanner import Scanner
from model_collapse.loop import Generation, Reference, generations
from model_collapse.metrics import Measurement
from model_collapse.metrics.images import copies as metrics
from model_collapse.regimes.accumulate import Accumulate
from model_collapse.regimes.mix import Mix
from model_collapse.regimes.replace import Replace
from model_collapse.theory.copies import psnr

CLEAN = {"blur": 0.0, "noise": 0.0, "levels": 256}
N = 12


def digits(n: int = N) -> np.ndarray:
    return images.load("digits").train[:n]


def copied(x: np.ndarray, seed: int = 0, **device: float) -> np.ndarray:
    return Scanner(**device).copy(x, np.random.default_rng(seed))


def chain(regime=None, *, given="training", last=4, n=N, **device) -> tuple[list[Generation], Reference]:
    source = images.load("digits").source(n, evaluate=30)
    family = Scanner(**device)
    stream = streams.stream(3)
    made = list(generations(source, family, regime or Replace(), n, stream, last=last, given=given))
    return made, Reference(made[0], source, family)


# One copy ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", [1, 8, 28, 33])
def test_without_errors_a_copy_is_the_original(side):
    x = np.random.default_rng(side).integers(0, 256, (5, side, side), dtype=np.uint8)
    assert copied(x, **CLEAN).dtype == np.uint8 and np.array_equal(copied(x, **CLEAN), x)


def test_blur_keeps_the_mean_and_lowers_the_contrast():
    """A single white pixel spreads by a standard deviation of `blur` pixels, nothing passes the border."""
    x = np.zeros((1, 33, 33), np.uint8)
    x[0, 16, 16] = 255
    spot = copied(x, **CLEAN | {"blur": 1.0})[0]
    assert spot[16, 16] == round(255 * 0.4657596075936404**2)  # e^-1 I_0(1), squared
    assert np.array_equal(spot, spot.T) and np.array_equal(spot, spot[::-1])
    corner = np.zeros((1, 9, 9), np.uint8)
    corner[0, :3, :3] = 240
    assert copied(corner, **CLEAN | {"blur": 50.0}).ravel() == pytest.approx(np.full(81, 240 / 9), abs=0.5)


def test_noise_is_normal_and_new_in_every_pixel():
    x = np.full((400, 8, 8), 128, np.uint8)
    found = copied(x, **CLEAN | {"noise": 10.0}).astype(float) - 128
    # 25,600 pixels; bounds of 5 standard errors, and 1/12 of rounding
    assert abs(found.mean()) < 5 * 10 / 160 and found.var() == pytest.approx(
        100 + 1 / 12, abs=5 * 100 * np.sqrt(2) / 160
    )
    neighbours = np.corrcoef(found[:, :, :-1].ravel(), found[:, :, 1:].ravel())[0, 1]
    assert abs(neighbours) < 5 / np.sqrt(400 * 56)
    assert not np.array_equal(copied(x, seed=1, noise=10.0), copied(x, seed=2, noise=10.0))


@pytest.mark.parametrize("levels", [2, 5, 52, 256])
def test_levels_are_even_steps_from_black_to_white(levels):
    x = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    found = copied(x, **CLEAN | {"levels": levels})
    assert np.array_equal(np.unique(found), np.rint(np.linspace(0, 255, levels)))
    assert np.abs(found.astype(float) - x).max() <= 255 / (levels - 1) / 2 + 0.5
    assert np.array_equal(copied(found, **CLEAN | {"levels": levels}), found), "once rounded, always rounded"


def test_jpeg_is_pillows():
    x = digits(3)
    for picture, found in zip(x, copied(x, **CLEAN | {"jpeg": 40}), strict=True):
        file = io.BytesIO()
        Image.fromarray(picture).save(file, format="JPEG", quality=40)
        assert np.array_equal(found, np.asarray(Image.open(file)))


def test_pictures_are_copied_in_batches_that_do_not_show(monkeypatch):
    x = Rows(digits(50))
    family = Scanner()
    whole = family.sample(family, 50, np.random.default_rng(1), given=x)
    monkeypatch.setattr(scanner, "BATCH", 7)
    assert np.array_equal(family.sample(family, 50, np.random.default_rng(1), given=x).x, whole.x)


@pytest.mark.parametrize("given", [None, Rows(np.zeros((3, 8, 8), np.uint8))])
def test_it_needs_as_many_pictures_as_it_shall_copy(given):
    with pytest.raises(InputError, match=r"^scanner copies pictures: it needs 4 given ones, not [03]$"):
        Scanner().sample(Scanner(), 4, np.random.default_rng(0), given=given)


# Chains ------------------------------------------------------------------------------------------------------------


def test_replace_copies_copies_row_by_row_and_the_control_copies_originals():
    of_copies, reference = chain()
    for before, after in pairwise(of_copies):
        assert np.array_equal(after.given.x, before.sample.rows.x)
    of_originals, _ = chain(given="original")
    assert all(np.array_equal(turn.given.x, digits()) for turn in of_originals)
    assert np.array_equal(of_copies[0].sample.rows.x, of_originals[0].sample.rows.x), "the same first copy"
    assert not np.array_equal(of_originals[1].sample.rows.x, of_originals[2].sample.rows.x), "new noise every time"
    errors, control = ([metrics.mse(Measurement(turn, reference)) for turn in arm] for arm in (of_copies, of_originals))
    assert np.all(np.diff(errors) > 0.1 * errors[0])
    assert np.ptp(control) < 0.1 * control[0]


def test_without_noise_the_seed_does_not_matter():
    assert np.array_equal(copied(digits(), seed=1, noise=0.0), copied(digits(), seed=2, noise=0.0))


# Metrics -----------------------------------------------------------------------------------------------------------


def test_metrics_by_hand():
    made, reference = chain(last=0)
    error = np.mean((made[0].sample.rows.x.astype(float) - digits()) ** 2)
    assert metrics.mse(Measurement(made[0], reference)) == pytest.approx(error)
    assert metrics.psnr(Measurement(made[0], reference)) == pytest.approx(float(psnr(error)))
    exact, reference = chain(last=0, **CLEAN)
    assert (
        metrics.mse(Measurement(exact[0], reference)) == 0 and metrics.psnr(Measurement(exact[0], reference)) == np.inf
    )


def test_no_more_pictures_are_measured_than_the_test_part_has():
    made, reference = chain(last=0, n=100)
    error = np.mean((made[0].sample.rows.x[:30].astype(float) - digits(30)) ** 2)
    assert metrics.mse(Measurement(made[0], reference)) == pytest.approx(error)


@pytest.mark.parametrize(("regime", "given"), [(Accumulate(), "training"), (Mix(), "training"), (Replace(), "fresh")])
def test_rows_that_are_no_copies_of_their_originals_are_not_compared(regime, given):
    made, reference = chain(regime, given=given, last=2)
    with pytest.raises(InputError, match="row i is no copy of picture i; set --given original, or training with rep"):
        metrics.psnr(Measurement(made[-1], reference))


@pytest.mark.parametrize("regime", [Accumulate(), Mix()])
def test_copies_of_originals_are_compared_under_every_regime(regime):
    made, reference = chain(regime, given="original")
    assert metrics.mse(Measurement(made[-1], reference)) == pytest.approx(
        metrics.mse(Measurement(made[0], reference)), rel=0.1
    )


# Runs --------------------------------------------------------------------------------------------------------------


def test_a_run_keeps_the_same_pictures_row_by_row():
    """By name, on pictures of any size; the images that are kept are copies of the first rows, measured as by hand."""
    run = plan(
        "scanner", n=25, generations=2, given="training", seed=4, settings={"family.noise": 0, "family.levels": 256}
    )
    table, kept = execute(run)
    expected = digits(25)
    for g in range(3):
        expected = copied(expected, noise=0, levels=256)
        rows = kept[kept["generation"] == g].sort_values("row")
        assert [np.frombuffer(image, np.uint8).tolist() for image in rows["image"]] == [
            picture.ravel().tolist() for picture in expected[:20]
        ]
        error = np.mean((expected.astype(float) - digits(25)) ** 2)
        assert per_replicate(table, "psnr", g)[0] == pytest.approx(float(psnr(error)))
    assert per_replicate(table, "sharpness", 2)[0] < 0.5 * per_replicate(table, "sharpness", 0)[0]


def test_every_metric_of_images_can_be_taken():
    table, _ = execute(plan("scanner", n=60, generations=1, metrics=(*Scanner.metrics, *Scanner.more_metrics)))
    assert set(table["metric"]) == {*Scanner.metrics, *Scanner.more_metrics}
    assert np.isfinite(table["value"]).all()


def test_a_chain_that_cannot_be_measured_says_what_to_set():
    with pytest.raises(InputError, match="set --given original, or training with replace"):
        execute(plan("scanner", "accumulate", n=10, generations=2, given="training"))
