"""What the chapters on language models share: how a run is described, and short names of its models."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from model_collapse.analysis import stats
from model_collapse.companion.book.estimates import joined
from model_collapse.companion.book.findings import Tables, counted
from model_collapse.companion.book.notebook import say
from model_collapse.companion.studies import language_model
from model_collapse.companion.studies.gate import UNTOUCHED, gate, said
from model_collapse.companion.studies.language_model import Size

NAMES = {
    **{size: f"a {size} OPT that was pre-trained here on other text" for size in ("tiny", "mini", "small")},
    "opt-125m": "OPT-125m with its published weights",
}
"""Size -> the model in words."""


def described(tables: Tables, scale: Size, profile: str) -> str:
    """Model, corpus, size, profile and device of a run in one line."""
    first = tables["A"].iloc[0]
    preset = str(scale.settings["family.preset"])
    return (
        f"{NAMES.get(preset, f'the OPT in {preset}')}; corpus {first['corpus']}, {first['n_train']} blocks, "
        f"generations 0 to {scale.generations}, {counted(scale.seeds, 'seed')}, profile {profile}, on "
        f"{first['device']}"
    )


def introduce(tables: Tables, scale: Size, profile: str) -> None:
    """What was run, whether generation 0 learned anything that could be lost (`gate`), and who has lost all of it."""
    as_published = scale == language_model.STUDY.at("paper")
    size = "This is the size of the paper." if as_published else "**Much smaller than the paper's.**"
    say(f"**This run:** {described(tables, scale, profile)}. {size}")
    say(said(gate(tables)))
    who_is_back(tables, dict(zip(tables, titled(tables), strict=True)))


def who_is_back(tables: Tables, titles: Mapping[str, str]) -> None:
    """Say which conditions are back at the untouched model, and from which generation on; nothing where none is.

    titles  of the conditions; others keep their labels
    """
    if lost := back_at_start(tables):
        places = joined(f"{titles.get(label, label)} from generation {first} on" for label, first in lost.items())
        say(
            f"**Back at the untouched model** in every seed: {places}. Nothing that these generations were trained on "
            "helps with real text, so they keep the model that they started from, and differ no more."
        )


def back_at_start(tables: Tables) -> dict[str, int]:
    """Condition -> the generation from which to its end every seed has the perplexity of the untouched model.

    Of models that read each other, their mean. None in a run without the untouched model.
    """
    found: dict[str, int] = {}
    if UNTOUCHED not in tables:
        return found
    start = stats.per_replicate(tables[UNTOUCHED], "perplexity", 0)
    for label, several in tables.items():
        table = stats.over_models(stats.pick(several, "perplexity"))
        generations = sorted(table["generation"].unique(), reverse=True)
        values = [stats.per_replicate(table, "perplexity", g) for g in generations]
        same = [np.allclose(each, start.reindex(each.index), rtol=1e-4) for each in values]
        count = [*same, False].index(False)
        if count and label != UNTOUCHED:
            found[label] = int(generations[count - 1])
    return found


def titled(tables: Tables, others: Mapping[str, str] | None = None) -> dict[str, pd.DataFrame]:
    """Tables by the titles of their conditions, for figures; what a reader has added keeps its label.

    others  label -> another title
    """
    titles = {label: condition.title for label, condition in language_model.CONDITIONS.items()} | dict(others or {})
    return {titles.get(label, label): table for label, table in tables.items()}


def nats(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of the metric `perplexity`, with its logarithm, the cross-entropy in nats per token, as value."""
    return stats.pick(table, "perplexity").assign(value=lambda rows: np.log(rows["value"]))


def paths_of(generations: int) -> list[int]:
    """The generations of which texts are shown: the first ones, the paper's, and the last."""
    return [g for g in (0, 1, 5, 9) if g < generations] + [generations]
