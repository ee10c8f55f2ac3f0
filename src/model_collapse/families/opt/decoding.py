"""Writing: how a model continues given blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import GenerationConfig, OPTForCausalLM

from model_collapse.errors import InputError
from model_collapse.families.opt import engine, hardware
from model_collapse.families.opt.model import OptModel, build
from model_collapse.families.opt.scoring import checked

if TYPE_CHECKING:
    from model_collapse.families.opt import Opt


def write(model: OptModel, x: np.ndarray, rng: np.random.Generator, settings: Opt) -> np.ndarray:
    """Continue prompts x (n, m) by `settings.block` tokens each: (n, block), int32. See `Opt.sample`."""
    device = hardware.device()
    generator = torch.Generator().manual_seed(int(rng.integers(2**63)))
    if x.shape[1] + settings.block > model.positions:
        raise InputError(
            f"family.block={settings.block}: a prompt of {x.shape[1]} tokens and {settings.block} new ones are more "
            f"than the {model.positions} the model reads"
        )
    less = f"use --set family.sample_batch={max(1, settings.sample_batch // 2)}"
    with hardware.threads(settings.threads), hardware.memory(less), torch.inference_mode():
        prompts = checked(model, x, device)
        module = build(model, 0, device).eval()
        dtype = hardware.precision(settings.precision, device)
        parts = prompts.split(settings.sample_batch)
        if settings.engine == "reference":
            with hardware.mixed(dtype, device):
                written = [reference(module, part, settings.block, settings, generator) for part in parts]
        else:
            # Drawn for all rows at once, so that a row's tokens do not depend on the batch it is in.
            shape = len(prompts), settings.block
            draws = torch.rand(shape, generator=generator, dtype=torch.float64).to(device).split(settings.sample_batch)
            fast = engine.Engine(module, dtype)
            written = [
                fast.write(part, settings.block, settings, draw) for part, draw in zip(parts, draws, strict=True)
            ]
    return torch.cat(written).cpu().numpy().astype(np.int32)


def reference(
    module: OPTForCausalLM, prompts: torch.Tensor, new_tokens: int, settings: Opt, generator: torch.Generator
) -> torch.Tensor:
    """`new_tokens` tokens after each prompt (n, m) by transformers' `generate`: (n, new_tokens), on their device.

    beam: the sequence of largest total log-probability among `beams`; greedy: the likeliest token at each step;
    sample: a draw from the distribution after temperature, top_k, top_p and repetition penalty.
    """
    end = module.config.eos_token_id if settings.end == "forbidden" else None
    options: dict[str, Any] = {
        "max_new_tokens": new_tokens,
        "min_new_tokens": new_tokens if end is not None else None,
        "eos_token_id": end,
        "pad_token_id": module.config.pad_token_id,
        "num_beams": settings.beams if settings.decoding == "beam" else 1,
        "repetition_penalty": settings.repetition_penalty,
        "do_sample": settings.decoding == "sample",
    }
    if settings.decoding == "sample":
        options |= {"temperature": settings.temperature, "top_k": settings.top_k, "top_p": settings.top_p}
    configuration = GenerationConfig(**options)
    # generate fills whatever is None here from the module's own configuration, where </s> would end a text.
    module.generation_config = configuration
    seed = int(torch.randint(2**62, (1,), generator=generator))
    with hardware.seeded(seed, prompts.device):
        written = module.generate(
            input_ids=prompts, attention_mask=torch.ones_like(prompts), generation_config=configuration
        )
    return written[:, prompts.shape[1] :]
