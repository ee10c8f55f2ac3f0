"""How far generated images are from real ones, in the features of a fixed classifier: quality and variety apart."""

from __future__ import annotations

import numpy as np

from model_collapse.corpora.images import as_images
from model_collapse.errors import InputError
from model_collapse.metrics import Measurement
from model_collapse.metrics.images import written
from model_collapse.metrics.images._classifier import classifier

NEIGHBOURS = 5
"""k of the k-th nearest neighbour, as in Naeem et al. 2020."""


def frechet(m: Measurement) -> float:
    """Squared Fréchet distance of normal distributions fitted to the features of real and generated images.

    |m - m'|^2 + tr(C + C' - 2 (C C')^(1/2)); Heusel et al. 2017 (arXiv:1706.08500) in Inception's features, here in
    those of the classifier, so values compare within one corpus only. With few images it is biased upwards.
    """
    return frechet_distance(*_features(m))


def manifold(m: Measurement) -> dict[str, float]:
    """Items precision, recall (Kynkaanniemi et al. 2019, arXiv:1904.06991), density, coverage (Naeem et al. 2020,
    arXiv:2002.09797) of the generated images' features.

    Around every image lies a ball that reaches to its k-th nearest neighbour of its own kind. precision: share of
    generated images in a real ball; recall: share of real images in a generated ball; density: how many real balls a
    generated image lies in, over k; coverage: share of real balls with a generated image in them. After a collapse to
    a few good images precision is high, recall and coverage are low.
    """
    return neighbourhoods(*_features(m))


def frechet_distance(x: np.ndarray, y: np.ndarray) -> float:
    """The distance of `frechet` between two sets of features, (n, d) and (m, d). InputError for fewer than two."""
    _enough("frechet", 2, x, y)
    # (C C')^(1/2) has the trace of |R R''|, the singular values of the product of the two roots: none is formed.
    roots = [np.linalg.qr(part - part.mean(axis=0), mode="r") / np.sqrt(len(part) - 1) for part in (x, y)]
    common = np.linalg.svd(roots[0] @ roots[1].T, compute_uv=False).sum()
    apart = np.sum((x.mean(axis=0) - y.mean(axis=0)) ** 2)
    return float(apart + sum(np.sum(root**2) for root in roots) - 2 * common)


def neighbourhoods(x: np.ndarray, y: np.ndarray, k: int = NEIGHBOURS) -> dict[str, float]:
    """The items of `manifold` for features of real images x (n, d) and of written ones y (m, d).

    InputError where one of them has no k-th neighbour of its own kind.
    """
    _enough("manifold", k + 1, x, y)
    from sklearn.metrics import pairwise_distances
    from sklearn.neighbors import NearestNeighbors

    # An image is not its own neighbour: kneighbors without an argument leaves it out.
    reach = [NearestNeighbors(n_neighbors=k).fit(part).kneighbors()[0][:, -1] for part in (x, y)]
    distance = pairwise_distances(x, y)
    in_real, in_written = distance < reach[0][:, None], distance < reach[1]
    return {
        "precision": float(in_real.any(axis=0).mean()),
        "recall": float(in_written.any(axis=1).mean()),
        "density": float(in_real.sum(axis=0).mean() / k),
        "coverage": float((distance.min(axis=1) < reach[0]).mean()),
    }


def _enough(metric: str, least: int, *sets: np.ndarray) -> None:
    if (fewest := min(map(len, sets))) < least:
        raise InputError(
            f"{metric}: compares at least {least} images, real and written, not {fewest}; raise -n or family.evaluate"
        )


def _features(m: Measurement) -> tuple[np.ndarray, np.ndarray]:
    network = classifier(as_images(m.source).pictures)
    return network.features(m.test.x), network.features(written(m))
