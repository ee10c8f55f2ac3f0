"""Whether two ways of writing agree: equal texts are counted, and ties, which only rounding decides."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from transformers import PreTrainedModel, RepetitionPenaltyLogitsProcessor

from model_collapse.families.lm.shape import Shape

if TYPE_CHECKING:
    from model_collapse.families.lm import Lm

SLACK = 4
"""A choice is a tie within this number of rounding errors: each of two scores may be off by one, and twice that to be
sure, since an error is the largest of those seen."""


@dataclass(frozen=True)
class Agreement:
    """How far two ways of writing agree.

    texts, equal  how many were compared, and how many are the same token by token
    ties          different ones in which some choice fell by less than SLACK * error
    gap           largest difference of total scores between different texts, nats
    error         largest difference of a total score in the module's precision from that in fp64, nats
    """

    texts: int
    equal: int
    ties: int
    gap: float = 0.0
    error: float = 0.0

    @property
    def explained(self) -> bool:
        """Whether all texts are equal or tied."""
        return self.equal + self.ties == self.texts


def compare(
    module: PreTrainedModel,
    prompts: Tensor,
    one: Tensor,
    other: Tensor,
    settings: Lm,
    unwritable: Sequence[int] = (),
) -> Agreement:
    """Compares what two ways wrote, `one` and `other` (n, new), after prompts (n, m) by decoding=beam or greedy.

    unwritable  ids that neither way writes, beside the ends of texts where `settings` forbid them

    Different texts are a tie if their total scores are, or else if the search could have gone another way: it is
    repeated in fp64, one prompt at a time, for the closest of its choices.
    """
    ends = Shape.of(module.config).ends if settings.end == "forbidden" else ()
    search = _Search(settings, (*ends, *unwritable))
    different = (one != other).any(dim=1)
    equal = len(one) - int(different.sum())
    if equal == len(one):
        return Agreement(len(one), equal, 0)
    with torch.inference_mode():
        exact = copy.deepcopy(module).double()
        totals = _total(exact, prompts, one, search)
        error = float((_total(module, prompts, one, search) - totals).abs().max())
        gaps = (_total(exact, prompts[different], other[different], search) - totals[different]).abs()
        ties = sum(
            gap <= SLACK * error or _closest(exact, prompt, one.shape[1], search) <= SLACK * error
            for gap, prompt in zip(gaps.tolist(), prompts[different], strict=True)
        )
    return Agreement(len(one), equal, ties, float(gaps.max()), error)


@dataclass(frozen=True)
class _Search:
    """What a search looks for, and the ids that it may not choose."""

    settings: Lm
    banned: tuple[int, ...]

    @property
    def beams(self) -> int:
        return self.settings.beams if self.settings.decoding == "beam" else 1

    def scores(self, logits: Tensor, past: Tensor) -> Tensor:
        """(n, V) -> (n, V): what a token adds to a text whose tokens so far are `past` (n, t). With one beam, as
        without beams, the library's penalty acts on logits, not on log-probabilities."""
        scores = logits.log_softmax(dim=-1) if self.beams > 1 else logits.clone()
        if self.settings.repetition_penalty != 1:
            scores = RepetitionPenaltyLogitsProcessor(self.settings.repetition_penalty)(past, scores)
        scores[:, list(self.banned)] = -torch.inf
        return scores


def _total(module: PreTrainedModel, prompts: Tensor, written: Tensor, search: _Search) -> Tensor:
    """Total score (n,) of texts `written` (n, new) after prompts (n, m), as the search adds it up; fp64."""
    whole = torch.cat([prompts, written], dim=1)
    logits = module(input_ids=whole, use_cache=False).logits
    places = range(prompts.shape[1], whole.shape[1])
    chosen = [search.scores(logits[:, t - 1], whole[:, :t]).gather(1, whole[:, t, None])[:, 0] for t in places]
    return torch.stack(chosen).double().sum(dim=0)


def _closest(module: PreTrainedModel, prompt: Tensor, new: int, search: _Search) -> float:
    """The least gap, in nats, between what the search after a prompt (m,) kept and what it dropped."""
    beams = search.beams
    text, score, least = prompt[None], torch.zeros(1, 1, dtype=torch.float64, device=prompt.device), math.inf
    for _ in range(new):
        logits = module(input_ids=text, use_cache=False).logits[:, -1]
        scores = score + search.scores(logits, text)
        value, index = scores.flatten().topk(beams + 1)
        least = min(least, float(value[beams - 1] - value[beams]))
        kept, token = index[:beams] // scores.shape[1], index[:beams] % scores.shape[1]
        text, score = torch.cat([text[kept], token[:, None]], dim=1), value[:beams, None]
    return min(least, float(value[0] - value[1]))
