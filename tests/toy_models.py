"""Causal language models of every architecture that is tried, small enough to be made in a moment."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import load_file, save_file

VOCABULARY = 300

SHAPE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 64,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "pad_token_id": 1,
}
GROUPED = {"num_key_value_heads": 1, "intermediate_size": 32, "head_dim": 8}

KINDS: dict[str, dict[str, Any]] = {
    "opt": {"ffn_dim": 32, "word_embed_proj_dim": 16},
    "gpt2": {},
    "gpt_neox": {"intermediate_size": 32},
    "llama": GROUPED | {"tie_word_embeddings": True},
    "qwen2": {"num_key_value_heads": 1, "intermediate_size": 32, "tie_word_embeddings": True},
    "qwen3": GROUPED,
    "gemma": GROUPED,
}

Tensors = dict[str, torch.Tensor]


def module(kind: str, **fields: Any) -> Any:
    """A model with random weights, scaled up until what it says is far from uniform."""
    config = transformers.CONFIG_MAPPING[kind](**(SHAPE | KINDS[kind] | fields))
    torch.manual_seed(0)
    made = transformers.AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for weight in made.parameters():
            weight.add_(0.05 * torch.randn_like(weight))
    return made


def save(kind: str, folder: Path, **fields: Any) -> Path:
    """A folder in the hub's layout, as transformers writes it."""
    module(kind, **fields).save_pretrained(folder)
    return folder


def change_weights(folder: Path, change: Callable[[Tensors], Tensors | None], metadata: bool = True) -> None:
    weights = load_file(folder / "model.safetensors")
    changed = change(weights)
    weights = weights if changed is None else changed
    stored = {name: x.clone().contiguous() for name, x in weights.items()}
    save_file(stored, folder / "model.safetensors", metadata={"format": "pt"} if metadata else None)


def change_config(folder: Path, **fields: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | fields))


def shard(folder: Path, **index: Any) -> dict[str, str]:
    """Two files and an index in the place of one; where each tensor went."""
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(weights)
    where = {}
    for number, part in enumerate((names[::2], names[1::2]), start=1):
        file = f"model-{number:05}-of-00002.safetensors"
        save_file({name: weights[name] for name in part}, folder / file, metadata={"format": "pt"})
        where |= dict.fromkeys(part, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps(index | {"weight_map": where}))
    return where


def losses(made: Any) -> torch.Tensor:
    """What a model says of some rows of tokens, as logits."""
    rows = torch.arange(3 * 20).view(3, 20) * 7 % VOCABULARY
    with torch.no_grad():
        return made(rows).logits


def built(config: dict[str, Any], weights: Tensors) -> Any:
    """A model of transformers with what `weights.read` found."""
    kind = transformers.CONFIG_MAPPING[config["model_type"]]
    made = transformers.AutoModelForCausalLM.from_config(kind(**config)).eval()
    left = made.load_state_dict(weights, strict=False)
    made.tie_weights()
    assert not left.unexpected_keys and set(left.missing_keys) <= set(made.all_tied_weights_keys)
    return made
