"""Decoding engine: writes what transformers' `generate` writes, with less work, for any causal language model.

It runs the library's own forward pass and changes three things around it, through the library's interfaces:

cache      keys and values of the k beams of a prompt lie side by side in one buffer, the prompt first, then k slots per
           written token. A prompt is read once for all its beams; no key or value ever moves when beams are dropped and
           doubled: a mask that says which slots are a beam's own past follows them.
attention  the beams of a prompt are k queries to one memory, and the heads of a group that share a key are queries too.
products   linear layers are laid out once for this processor, in the precision asked for; all else is fp32.

On a GPU no step is captured as a graph: 512 prompts with 5 beams are 2560 rows, which times OPT-125m's weights are 0.6
TFLOP and with the memory's 4 GB some milliseconds, more than it takes to queue the step's few hundred kernels.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AttentionInterface, PreTrainedModel
from transformers.pytorch_utils import Conv1D

from model_collapse.families.lm import watermark
from model_collapse.families.lm.products import Product
from model_collapse.families.lm.shape import Shape

if TYPE_CHECKING:
    from model_collapse.families.lm import Lm

Mark = Callable[[Tensor, Tensor], Tensor]
"""A watermark: texts (n, length) and scores (n, V) of the next token -> new scores."""

ATTENTION = "model_collapse"
"""Name of `_attend` among the library's kinds of attention."""


def supports(module: PreTrainedModel) -> bool:
    """Whether an architecture takes its attention and its cache from outside, as nearly all do."""
    return bool(module._supports_attention_backend)


class Engine:
    """A model laid out for decoding; the module it was made from stays as it is and shares its other weights.

    dtype  of matrix products, keys and values; sums, norms and logits are fp32
    """

    def __init__(self, module: PreTrainedModel, dtype: torch.dtype, unwritable: tuple[int, ...] = ()) -> None:
        config = copy.deepcopy(module.config)
        config._attn_implementation = ATTENTION
        self.module = _laid_out(module, config, dtype).eval()
        self.dtype, self.shape = dtype, Shape.of(config)
        self.unwritable = unwritable

    def write(self, prompts: Tensor, new: int, settings: Lm, draws: Tensor) -> Tensor:
        """`new` tokens after each prompt (n, m): (n, new).

        draws  (n, new) uniform numbers in [0, 1), one per token, for decoding=sample
        """
        search = settings.decoding == "beam" and settings.beams > 1
        beams = settings.beams if search else 1
        ends = self.shape.ends if settings.end == "forbidden" else ()
        banned = torch.tensor([*ends, *self.unwritable], dtype=torch.long, device=prompts.device)
        mark = watermark.processor(settings, self.shape.vocabulary, prompts.device)
        memory = _Memory(self.shape, prompts, beams, new, self.dtype)
        length = prompts.shape[1]
        text = functional.pad(prompts[:, None].expand(-1, beams, -1), (0, new))
        logits = self._logits(prompts, torch.arange(length, device=prompts.device)[None], memory, last=True)
        score = logits.new_zeros(len(prompts), 1)
        for t in range(length, length + new):
            past = text[:, : logits.shape[1], :t]
            if search:
                parent, token, score = _expand(logits, score, past, beams, settings.repetition_penalty, banned, mark)
                memory.follow(parent)
                text = text.gather(1, parent[..., None].expand_as(text))
            else:
                token = _pick(logits[:, 0], past[:, 0], settings, banned, draws[:, t - length], mark)[:, None]
            text[..., t] = token
            if t + 1 < length + new:
                memory.grow()
                logits = self._logits(token, torch.full_like(token, t), memory)
        # Beams come out best first.
        return text[:, 0, length:]

    def _logits(self, tokens: Tensor, places: Tensor, memory: _Memory, *, last: bool = False) -> Tensor:
        """Of the token after each of `tokens` (n, j) at `places`, or after the last alone: (n, j or 1, V), fp32."""
        found = self.module(
            input_ids=tokens,
            position_ids=places.expand_as(tokens),
            attention_mask=memory.visible(),
            past_key_values=memory,
            use_cache=True,
            logits_to_keep=int(last),
        )
        return found.logits.float()


def _laid_out(module: nn.Module, config: Any, dtype: torch.dtype) -> nn.Module:
    """A copy of a module with its linear layers replaced and everything else shared."""
    if isinstance(module, nn.Linear):
        return Product(module.weight.detach(), None if module.bias is None else module.bias.detach(), dtype)
    if isinstance(module, Conv1D):
        # GPT-2's linear layer, whose matrix is the other way round.
        return Product(module.weight.detach().T.contiguous(), module.bias.detach(), dtype)
    twin = copy.copy(module)
    twin._modules = {
        name: child if child is None else _laid_out(child, config, dtype) for name, child in module._modules.items()
    }
    if "config" in vars(twin):
        twin.config = config
    return twin


