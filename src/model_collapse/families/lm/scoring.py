"""How probable a model finds given tokens, how sure it is before them, and what states they put it in."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional
from transformers import PreTrainedModel

from model_collapse import hardware
from model_collapse.errors import InputError
from model_collapse.families.lm.model import LmModel, build
from model_collapse.families.lm.products import products

LOGITS = 2**25
"""Largest number of logits at a time (128 MiB in fp32)."""


BUSY = "other programs use it; end them, or use a smaller preset"


def score(model: LmModel, x: np.ndarray, threads: int) -> np.ndarray:
    """Nats per token: x (n, m) of token ids -> (n, m - 1), float32. See `Lm.score`."""
    return _read(model, x, threads, token_losses)


def entropy(model: LmModel, x: np.ndarray, threads: int) -> np.ndarray:
    """Entropy of the distribution of each token but the first: x (n, m) of token ids -> (n, m - 1), float32."""
    return _read(model, x, threads, lambda module, blocks: _by_token(module, blocks, _entropies))


def states(model: LmModel, x: np.ndarray, threads: int) -> np.ndarray:
    """Mean last hidden state of each row: x (n, m) of token ids -> (n, width), float32. See `Lm.states`."""
    return _read(model, x, threads, _mean_states)


def _read(
    model: LmModel, x: np.ndarray, threads: int, what: Callable[[PreTrainedModel, torch.Tensor], torch.Tensor]
) -> np.ndarray:
    device = hardware.device()
    with hardware.threads(threads), hardware.memory(BUSY), products():
        blocks = checked(model, x, device)
        return what(build(model, 0, device), blocks).cpu().numpy()


def token_losses(module: PreTrainedModel, blocks: torch.Tensor) -> torch.Tensor:
    """-ln p(token | those before it in its block): blocks (n, m) -> (n, m - 1), fp32. Leaves the module in eval."""
    return _by_token(module, blocks, lambda logits, next: functional.cross_entropy(logits, next, reduction="none"))


def _by_token(
    module: PreTrainedModel, blocks: torch.Tensor, of: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
) -> torch.Tensor:
    """`of` the logits (k, V) of some tokens and these tokens (k,), for every token but the first: (n, m - 1), fp32."""
    module.eval()
    n, length = blocks.shape
    batch = max(1, min(256, LOGITS // (length * module.config.vocab_size)))
    values = torch.empty((n, length - 1), dtype=torch.float32, device=blocks.device)
    with torch.inference_mode():
        for i in range(0, n, batch):
            part = blocks[i : i + batch]
            logits = module(input_ids=part[:, :-1], use_cache=False).logits
            values[i : i + batch] = of(logits.flatten(0, 1), part[:, 1:].flatten()).view(len(part), -1)
    return values


def _entropies(logits: torch.Tensor, next: torch.Tensor) -> torch.Tensor:
    return torch.special.entr(logits.softmax(dim=-1)).sum(dim=-1)


def _mean_states(module: PreTrainedModel, blocks: torch.Tensor) -> torch.Tensor:
    module.eval()
    with torch.inference_mode():
        read = (module.base_model(input_ids=part, use_cache=False).last_hidden_state for part in blocks.split(256))
        return torch.cat([states.mean(dim=1) for states in read])


def checked(model: LmModel, x: np.ndarray, device: torch.device) -> torch.Tensor:
    """x (n, m) as int64 on the device. InputError for no rows, rows the model is too short for, or unknown tokens."""
    if x.ndim != 2 or len(x) == 0 or x.shape[1] < 2:
        raise InputError(
            f"a language model reads blocks of at least 2 tokens, shape (n, block), not an array of shape {x.shape}"
        )
    if x.shape[1] > model.positions:
        raise InputError(f"family.block: the model reads at most {model.positions} tokens, not {x.shape[1]}")
    if x.min() < 0 or x.max() >= model.vocabulary:
        raise InputError(
            f"family.tokenizer: token {x.max() if x.min() >= 0 else x.min()} is outside the model's "
            f"vocabulary of {model.vocabulary}"
        )
    return torch.from_numpy(x.astype(np.int64)).to(device)
