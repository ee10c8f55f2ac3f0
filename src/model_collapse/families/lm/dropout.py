"""Dropout of a part of a batch as it would be in the whole, so that it does not depend on how a batch is divided."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from model_collapse.errors import InputError


class PartOfBatch(TorchFunctionMode):
    """Inside, a module that reads these rows of a batch of `whole` drops what it would drop of them in the batch.

    Masks are drawn for the whole batch, by torch's hidden generator as on a CPU, and the rows of others are left out.
    The first dimension of what is dropped runs over rows, or over rows and then over their tokens.
    """

    def __init__(self, rows: slice, whole: int) -> None:
        super().__init__()
        self.rows, self.whole = rows, whole

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is functional.dropout:
            return self._dropped(*args, **kwargs)
        if func is functional.scaled_dot_product_attention and kwargs.get("dropout_p", 0.0):
            return self._attended(*args, **kwargs)
        return func(*args, **kwargs)

    def _dropped(self, x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        if not (training and p):
            return x
        each, rest = divmod(len(x), self.rows.stop - self.rows.start)
        if rest:
            raise InputError(
                "family.dropout: this architecture does not drop row by row; use 0 where a batch is divided, by "
                "several processes or by family.chunk"
            )
        mask = x.new_empty((self.whole * each, *x.shape[1:])).bernoulli_(1 - p).div_(1 - p)
        return x * mask[self.rows.start * each : self.rows.stop * each]

    def _attended(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        **more: Any,
    ) -> Tensor:
        """The library's attention, which drops weights of shape (rows, heads, queries, keys)."""
        attention = torch.ops.aten._scaled_dot_product_attention_math
        _, weights = attention(query, key, value, attn_mask, 0.0, is_causal, **more)
        # Where queries share their keys, they share the values too.
        return self._dropped(weights, dropout_p) @ value.repeat_interleave(weights.shape[1] // value.shape[1], 1)
