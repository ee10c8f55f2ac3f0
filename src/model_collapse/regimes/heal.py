"""Heal: no real data for a while, and then new ones in every generation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from model_collapse.regimes._scheduled import Scheduled


@dataclass(frozen=True)
class Heal(Scheduled):
    """Replace up to generation `until`, from then on round(real_fraction n) new real rows as in `fresh`."""

    until: Annotated[int, Field(ge=0, le=10**7, description="last generation that is trained without real rows")] = 10
    real_fraction: Annotated[
        float, Field(ge=0, le=1, description="share of rows that are real and new, in later generations")
    ] = 0.1

    def share(self, t: int) -> float:
        """Share of real rows in training set t."""
        return self.real_fraction if t > self.until else 0.0
