"""What families that continue text have in common."""

from __future__ import annotations

from typing import ClassVar, Literal

from model_collapse.interfaces import Family

TOKEN = 12
"""Bytes of a token of text while it is cut into blocks: read, put together, and kept."""


class Text(Family):
    """A language model: it reads blocks of tokens and continues a given block by as many.

    metrics       of any language model, taken by default
    more_metrics  those taken on request; some only of a corpus whose true distribution is known
    """

    conditional: ClassVar[bool] = True
    reads: ClassVar[Literal["text"]] = "text"
    scores: ClassVar[frozenset[str]] = frozenset({"likelihood"})
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
        "test_loss",
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
        "minimal_pairs",
        "self_bleu",
    )
    block: int
    evaluate: int

    def chain_bytes(self, rows: float) -> float:
        """Memory of a chain whose training sets have this number of blocks."""
        return rows * self.block * TOKEN
