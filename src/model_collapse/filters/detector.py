"""Detector: a classifier that was trained to tell real rows from written ones decides what stays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from model_collapse import detection
from model_collapse.data import Data
from model_collapse.errors import InputError
from model_collapse.families._text import Text
from model_collapse.interfaces import Family, Filter, Reference

if TYPE_CHECKING:
    from model_collapse.interfaces import Corpus


@dataclass(frozen=True)
class Detector(Filter):
    """Drops rows that a classifier takes for generated, or weighs every row by its chance of being real.

    It is trained once, on what generation 0 wrote against real rows, of which generation 0 had read some; see
    `detection`. So it knows some of the real rows that a chain with old real data puts before it.

    drop   the threshold is where a share `false_alarms` of held-out real rows would be dropped
    weigh  importance weights P(real | row) as in the resampling of Drayson et al. 2025 (arXiv:2502.15654), but each
           row counts so much, where they draw rows with such chances
    """

    mode: Annotated[Literal["drop", "weigh"], Field(description="drop rows, or weigh them all")] = "drop"
    false_alarms: Annotated[float, Field(gt=0, lt=1, description="share of held-out real rows dropped")] = 0.05
    top_up: Annotated[bool, Field(description="repeat the kept rows until the set is as large as before")] = False

    def check(self, family: Family, corpus: Corpus | None) -> None:
        """InputError unless there is text or a picture to look at, and enough real text to learn from."""
        if corpus is None:
            raise InputError("--filter detector: it reads text or images, not numbers; use --filter provenance")
        if isinstance(family, Text) and family.evaluate < detection.LEAST:
            raise InputError(
                f"--filter detector: it learns from real validation blocks; set family.evaluate to {detection.LEAST} "
                f"or more, not {family.evaluate}"
            )

    def __call__(self, data: Data, rng: np.random.Generator, reference: Reference) -> np.ndarray:
        detector = detection.trained(reference)
        score = detector.scores(data.drawn)
        return detector.chance_real(score) if self.mode == "weigh" else score <= detector.threshold(self.false_alarms)
