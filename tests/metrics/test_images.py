"""Metrics of images against closed forms, loops that say what they define, and a classifier that is made up."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import linalg
from scipy.ndimage import uniform_filter

from model_collapse import paths, store
from model_collapse.corpora import images
from model_collapse.data import Data, Rows
from model_collapse.errors import InputError
from model_collapse.loop import Generation, Reference
from model_collapse.metrics import Measurement
from model_collapse.metrics.images import _classifier, classes, fidelity, latents, pictures, yardstick
from model_collapse.metrics.images._classifier import Classifier, classifier
from model_collapse.metrics.images.fidelity import frechet_distance, neighbourhoods

DIGITS = images.load("digits")


def measured(
    written: np.ndarray, *, evaluate: int | None = None, n: int = 400, family: object = None, model: object = None
) -> Measurement:
    """A generation that wrote these images, and what it is compared with."""
    source = DIGITS.source(n, evaluate=evaluate)
    generation = Generation(0, source.train, model, Data.of(Rows(written), 1, 1))
    return Measurement(generation, Reference(generation, source, family))


# Frechet distance --------------------------------------------------------------------------------------------------


def exactly(mean: np.ndarray, root: np.ndarray, n: int, seed: int) -> np.ndarray:
    """n features whose sample mean and covariance are `mean` and root root', to rounding."""
    x = np.random.default_rng(seed).standard_normal((n, len(mean)))
    x -= x.mean(axis=0)
    x = x @ np.linalg.inv(np.linalg.cholesky(np.cov(x, rowvar=False))).T
    return x @ root.T + mean


def test_frechet_of_independent_normals_is_its_closed_form():
    """|m - m'|^2 + sum (s - s')^2 where covariances are diagonal."""
    s, s_, m, m_ = (np.array(v) for v in ([1.0, 2, 0.5], [3.0, 1, 0.5], [0.0, 1, 2], [1.0, 1, 0]))
    x, y = exactly(m, np.diag(s), 50, 1), exactly(m_, np.diag(s_), 90, 2)
    assert frechet_distance(x, y) == pytest.approx(1 + 0 + 4 + 4 + 1 + 0, rel=1e-10)
    assert frechet_distance(y, x) == pytest.approx(10, rel=1e-10)


@pytest.mark.parametrize("seed", range(4))
def test_frechet_is_that_of_matrix_square_roots(seed: int):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((60, 5)) @ rng.standard_normal((5, 5)) + rng.standard_normal(5)
    y = rng.standard_normal((40, 5)) @ rng.standard_normal((5, 5))
    c, c_ = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    apart = np.sum((x.mean(0) - y.mean(0)) ** 2)
    expected = apart + np.trace(c) + np.trace(c_) - 2 * np.trace(linalg.sqrtm(c @ c_)).real
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-9)


def test_frechet_of_the_same_features_is_0_also_where_there_are_fewer_images_than_dimensions():
    for n in (2, 5, 200):
        x = np.random.default_rng(n).standard_normal((n, 30))
        assert frechet_distance(x, x) == pytest.approx(0, abs=1e-11)
        assert frechet_distance(x, x[::-1] + 3) == pytest.approx(30 * 9, rel=1e-10)
    one_point = np.ones((4, 30))
    assert frechet_distance(one_point, one_point) == 0


# Precision, recall, density, coverage ------------------------------------------------------------------------------


def by_hand(x: np.ndarray, y: np.ndarray, k: int) -> dict[str, float]:
    """The definitions, image by image."""

    def reach(points: np.ndarray, i: int) -> float:
        return sorted(np.linalg.norm(points[i] - points[j]) for j in range(len(points)) if j != i)[k - 1]

    def inside(balls: np.ndarray, i: int, point: np.ndarray) -> bool:
        return bool(np.linalg.norm(point - balls[i]) < reach(balls, i))

    within = [[inside(x, i, point) for i in range(len(x))] for point in y]
    return {
        "precision": np.mean([any(balls) for balls in within]),
        "recall": np.mean([any(inside(y, j, point) for j in range(len(y))) for point in x]),
        "density": sum(map(sum, within)) / (k * len(y)),
        "coverage": np.mean([any(balls[i] for balls in within) for i in range(len(x))]),
    }


@pytest.mark.parametrize(("seed", "k"), [(0, 1), (1, 3), (2, 5)])
def test_neighbourhoods_are_what_a_loop_counts(seed: int, k: int):
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((24, 2)), rng.standard_normal((17, 2)) + 2.5
    found = neighbourhoods(x, y, k)
    assert found == pytest.approx(by_hand(x, y, k))
    assert list(found) == ["precision", "recall", "density", "coverage"]
    assert all(0 < value < 1 for name, value in found.items() if name != "density"), "the test must be able to fail"


