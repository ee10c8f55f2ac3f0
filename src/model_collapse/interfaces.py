"""What may be asked of every member, with the answer of those that say nothing else."""

from __future__ import annotations

from typing import ClassVar


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
