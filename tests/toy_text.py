"""Generations of text small enough to count by hand."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from model_collapse.data import Data, Rows


class Told:
    """A family whose models are arrays of nats per token, given out whatever the rows are."""

    def __init__(self) -> None:
        self.asked = 0

    def score(self, model: SimpleNamespace, rows: Rows) -> np.ndarray:
        self.asked += 1
        return np.log(2) * np.asarray(model.bits, np.float32)


class Model:
    """Bits per predicted token; compared by identity, as models are."""

    def __init__(self, bits: object) -> None:
        self.bits = bits


class TextSource:
    """Real text without a known law, unless one is given."""

    def __init__(self, train=((0, 1),), world=None, tokenizer=None) -> None:
        self.train = Data.real(rows(train))
        self.test = Data.real(rows(np.zeros((2, 3))))
        self.world = world
        self.tokenizer = tokenizer


def rows(x: object) -> Rows:
    return Rows(np.array(x, np.int32))


def case(wrote=((5, 5),), bits=((1.0,),), *, given=None, source=None, first=None, family=None):
    """(generation, reference) with what a test needs of them."""
    model = Model(bits)
    generation = SimpleNamespace(model=model, sample=Data.real(rows(wrote)), given=given)
    source, family = source or TextSource(), family or Told()
    return generation, SimpleNamespace(first=SimpleNamespace(model=first or model), source=source, family=family)
