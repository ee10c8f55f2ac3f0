"""Generations of text small enough to count by hand."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np

from model_collapse.data import Data, Rows
from model_collapse.interfaces import Generation, Reference
from model_collapse.metrics import Measurement


class Told:
    """A family whose models are arrays of nats per token, given out whatever the rows are."""

    has_states = False

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
    """Real text without a known distribution, unless one is given."""

    def __init__(self, train=((0, 1),), world=None, tokenizer=None) -> None:
        self.train = Data.real(rows(train))
        self.test = Data.real(rows(np.zeros((2, 3))))
        self.continued = np.arange(len(self.train)) < len(self.train) - 1
        self.world = world
        self.tokenizer = tokenizer


def rows(x: object) -> Rows:
    return Rows(np.array(x, np.int32))


def case(wrote=((5, 5),), bits=((1.0,),), *, given=None, source=None, first=None, family=None):
    """A measurement with what a test needs of it."""
    model = Model(bits)
    generation = Generation(0, None, model, Data.real(rows(wrote)), given)
    source, family = source or TextSource(), family or Told()
    return Measurement(generation, Reference(SimpleNamespace(model=first or model), source, family))


def of_model(m: Measurement, model: object) -> Measurement:
    """The same of another model."""
    return replace(m, generation=replace(m.generation, model=model))
