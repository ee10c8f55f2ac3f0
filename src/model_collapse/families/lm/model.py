"""A causal language model as a value: its configuration and its weights. Modules are built from it and thrown away."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM, OPTConfig, PreTrainedConfig, PreTrainedModel
from transformers.initialization import no_init_weights

from model_collapse.errors import InputError
from model_collapse.families.lm import SHAPES, formats, weights
from model_collapse.families.lm.configuration import plain
from model_collapse.families.lm.shape import Shape
from model_collapse.hardware import seeded

WEIGHTS, CONFIG = "model.safetensors", "config.json"


@dataclass(frozen=True, eq=False)
class LmModel:
    """A causal language model of any architecture that transformers builds from a configuration.

    config   fields of transformers' configuration, `model_type` among them, and what this project adds to them:
             "training" (tokens read, epoch kept), "origin" and "weights_sha256" of what it started from,
             "unwritable" (ids that stand for no token)
    weights  name -> fp32 tensor on the CPU, tied ones once; None for a shape only
    """

    config: dict[str, Any]
    weights: dict[str, torch.Tensor] | None = None

    @cached_property
    def shape(self) -> Shape:
        """Its sizes."""
        return Shape.of(configuration(self.config))

    @property
    def vocabulary(self) -> int:
        """Number of token ids it knows."""
        return self.shape.vocabulary

    @property
    def positions(self) -> int:
        """Longest sequence it can read, in tokens."""
        return self.shape.positions

    @property
    def unwritable(self) -> tuple[int, ...]:
        """Ids that stand for no token of its tokenizer, and are never written."""
        return tuple(self.config.get("unwritable", ()))


OWN = ("training", "origin", "weights_sha256", "unwritable")
"""Entries of a model's configuration that are this project's and not the library's."""


def configuration(config: Mapping[str, Any], **changes: Any) -> PreTrainedConfig:
    """The library's configuration of a model."""
    fields = {name: value for name, value in config.items() if name not in (*OWN, "model_type")}
    return AutoConfig.for_model(config["model_type"], **{**fields, **changes})


def blank(preset: str, vocabulary: int, positions: int) -> LmModel:
    """The shape of a preset, without weights. All but opt-125m take the vocabulary and positions they are asked for."""
    if preset not in SHAPES:
        return LmModel(weights.config(preset))
    shape: dict[str, Any] = dict(SHAPES[preset])
    shape["ffn_dim"] = 4 * shape["hidden_size"]
    if preset != "opt-125m":
        shape |= {"vocab_size": vocabulary, "max_position_embeddings": positions}
    return LmModel(plain(OPTConfig(**shape)))


def pretrained(preset: str) -> LmModel:
    """The preset's weights, see `weights.read`; `config["origin"]` says where they came from."""
    config, found = weights.read(preset)
    return LmModel(config, found)


def room(model: LmModel, prompt: int, new: int) -> None:
    """InputError if `new` tokens after `prompt` of them are more than the model reads."""
    if prompt + new > model.positions:
        raise InputError(
            f"family.block={new}: a prompt of {prompt} tokens and {new} new ones are more than the {model.positions} "
            "the model reads"
        )


DROPOUT = ("dropout", "resid_pdrop", "embd_pdrop", "attn_pdrop", "hidden_dropout")
"""What architectures call the share of activations that are dropped in training; Llama and its like have none."""


def build(model: LmModel, seed: int, device: torch.device, dropout: float | None = 0.0) -> PreTrainedModel:
    """A module with a copy of the model's weights, or with new ones drawn from `seed` if it has none.

    dropout  share of activations dropped in training; None: as the model's configuration says
    """
    known = {name: dropout for name in DROPOUT if name in model.config}
    if dropout and not known:
        raise InputError(f"family.dropout={dropout:g}: a {model.config['model_type']} has none; use auto or 0")
    config = configuration(model.config, **({} if dropout is None else known))
    with seeded(seed, torch.device("cpu")):
        if model.weights is None:
            return AutoModelForCausalLM.from_config(config).to(device)
        with no_init_weights():
            module = AutoModelForCausalLM.from_config(config)
    missing, unexpected = module.load_state_dict(
        {name: weight.clone() for name, weight in model.weights.items()}, strict=False, assign=True
    )
    module.tie_weights()
    if wrong := [*unexpected, *(set(missing) - formats.tied(module))]:
        raise InputError(f"family.preset: a {config.model_type} has no weight {min(wrong)}, or it is missing")
    return module.to(device)


def unbuild(
    module: PreTrainedModel, whole: Callable[[torch.Tensor], torch.Tensor] = lambda weight: weight
) -> dict[str, torch.Tensor]:
    """Copies of a module's weights on the CPU; tied ones once.

    whole  all of a weight, of which the module may have a part
    """
    return {name: whole(weight).to("cpu", torch.float32, copy=True) for name, weight in formats.once(module).items()}


def save(model: LmModel, folder: Path) -> None:
    """Write config.json and, if the model has weights, model.safetensors, as transformers reads them."""
    # In its own order: what is recorded of a model that was read again stands in the same rows.
    (folder / CONFIG).write_text(json.dumps(model.config, indent=1), encoding="utf-8")
    if model.weights is not None:
        save_file(model.weights, folder / WEIGHTS, metadata={"format": "pt"})


def load(folder: Path) -> LmModel:
    """What `save` wrote."""
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    return LmModel(config, load_file(folder / WEIGHTS) if (folder / WEIGHTS).is_file() else None)