LINE = np.arange(10.0)[:, None]


@pytest.mark.parametrize(
    ("written", "k", "expected"),
    [
        # Everything in its place: each point is at distance 0 from itself; within less than 1 nobody else is.
        (LINE, 1, {"precision": 1, "recall": 1, "density": 1, "coverage": 1}),
        # Far away.
        (LINE + 100, 2, {"precision": 0, "recall": 0, "density": 0, "coverage": 0}),
        # A few good images: all of them in balls of real ones, and most real ones unseen. Balls around 5 reach to 1.
        (np.full((8, 1), 5.0), 1, {"precision": 1, "recall": 0, "density": 1, "coverage": 0.1}),
        # In the middle between 4 and 5 there are two balls, of radius 1 each.
        (np.full((8, 1), 4.5), 1, {"precision": 1, "recall": 0, "density": 2, "coverage": 0.2}),
        # Half of them good, half of them nonsense, whose balls are too small for what is between.
        (np.r_[LINE, LINE + 100], 1, {"precision": 0.5, "recall": 1, "density": 0.5, "coverage": 1}),
    ],
)
def test_neighbourhoods_of_points_on_a_line(written: np.ndarray, k: int, expected: dict[str, float]):
    assert neighbourhoods(LINE, written, k) == pytest.approx(expected)


def test_too_few_images_to_compare_are_one_line():
    x = np.random.default_rng(0).standard_normal((6, 3))
    assert np.isfinite(frechet_distance(x[:2], x)) and neighbourhoods(x, x)["precision"] == 1
    with pytest.raises(InputError, match=r"^frechet: compares at least 2 images, real and written, not 1; raise -n or"):
        frechet_distance(x, x[:1])
    with pytest.raises(InputError, match=r"^manifold: compares at least 6 images, real and written, not 5; raise -n"):
        neighbourhoods(x[:5], x)


def test_frechet_and_manifold_are_of_the_features_of_test_images():
    """In the classifier's features, of the first written images, as many as there are test images."""
    written = DIGITS.train[500:700]
    m = measured(written, evaluate=120)
    judge = classifier(DIGITS)
    x, y = judge.features(DIGITS.test[:120]), judge.features(written[:120])
    assert x.shape == (120, 64)
    assert fidelity.frechet(m) == frechet_distance(x, y)
    assert fidelity.manifold(m) == neighbourhoods(x, y)


# Pixels ------------------------------------------------------------------------------------------------------------


def test_sharpness_by_hand_falls_under_blur_and_is_0_without_edges():
    flat = np.broadcast_to(np.arange(0, 250, 25, dtype=np.uint8)[:, None, None], (10, 8, 8))
    assert pictures.sharpness(measured(flat)) == 0
    # One white pixel in the middle of 5 x 5: the Laplacian is -4 there, 1 at its four neighbours, and 0 elsewhere.
    dot = np.zeros((3, 5, 5), np.uint8)
    dot[:, 2, 2] = 255
    assert pictures.sharpness(measured(dot)) == pytest.approx(20 / 25)
    blurred = [DIGITS.train[:50]]
    for _ in range(3):
        blurred.append(uniform_filter(blurred[-1].astype(float), (0, 3, 3)).astype(np.uint8))
    values = [pictures.sharpness(measured(x)) for x in blurred]
    assert np.all(np.diff(values) < 0) and values[0] > 5 * values[3] > 0


def test_sharpness_of_a_picture_does_not_depend_on_its_neighbours():
    x = DIGITS.train[:20]
    single = [pictures.sharpness(measured(x[i : i + 1])) for i in range(20)]
    assert pictures.sharpness(measured(x)) == pytest.approx(np.mean(single))


def test_pixel_sd_by_hand():
    x = np.zeros((4, 8, 8), np.uint8)
    assert pictures.pixel_sd(measured(x)) == 0
    x[:2] = 255
    assert pictures.pixel_sd(measured(x)) == pytest.approx(0.5)
    x[:, 4:] = 7
    assert pictures.pixel_sd(measured(x)) == pytest.approx(0.25)


def test_training_loss_is_that_of_the_last_pass():
    assert pictures.training_loss(measured(DIGITS.train[:3], model=SimpleNamespace(losses=(3.0, 2.0, 1.5)))) == 1.5


def test_no_more_images_are_measured_than_there_are_test_images():
    x = np.r_[np.zeros((30, 8, 8), np.uint8), DIGITS.train[:50]]
    for metric in (pictures.sharpness, pictures.pixel_sd):
        assert metric(measured(x, evaluate=30)) == 0 < metric(measured(x, evaluate=31))


