"""The published way to write: transformers' `generate` with five beams, batches of 16 prompts, fp32.

The call of the released generation script, with its least and most new tokens equal, so that no text ends early.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from transformers import GenerationConfig, PreTrainedModel


def writer(module: PreTrainedModel, threads: int) -> Callable[[torch.Tensor, int, float], torch.Tensor]:
    """A function that writes `new` tokens after each of n prompts (n, m), with a repetition penalty: (n, new)."""
    end = module.config.eos_token_id

    def write(prompts: torch.Tensor, new: int, penalty: float) -> torch.Tensor:
        configuration = GenerationConfig(
            num_beams=5,
            min_new_tokens=new,
            max_new_tokens=new,
            repetition_penalty=penalty,
            eos_token_id=end,
            pad_token_id=end,
        )
        module.generation_config = configuration
        mask = torch.ones_like(prompts)
        return module.generate(input_ids=prompts, attention_mask=mask, generation_config=configuration)[:, -new:]

    return write
