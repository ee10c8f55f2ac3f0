"""The parts of the loop: everything that a family, a regime or a filter can be asked, with defaults.

A family, a regime or a filter is a frozen dataclass below one of the three classes here; its fields are its settings.
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, Protocol, Self, TypeVar, cast

import numpy as np

from model_collapse.data import Data, Rows, Source, Statistics

if TYPE_CHECKING:
    from typing import TypeAlias

    from model_collapse.corpora import Corpus as TextCorpus
    from model_collapse.corpora.images import Pictures

    Corpus: TypeAlias = TextCorpus | Pictures
    """Where the real data of families that read text or images come from."""

T = TypeVar("T")
F = TypeVar("F", bound="Family")

Use = Literal["fit", "sample"]
"""The operation that takes a family's memory."""

Model = Any
"""What a family's `fit` gives; only that family knows it."""


# What travels ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Generation:
    """One turn: generation t was trained on `train`, became `model` and wrote `sample`, given `given`."""

    t: int
    train: Data
    model: Model
    sample: Data
    given: Rows | Statistics | None = None


@dataclass(frozen=True, eq=False)
class History:
    """The past that a regime may read: the last sample, and on request the pool of real data and all samples."""

    last: Data
    pool: Data | None = None

    @staticmethod
    def begin(real: Data, sample: Data, regime: Regime) -> History:
        """The history after generation 0, which learned from `real` and wrote `sample`."""
        return History(sample, Data.concat([real, sample]) if regime.needs == "all" else None)

    def then(self, sample: Data) -> History:
        """The history one generation later."""
        return History(sample, None if self.pool is None else Data.concat([self.pool, sample]))


@dataclass(frozen=True, eq=False)
class Remembering:
    """Remembers the results of functions of it, so that several callers share one computation."""

    found: dict[Callable[[Self], Any], Any] = field(default_factory=dict, init=False, repr=False)

    def once(self, function: Callable[[Self], T]) -> T:
        """function(self), computed the first time only."""
        if function not in self.found:
            self.found[function] = function(self)
        return cast("T", self.found[function])


@dataclass(frozen=True, eq=False)
class Reference(Remembering, Generic[F]):
    """What a filter or a metric compares with: generation 0, the real data, and the family that knows its models."""

    first: Generation
    source: Source
    family: F


# What is finished -------------------------------------------------------------------------------------------------


class Keep(Protocol):
    """Storage for the finished parts of a chain, so that it can resume after an interruption.

    A part that is missing is computed by the call that comes with it, which gives the same bits however often it is
    made. Whoever measures a generation stores it.
    """

    def generation(self, t: int, train: Data) -> Generation | None:
        """Generation t as it was stored; None: it has to be computed."""

    def model(self, t: int, fit: Callable[[], Model]) -> Model:
        """The model of generation t."""

    def sample(self, t: int, shards: Callable[[], Iterable[Callable[[], Rows | Statistics]]]) -> Rows | Statistics:
        """What it writes, put together of shards that do not depend on each other."""


class Nothing:
    """Keeps nothing: everything is computed."""

    def generation(self, t: int, train: Data) -> None:
        return None

    def model(self, t: int, fit: Callable[[], Model]) -> Model:
        return fit()

    def sample(self, t: int, shards: Callable[[], Iterable[Callable[[], Rows | Statistics]]]) -> Rows | Statistics:
        first, *others = (shard() for shard in shards())
        return first.concat([first, *others]) if others else first  # type: ignore[list-item]


NOTHING = Nothing()


# Members -----------------------------------------------------------------------------------------------------------


