"""How far a copy is from the picture it goes back to: row i of a generation against row i of the real training set."""

from __future__ import annotations

import numpy as np

from model_collapse.errors import InputError
from model_collapse.metrics import Measurement
from model_collapse.metrics.images import written
from model_collapse.theory import copies


def mse(m: Measurement) -> float:
    """Mean over pictures and pixels of the squared difference of a copy and its original, in grey levels squared.

    InputError where row i does not go back to original i: that takes given=original, or regime replace and
    given=training, and as many rows as originals.
    """
    given, originals = m.given.x, m.source.train.x
    first = originals[np.arange(len(given)) % len(originals)]
    last_copies = bool(np.all(m.train.born == m.t)) and np.array_equal(given, m.train.x)
    if not last_copies and not np.array_equal(given, first):
        raise InputError(
            "psnr, mse: row i is no copy of picture i; set --given original, or training with replace, and take no "
            "regime that writes fewer than n rows"
        )
    copied = written(m)
    return float(np.mean((copied.astype(float) - first[: len(copied)]) ** 2))


def psnr(m: Measurement) -> float:
    """Peak signal-to-noise ratio in dB, 10 log10(255^2 / `mse`): the mean over pictures is taken before the logarithm.

    inf where every copy is its original.
    """
    return float(copies.psnr(mse(m)))
