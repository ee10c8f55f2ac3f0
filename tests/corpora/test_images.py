"""Corpora of images: digits, idx files, parquet files, MNIST, and every way an input can be wrong."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import needed
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from model_collapse import cli
from model_collapse.corpora import images
from model_collapse.errors import ExternalError, InputError

Write = Callable[[Path, str, np.ndarray, np.ndarray], None]


def drawn(n: int, side: int = 8, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Noise, with labels 0 to 2."""
    return np.random.default_rng(seed).integers(0, 256, (n, side, side), np.uint8), np.arange(n) % 3


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.astype(np.uint8).tobytes()


def packed(folder: Path, part: str, x: np.ndarray, y: np.ndarray) -> None:
    for kind, array in (("images-idx3", x), ("labels-idx1", y)):
        (folder / f"{images.PARTS[part]}-{kind}-ubyte.gz").write_bytes(gzip.compress(idx(array), 1))


def plain(folder: Path, part: str, x: np.ndarray, y: np.ndarray) -> None:
    for kind, array in (("images-idx3", x), ("labels-idx1", y)):
        (folder / f"{images.PARTS[part]}-{kind}-ubyte").write_bytes(idx(array))


def png(x: np.ndarray, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(x).save(file, kind)
    return file.getvalue()


def hub(folder: Path, part: str, x: np.ndarray, y: np.ndarray, shard: str = "00000-of-00001") -> None:
    """Parquet as on the hub: a struct with the bytes of a PNG file and a path that nobody needs."""
    rows = [{"bytes": png(picture), "path": None} for picture in x]
    about = {b"huggingface": b"{}"}
    table = pa.table({"image": rows, "label": pa.array(y, pa.int64())}).replace_schema_metadata(about)
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, folder / f"{part}-{shard}.parquet")


def both(folder: Path, write: Write = packed, train: int = 30, test: int = 12) -> Path:
    """A whole corpus in that layout."""
    folder.mkdir(parents=True, exist_ok=True)
    write(folder, "train", *drawn(train))
    write(folder, "test", *drawn(test, seed=1))
    return folder


def same(one: images.Pictures, other: images.Pictures) -> bool:
    parts = ("train", "train_labels", "test", "test_labels")
    return all(np.array_equal(getattr(one, part), getattr(other, part)) for part in parts)


# Digits ------------------------------------------------------------------------------------------------------------


def test_digits_are_those_of_scikit_learn_split_in_two():
    from sklearn.datasets import load_digits

    digits, theirs = images.load("digits"), load_digits()
    assert digits.train.shape == (1438, 8, 8) and digits.test.shape == (359, 8, 8) and digits.train.dtype == np.uint8
    assert (digits.side, digits.classes, digits.name) == (8, 10, "digits")
    x, y = (np.concatenate(parts) for parts in ((digits.train, digits.test), (digits.train_labels, digits.test_labels)))
    assert x.min() == 0 and x.max() == 255 and y.dtype == np.int64
    # Every picture once, with its own label.
    grey = np.rint(x * (16 / 255)).astype(int)
    ours = sorted((picture.tobytes(), label) for picture, label in zip(grey, y.tolist(), strict=True))
    whole = zip(theirs.images.astype(int), theirs.target.tolist(), strict=True)
    assert ours == sorted((picture.tobytes(), label) for picture, label in whole)
    # A shuffle: other people wrote the first digits than the last. 359 places of 1,797 lie in the middle on average,
    # with a standard error of 0.014 of the whole.
    places = {picture.tobytes(): place for place, picture in enumerate(theirs.images.astype(int))}
    in_test = [places[picture.tobytes()] / 1797 for picture in grey[1438:]]
    assert abs(np.mean(in_test) - 0.5) < 0.07


def test_the_fingerprint_is_of_the_content_and_the_same_in_another_process():
    code = "from model_collapse.corpora import images; print(images.load('digits').fingerprint)"
    environment = os.environ | {"PYTHONHASHSEED": "7"}
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, env=environment, text=True)
    digits = images.load("digits")
    assert said.stdout.strip() == digits.fingerprint and len(digits.fingerprint) == 64
    parts = [digits.train, digits.train_labels, digits.test, digits.test_labels]
    for i, part in enumerate(parts):
        other = part.copy()
        other[-1] = (other[-1] + 1) % 10
        changed = images.Pictures("digits", "", *parts[:i], other, *parts[i + 1 :])
        assert changed.fingerprint != digits.fingerprint


