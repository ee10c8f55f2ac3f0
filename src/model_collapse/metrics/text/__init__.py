"""Metrics of text: how well a language model predicts real text, and what has become of the text it writes.

One module per theme: `perplexity`, `diversity`, `continuation`, `facts`, `divergence`. A block of m tokens has m - 1
predicted ones: the first has nothing before it. Logarithms are natural.
"""

from __future__ import annotations

import numpy as np

from model_collapse.data import Rows
from model_collapse.loop import Generation

KNOWN_LAW = ("facts", "group_loss", "groups", "kl")
"""Metrics that need a corpus whose true law is known (`source.world`)."""


def written(generation: Generation) -> np.ndarray:
    """Token ids of what was written, (n, m)."""
    return rows_of(generation).x


def rows_of(generation: Generation) -> Rows:
    """What was written, as rows of token ids."""
    rows = generation.sample.rows
    assert isinstance(rows, Rows)
    return rows
