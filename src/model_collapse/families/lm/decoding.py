"""Writing: how a model continues given blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import GenerationConfig, PreTrainedModel
from transformers.utils import ModelOutput

from model_collapse import distributed, hardware
from model_collapse.data import Rows
from model_collapse.families.lm import engine, watermark
from model_collapse.families.lm.model import LmModel, build, room
from model_collapse.families.lm.scoring import checked
from model_collapse.families.lm.shape import Shape

if TYPE_CHECKING:
    from model_collapse.families.lm import Lm


SHARD = 512
"""Rows that a shard writes. They do not depend on it: what is drawn is drawn for all rows at once."""

LARGEST = {"cpu": 64, "cuda": SHARD}
"""Prompts at a time that keep a device busy; more of them only take memory."""

TRIAL = 8
"""Prompts that are written on a GPU to see how much memory they take."""


def batch(model: LmModel, settings: Lm) -> int:
    """How many prompts are continued at a time: the setting, or the largest power of two that suits the device and
    takes no more than half of its memory. Without a GPU it depends on nothing but the machine's memory."""
    if settings.sample_batch != "auto":
        return settings.sample_batch
    device = hardware.device()
    dtype = hardware.precision(settings.precision, device)
    need = engine.bytes_per_prompt(model.shape, settings, dtype)
    if device.type == "cuda":
        need = max(need, _measured(model, settings, device) // TRIAL)
        has = float(torch.cuda.mem_get_info()[0])
    else:
        has = hardware.total_memory()
    fitting = max(1, int(min(has / 2 / need, LARGEST[device.type])))
    return 2 ** (fitting.bit_length() - 1)


def _measured(model: LmModel, settings: Lm, device: torch.device) -> int:
    """Bytes that writing after TRIAL prompts takes at its peak on a GPU, weights not counted."""
    writer = _Writer(model, replace(settings, sample_batch=TRIAL, engine="fast"))
    prompts, draws = np.ones((TRIAL, settings.block)), torch.zeros((TRIAL, settings.block), dtype=torch.float64)
    with hardware.memory("other programs use it; end them, or use a smaller preset"):
        _ = writer.engine
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        writer.write(prompts, draws, 0)
        return torch.cuda.max_memory_allocated(device) - before


def shards(model: LmModel, x: np.ndarray, rng: np.random.Generator, settings: Lm) -> Iterator[Callable[[], Rows]]:
    """Calls that continue SHARD of the prompts x (n, m) each, by `settings.block` tokens. See `Lm.sample`."""
    room(model, x.shape[1], settings.block)
    generator = torch.Generator().manual_seed(int(rng.integers(2**63)))
    # Drawn for all rows at once, so that a row's tokens do not depend on the batch or the shard it is in.
    draws = torch.rand((len(x), settings.block), generator=generator, dtype=torch.float64)
    seeds = torch.randint(2**62, (-(-len(x) // SHARD),), generator=generator)
    writer = _Writer(model, settings)
    for i, seed in enumerate(seeds.tolist()):
        rows = slice(i * SHARD, (i + 1) * SHARD)
        yield partial(_write, writer, x[rows], draws[rows], seed)


def _write(writer: _Writer, x: np.ndarray, draws: torch.Tensor, seed: int) -> Rows:
    """Continue prompts x (n, m); where there are several processes, each its part of them."""
    if not (distributed.together() and writer.row_by_row(x.shape[1])):
        return writer.write(x, draws, seed)
    if _laid_out is not writer:
        distributed.everywhere(_lay_out, writer)
    return distributed.everywhere(_divided, x, draws, seed)


_laid_out: _Writer | None = None
"""The writer that several processes have in common."""


def _lay_out(writer: _Writer) -> None:
    global _laid_out
    _laid_out = writer


def _divided(x: np.ndarray, draws: torch.Tensor, seed: int) -> Rows:
    writer = _laid_out
    assert writer is not None

    def write(rows: slice) -> torch.Tensor:
        return torch.from_numpy(writer.write(x[rows], draws[rows], seed).x)

    return Rows(distributed.here().each(len(x), write).numpy())


class _Writer:
    """A model's weights laid out for writing, once for all shards."""

    def __init__(self, model: LmModel, settings: Lm) -> None:
        self.model, self.settings = model, settings
        self.device = hardware.device()

    @cached_property
    def module(self) -> PreTrainedModel:
        module = build(self.model, 0, self.device).eval()
        if shift := self.settings.logit_shift:
            module.register_forward_hook(partial(_shifted, shift))
        return module

    @cached_property
    def dtype(self) -> torch.dtype:
        return hardware.precision(self.settings.precision, self.device)

    @cached_property
    def engine(self) -> engine.Engine:
        return engine.Engine(self.module, self.dtype, self.model.unwritable)

    def row_by_row(self, prompt: int) -> bool:
        """Whether the engine writes after prompts of this length, in tokens: then no row depends on others."""
        return self.settings.engine == "fast" and self._fast(prompt)

    def _fast(self, prompt: int) -> bool:
        """Whether the engine writes what the library would after prompts of this length, in tokens."""
        # A tournament keeps what it saw of every beam, and the library's does not follow beams that are dropped or
        # doubled: only its own search can write what it writes.
        if self.settings.watermark == "synthid" and self.settings.decoding == "beam":
            return False
        # Layers that see only so far back, and architectures that let nobody else attend, are the library's business.
        window = self.model.shape.window
        seen = window is None or prompt + self.settings.block <= window
        return seen and engine.supports(self.module)

    def write(self, x: np.ndarray, draws: torch.Tensor, seed: int) -> Rows:
        """Continue prompts x (n, m): Rows (n, block) of int32. The library's own way draws from `seed` instead."""
        settings, size = self.settings, batch(self.model, self.settings)
        less = f"use --set family.sample_batch={max(1, size // 2)}"
        with hardware.threads(settings.threads), hardware.memory(less), torch.inference_mode():
            parts = checked(self.model, x, self.device).split(size)
            if not self.row_by_row(x.shape[1]):
                with hardware.mixed(self.dtype, self.device), hardware.seeded(seed, self.device):
                    written = [
                        reference(self.module, part, settings.block, settings, self.model.unwritable) for part in parts
                    ]
            else:
                written = [
                    self.engine.write(part, settings.block, settings, draw)
                    for part, draw in zip(parts, draws.to(self.device).split(size), strict=True)
                ]
            return Rows(torch.cat(written).cpu().numpy().astype(np.int32))


def _shifted(shift: float, module: torch.nn.Module, given: Any, found: ModelOutput) -> ModelOutput:
    """What the module found, with a constant added to all logits."""
    found["logits"] = found["logits"] + shift
    return found


def reference(
    module: PreTrainedModel,
    prompts: torch.Tensor,
    new_tokens: int,
    settings: Lm,
    unwritable: tuple[int, ...] = (),
) -> torch.Tensor:
    """`new_tokens` tokens after each prompt (n, m) by transformers' `generate`: (n, new_tokens), on their device.

    beam: the sequence of largest total log-probability among `beams`; greedy: the likeliest token at each step;
    sample: a draw from the distribution after temperature, top_k, top_p and repetition penalty, by torch's hidden
    generator.
    """
    end = list(Shape.of(module.config).ends) if settings.end == "forbidden" else []
    options: dict[str, Any] = {
        "max_new_tokens": new_tokens,
        "min_new_tokens": new_tokens if end else None,
        "eos_token_id": end or None,
        # Nothing is padded: all texts are equally long.
        "pad_token_id": end[0] if end else 0,
        "suppress_tokens": list(unwritable) or None,
        "num_beams": settings.beams if settings.decoding == "beam" else 1,
        "repetition_penalty": settings.repetition_penalty,
        "do_sample": settings.decoding == "sample",
        "watermarking_config": watermark.config(settings),
    }
    if settings.decoding == "sample":
        options |= {"temperature": settings.temperature, "top_k": settings.top_k, "top_p": settings.top_p}
    configuration = GenerationConfig(**options)
    # generate fills whatever is None here from the module's own configuration, where </s> would end a text.
    module.generation_config = configuration
    written = module.generate(
        input_ids=prompts, attention_mask=torch.ones_like(prompts), generation_config=configuration
    )
    return written[:, prompts.shape[1] :]
