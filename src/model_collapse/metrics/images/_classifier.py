"""The fixed classifier: trained once on a corpus' real, labelled images, and then used for every model alike."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import cache

import numpy as np
import scipy
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from model_collapse import paths, store
from model_collapse.corpora.images import Pictures
from model_collapse.errors import InputError

HIDDEN, SEED = (256, 64), 0
"""Units of the two hidden layers, ReLU; the last one's activations are the features that images are compared in."""


@dataclass(frozen=True, eq=False)
class Classifier:
    """A multilayer perceptron. layers: (weights (in, out), bias (out,)) of each layer."""

    layers: tuple[tuple[np.ndarray, np.ndarray], ...]

    def features(self, x: np.ndarray) -> np.ndarray:
        """Activations of the last hidden layer, (n, 64), of images (n, side, side)."""
        hidden = _flat(x)
        for weights, bias in self.layers[:-1]:
            hidden = np.maximum(hidden @ weights + bias, 0)
        return hidden

    def probabilities(self, x: np.ndarray) -> np.ndarray:
        """P(class | image), (n, classes), of images (n, side, side)."""
        weights, bias = self.layers[-1]
        return scipy.special.softmax(self.features(x) @ weights + bias, axis=1)


def classifier(pictures: Pictures) -> Classifier:
    """The classifier of a corpus; kept in the cache folder, and trained again where it is not there or damaged."""
    return _classifier(pictures, pictures.fingerprint)


@cache
def _classifier(pictures: Pictures, fingerprint: str) -> Classifier:
    # Features and verdicts of another version of the library would not be the same numbers.
    key = store.digest(fingerprint, HIDDEN, SEED, store.versions().get("scikit-learn"))
    folder = paths.cache() / "classifiers" / key
    if store.intact(folder):
        try:
            return _read(load_file(folder / "classifier.safetensors"))
        except (OSError, SafetensorError, KeyError):
            pass
    made = _trained(pictures)
    named = {f"{kind}-{i}": x for i, layer in enumerate(made.layers) for kind, x in zip("wb", layer, strict=True)}
    # A cache that cannot be written is done without.
    with suppress(InputError):
        store.write_folder(folder, lambda inside: save_file(named, inside / "classifier.safetensors"), {})
    return made


def _read(named: dict[str, np.ndarray]) -> Classifier:
    return Classifier(tuple((named[f"w-{i}"], named[f"b-{i}"]) for i in range(len(HIDDEN) + 1)))


def _trained(pictures: Pictures) -> Classifier:
    """scikit-learn's, stopped when a tenth of the images that it does not see is no longer classified better.

    InputError where that tenth cannot have an image of every class.
    """
    from sklearn.neural_network import MLPClassifier
    from threadpoolctl import threadpool_limits

    labels, counts = np.unique(pictures.train_labels, return_counts=True)
    if len(labels) < 2 or counts.min() < 2 or len(pictures.train) < 10 * len(labels):
        raise InputError(
            f"corpus {pictures.name}: too few labelled images for a classifier; it takes two classes, two training "
            "images of each, and ten times as many images as classes"
        )
    network = MLPClassifier(HIDDEN, early_stopping=True, n_iter_no_change=10, max_iter=1000, random_state=SEED)
    # Products this small are slowed down by threads, above all where other processes have some too.
    with threadpool_limits(1):
        network.fit(_flat(pictures.train), pictures.train_labels)
    *hidden, (weights, bias) = zip(network.coefs_, network.intercepts_, strict=True)
    if len(labels) == 2:
        # Of two classes scikit-learn has the log odds of the second alone.
        weights, bias = (np.stack([0 * part[..., 0], part[..., 0]], axis=-1) for part in (weights, bias))
    # A label that no training image has is never given.
    last = np.zeros((len(weights), pictures.classes)), np.full(pictures.classes, -np.inf)
    last[0][:, labels], last[1][labels] = weights, bias
    return Classifier(tuple((w.astype(np.float32), b.astype(np.float32)) for w, b in (*hidden, last)))


def _flat(x: np.ndarray) -> np.ndarray:
    """Images as rows of numbers from 0 to 1."""
    return x.reshape(len(x), -1).astype(np.float32) / 255
