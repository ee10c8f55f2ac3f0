"""Decoding engine: writes what transformers' `generate` writes, with less work.

A prompt is read once for all its beams. Keys and values of the k beams of a prompt lie side by side in one buffer, the
prompt first, then k slots per written token; a mask says which slots are a beam's own past. When beams are dropped and
doubled, that mask follows, and no key or value ever moves. A step is one pass in which the beams of a prompt are k
queries to one memory, and nothing in it waits for the device.

On a GPU no step is captured as a graph: 512 prompts with 5 beams are 2560 rows, which times OPT-125m's weights are 0.6
TFLOP and with the memory's 4 GB some milliseconds, more than it takes to queue the step's few hundred kernels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from model_collapse.families.opt import watermark
from model_collapse.families.opt.products import Product

if TYPE_CHECKING:
    from model_collapse.families.opt import Opt

Mark = Callable[[Tensor, Tensor], Tensor]
"""A watermark: texts (n, length) and scores (n, V) of the next token -> new scores."""


def _expand(
    logits: Tensor, score: Tensor, past: Tensor, beams: int, penalty: float, end: int | None, mark: Mark | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """The best `beams` continuations over all beams: which beam each continues, its token, its log-probability.

    logits (n, j, V), score (n, j), past (n, j, length); results (n, beams). In beam search the penalty acts on
    log-probabilities.
    """
    chance = logits.log_softmax(dim=-1)
    _penalise(chance, past, penalty)
    if end is not None:
        chance[..., end] = -torch.inf
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


def _pick(
    logits: Tensor, past: Tensor, settings: Opt, end: int | None, draw: Tensor, mark: Mark | None = None
) -> Tensor:
    """One token for each row of logits (n, V): the likeliest, or the one a uniform number `draw` (n,) falls on.

    Outside beam search the penalty acts on the logits themselves.
    """
    _penalise(logits, past, settings.repetition_penalty)
    if end is not None:
        logits[:, end] = -torch.inf
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


@dataclass(frozen=True, eq=False)
class _Layer:
    """Weights of a layer as they are used: queries, keys and values in one product, the query's scale in it."""

    norm: nn.LayerNorm
    qkv: Product
    out: Product
    norm_out: nn.LayerNorm
    up: Product
    down: Product


class Engine:
    """An OPTForCausalLM's weights laid out for decoding: matrices in `dtype`, sums and norms in fp32."""

    def __init__(self, module: Any, dtype: torch.dtype) -> None:
        config, decoder = module.config, module.model.decoder
        self.dtype = dtype
        self.heads = config.num_attention_heads
        self.width = config.hidden_size
        self.norm_first = config.do_layer_norm_before
        self.activation = decoder.layers[0].activation_fn
        self.embed, self.places = decoder.embed_tokens, decoder.embed_positions
        self.project_in = decoder.project_in and self._product(decoder.project_in)
        self.project_out = decoder.project_out and self._product(decoder.project_out)
        self.norm = decoder.final_layer_norm
        self.head = self._product(module.lm_head)
        self.layers = [self._layer(layer) for layer in decoder.layers]
        self.end = config.eos_token_id
        self.vocabulary = config.vocab_size

    def write(self, prompts: Tensor, new: int, settings: Opt, draws: Tensor) -> Tensor:
        """`new` tokens after each prompt (n, m): (n, new).

        draws  (n, new) uniform numbers in [0, 1), one per token, for decoding=sample
        """
        search = settings.decoding == "beam" and settings.beams > 1
        beams = settings.beams if search else 1
        end = self.end if settings.end == "forbidden" else None
        mark = watermark.processor(settings, self.vocabulary, prompts.device)
        memory = _Memory(self, prompts, beams, new)
        length = prompts.shape[1]
        text = functional.pad(prompts[:, None].expand(-1, beams, -1), (0, new))
        logits = self.logits(self.read(prompts, memory)[:, -1:])
        score = logits.new_zeros(len(prompts), 1)
        for t in range(length, length + new):
            past = text[:, : logits.shape[1], :t]
            if search:
                parent, token, score = _expand(logits, score, past, beams, settings.repetition_penalty, end, mark)
                memory.follow(parent)
                text = text.gather(1, parent[..., None].expand_as(text))
            else:
                token = _pick(logits[:, 0], past[:, 0], settings, end, draws[:, t - length], mark)[:, None]
            text[..., t] = token
            if t + 1 < length + new:
                logits = self.logits(self.step(token, memory))
        # Beams come out best first.
        return text[:, 0, length:]

    def read(self, prompts: Tensor, memory: _Memory) -> Tensor:
        """Hidden states (n, m, width) of prompts (n, m), each token seeing those before it; kept in `memory`."""
        return self._pass(prompts, torch.arange(prompts.shape[1], device=prompts.device), memory)

    def step(self, token: Tensor, memory: _Memory) -> Tensor:
        """Hidden states (n, k, width) of the next token (n, k) of each beam."""
        place = torch.full((1,), memory.prompt + memory.steps, device=token.device)
        memory.grow()
        return self._pass(token, place, memory)

    def logits(self, x: Tensor) -> Tensor:
        """(n, k, V), fp32."""
        x = self.norm(x) if self.norm else x
        x = self.project_out(x) if self.project_out else x
        return self.head(x).float()

    def _pass(self, tokens: Tensor, places: Tensor, memory: _Memory) -> Tensor:
        x = self.embed(tokens)
        x = self.project_in(x).float() if self.project_in else x
        x = x + functional.embedding(places + self.places.offset, self.places.weight)
        for i, layer in enumerate(self.layers):
            inside = layer.norm(x) if self.norm_first else x
            parts = layer.qkv(inside).view(*tokens.shape, 3, self.heads, -1)
            query, key, value = parts.permute(2, 0, 3, 1, 4)
            seen = memory.attend(i, query, key, value).transpose(1, 2).reshape(*tokens.shape, self.width)
            x = x + layer.out(seen).float()
            x = x if self.norm_first else layer.norm(x)
            inside = layer.norm_out(x) if self.norm_first else x
            x = x + layer.down(self.activation(layer.up(inside))).float()
            x = x if self.norm_first else layer.norm_out(x)
        return x

    def _product(self, layer: nn.Linear) -> Product:
        return Product(layer.weight, layer.bias, self.dtype)

    def _layer(self, layer: Any) -> _Layer:
        own = layer.self_attn
        # A power of two for every published size but 350m, so that rounding is the library's.
        parts = ((own.q_proj, own.scaling), (own.k_proj, 1.0), (own.v_proj, 1.0))
        weight = torch.cat([part.weight * scale for part, scale in parts])
        bias = None if own.q_proj.bias is None else torch.cat([part.bias * scale for part, scale in parts])
        qkv = Product(weight, bias, self.dtype)
        out, up, down = (self._product(part) for part in (own.out_proj, layer.fc1, layer.fc2))
        return _Layer(layer.self_attn_layer_norm, qkv, out, layer.final_layer_norm, up, down)


