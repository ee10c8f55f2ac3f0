"""Fill: the web fills up, and ever fewer rows of a training set are real."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from model_collapse.regimes._scheduled import Scheduled
from model_collapse.theory.real_share import fill_share


@dataclass(frozen=True)
class Fill(Scheduled):
    """New real rows are a share floor + (1 - floor) / (1 + t / half) of training set t, the rest of the last sample.

    The share of a real stock in a web to which every generation adds as much; with a floor that is kept real. Otherwise
    as `fresh`, which has one share for all generations.
    """

    floor: Annotated[float, Field(ge=0, le=1, description="share of real rows that is never undercut")] = 0.0
    half: Annotated[
        float, Field(ge=1e-3, le=1e9, description="generation at which the share is half way to the floor")
    ] = 5.0

    def share(self, t: int) -> float:
        """Share of real rows in training set t."""
        return float(fill_share(t, self.floor, self.half))