# What a classifier sees --------------------------------------------------------------------------------------------


def stub(monkeypatch: pytest.MonkeyPatch, probabilities: Callable[[np.ndarray], np.ndarray]) -> None:
    monkeypatch.setattr(classes, "classifier", lambda pictures: SimpleNamespace(probabilities=probabilities))


def test_classes_entropy_and_confidence_by_hand(monkeypatch: pytest.MonkeyPatch):
    seen = np.array([[0.7, 0.2, 0.1, 0], [0.6, 0.4, 0, 0], [0.1, 0.2, 0.7, 0], [0.5, 0.3, 0.2, 0]])
    stub(monkeypatch, lambda x: seen[: len(x)])
    given = measured(DIGITS.train[:4])
    assert classes.classes(given) == {"0": 0.75, "1": 0, "2": 0.25, "3": 0}
    assert classes.class_entropy(given) == pytest.approx(-0.75 * np.log(0.75) - 0.25 * np.log(0.25))
    assert classes.confidence(given) == pytest.approx((0.7 + 0.6 + 0.7 + 0.5) / 4)


def test_entropy_is_0_for_one_class_and_the_logarithm_for_all_alike(monkeypatch: pytest.MonkeyPatch):
    stub(monkeypatch, lambda x: np.eye(10)[np.zeros(len(x), int)])
    given = measured(DIGITS.train[:40])
    assert classes.class_entropy(given) == 0 and classes.confidence(given) == 1
    stub(monkeypatch, lambda x: np.eye(10)[np.arange(len(x)) % 10])
    assert classes.class_entropy(given) == pytest.approx(np.log(10))


