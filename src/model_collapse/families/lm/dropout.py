"""Dropout of a part of a batch as it would be in the whole, so that it does not depend on how a batch is divided."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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
            raise InputError("family.dropout: this architecture drops inside attention; use 0 with several processes")
        return func(*args, **kwargs)

    def _dropped(self, x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        if not (training and p):
            return x
        each, rest = divmod(len(x), self.rows.stop - self.rows.start)
        if rest:
            raise InputError("family.dropout: this architecture does not drop row by row; use 0 with several processes")
        mask = x.new_empty((self.whole * each, *x.shape[1:])).bernoulli_(1 - p).div_(1 - p)
        return x * mask[self.rows.start * each : self.rows.stop * each]