def name_of(member: object) -> str:
    """The name of a family, regime or filter, from its class as the registry finds it: that of a `RealShare` is
    real_share."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(member).__name__).lower()


@dataclass(frozen=True)
class Workload:
    """What takes time in a chain of a family that trains by steps, in rows.

    epochs       passes of a fit over its training set
    steps        steps of a fit instead, of `batch` rows each; 0: as many as epochs say
    batch        rows of a step
    together     rows that are written at a time
    validation   real rows that are scored after each pass, at most
    validated    whether they are
    base_epochs  passes over the rows to pre-train on
    writing      cost of generating a row, in forward passes
    operations   floating-point operations of reading a row
    bytes        of a row in a checkpoint
    """

    epochs: int
    steps: int
    batch: int
    together: int
    validation: int
    validated: bool
    base_epochs: int
    writing: int
    operations: float
    bytes: int

    def fit(self, rows: int) -> tuple[int, int]:
        """Rows that a fit to this number of rows reads, and in how many passes."""
        batch = min(self.batch, rows)
        passes = math.ceil(self.steps / math.ceil(rows / batch)) if self.steps else self.epochs
        return (self.steps * batch if self.steps else self.epochs * rows), passes


class Member:
    """A family, a regime or a filter: a frozen dataclass whose fields are its settings."""

    def settings(self) -> dict[str, Any]:
        """Every setting by its name."""
        return asdict(cast(Any, self))

    def changed(self, **settings: Any) -> Self:
        """The same with other values of these settings."""
        return cast(Self, replace(cast(Any, self), **settings))


class Family(Member, ABC):
    """A kind of model. Methods are pure.

    reads          what rows are: "numbers", "text" or "images"
    conditional    whether `sample` needs `given`: rows, or moments of rows (prompts, a regression's x)
    continued      whether a fit starts from the model of the generation before instead of from `base`
    own_base       whether every chain has a `base` of its own; else all chains of a run share one
    checkpoints    whether every generation is saved, by `save` and `load`; for families that take long
    divided        whether several processes can train and write one chain together, see `distributed`
    metrics        names of the metrics that a run takes
    more_metrics   names of the metrics that it takes on request
    rows           rows of a generation, unless a run says otherwise
    block_size     replicate chains that share a random stream
    width          name of the setting that makes a model large; "" for none
    can_summarise  whether it has the setting sampling=exact, with which it draws sufficient statistics of its samples
                   instead of the rows
    scores         what rows can be judged by: "likelihood" (`score`), "truth" (`miss`), "certainty", "reward"
    has_states     whether its models have hidden states
    watermark      kind of mark in what is written; "none" for none
    probe          a text that every generation continues beside its training set; "" for none
    """

    reads: ClassVar[Literal["numbers", "text", "images"]]
    conditional: ClassVar[bool] = False
    continued: bool = False
    own_base: bool = False
    checkpoints: ClassVar[bool] = False
    divided: ClassVar[bool] = False
    metrics: ClassVar[tuple[str, ...]]
    more_metrics: ClassVar[tuple[str, ...]] = ()
    rows: ClassVar[int]
    block_size: ClassVar[int]
    width: ClassVar[str] = ""
    can_summarise: ClassVar[bool] = False
    scores: ClassVar[frozenset[str]] = frozenset()
    has_states: ClassVar[bool] = False
    watermark: str = "none"
    probe: str = ""

    @abstractmethod
    def fit(
        self, data: Data, rng: np.random.Generator, *, start: Model = None, validation: Data | None = None
    ) -> Model:
        """A model fitted to `data`, from `start` if it is given; `validation` may choose among several."""

    @abstractmethod
    def sample(self, model: Model, n: int, rng: np.random.Generator, *, given: Any = None) -> Rows | Statistics:
        """n rows written by the model."""

    def shards(
        self, model: Model, n: int, rng: np.random.Generator, *, given: Any = None
    ) -> Iterator[Callable[[], Rows | Statistics]]:
        """What `sample` writes, as calls that each write the next rows and depend on no other."""
        yield lambda: self.sample(model, n, rng, given=given)

    # What follows is optional. Some of it belongs to a declaration above; without that it is refused.

    def _undeclared(self, method: str) -> TypeError:
        """For a call that the family's declarations say nobody makes."""
        return TypeError(f"family {type(self).__name__}: it does not declare what `{method}` is for")

    # Where models come from

    def source(self, n: int, rng: np.random.Generator, replicates: int) -> Source:
        """n real rows for each of the replicate chains, of a family of numbers."""
        raise self._undeclared("source")

    def reading(self) -> dict[str, Any]:
        """How a corpus is to be read: arguments of its `source` after n."""
        return {}

    def contents(self) -> list[str]:
        """sha256 of what decides the real rows beside the corpus."""
        return []

    def base_settings(self) -> dict[str, Any] | None:
        """The settings that training before generation 0 depends on; None where nothing is trained."""
        return None

    def base(self, source: Source, rng: np.random.Generator) -> Model:
        """What every fit starts from; None: from the data alone."""
        return None

    def save(self, model: Model, folder: Path) -> None:
        """Write the model into an existing folder, without pickle."""
        raise self._undeclared("save")

    def load(self, folder: Path) -> Model:
        """The model that `save` wrote, bit for bit."""
        raise self._undeclared("load")

    # The machine

    def device(self) -> str:
        """What computes: "cpu", or the GPU's name."""
        return "cpu"

    def choose(self, model: Model) -> dict[str, Any]:
        """Settings that suit the machine and models like this one, and change no result but ties."""
        return {}

    def halved(self, use: Use) -> dict[str, Any] | None:
        """Settings that need about half the memory in this use; None where nothing can be halved."""
        return None

    @property
    def workload(self) -> Workload | None:
        """What takes time, so that it is measured and predicted before a run; None where nothing takes long."""
        return None

    def quick(self, batch: int | None = None, source: Source | None = None) -> Self:
        """The family with one pass over a training set and no validation; with that batch, for models of that source.

        All settings that change only how often things are done are as in any other, so that speeds can be shared.
        """
        return self

    def model_bytes(self, model: Model) -> int:
        """Size of a model's weights."""
        return 0

    def chain_bytes(self, rows: float) -> float:
        """Memory of one chain whose training sets have this number of rows, about; 0 where it is small."""
        return 0

    def items(self, metric: str) -> int:
        """How many numbers a metric has per chain and generation, about."""
        return 1

    # What is known of rows

    @property
    def passes(self) -> int:
        """How many times n rows are written, and how many copies of the real rows are read."""
        return 1

    @property
    def draws_rows(self) -> bool:
        """Whether samples are rows, of which some can be picked; else they are sufficient statistics."""
        return True

    @property
    def knows_truth(self) -> bool:
        """Whether it samples from the true distribution of the corpus, which then has to be known."""
        return False

    @property
    def distribution(self) -> np.ndarray | None:
        """True shares of the kinds of rows, (K,), commonest first; None where rows are of no kind."""
        return None

    def kinds(self, rows: Rows) -> np.ndarray:
        """What kind each row is of, from 0, where there is a `distribution`."""
        raise self._undeclared("kinds")

    def miss(self, rows: Rows, bias: float = 0.0) -> np.ndarray:
        """How far each row is from right, 0 for right, to a selector whose belief is `bias` off: scores has "truth"."""
        raise self._undeclared("miss")

    def certainty(self, rows: Rows, bias: float = 0.0) -> np.ndarray:
        """How sure that selector is of its own answer, whatever the row's is: scores has "certainty"."""
        raise self._undeclared("certainty")

    def reward(self, rows: Rows) -> np.ndarray:
        """How much readers like each row: scores has "reward"."""
        raise self._undeclared("reward")

    def score(self, model: Model, rows: Rows) -> np.ndarray:
        """Nats of every token but the first, rows (n, m) -> (n, m - 1), or of every row of numbers, (n, R) -> (n, R).

        For families whose scores have "likelihood".
        """
        raise self._undeclared("score")

    def entropy(self, model: Model, rows: Rows) -> np.ndarray:
        """Entropy in nats of the distribution of every token but the first, or of every row: as `score`."""
        raise self._undeclared("entropy")

    def states(self, model: Model, rows: Rows) -> np.ndarray:
        """Mean hidden state of each row, (n, width), where the family has_states."""
        raise self._undeclared("states")

    def marks(self, rows: Rows, vocabulary: int, *, repeats: bool = False) -> np.ndarray:
        """z of the test for the family's watermark in each row."""
        raise self._undeclared("marks")


class Regime(Member, ABC):
    """How the next training set is made.

    needs  how much of the past it reads
    whole  whether it trains on everything that was generated, so that a filter may choose from more
    grows  whether its training sets are the pool from then on, so that real rows that it draws stay; needs "all"
    """

    needs: ClassVar[Literal["nothing", "last", "all"]]
    whole: ClassVar[bool] = False
    grows: ClassVar[bool] = False

    def size(self, t: int, n: int) -> int:
        """How many rows generation t writes."""
        return n

    @abstractmethod
    def __call__(self, source: Source, history: History, n: int, rng: np.random.Generator) -> Data:
        """The next training set."""


class Filter(Member, ABC):
    """What a training set keeps, after the regime and before the fit.

    top_up      whether kept rows are repeated until the set is as large as it was; else it stays smaller
    candidates  k: every generation writes k times as many rows, for the filter to choose from
    by_place    whether it knows the candidates for one prompt by their places, so that nothing may move rows before it
    """

    top_up: bool = False
    candidates: int = 1
    by_place: ClassVar[bool] = False

    def check(self, family: Family, corpus: Corpus | None) -> None:
        """InputError, before any work, for what it cannot be applied to."""
        return None

    @abstractmethod
    def __call__(self, data: Data, rng: np.random.Generator, reference: Reference) -> np.ndarray:
        """A mask of bool, or weights, one per row: shape (n,), or (n, R) where each of R stacked chains has its own.

        See `Data.filtered`.
        """
