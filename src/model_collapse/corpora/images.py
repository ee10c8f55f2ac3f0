"""Grey images to train on, by name: with labels, so that a classifier can tell what became of them.

images.load("digits").source(n=512, side=8)     an ImageSource: train, test, fresh(n, rng)
"""

from __future__ import annotations

import gzip
import hashlib
import io
import math
import re
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import ClassVar, cast

import numpy as np

from model_collapse import paths
from model_collapse.corpora import hub
from model_collapse.data import Data, Rows, Source
from model_collapse.errors import InputError

NAMES = {
    "digits": "1,797 handwritten digits of 8 x 8 pixels, which scikit-learn brings along",
    "mnist": "MNIST, 70,000 handwritten digits of 28 x 28 pixels, the paper's data",
    "FOLDER": "a folder of idx files named like MNIST's, or of parquet files with columns `image` and `label`",
}

HELD_OUT = 0.2
"""Share of the digits that becomes the test part: scikit-learn does not split them."""

SPLIT_SEED = 3

MNIST = "ylecun/mnist"
MNIST_REVISION = "77f3279092a1c1579b2250db8eafed0ad422088c"
MNIST_FILES = tuple(
    hub.File(MNIST, MNIST_REVISION, f"mnist/{split}-00000-of-00001.parquet", sha256=sha256, kind="dataset")
    for split, sha256 in (
        ("train", "f2c01285a9f89399335b00ee4e8d499dc4e46db5e39c74903ce5618d895eb3bf"),
        ("test", "d49fcf556ce25b002b302e318ce4a11098bbfe5d4499c3f35d7c72297c52374b"),
    )
)

MOST_LABELS = 1000

PARTS = {"train": "train", "test": "t10k"}
"""Our name of a part -> how MNIST's idx files call it."""


@dataclass(frozen=True, eq=False, kw_only=True)
class ImageSource(Source):
    """Real images; all rows are uint8 (n, side, side), 0 for the background.

    corpus    name of the corpus
    pictures  all of it, with labels
    """

    corpus: str
    pictures: Pictures


def as_images(source: Source) -> ImageSource:
    """The same: the real data of a family of images are images."""
    return cast(ImageSource, source)