def _attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    softcap: float | None = None,
    **_: object,
) -> tuple[Tensor, None]:
    """The library's interface: query (n, H, j, d), key and value (n, G, slots, d) -> (n, j, H, d).

    attention_mask  (n, 1, H / G * j, slots) of 0 and -inf, or None for a prompt, whose tokens see those before them
    softcap         Gemma 2: scores are softcap * tanh(score / softcap)
    """
    n, heads, j, d = query.shape
    groups = heads // key.shape[1]
    query = query.to(key.dtype)
    attend = functional.scaled_dot_product_attention
    if softcap is not None:
        attend = _capped(softcap)
    if attention_mask is None:
        seen = attend(query, key, value, is_causal=True, scale=scaling, enable_gqa=groups > 1)
    else:
        together = query.reshape(n, -1, groups * j, d)
        seen = attend(together, key, value, attn_mask=attention_mask, scale=scaling).reshape(n, heads, j, -1)
    return seen.transpose(1, 2).float(), None


TIDY = 8
"""Steps between two looks for slots that are no longer needed."""


AttentionInterface.register(ATTENTION, _attend)


class _Memory:
    """What the library takes for its cache: keys and values of n prompts of m tokens and of what their k beams write.

    buffers (n, G, m + k new, d) for each layer
    count   slots in use
    mask    (n, k, m + k new): 0 where a slot is the prompt or in a beam's own past, else -inf
    """

    is_compileable = False

    def __init__(self, shape: Shape, prompts: Tensor, beams: int, new: int, dtype: torch.dtype) -> None:
        self.n, self.prompt = prompts.shape
        self.beams, self.steps, self.dtype = beams, 0, dtype
        self.count = self.prompt
        self.groups = shape.heads // shape.key_heads
        self.slots = self.prompt + beams * new
        self.layers: dict[int, tuple[Tensor, Tensor]] = {}
        self.mask = torch.full((self.n, beams, self.slots), -torch.inf, dtype=dtype, device=prompts.device)
        self.mask[:, :, : self.prompt] = 0

    def follow(self, parent: Tensor) -> None:
        """Beam j continues beam parent[:, j]."""
        self.mask = self.mask.gather(1, parent[..., None].expand_as(self.mask))

    def grow(self) -> None:
        """Room for one more token of each beam, seen by none but itself."""
        if self.beams > 1 and self.steps and self.steps % TIDY == 0:
            self._forget()
        self.mask[:, :, self.count : self.count + self.beams].diagonal(dim1=1, dim2=2).zero_()
        self.steps += 1
        self.count += self.beams

    def _forget(self) -> None:
        """Drop slots that no beam goes on from: of old tokens hardly more than one is left."""
        written = self.mask[:, :, self.prompt : self.count]
        live = (written == 0).any(dim=1)
        most = int(live.sum(dim=1).max())
        if most > live.shape[1] // 2:
            return
        # The live ones first, in order; where a prompt has fewer than another, dead ones fill the place.
        kept = live.logical_not().sort(dim=1, stable=True).indices[:, :most]
        written[:, :, :most] = written.gather(2, kept[:, None].expand(-1, self.beams, -1))
        written[:, :, most:] = -torch.inf
        for buffers in self.layers.values():
            for buffer in buffers:
                slots = buffer[:, :, self.prompt : self.count]
                index = kept[:, None, :, None].expand(-1, slots.shape[1], -1, slots.shape[3])
                slots[:, :, :most] = slots.gather(2, index)
        self.count = self.prompt + most

    def visible(self) -> Tensor | None:
        """The mask as attention takes it, with a row for each head of a group; None while a prompt is read."""
        if not self.steps:
            return None
        mask = self.mask[:, None, :, : self.count].expand(-1, self.groups, -1, -1)
        return mask.reshape(self.n, 1, self.groups * self.beams, self.count)

    def update(self, key: Tensor, value: Tensor, layer: int, *_: object, **__: object) -> tuple[Tensor, Tensor]:
        """Takes in the newest keys and values (n, G, j, d); all of the layer's so far."""
        if layer not in self.layers:
            self.layers[layer] = tuple(  # type: ignore[assignment]
                torch.empty((*x.shape[:2], self.slots, x.shape[3]), dtype=self.dtype, device=x.device)
                for x in (key, value)
            )
        keys, values = (x[:, :, : self.count] for x in self.layers[layer])
        keys[:, :, -key.shape[2] :], values[:, :, -key.shape[2] :] = key, value
        return keys, values

    def get_seq_length(self, *_: object) -> int:
        """Asked by models that would count positions themselves."""
        return self.prompt + self.steps if self.layers else 0


