"""A fitted OPT as a value: its configuration and its weights. Modules are built from it and thrown away."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import OPTConfig, OPTForCausalLM

from model_collapse.errors import InputError
from model_collapse.families.opt import SHAPES, weights
from model_collapse.hardware import seeded

WEIGHTS, CONFIG = "model.safetensors", "config.json"


@dataclass(frozen=True, eq=False)
class OptModel:
    """config: fields of transformers' OPTConfig; weights: name -> fp32 tensor on the CPU, or None for a shape only."""

    config: dict[str, Any]
    weights: dict[str, torch.Tensor] | None = None

    @property
    def vocabulary(self) -> int:
        """Number of token ids it knows."""
        return self.config["vocab_size"]

    @property
    def positions(self) -> int:
        """Longest sequence it can read, in tokens."""
        return self.config["max_position_embeddings"]


def blank(preset: str, vocabulary: int, positions: int) -> OptModel:
    """The shape of a preset, without weights. All but opt-125m take the vocabulary and positions they are asked for."""
    if preset not in SHAPES:
        return OptModel(_opt(weights.config(preset), preset))
    shape: dict[str, Any] = dict(SHAPES[preset])
    shape["ffn_dim"] = 4 * shape["hidden_size"]
    if preset != "opt-125m":
        shape |= {"vocab_size": vocabulary, "max_position_embeddings": positions}
    return OptModel(_plain(OPTConfig(**shape)))


def pretrained(preset: str) -> OptModel:
    """The preset's weights, see `weights.read`; `config["origin"]` says where they came from."""
    config, found = weights.read(preset)
    return OptModel(_opt(config, preset), found)


def _opt(config: dict[str, Any], preset: str) -> dict[str, Any]:
    if config["model_type"] != "opt":
        raise InputError(f"family.preset={preset}: config.json says {config['model_type']}; only OPT models are read")
    return config


def build(model: OptModel, seed: int, device: torch.device, dropout: float = 0.0) -> OPTForCausalLM:
    """A module with a copy of the model's weights, or with new ones drawn from `seed` if it has none."""
    config = OPTConfig(**{**model.config, "dropout": dropout})
    if model.weights is None:
        with seeded(seed, torch.device("cpu")):
            return OPTForCausalLM(config).to(device)
    with torch.device("meta"):
        module = OPTForCausalLM(config)
    module.load_state_dict({name: w.clone() for name, w in model.weights.items()}, strict=False, assign=True)
    module.tie_weights()
    return module.to(device)


def unbuild(module: OPTForCausalLM) -> dict[str, torch.Tensor]:
    """Copies of a module's weights on the CPU; a tied output layer is left out."""
    tied = set(module.all_tied_weights_keys) if module.config.tie_word_embeddings else set()
    return {
        name: weight.detach().to("cpu", torch.float32, copy=True)
        for name, weight in module.state_dict().items()
        if name not in tied
    }


def save(model: OptModel, folder: Path) -> None:
    """Write config.json and, if the model has weights, model.safetensors, as transformers reads them."""
    (folder / CONFIG).write_text(json.dumps(model.config, indent=1, sort_keys=True), encoding="utf-8")
    if model.weights is not None:
        save_file(model.weights, folder / WEIGHTS, metadata={"format": "pt"})


def load(folder: Path) -> OptModel:
    """What `save` wrote."""
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    return OptModel(config, load_file(folder / WEIGHTS) if (folder / WEIGHTS).is_file() else None)


def _plain(config: OPTConfig) -> dict[str, Any]:
    """A configuration as JSON values, so that a saved and loaded model is equal to the one before."""
    fields = json.loads(config.to_json_string(use_diff=False))
    return {**fields, "architectures": ["OPTForCausalLM"], "dtype": "float32"}
