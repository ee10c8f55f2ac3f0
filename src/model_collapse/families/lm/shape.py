"""The shape of a model for the engine and the estimates, independent of its architecture's names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

UNLIMITED = 2**31 - 1
"""Positions of a model that numbers none."""


@dataclass(frozen=True)
class Shape:
    """Sizes of a causal language model.

    width       of the hidden states
    heads       queries of attention; `key_heads` of them are keys, each shared by a group
    inner       width of the feed-forward layer
    vocabulary  token ids it knows
    positions   longest sequence it reads, in tokens; UNLIMITED where attention weighs distances (ALiBi)
    window      how far back its local layers see, in tokens; None: all layers see everything
    ends        ids that end a text
    """

    layers: int
    width: int
    heads: int
    key_heads: int
    head_width: int
    inner: int
    vocabulary: int
    positions: int
    window: int | None
    ends: tuple[int, ...]

    @classmethod
    def of(cls, config: Any) -> Shape:
        """Read from the library's configuration, which has one name or another for each."""

        def first(*names: str, default: Any = None) -> Any:
            found = (getattr(config, name, None) for name in names)
            return next((value for value in found if value is not None), default)

        width, heads = config.hidden_size, config.num_attention_heads
        end = config.eos_token_id
        ends = () if end is None else (end,) if isinstance(end, int) else tuple(end)
        kinds = set(first("layer_types", default=["sliding_attention"]))
        return cls(
            layers=config.num_hidden_layers,
            width=width,
            heads=heads,
            key_heads=first("num_key_value_heads", default=heads),
            head_width=first("head_dim", default=width // heads),
            inner=first("ffn_dim", "intermediate_size", "n_inner", default=4 * width),
            vocabulary=config.vocab_size,
            positions=first("max_position_embeddings", "n_positions", "max_seq_len", default=UNLIMITED),
            window=first("sliding_window") if "sliding_attention" in kinds else None,
            ends=tuple(i for i in ends if i < config.vocab_size),
        )
