"""Random streams by name: what is drawn never depends on what was drawn before it.

A stream is keyed by (seed, generation, use, block), and where models read each other by the model. Any worker can make
any stream at any time, so that a resumed run, or one spread over more processes, draws the same numbers as an
undisturbed one.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

# Fixed for ever: a changed number changes every published result.
SOURCE, BASE, REGIME, FILTER, GIVEN, FIT, SAMPLE, METRIC, SHOWN, EXCHANGE, PROBE = range(11)

BEFORE = 0
"""Key of what happens before generation 0 (real data, pre-training); generation t has key t + 1."""


class Stream(Protocol):
    """`stream(generation, use)` gives the generator for that use; generation -1 is before the first."""

    def __call__(self, generation: int, use: int) -> np.random.Generator: ...


def stream(seed: int, block: int = 0, model: int = 0) -> Stream:
    """The streams of one block of replicate chains; of models 0 .. K - 1 that read each other, those of one model."""

    # SeedSequence(seed, spawn_key=(generation + 1, use, block)), in the words that it is made of: an array is read in a
    # third of the time, and fast families spend much of theirs here.
    words = [seed & 0xFFFFFFFF, seed >> 32, 0, 0]
    # Model 0 has the streams of a model that is alone.
    which = [block] if model == 0 else [block, model]

    def generator(generation: int, use: int) -> np.random.Generator:
        entropy = np.array([*words, generation + 1, use, *which], np.uint32)
        return np.random.Generator(np.random.PCG64DXSM(np.random.SeedSequence(entropy)))

    return generator