# Sources -----------------------------------------------------------------------------------------------------------


def test_a_source_has_the_first_images_and_draws_from_the_others():
    digits = images.load("digits")
    source = digits.source(1400, side=8, evaluate=30)
    assert np.array_equal(source.train.rows.x, digits.train[:1400])
    assert np.array_equal(source.test.rows.x, digits.test[:30])
    assert np.all(source.train.born == 0) and source.corpus == "digits" and source.pictures is digits
    unused = [picture.tobytes() for picture in digits.train[1400:]]
    drawn = [[x.tobytes() for x in source.draw(20, np.random.default_rng(seed)).rows.x] for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert all(len(set(some)) == 20 and set(some) <= set(unused) for some in drawn), "none twice, all unused"
    assert sorted(x.tobytes() for x in source.draw(38, np.random.default_rng(0)).rows.x) == sorted(unused)
    with pytest.raises(
        InputError,
        match=r"^corpus digits has only 38 unused images; 39 were asked for; lower -n, or the share of real images$",
    ):
        source.draw(39, np.random.default_rng(0))
    whole = digits.source()
    assert len(whole.train) == 1438 and len(whole.test) == 359
    with pytest.raises(InputError, match="only 0 unused images"):
        whole.draw(1, np.random.default_rng(0))


def test_passes_are_the_same_images_over_and_over():
    source = images.load("digits").source(5, passes=3)
    x = source.train.rows.x.reshape(3, 5, 8, 8)
    assert all(np.array_equal(each, images.load("digits").train[:5]) for each in x)
    assert len(source.train.born) == 15
    assert len(source.draw(1433, np.random.default_rng(0))) == 1433, "a pass uses up no more images"


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        ({"n": 1439}, "n must be at most 1438, the training images of corpus digits; got 1439"),
        (
            {"n": 5, "side": 28},
            "--corpus digits: its images have 8 x 8 pixels, and this family reads 28 x 28; use another corpus or "
            "family.preset",
        ),
    ],
)
def test_what_a_source_refuses(asked: dict[str, int], line: str):
    with pytest.raises(InputError) as refused:
        images.load("digits").source(**asked)
    assert str(refused.value) == line


# Files -------------------------------------------------------------------------------------------------------------


def test_every_layout_of_the_files_gives_the_same_corpus(tmp_path: Path):
    (x, y), (test, test_labels) = drawn(30), drawn(12, seed=1)
    expected = images.Pictures("", "", x, y, test, test_labels)
    found = [images.load(str(both(tmp_path / write.__name__, write))) for write in (packed, plain, hub)]
    hub(tmp_path / "shards" / "deep", "train", x[:20], y[:20], "00000-of-00002")
    hub(tmp_path / "shards" / "deep", "train", x[20:], y[20:], "00001-of-00002")
    hub(tmp_path / "shards", "test", test, test_labels)
    found.append(images.load(str(tmp_path / "shards")))
    for pictures in found:
        assert same(pictures, expected) and pictures.fingerprint == expected.fingerprint
        assert (pictures.train.dtype, pictures.train_labels.dtype) == (np.uint8, np.int64)
        assert pictures.revision == "local" and pictures.classes == 3
        pictures.train[0, 0, 0] = 0  # torch warns of an array that may not be written to


def test_mnist_is_read_from_the_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    both(tmp_path / "mnist")
    monkeypatch.setenv("MODEL_COLLAPSE_DATA", str(tmp_path))
    assert images.load("mnist").name == "mnist" and len(images.load("mnist").train) == 30


