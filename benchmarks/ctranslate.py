"""The published way of those who write on a CPU: CTranslate2, an engine in C++, in fp32 or with weights of 8 bits.

The same five beams after the same prompts. Converting a model is not timed. Its search breaks ties and counts the end
of a text in its own way, so that not all texts need be equal.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Callable
from pathlib import Path

import ctranslate2
import torch
from ctranslate2.converters import TransformersConverter
from tokenizers import Tokenizer, models
from transformers import PreTrainedModel, PreTrainedTokenizerFast

WEIGHTS = {"fp32": "float32", "int8": "int8"}


def writer(
    module: PreTrainedModel, threads: int, precision: str = "fp32"
) -> Callable[[torch.Tensor, int, float], torch.Tensor]:
    """A function that writes `new` tokens after each of n prompts (n, m), with a repetition penalty: (n, new)."""
    names = [str(i) for i in range(module.config.vocab_size)]
    end = names[module.config.eos_token_id]
    words = Tokenizer(models.WordLevel({name: i for i, name in enumerate(names)}, unk_token=end))
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        module.save_pretrained(Path(folder) / "theirs")
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, bos_token=end, eos_token=end, unk_token=end)
        tokenizer.save_pretrained(Path(folder) / "theirs")
        TransformersConverter(str(Path(folder) / "theirs")).convert(f"{folder}/ours", quantization=WEIGHTS[precision])
        engine = ctranslate2.Generator(f"{folder}/ours", intra_threads=threads, compute_type=WEIGHTS[precision])

    def write(prompts: torch.Tensor, new: int, penalty: float) -> torch.Tensor:
        found = engine.generate_batch(
            [[names[i] for i in row] for row in prompts.tolist()],
            beam_size=5,
            min_length=new,
            max_length=new,
            repetition_penalty=penalty,
            end_token=end,
            include_prompt_in_result=False,
        )
        return torch.tensor([text.sequences_ids[0] for text in found])

    return write