@dataclass(frozen=True, eq=False)
class Pictures:
    """A corpus of labelled images.

    name, revision  as it was loaded, and where from
    train, test     uint8 (N, side, side)
    train_labels, test_labels  int64 (N,), from 0 on
    """

    name: str
    revision: str
    train: np.ndarray
    train_labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray

    world: ClassVar[None] = None
    """Nobody knows the distribution of such images."""

    @property
    def side(self) -> int:
        """Pixels along an edge."""
        return self.train.shape[1]

    @property
    def classes(self) -> int:
        """How many labels there are."""
        return int(max(self.train_labels.max(), self.test_labels.max())) + 1

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of all images, labels and how they are split."""
        digest = hashlib.sha256()
        for part in (self.train, self.train_labels, self.test, self.test_labels):
            digest.update(f"{part.shape}\n".encode() + np.ascontiguousarray(part).tobytes())
        return digest.hexdigest()

    def source(
        self, n: int | None = None, *, side: int | None = None, evaluate: int | None = None, passes: int = 1
    ) -> ImageSource:
        """The corpus as a source.

        n         training images, the first ones; None: all there are. The others are what `fresh` draws from
        side      pixels that an edge must have; None: any
        evaluate  maximum number of test images; None: all
        passes    how often each training image is there
        """
        if side is not None and side != self.side:
            raise InputError(
                f"--corpus {self.name}: its images have {self.side} x {self.side} pixels, and this family reads "
                f"{side} x {side}; use another corpus or family.preset"
            )
        n = len(self.train) if n is None else n
        if n > len(self.train):
            raise InputError(f"n must be at most {len(self.train)}, the training images of corpus {self.name}; got {n}")
        unused = self.train[n:]

        def fresh(m: int, rng: np.random.Generator) -> Rows:
            if m > len(unused):
                asked = f"{m} were asked for; lower -n, or the share of real images"
                raise InputError(f"corpus {self.name} has only {len(unused)} unused images; {asked}")
            return Rows(unused[np.sort(rng.permutation(len(unused))[:m])])

        return ImageSource(
            train=Data.real(Rows(np.tile(self.train[:n], (passes, 1, 1)) if passes > 1 else self.train[:n])),
            fresh=fresh,
            test=Data.real(Rows(self.test[:evaluate])),
            corpus=self.name,
            pictures=self,
        )


def load(name: str) -> Pictures:
    """Labelled images by name (`NAMES`) or folder.

    InputError lists the names, or says in one line what is wrong with a file; ExternalError if the hub is needed and
    cannot be reached.
    """
    if name == "digits":
        return _digits()
    if name == "mnist":
        return _mnist(paths.data())
    if name and Path(name).is_dir():
        return _folder(Path(name), name)
    known = ", ".join(known for known in NAMES if known != "FOLDER")
    raise InputError(f"corpus must be one of {known}, or an existing folder of images; got {name!r}")


@cache
def _digits() -> Pictures:
    from sklearn.datasets import load_digits

    found = load_digits()
    # 17 grey levels, spread over those of a byte.
    x = np.round(found.images * (255 / 16)).astype(np.uint8)
    order = np.random.default_rng(SPLIT_SEED).permutation(len(x))
    test, train = np.split(order, [round(HELD_OUT * len(x))])
    labels = found.target.astype(np.int64)
    return Pictures("digits", "scikit-learn", x[train], labels[train], x[test], labels[test])


@cache
def _mnist(data: Path | None) -> Pictures:
    """From $MODEL_COLLAPSE_DATA/mnist, else from the hub."""
    if data is not None and (data / "mnist").is_dir():
        return _folder(data / "mnist", "mnist")
    instead = "set MODEL_COLLAPSE_DATA to a folder with MNIST's files in mnist/, or use --corpus digits"
    files = [hub.fetch(file, instead=instead) for file in MNIST_FILES]
    return _pictures("mnist", MNIST_REVISION, dict(zip(PARTS, map(_parquet, files), strict=True)))


# Files -------------------------------------------------------------------------------------------------------------


def _folder(folder: Path, name: str) -> Pictures:
    """idx files named like MNIST's, packed or not; else parquet files named after the part they hold."""
    parts: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for part, prefix in PARTS.items():
        images = _idx(folder, f"{prefix}-images-idx3-ubyte")
        shards = sorted(file for file in folder.rglob("*.parquet") if part in re.findall(r"[a-z]+", file.name))
        if images is not None:
            labels = _idx(folder, f"{prefix}-labels-idx1-ubyte")
            if labels is None:
                raise InputError(f"corpus {name}: {prefix}-labels-idx1-ubyte.gz is missing; images need labels")
            parts[part] = _image_idx(images), _label_idx(labels)
        elif shards:
            read = [_parquet(shard) for shard in shards]
            shapes = {x.shape[1:] for x, _ in read}
            if len(shapes) > 1:
                raise InputError(f"corpus {name}: images of different shapes, {_listed(shapes)}")
            parts[part] = np.concatenate([x for x, _ in read]), np.concatenate([y for _, y in read])
        else:
            raise InputError(
                f"corpus {name}: no {part} images in the folder; it must hold {prefix}-images-idx3-ubyte.gz and "
                f"{prefix}-labels-idx1-ubyte.gz, or {part}-*.parquet"
            )
    return _pictures(name, "local", parts)


def _pictures(name: str, revision: str, parts: dict[str, tuple[np.ndarray, np.ndarray]]) -> Pictures:
    for part in PARTS:
        _check(name, part, *parts[part])
    (train, train_labels), (test, test_labels) = parts["train"], parts["test"]
    if train.shape[1:] != test.shape[1:]:
        raise InputError(f"corpus {name}: images of different shapes, {_listed({train.shape[1:], test.shape[1:]})}")
    return Pictures(name, revision, train, train_labels, test, test_labels)