def bytes_per_prompt(config: Mapping[str, Any], settings: Opt, dtype: torch.dtype) -> int:
    """Memory that writing takes for each prompt at its peak, in bytes; weights not counted.

    config  fields of transformers' OPTConfig; a prompt has as many tokens as are written after it, `settings.block`
    """
    beams = settings.beams if settings.decoding == "beam" else 1
    width, inner, new = config["hidden_size"], config["ffn_dim"], settings.block
    slots, size = new + beams * new, dtype.itemsize
    # One layer's twice: attention in half precision lays them out anew.
    memory = 2 * (config["num_hidden_layers"] + 1) * slots * width * size
    # Mask and text, and their copies in another order.
    order = 2 * beams * (slots * size + 2 * new * 8)
    # fp32 twice: as they are and normalised, or of this step and of the next. A draw sorts and adds up in fp64.
    drawn = settings.decoding == "sample"
    logits = beams * config["vocab_size"] * ((48 if drawn else 8) + (size if size < 4 else 0))
    # The values of all tokens in all layers of a tournament, four times: keys, their hash, places, and values.
    marked = beams * config["vocab_size"] * watermark.LAYERS * 32 if settings.watermark == "synthid" else 0
    reading = new * (width * (12 + 6 * size) + 2 * inner * size)
    return memory + order + logits + marked + reading


class _Memory:
    """Keys and values (layers, n, heads, m + k new, d) of n prompts of m tokens and of what their k beams write.

    mask  (n, k, m + k new): 0 where a slot is the prompt or in a beam's own past, else -inf
    """

    def __init__(self, engine: Engine, prompts: Tensor, beams: int, new: int) -> None:
        n, self.prompt = prompts.shape
        self.beams, self.steps = beams, 0
        slots = self.prompt + beams * new
        shape = (len(engine.layers), n, engine.heads, slots, engine.width // engine.heads)
        self.keys = torch.empty(shape, dtype=engine.dtype, device=prompts.device)
        self.values = torch.empty_like(self.keys)
        self.mask = torch.full((n, beams, slots), -torch.inf, dtype=engine.dtype, device=prompts.device)
        self.mask[:, :, : self.prompt] = 0

    def follow(self, parent: Tensor) -> None:
        """Beam j goes on from beam parent[:, j]."""
        self.mask = self.mask.gather(1, parent[..., None].expand_as(self.mask))

    def grow(self) -> None:
        """Room for one more token of each beam, seen by none but itself."""
        first = self.prompt + self.steps * self.beams
        self.mask[:, :, first : first + self.beams].diagonal(dim1=1, dim2=2).zero_()
        self.steps += 1

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """(n, heads, j, d): what each query sees of the past, its own token included."""
        count = self.prompt + self.steps * self.beams
        keys, values = self.keys[layer, :, :, :count], self.values[layer, :, :, :count]
        keys[:, :, -key.shape[2] :], values[:, :, -key.shape[2] :] = key, value
        if not self.steps:
            return functional.scaled_dot_product_attention(query, key, value, is_causal=True, scale=1.0)
        mask = self.mask[:, None, :, :count]
        return functional.scaled_dot_product_attention(query, keys, values, attn_mask=mask, scale=1.0)
