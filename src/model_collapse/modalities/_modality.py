"""What a kind of rows has to say."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pyarrow as pa

from model_collapse.data import Source
from model_collapse.errors import InputError
from model_collapse.interfaces import Family, Generation
from model_collapse.streams import Stream

if TYPE_CHECKING:
    from model_collapse.interfaces import Corpus


@dataclass(frozen=True)
class Part:
    """Which part of the real data is known to model 0 .. of - 1 of several; with the defaults all of it.

    split  whether there are kinds of things (symbols, breeds, topics) that it never sees: kind i is lacking in model i
           modulo of + 1, so that every kind is known to some model and every (of + 1)-th to all
    """

    model: int = 0
    of: int = 1
    split: bool = False

    def lacks(self, kind: np.ndarray | int) -> Any:
        """Whether the model never sees things of this kind, by number."""
        return self.split & (kind % (self.of + 1) == self.model)

    def take(self, source: Source, copies: int = 1) -> Source:
        """The model's equal part of the training rows, of which there are `copies` copies."""
        if self.of == 1:
            return source
        return replace(source, train=source.train.take(self.rows(len(source.train), copies)))

    def rows(self, n: int, copies: int = 1) -> np.ndarray:
        """Which of n rows they are."""
        return np.arange(n).reshape(copies, self.of, -1)[:, self.model].ravel()


@dataclass(frozen=True)
class Wanted:
    """Real data that a model is to have: n training rows, and what it is scored by.

    corpus       name of where they are from; "" for a family that makes its real data itself
    stream       of the model whose draws these are
    chains       replicate chains that have data of their own
    pretraining  whether all of the rows to pre-train on are wanted, or as few as possible
    """

    corpus: str
    n: int
    stream: Stream
    chains: int = 1
    part: Part = Part()
    pretraining: bool = False


class Modality(ABC):
    """A kind of rows.

    corpus      name of the corpus that is read unless another is named; "" where a family makes its real data itself
    metrics     package of its metrics
    generated   name of the table of what models generate; "" where there is none
    unit        what a row is called
    """

    corpus: ClassVar[str] = ""
    metrics: ClassVar[str]
    generated: ClassVar[str] = ""
    unit: ClassVar[str]

    def load(self, name: str) -> Corpus | None:
        """The corpus of this name. InputError for one that is not known."""
        return None

    def check(self, family: Family, corpus: Corpus | None, n: int, metrics: Sequence[str]) -> None:
        """InputError, before any work, for what does not fit: n rows of all models together, a metric."""
        return None

    def most(self, family: Family, corpus: Corpus | None) -> int:
        """How many training rows a corpus has. InputError where rows are drawn from a distribution, without end."""
        raise InputError("-n all: only a corpus has a last row; the rows of this family are drawn, name a number")

    @abstractmethod
    def kinds(self, family: Family, corpus: Corpus | None) -> np.ndarray | None:
        """True shares of the kinds of things that models can lack (see `Part`); None where none are known."""

    @abstractmethod
    def source(self, family: Family, wanted: Wanted) -> Source:
        """Real data of one model. What a corpus gives later (`fresh`) may be the same for two models."""

    def with_model(self, family: Family) -> bool:
        """Whether the table of what models generate needs the model, and so is kept with a finished generation."""
        return False

    def table_bytes(self, source: Source, x: np.ndarray) -> float:
        """Of one of these rows in the table of what models generate, on average."""
        return 0

    def table(self, generation: Generation, family: Family, source: Source, stream: Stream) -> Mapping[str, pa.Array]:
        """Columns of the table of what a generation wrote; `row` only where rows are not numbered from 0."""
        return {}
