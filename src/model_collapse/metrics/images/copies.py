"""How far a copy is from the picture it goes back to: row i of a generation against row i of the real training set."""

from __future__ import annotations

import numpy as np

from model_collapse.data import Rows
from model_collapse.errors import InputError
from model_collapse.loop import Generation, Reference
from model_collapse.metrics.images import written
from model_collapse.theory import copies


def mse(generation: Generation, reference: Reference) -> float:
    """Mean over pictures and pixels of the squared difference of a copy and its original, in grey levels squared.

    InputError where row i does not go back to original i: that takes given=original, or regime replace and
    given=training, and as many rows as originals.
    """
    given, originals, t = generation.given, reference.source.train.rows, generation.t
    assert isinstance(given, Rows) and isinstance(originals, Rows)
    first = originals.take(np.arange(len(given)) % len(originals)).x
    train = generation.train
    last_copies = bool(np.all(train.born == t)) and np.array_equal(given.x, train.rows.x)  # type: ignore[union-attr]
    if not last_copies and not np.array_equal(given.x, first):
        raise InputError(
            "psnr, mse: row i is no copy of picture i; set --given original, or training with replace, and take no "
            "regime that writes fewer than n rows"
        )
    copied = written(generation, reference)
    return float(np.mean((copied.astype(float) - first[: len(copied)]) ** 2))


def psnr(generation: Generation, reference: Reference) -> float:
    """Peak signal-to-noise ratio in dB, 10 log10(255^2 / `mse`): the mean over pictures is taken before the logarithm.

    inf where every copy is its original.
    """
    return float(copies.psnr(mse(generation, reference)))