def _check(name: str, part: str, images: np.ndarray, labels: np.ndarray) -> None:
    if images.size == 0:
        raise InputError(f"corpus {name}: its {part} part is empty")
    if images.shape[1] != images.shape[2]:
        raise InputError(f"corpus {name}: its {part} images are not square, {_listed({images.shape[1:]})}")
    if len(labels) != len(images):
        raise InputError(f"corpus {name}: {len(images)} {part} images, but {len(labels)} labels")


def _listed(shapes: set[tuple[int, ...]]) -> str:
    return " and ".join(" x ".join(map(str, shape)) for shape in sorted(shapes))


def _idx(folder: Path, name: str) -> Path | None:
    return next((file for file in (folder / f"{name}.gz", folder / name) if file.is_file()), None)


def _image_idx(file: Path) -> np.ndarray:
    return _read_idx(file, 3)


def _label_idx(file: Path) -> np.ndarray:
    return _read_idx(file, 1).astype(np.int64)


def _read_idx(file: Path, dimensions: int) -> np.ndarray:
    """An array of bytes: 0, 0, 8 for bytes, the number of dimensions, their sizes as big-endian 32 bit, the content."""
    try:
        content = file.read_bytes()
        content = gzip.decompress(content) if file.suffix == ".gz" else content
    except (OSError, EOFError, gzip.zlib.error) as error:  # type: ignore[attr-defined]
        raise InputError(f"corpus: {file} cannot be read; it is damaged, cut short or no gzip file") from error
    head = 4 + 4 * dimensions
    if content[:4] != bytes([0, 0, 8, dimensions]) or len(content) < head:
        counted = "1 dimension" if dimensions == 1 else f"{dimensions} dimensions"
        raise InputError(f"corpus: {file} is no idx file of bytes with {counted}")
    shape = np.frombuffer(content, ">u4", dimensions, 4).tolist()
    if len(content) - head != math.prod(shape):
        raise InputError(f"corpus: {file} is cut short or damaged: {len(content) - head} bytes, not {math.prod(shape)}")
    # Copied: torch warns of arrays that nobody may write to.
    return np.frombuffer(content, np.uint8, offset=head).reshape(shape).copy()


def _parquet(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Columns `image` (a struct with PNG `bytes`, as on the hub) and `label`; grey images of one shape."""
    import pyarrow
    import pyarrow.parquet
    from PIL import Image

    try:
        stored = pyarrow.parquet.ParquetFile(file)
        columns = stored.schema_arrow.names
        absent = [column for column in ("image", "label") if column not in columns]
        table = stored.read([] if absent else ["image", "label"])
        found = [] if absent else table["image"].to_pylist()
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:  # the last where a name is damaged
        raise InputError(f"corpus: {file} cannot be read; it is damaged, cut short or no parquet file") from error
    if absent:
        raise InputError(f"corpus: {file} has no column `{absent[0]}` (it has {', '.join(columns) or 'no column'})")
    if not found:
        raise InputError(f"corpus: {file} is empty")
    decoded = []
    for row, image in enumerate(found):
        try:
            opened = Image.open(io.BytesIO(image["bytes"]))
            decoded.append(np.asarray(opened))
        except (OSError, TypeError, KeyError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise InputError(f"corpus: row {row} of {file} holds no readable image") from error
        if opened.mode != "L":
            raise InputError(f"corpus: row {row} of {file} has mode {opened.mode}; only grey images (L) are read")
    shapes = {image.shape for image in decoded}
    if len(shapes) > 1:
        raise InputError(f"corpus: {file} has images of different shapes, {_listed(shapes)}")
    labels = table["label"]
    whole = pyarrow.types.is_integer(labels.type) and labels.null_count == 0
    if not whole or not 0 <= min(values := labels.to_pylist()) <= max(values) < MOST_LABELS:
        raise InputError(f"corpus: column `label` of {file} does not hold whole numbers from 0 to {MOST_LABELS - 1}")
    return np.stack(decoded), np.array(values, np.int64)
