"""What may be asked of every member, with the answer of those that say nothing else."""

from __future__ import annotations

from typing import Any, ClassVar


class Family:
    """A kind of model, beside `fit` and `sample`.

    can_summarise  whether it has the setting sampling=exact, with which it draws sufficient statistics of its samples
                   instead of the rows
    """

    can_summarise: ClassVar[bool] = False

    @property
    def draws_rows(self) -> bool:
        """Whether samples are rows, of which some can be picked; else they are sufficient statistics."""
        return True


class Regime:
    """How the next training set is put together, beside `needs` and the call itself.

    whole  whether it trains on all that was written, however much, so that a filter may choose from more
    """

    whole: ClassVar[bool] = False

    def size(self, t: int, n: int) -> int:
        """How many rows generation t writes."""
        return n


class Filter:
    """What a training set keeps, beside the call itself.

    top_up      whether kept rows are repeated until the set is as large as it was; else it stays smaller
    candidates  k: every generation writes k times as many rows, for the filter to choose from
    by_place    whether it knows the candidates for one prompt by their places, so that nothing may move rows before it
    """

    top_up: bool = False
    candidates: int = 1
    by_place: ClassVar[bool] = False

    def check(self, family: Any, corpus: Any) -> None:
        """InputError, before any work, for what it cannot judge."""