def test_mnist_is_read_from_the_hubs_cache_at_the_pinned_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Without a look at the network."""
    snapshot = tmp_path / "datasets--ylecun--mnist" / "snapshots" / images.MNIST_REVISION
    both(snapshot / "mnist", hub)
    files = tuple(
        replace(file, sha256=hashlib.sha256((snapshot / file.name).read_bytes()).hexdigest())
        for file in images.MNIST_FILES
    )
    monkeypatch.setattr(images, "MNIST_FILES", files)
    monkeypatch.delenv("MODEL_COLLAPSE_DATA", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("model_collapse.corpora.hub._asked", lambda *a: pytest.fail("looked at the network"))
    images._mnist.cache_clear()
    found = images.load("mnist")
    images._mnist.cache_clear()
    assert found.revision == images.MNIST_REVISION
    assert same(found, images.load(str(both(tmp_path / "local"))))


def test_the_hub_out_of_reach_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.setattr("model_collapse.corpora.hub.cached", lambda file: None)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.delenv("MODEL_COLLAPSE_DATA", raising=False)
    images._mnist.cache_clear()
    with pytest.raises(ExternalError, match=r"set MODEL_COLLAPSE_DATA .*, or use --corpus digits$"):
        images.load("mnist")
    assert cli.main(["chain", "vae", "--corpus", "mnist"]) == 3
    assert capsys.readouterr().err.count("\n") == 1


@needed.mnist
def test_real_mnist(monkeypatch: pytest.MonkeyPatch):
    """Its known sizes, counts of labels and mean grey level."""
    monkeypatch.setenv("MODEL_COLLAPSE_DATA", str(needed.DATA))
    mnist = images.load("mnist")
    assert mnist.train.shape == (60_000, 28, 28) and mnist.test.shape == (10_000, 28, 28)
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(mnist.train_labels).tolist() == counts
    assert np.bincount(mnist.test_labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    # 0.1307 and 0.3081 are what every tutorial normalises with.
    assert (mnist.train / 255).mean() == pytest.approx(0.1307, abs=5e-5)
    assert (mnist.train / 255).std() == pytest.approx(0.3081, abs=5e-5)


# Bad input ---------------------------------------------------------------------------------------------------------


def replaced(name: str, content: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """A whole corpus of packed idx files, and then one of them with other content."""

    def write(folder: Path) -> None:
        both(folder)
        (folder / name).write_bytes(content((folder / name).read_bytes()))

    return write


def part(write: Write, part: str, x: np.ndarray, y: np.ndarray, **more: str) -> Callable[[Path], None]:
    """A whole corpus with other content in one part."""

    def wrong(folder: Path) -> None:
        both(folder, write)
        write(folder, part, x, y, **more)

    return wrong


def columns(**given: object) -> Callable[[Path], None]:
    """A whole corpus of parquet files with other columns in train; None: column left out."""

    def write(folder: Path) -> None:
        both(folder, hub)
        whole = pq.read_table(folder / "train-00000-of-00001.parquet").slice(0, 3)
        named = {name: whole[name] for name in whole.column_names} | given
        pq.write_table(
            pa.table({name: column for name, column in named.items() if column is not None}),
            folder / "train-00000-of-00001.parquet",
        )

    return write


def bytes_of(*files: bytes | None) -> list[dict[str, bytes | None]]:
    return [{"bytes": file} for file in files]


def emptied(folder: Path) -> None:
    folder.mkdir()


def without(name: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        both(folder)
        (folder / name).unlink()

    return write


GOOD = png(drawn(1)[0][0])
IMAGES, LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"
SMALL, NOT_SQUARE = drawn(3, side=7), np.zeros((3, 8, 6), np.uint8)
COLOUR, PALETTE = png(np.zeros((8, 8, 3), np.uint8)), png(np.zeros((8, 8), bool))
NO_WHOLE = "column `label` of .* does not hold whole numbers from 0 to 999$"
NO_IMAGE = r"row 1 of .*train.* holds no readable image$"
BAD: dict[str, tuple[Callable[[Path], None], str]] = {
    # what is not there
    "empty folder": (emptied, r"no train images in the folder; it must hold train-images-idx3-ubyte\.gz and .* or tra"),
    "only train": (lambda folder: emptied(folder) or packed(folder, "train", *drawn(3)), "no test images in the fold"),
    "no labels": (without("t10k-labels-idx1-ubyte.gz"), r"t10k-labels-idx1-ubyte\.gz is missing; images need labels$"),
    "no column of labels": (columns(label=None), r"has no column `label` \(it has image\)$"),
    "no column of images": (columns(image=None), r"has no column `image` \(it has label\)$"),
    # what is empty
    "no image": (part(packed, "train", *drawn(0)), "its train part is empty$"),
    "no image in parquet": (part(hub, "test", *drawn(0)), r"test-00000-of-00001\.parquet is empty$"),
    "no pixel": (part(plain, "train", np.zeros((3, 0, 0), np.uint8), np.arange(3)), "its train part is empty$"),
    # shapes
    "train and test differ": (part(packed, "test", *SMALL), "images of different shapes, 7 x 7 and 8 x 8$"),
    "one file differs": (
        columns(image=bytes_of(GOOD, png(SMALL[0][0]), GOOD)),
        r"train-.*\.parquet has images of different shapes, 7 x 7 and 8 x 8$",
    ),
    "a shard differs": (
        part(hub, "train", *SMALL, shard="00001-of-00001"),
        "images of different shapes, 7 x 7 and 8 x 8$",
    ),
    "not square": (part(packed, "test", NOT_SQUARE, np.arange(3)), "its test images are not square, 8 x 6$"),
    "not square in parquet": (part(hub, "train", NOT_SQUARE, np.arange(3)), "its train images are not square, 8 x 6$"),
    # labels
    "too few labels": (part(packed, "train", drawn(5)[0], np.arange(4)), "5 train images, but 4 labels$"),
    "a label is missing": (columns(label=[1, None, 2]), NO_WHOLE),
    "labels are words": (columns(label=["one", "two", "three"]), NO_WHOLE),
    "labels are digits in text": (columns(label=["1", "2", "3"]), NO_WHOLE),
    "labels are no whole numbers": (columns(label=[1.0, 2.5, 0.0]), NO_WHOLE),
    "labels are lists": (columns(label=[[1], [2], [3]]), NO_WHOLE),
    "a label is negative": (columns(label=[0, -1, 1]), NO_WHOLE),
    "a label is huge": (columns(label=[0, 2**40, 1]), NO_WHOLE),
    # damaged files
    "idx cut short": (replaced(IMAGES, lambda b: gzip.compress(gzip.decompress(b)[:-1])), "cut short or damaged: 1919"),
    "idx too long": (replaced(LABELS, lambda b: gzip.compress(gzip.decompress(b) + b"1")), "cut short or damaged: 31 "),
    "idx without head": (replaced(IMAGES, lambda b: gzip.compress(gzip.decompress(b)[:9])), "is no idx file of bytes"),
    "idx of wrong magic": (replaced(IMAGES, lambda b: gzip.compress(b"\0\0\x0d\3" + b)), "is no idx file of bytes wit"),
    "labels in place of images": (replaced(IMAGES, lambda b: gzip.compress(idx(drawn(3)[1]))), "with 3 dimensions$"),
    "images in place of labels": (replaced(LABELS, lambda b: gzip.compress(idx(drawn(3)[0]))), "with 1 dimension$"),
    "absurd sizes": (
        replaced(IMAGES, lambda b: gzip.compress(b"\0\0\x08\3" + np.array([2**22, 2**21, 2**21], ">u4").tobytes())),
        "cut short or damaged: 0 bytes, not 18446744073709551616$",
    ),
    "gz cut short": (replaced(IMAGES, lambda b: b[: len(b) // 2]), "is damaged, cut short or no gzip file$"),
    "gz empty": (replaced(LABELS, lambda b: b""), "is no idx file|is damaged"),
    "no gz": (replaced(LABELS, lambda b: gzip.decompress(b)), "is damaged, cut short or no gzip file$"),
    "gz flipped": (replaced(IMAGES, lambda b: b[:99] + bytes([b[99] ^ 255]) + b[100:]), "is damaged, cut short or no "),
    # images
    "no image file": (columns(image=bytes_of(GOOD, b"picture", GOOD)), NO_IMAGE),
    "image cut short": (columns(image=bytes_of(GOOD, GOOD[:-30], GOOD)), NO_IMAGE),
    "image with a cut head": (columns(image=bytes_of(GOOD, GOOD[:8] + b"\0\0\0\x03" + GOOD[12:], GOOD)), NO_IMAGE),
    "null in place of bytes": (columns(image=bytes_of(GOOD, None, GOOD)), NO_IMAGE),
    "null image": (columns(image=[{"bytes": GOOD}, None, {"bytes": GOOD}]), NO_IMAGE),
    "struct without bytes": (columns(image=[{"path": "a.png"}] * 3), "row 0 of .* holds no readable image$"),
    "column of numbers": (columns(image=[1, 2, 3]), "row 0 of .* holds no readable image$"),
    "colour": (
        columns(image=bytes_of(GOOD, COLOUR, GOOD)),
        r"row 1 of .* has mode RGB; only grey images \(L\) are rea",
    ),
    "black or white": (columns(image=bytes_of(GOOD, PALETTE, GOOD)), "row 1 of .* has mode 1; only grey"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line(case: str, tmp_path: Path):
    write, line = BAD[case]
    write(tmp_path / "corpus")
    with pytest.raises(InputError, match=line) as refused:
        images.load(str(tmp_path / "corpus"))
    assert "\n" not in str(refused.value) and "corpus" in str(refused.value)


@pytest.mark.parametrize("damage", ["empty", "text", "cut", "name"])
def test_a_damaged_parquet_file_is_one_line(damage: str, tmp_path: Path):
    both(tmp_path, hub)
    file = tmp_path / "train-00000-of-00001.parquet"
    whole = file.read_bytes()
    name = whole.index(b"label")
    bad = {"empty": b"", "text": b"PAR1", "cut": whole[: len(whole) // 2]}
    file.write_bytes(bad.get(damage, whole[:name] + b"\xff" + whole[name + 1 :]))
    with pytest.raises(InputError, match=r"is damaged, cut short or no parquet file$") as refused:
        images.load(str(tmp_path))
    assert "\n" not in str(refused.value)


def test_a_byte_that_is_flipped_anywhere_is_read_as_an_image_or_refused_in_one_line(tmp_path: Path):
    hub(tmp_path, "train", *drawn(2))
    file = tmp_path / "train-00000-of-00001.parquet"
    whole, refused = file.read_bytes(), 0
    for place in range(0, len(whole), 7):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            images._parquet(file)
        except InputError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > len(whole) / 28


@pytest.mark.parametrize("name", ["nobody", "", "FOLDER", "no/such/folder", __file__])
def test_an_unknown_name_lists_the_known_ones(name: str):
    with pytest.raises(InputError) as refused:
        images.load(name)
    line = f"corpus must be one of digits, mnist, or an existing folder of images; got {name!r}"
    assert str(refused.value) == line


@pytest.mark.parametrize("case", ["empty folder", "train and test differ", "gz cut short", "colour"])
def test_the_command_refuses_it_and_writes_nothing(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    BAD[case][0](tmp_path / "corpus")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    assert cli.main(["chain", "vae", "-n", "8", "--corpus", str(tmp_path / "corpus"), "--out", "run.parquet"]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and said.err.startswith("model-collapse: corpus")
    assert list((tmp_path / "work").iterdir()) == []


@pytest.mark.parametrize(
    ("more", "line"),
    [
        (["-n", "31"], "n must be at most 30"),
        (["-n", "8", "--set", "family.preset=paper"], "its images have 8 x 8 pixels, and this family reads 28 x 28"),
        (["-n", "8", "--metrics", "perplexity"], "--metrics: 'perplexity' is not a metric of this family"),
        (["-n", "0"], "-n 0: input should be greater than or equal to 1"),
    ],
)
def test_the_command_refuses_what_does_not_fit_the_corpus(
    more: list[str], line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    corpus = str(both(tmp_path / "corpus"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    assert cli.main(["chain", "vae", "--corpus", corpus, "--out", "run.parquet", *more]) == 2
    said = capsys.readouterr().err
    assert line in said and said.count("\n") == 1 and list((tmp_path / "work").iterdir()) == []
