"""The published way to write: transformers' `generate` with five beams, batches of 16 prompts, fp32.

The call of the released generation script, with its least and most new tokens equal, so that no text ends early.
"""

from __future__ import annotations

import torch
from transformers import GenerationConfig, OPTForCausalLM


def write(module: OPTForCausalLM, prompts: torch.Tensor, new: int, penalty: float) -> torch.Tensor:
    """`new` tokens after each of 16 prompts (16, m): (16, new)."""
    configuration = GenerationConfig(
        num_beams=5,
        min_new_tokens=new,
        max_new_tokens=new,
        repetition_penalty=penalty,
        eos_token_id=module.config.eos_token_id,
        pad_token_id=module.config.pad_token_id,
    )
    module.generation_config = configuration
    mask = torch.ones_like(prompts)
    return module.generate(input_ids=prompts, attention_mask=mask, generation_config=configuration)[:, -new:]
