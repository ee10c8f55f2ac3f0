"""How probable a model finds given tokens."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional
from transformers import OPTForCausalLM

from model_collapse.errors import InputError
from model_collapse.families.opt import hardware
from model_collapse.families.opt.model import OptModel, build

LOGITS = 2**25
"""Largest number of logits at a time (128 MiB in fp32)."""


def score(model: OptModel, x: np.ndarray, threads: int) -> np.ndarray:
    """Nats per token: x (n, m) of token ids -> (n, m - 1), float32. See `Opt.score`."""
    device = hardware.device()
    with hardware.threads(threads), hardware.memory("other programs use it; end them, or use a smaller preset"):
        blocks = checked(model, x, device)
        return token_losses(build(model, 0, device), blocks).cpu().numpy()


def token_losses(module: OPTForCausalLM, blocks: torch.Tensor) -> torch.Tensor:
    """-ln p(token | those before it in its block): blocks (n, m) -> (n, m - 1), fp32. Leaves the module in eval."""
    module.eval()
    n, length = blocks.shape
    batch = max(1, min(256, LOGITS // (length * module.config.vocab_size)))
    losses = torch.empty((n, length - 1), dtype=torch.float32, device=blocks.device)
    with torch.inference_mode():
        for i in range(0, n, batch):
            part = blocks[i : i + batch]
            logits = module(input_ids=part[:, :-1], use_cache=False).logits
            flat = functional.cross_entropy(logits.flatten(0, 1), part[:, 1:].flatten(), reduction="none")
            losses[i : i + batch] = flat.view(len(part), -1)
    return losses


def checked(model: OptModel, x: np.ndarray, device: torch.device) -> torch.Tensor:
    """x (n, m) as int64 on the device. InputError for no rows, rows the model is too short for, or unknown tokens."""
    if x.ndim != 2 or len(x) == 0 or x.shape[1] < 2:
        raise InputError(f"opt reads blocks of at least 2 tokens, shape (n, block), not an array of shape {x.shape}")
    if x.shape[1] > model.positions:
        raise InputError(f"family.block: the model reads at most {model.positions} tokens, not {x.shape[1]}")
    if x.min() < 0 or x.max() >= model.vocabulary:
        raise InputError(
            f"family.tokenizer: token {x.max() if x.min() >= 0 else x.min()} is outside the model's "
            f"vocabulary of {model.vocabulary}"
        )
    return torch.from_numpy(x.astype(np.int64)).to(device)
