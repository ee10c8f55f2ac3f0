"""Watermarks: transformers' own processors while writing, its own tests of generated text.

green    a bias for a keyed share of the vocabulary that follows from the token before (Kirchenbauer et al. 2023,
         arXiv:2301.10226)
synthid  a keyed tournament among draws (Dathathri et al. 2024, doi:10.1038/s41586-024-08025-4)

A test reads generated tokens and not the prompt, so the first tokens, whose colours follow from the prompt, are not
counted.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import (
    LogitsProcessor,
    SynthIDTextWatermarkingConfig,
    WatermarkDetector,
    WatermarkingConfig,
)

from model_collapse.errors import InputError

if TYPE_CHECKING:
    from model_collapse.families.lm import Lm

LAYERS, GRAM = 30, 5
"""Layers of a SynthID tournament and tokens of the n-grams that decide it, as its authors use them."""

BATCH = 64
"""Rows whose SynthID values are computed at a time."""


def config(settings: Lm) -> WatermarkingConfig | SynthIDTextWatermarkingConfig | None:
    """The library's description of the watermark that these settings ask for; None for none."""
    if settings.watermark == "none":
        return None
    if settings.watermark == "synthid":
        keys = np.random.default_rng(settings.watermark_key).integers(1, 2**31, LAYERS).tolist()
        return _SynthID(ngram_len=GRAM, keys=keys)
    return _green(settings)


def processor(settings: Lm, vocabulary: int, device: torch.device) -> LogitsProcessor | None:
    """What changes the scores (n, V) of the next token after texts (n, m), or None. A SynthID one knows what it saw
    before, so that each batch of texts needs one of its own."""
    described = config(settings)
    return None if described is None else described.construct_processor(vocabulary, device)


def z(settings: Lm, vocabulary: int, x: np.ndarray, *, repeats: bool = False) -> np.ndarray:
    """How surely rows x (n, m) of token ids carry the settings' watermark, (n,): about standard normal if they do not.

    green    (G - gamma T) / sqrt(T gamma (1 - gamma)), G green among T tokens: the library's `WatermarkDetector`
    synthid  2 sqrt(N) (mean - 1/2) of the N tournament values of the row's n-grams, from the library's processor, its
             mask of repeated contexts included: 0 or 1 with equal chance in unmarked text
    none     as green, for the false alarms of text that nobody marked

    repeats  count n-grams (synthid: contexts) as often as they come, not once
    """
    if x.shape[1] < (least := GRAM if settings.watermark == "synthid" else 2):
        raise InputError(f"family.block: a watermark's test needs rows of {least} tokens at least, not {x.shape[1]}")
    rows = torch.from_numpy(x.astype(np.int64))
    if settings.watermark == "synthid":
        return np.concatenate([_tournament(settings, vocabulary, part, repeats) for part in rows.split(BATCH)])
    # An id that no row begins with: the library drops a leading <s>, but only if all rows have one.
    about: Any = SimpleNamespace(vocab_size=vocabulary, bos_token_id=-1, is_encoder_decoder=False)
    detector = WatermarkDetector(about, "cpu", _green(settings), ignore_repeated_ngrams=not repeats)
    return detector(rows, return_dict=True).z_score


class _Green(WatermarkingConfig):
    """Green tokens are drawn on the CPU whatever device writes: a GPU's generator would draw others, which a test on a
    CPU could not find."""

    def construct_processor(self, vocab_size: int, device: Any) -> Any:
        made = super().construct_processor(vocab_size, "cpu")
        return made if torch.device(device).type == "cpu" else _FromCpu(made)


class _FromCpu(LogitsProcessor):
    """What a processor on the CPU adds to scores, added on their device."""

    def __init__(self, made: LogitsProcessor) -> None:
        self.made = made

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        added = self.made(input_ids.cpu(), torch.zeros(scores.shape, dtype=scores.dtype))
        return scores + added.to(scores.device)


class _SynthID(SynthIDTextWatermarkingConfig):
    """With the table of a CPU whatever device writes."""

    def construct_processor(self, vocab_size: int, device: Any) -> Any:
        made = super().construct_processor(vocab_size, device)
        made.sampling_table = super().construct_processor(vocab_size, "cpu").sampling_table.to(device)
        return made


def _green(settings: Lm) -> WatermarkingConfig:
    return _Green(
        greenlist_ratio=settings.watermark_share,
        bias=settings.watermark_bias,
        hashing_key=settings.watermark_key,
    )


def _tournament(settings: Lm, vocabulary: int, rows: torch.Tensor, repeats: bool) -> np.ndarray:
    made: Any = processor(settings, vocabulary, torch.device("cpu"))
    values = made.compute_g_values(rows).double()
    counted = torch.ones_like(values[..., 0]) if repeats else made.compute_context_repetition_mask(rows).double()
    n = counted.sum(dim=1) * LAYERS
    mean = (values * counted[..., None]).sum(dim=(1, 2)) / n
    return (2 * n.sqrt() * (mean - 0.5)).numpy()
