"""Matrix products, where nearly all the time goes: on a CPU by oneDNN, 2 to 3 times as fast as torch's default."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode


class Product(nn.Module):
    """x -> x W' + b, multiplied in `dtype` and given in fp32, with a matrix that is laid out once for many uses."""

    def __init__(self, weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> None:
        super().__init__()
        self.weight, self.bias = weight.to(dtype), None if bias is None else bias.to(dtype)
        self.packed = None
        if weight.device.type == "cpu" and _onednn(dtype):
            self.packed = torch.ops.mkldnn._reorder_linear_weight(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        x = x.to(self.weight.dtype)
        if self.packed is None:
            return functional.linear(x, self.weight, self.bias).float()
        return _multiply(x, self.packed, self.bias).float()


def products() -> AbstractContextManager[object]:
    """`OneDNN` where it is faster than torch's default; elsewhere nothing, since watching every call costs time."""
    return OneDNN() if _onednn(torch.float32) else nullcontext()


class OneDNN(TorchFunctionMode):
    """Inside, linear layers multiply fp32 numbers on a CPU by oneDNN, gradients included. The rest is as it was."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is functional.linear:
            return _linear(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    if _suits(input, weight):
        return _Linear.apply(input, weight, bias)
    return functional.linear(input, weight, bias)


class _Linear(torch.autograd.Function):
    """x (..., i), weight (o, i), bias (o,) or None -> (..., o)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _multiply(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        of_x, of_weight, of_bias = ctx.needs_input_grad
        rows = gradient.flatten(0, -2)
        return (
            _multiply(gradient, weight.T, None) if of_x else None,
            _multiply(rows.T, x.flatten(0, -2).T, None) if of_weight else None,
            rows.sum(0) if of_bias else None,
        )


def _multiply(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


def _suits(x: Tensor, weight: Tensor) -> bool:
    plain = x.device.type == "cpu" and x.dtype == weight.dtype == torch.float32
    return plain and not torch.is_autocast_enabled("cpu") and _onednn(x.dtype)


def _onednn(dtype: torch.dtype) -> bool:
    """Whether oneDNN is there and this processor multiplies such numbers natively.

    Without AVX-512 torch's own way is as fast for fp32, and a matrix need not be kept twice.
    """
    if not torch.backends.mkldnn.is_available():
        return False
    if dtype == torch.float32:
        return torch.backends.cpu.get_cpu_capability() == "AVX512"
    return dtype == torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported()
