"""What families that continue text have in common."""

from __future__ import annotations

from typing import ClassVar

from model_collapse.interfaces import Family


class Text(Family):
    """A language model: it reads blocks of tokens and continues a given block by as many.

    metrics       of any language model, taken by default
    more_metrics  those taken on request; facts, groups, group_loss and kl only of a corpus whose law is known
    """

    conditional: ClassVar[bool] = True
    reads: ClassVar[str] = "text"
    rows: ClassVar[int] = 256
    block_size: ClassVar[int] = 1
    metrics: ClassVar[tuple[str, ...]] = (
        "perplexity",
        "perplexity_block_mean",
        "written_perplexity",
        "distinct_3",
        "repeated_3",
        "rare_coverage",
    )
    more_metrics: ClassVar[tuple[str, ...]] = (
        "entropy",
        "written_loss",
        "leaks",
        "distinct_2",
        "type_token_ratio",
        "unique_sentences",
        "zipf",
        "skeletons",
        "real_text",
        "similarity",
        "detector",
        "facts",
        "groups",
        "group_loss",
        "kl",
    )