def _expand(
    logits: Tensor, score: Tensor, past: Tensor, beams: int, penalty: float, banned: Tensor, mark: Mark | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """The best `beams` continuations over all beams: which beam each continues, its token, its log-probability.

    logits (n, j, V), score (n, j), past (n, j, length); results (n, beams). In beam search the penalty acts on
    log-probabilities.
    """
    chance = logits.log_softmax(dim=-1)
    _penalise(chance, past, penalty)
    chance[..., banned] = -torch.inf
    if mark is not None:
        chance = mark(past.flatten(0, 1), chance.flatten(0, 1)).view_as(chance)
    # The best of all are among the best of each.
    value, token = chance.topk(min(beams, chance.shape[-1]), dim=-1)
    value = (value + score[..., None]).flatten(1)
    score, index = value.topk(min(beams, value.shape[1]), dim=-1)
    parent, token = index // token.shape[-1], token.flatten(1).gather(1, index)
    if missing := beams - score.shape[1]:
        # Fewer different tokens than beams, at the first step: the others start out as impossible.
        pad = functional.pad
        return pad(parent, (0, missing)), pad(token, (0, missing)), pad(score, (0, missing), value=-torch.inf)
    return parent, token, score


def _pick(logits: Tensor, past: Tensor, settings: Lm, banned: Tensor, draw: Tensor, mark: Mark | None = None) -> Tensor:
    """One token for each row of logits (n, V): the likeliest, or the one a uniform number `draw` (n,) falls on.

    Outside beam search the penalty acts on the logits themselves.
    """
    _penalise(logits, past, settings.repetition_penalty)
    logits[:, banned] = -torch.inf
    if settings.decoding != "sample":
        return (logits if mark is None else mark(past, logits)).argmax(dim=-1)
    logits = logits / settings.temperature
    order = None
    if settings.top_k or settings.top_p < 1:
        logits, order = logits.sort(dim=-1, descending=True, stable=True)
        if settings.top_k:
            # As many as top_k, and those that are equal to the last of them.
            last = logits[:, min(settings.top_k, logits.shape[1]) - 1, None]
            logits = logits.masked_fill(logits < last, -torch.inf)
    chance = logits.double().softmax(dim=-1)
    if settings.top_p < 1:
        chance = chance.masked_fill(chance.cumsum(dim=-1) - chance >= settings.top_p, 0)
    if mark is not None:
        # After everything else, as in the library.
        chance = chance if order is None else torch.zeros_like(chance).scatter(1, order, chance)
        chance, order = mark(past, chance.log()).softmax(dim=-1), None
    reach = chance.cumsum(dim=-1)
    # The first whose cumulative chance exceeds the number; one of chance zero never does, and a number is below 1.
    index = torch.searchsorted(reach, draw[:, None] * reach[:, -1:], right=True).clamp(max=logits.shape[1] - 1)
    return (index if order is None else order.gather(1, index))[:, 0]


def _penalise(values: Tensor, past: Tensor, penalty: float) -> None:
    """In place, for tokens in `past` (..., length): divide positive values (..., V) by the penalty, multiply others."""
    if penalty != 1:
        seen = values.gather(-1, past)
        values.scatter_(-1, past, torch.where(seen < 0, seen * penalty, seen / penalty))


def bytes_per_prompt(shape: Shape, settings: Lm, dtype: torch.dtype) -> int:
    """Memory that writing takes for each prompt at its peak, in bytes; weights not counted. A prompt has as many tokens
    as are written after it, `settings.block`."""
    beams = settings.beams if settings.decoding == "beam" else 1
    new = settings.block
    slots, size = new + beams * new, dtype.itemsize
    # One layer's twice: attention in half precision lays them out anew.
    memory = 2 * (shape.layers + 1) * slots * shape.key_heads * shape.head_width * size
    # Mask and text, and their copies in another order; the mask also once for each head of a group.
    order = beams * (slots * size * (2 + shape.heads // shape.key_heads) + 4 * new * 8)
    # fp32 twice: as they are and normalised, or of this step and of the next. A draw sorts and adds up in fp64.
    drawn = settings.decoding == "sample"
    logits = beams * shape.vocabulary * ((48 if drawn else 8) + (size if size < 4 else 0))
    # The values of all tokens in all layers of a tournament, four times: keys, their hash, places, and values.
    marked = beams * shape.vocabulary * watermark.LAYERS * 32 if settings.watermark == "synthid" else 0
    reading = new * (shape.width * (12 + 6 * size) + 2 * shape.inner * size)
    return memory + order + logits + marked + reading


def _capped(softcap: float) -> Callable[..., Tensor]:
    """Attention whose scores are softcap * tanh(score / softcap)."""

    def attend(
        query: Tensor,
        key: Tensor,
        value: Tensor,
        *,
        scale: float,
        attn_mask: Tensor | None = None,
        is_causal: bool = False,
        enable_gqa: bool = False,
    ) -> Tensor:
        if enable_gqa:
            key, value = (x.repeat_interleave(query.shape[1] // x.shape[1], dim=1) for x in (key, value))
        scores = softcap * torch.tanh(query @ key.transpose(-1, -2) * scale / softcap)
        if is_causal:
            ahead = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
            scores = scores.masked_fill(ahead, -torch.inf)
        if attn_mask is not None:
            scores = scores + attn_mask
        return scores.softmax(dim=-1) @ value

    return attend