# The classifier ----------------------------------------------------------------------------------------------------


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache on the disk, and none in memory."""
    monkeypatch.setenv("MODEL_COLLAPSE_CACHE", str(tmp_path / "cache"))
    _classifier._classifier.cache_clear()
    yield tmp_path / "cache"
    _classifier._classifier.cache_clear()


def again(pictures: images.Pictures = DIGITS) -> Classifier:
    """As in another process."""
    _classifier._classifier.cache_clear()
    return classifier(pictures)


def bits(judge: Classifier) -> list[bytes]:
    return [array.tobytes() for layer in judge.layers for array in layer]


def test_it_knows_the_digits_that_it_has_not_seen():
    judge = classifier(DIGITS)
    probabilities = judge.probabilities(DIGITS.test)
    assert np.mean(probabilities.argmax(axis=1) == DIGITS.test_labels) >= 0.95
    assert probabilities.shape == (359, 10) and probabilities.sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_it_is_the_network_that_scikit_learn_trained(monkeypatch: pytest.MonkeyPatch):
    from sklearn.neural_network import MLPClassifier

    fitted = []
    fit = MLPClassifier.fit
    monkeypatch.setattr(MLPClassifier, "fit", lambda self, x, y: fitted.append(fit(self, x, y)) or self)
    judge = _classifier._trained(DIGITS)
    theirs = fitted[0].predict_proba(DIGITS.test.reshape(359, -1) / 255)
    np.testing.assert_allclose(judge.probabilities(DIGITS.test), theirs, atol=1e-5)
    assert (judge.features(DIGITS.test) >= 0).all()


def test_it_is_trained_once_and_read_from_the_cache(own_cache: Path, monkeypatch: pytest.MonkeyPatch):
    first = classifier(DIGITS)
    assert len(list((own_cache / "classifiers").iterdir())) == 1
    monkeypatch.setattr(_classifier, "_trained", lambda pictures: pytest.fail("trained again"))
    assert classifier(DIGITS) is first and bits(again()) == bits(first)


def test_the_same_bits_in_another_process(tmp_path: Path):
    code = "from model_collapse.metrics.images._classifier import classifier\n"
    code += "from model_collapse.corpora import images\nimport hashlib\n"
    code += "arrays = [a for layer in classifier(images.load('digits')).layers for a in layer]\n"
    code += "print(hashlib.sha256(b''.join(a.tobytes() for a in arrays)).hexdigest())"
    environment = os.environ | {"MODEL_COLLAPSE_CACHE": str(tmp_path), "PYTHONHASHSEED": "3", "OMP_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == hashlib.sha256(b"".join(bits(classifier(DIGITS)))).hexdigest()


@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "no manifest", "another file"])
def test_a_damaged_one_is_made_again(damage: str, own_cache: Path, capsys: pytest.CaptureFixture[str]):
    first = bits(classifier(DIGITS))
    (folder,) = (own_cache / "classifiers").iterdir()
    file = folder / "classifier.safetensors"
    good = file.read_bytes()
    if damage == "no manifest":
        (folder / "manifest.json").unlink()
    elif damage == "another file":
        # Whole by its checksums, and still not what is wanted.
        store.write_folder(folder, lambda inside: (inside / file.name).write_bytes(b"{}") and None, {})
    else:
        file.write_bytes({"cut": good[:999], "changed": good[:-1] + b"\0", "empty": b""}[damage])
    assert bits(again()) == first and file.read_bytes() == good
    assert capsys.readouterr().err.count("\n") <= 1


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    expected = bits(classifier(DIGITS))
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("MODEL_COLLAPSE_CACHE", str(tmp_path / "file"))
    assert paths.cache() == tmp_path / "file"
    assert bits(again()) == expected
    _classifier._classifier.cache_clear()


def of_classes(*labels: int, n: int = 300) -> images.Pictures:
    """The digits that have these labels."""
    parts = []
    for x, y in ((DIGITS.train, DIGITS.train_labels), (DIGITS.test, DIGITS.test_labels)):
        chosen = np.flatnonzero(np.isin(y, labels))[:n]
        parts += [x[chosen], y[chosen]]
    return images.Pictures("some", "", *parts)


@pytest.mark.parametrize("labels", [(0, 1), (3, 7), (0, 4, 9)])
def test_two_classes_and_labels_that_are_left_out(labels: tuple[int, ...], own_cache: Path):
    """A label that nobody has is never given; the others keep their names."""
    some = of_classes(*labels)
    probabilities = classifier(some).probabilities(some.test)
    assert probabilities.shape == (len(some.test), max(labels) + 1)
    assert np.mean(probabilities.argmax(axis=1) == some.test_labels) > 0.9
    assert probabilities.sum(axis=1) == pytest.approx(1, abs=1e-5)
    others = [label for label in range(max(labels)) if label not in labels]
    assert np.all(probabilities[:, others] == 0)
    assert bits(again(some)) == bits(classifier(some))


@pytest.mark.parametrize(
    "some",
    [
        of_classes(4),
        of_classes(1, 2, n=19),
        images.Pictures("some", "", DIGITS.train[:40], np.arange(40), DIGITS.test[:3], np.arange(3)),
    ],
)
def test_too_few_images_for_a_classifier_are_one_line(some: images.Pictures, own_cache: Path):
    with pytest.raises(InputError, match=r"^corpus some: too few labelled images for a classifier; it takes ") as error:
        classifier(some)
    assert "\n" not in str(error.value)


# Latents and the yardstick -----------------------------------------------------------------------------------------


class Encoder:
    """Its latents are what the model of generation 0 says they are."""

    def encode(self, model: np.ndarray, rows: Rows) -> np.ndarray:
        return model[: len(rows)]


def test_latents_are_those_of_generation_0():
    z = np.random.default_rng(0).standard_normal((20, 3)).astype(np.float32)
    reference = measured(DIGITS.train[:20], family=Encoder(), model=z).reference
    later = Measurement(Generation(5, reference.first.train, None, Data.of(Rows(DIGITS.train[:20]), 6, 1)), reference)
    assert latents.latent_sd(later) == pytest.approx(z.std())
    assert latents.latent_mean(later) == pytest.approx(z.mean())


def test_latent_histogram_by_hand():
    z = np.array([[-9.0, -3.99], [0.01, 0.05], [0.13, 4.0], [3.9, 77.0]])
    found = latents.latent_histogram(measured(DIGITS.train[:4], family=Encoder(), model=z))
    assert len(found) == 64 and sum(found.values()) == pytest.approx(1)
    assert {item: share for item, share in found.items() if share} == {
        "bin -4": 2 / 8,
        "bin 0": 2 / 8,
        "bin 0.125": 1 / 8,
        "bin 3.875": 3 / 8,
    }


def test_real_images_are_measured_as_if_they_were_written():
    m = measured(np.zeros((400, 8, 8), np.uint8), evaluate=150)
    found = yardstick.real_images(m)
    perfect = measured(DIGITS.train[:400], evaluate=150)
    for metric in (pictures.sharpness, pictures.pixel_sd, classes.confidence, classes.class_entropy, fidelity.frechet):
        assert found.pop(metric.__name__) == metric(perfect)
    assert found == fidelity.manifold(perfect)
    assert found["precision"] > 0.6 and found["coverage"] > 0.6, "real images are near real images"
    nothing = fidelity.manifold(m)
    assert nothing["coverage"] == nothing["recall"] == 0, "and one picture alone is not"
