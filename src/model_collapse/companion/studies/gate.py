"""The gate of every study on text: has generation 0 learned from real text what later generations could lose?

found = gate(tables)       by seed, nats per token that generation 0 of "A" gains over the untouched model
said(found)                in a sentence
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from model_collapse.errors import InputError

GATE = 0.1
"""Nats per token by which generation 0 has to be better than the untouched model, in every seed."""

UNTOUCHED = "zero-shot"
"""Label of the condition without any fine-tuning, in every study on text."""


def gate(tables: Mapping[str, pd.DataFrame], label: str = "A") -> pd.Series:
    """Loss of the untouched model less that of generation 0 of a condition, by seed.

    Both are means of -ln p per token of the real test text, ln of the metric `perplexity`. InputError where a table is
    not there, or where their seeds are not the same.
    """

    def first(name: str) -> pd.Series:
        if name not in tables:
            raise InputError(f"gate: needs condition {name}; there are {', '.join(tables) or 'none'}")
        table = tables[name]
        chosen = table[(table["generation"] == 0) & (table["metric"] == "perplexity")]
        return chosen.set_index("replicate")["value"].map(np.log)

    before, after = first(UNTOUCHED), first(label)
    if sorted(before.index) != sorted(after.index):
        raise InputError(f"gate: {UNTOUCHED} has seeds {list(before.index)}, and {label} has {list(after.index)}")
    return (before - after).rename("nats")


def passed(gains: pd.Series) -> bool:
    """Whether all of them are at least `GATE`."""
    return bool((gains >= GATE).all())


def said(gains: pd.Series) -> str:
    """The gate in a sentence, for a page or a log."""
    seeds = f"all {len(gains)} seeds" if len(gains) > 1 else "the one seed"
    least, most = f"{gains.min():.2f}", f"{gains.max():.2f}"
    reached = least if least == most else f"{least} to {most}"
    if passed(gains):
        return (
            f"Gate passed: in {seeds} generation 0 is better than the untouched model, by {reached} nats per token "
            f"({GATE:g} are asked for)."
        )
    short = f"{int((gains < GATE).sum())} of {len(gains)} seeds"
    return (
        f"Gate not passed: in {short} generation 0 is less than {GATE:g} nats per token better than the untouched "
        f"model (gains {reached}). The results below cannot show a loss of learned knowledge."
    )
