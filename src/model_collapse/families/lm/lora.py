"""Low-rank adapters by the library `peft`: W + (alpha / r) B A, where A and B are trained and W stays as it was.

Hu et al. 2022, arXiv:2106.09685. The optimiser keeps its state for A and B alone. The stored model is an
ordinary one: the adapters are merged into its weights after each training.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from model_collapse.errors import ExternalError, InputError

if TYPE_CHECKING:
    from model_collapse.families.lm import Lm


def adapted(module: PreTrainedModel, settings: Lm) -> PreTrainedModel:
    """The module with adapters of rank `settings.lora` in its linear layers, and nothing else left to train.

    A is drawn from torch's generator, B is 0: before the first step nothing is changed. With rank 0 the module itself.
    """
    if not settings.lora:
        return module
    try:
        import peft
    except ImportError:
        raise ExternalError("family.lora needs the package peft; install it with: pip install peft") from None
    linear = _linear(module)
    targets = "all-linear" if settings.lora_targets == "all-linear" else _chosen(settings.lora_targets, linear)
    config = peft.LoraConfig(
        r=settings.lora,
        # The library's annotation says int, its arithmetic does not mind.
        lora_alpha=2 * settings.lora if settings.lora_alpha == "auto" else settings.lora_alpha,  # type: ignore[arg-type]
        target_modules=targets,
        lora_dropout=0.0,
        fan_in_fan_out=any(isinstance(part, Conv1D) for part in linear.values()),
        task_type="CAUSAL_LM",
    )
    with warnings.catch_warnings():
        # It asks transformers by a name that is going to change.
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)
        return peft.get_peft_model(module, config)


def _linear(module: PreTrainedModel) -> dict[str, nn.Module]:
    """The linear layers that can have adapters, by their place. Not a head that is tied to the embeddings: merged into
    the one, its adapters would change the other, whose rows they were not trained for."""
    found = {name: part for name, part in module.named_modules() if isinstance(part, nn.Linear | Conv1D)}
    embedded = module.get_input_embeddings().weight
    return {name: part for name, part in found.items() if part.weight is not embedded}


def _chosen(targets: str, linear: Mapping[str, nn.Module]) -> list[str]:
    """The names in a list with commas, each of which is the end of a place in the model."""
    names = [name.strip() for name in targets.split(",")]
    for name in names:
        if not name or not any(f".{place}".endswith(f".{name}") for place in linear):
            known = sorted({place.rpartition(".")[2] for place in linear})
            raise InputError(
                f"family.lora_targets={targets}: {name!r} is none of this model's linear layers that can have "
                f"adapters: {', '.join(known)}"
            )
    return names


def merged(module: PreTrainedModel, settings: Lm) -> PreTrainedModel:
    """The model without adapters, what they learned added to its weights."""
    return module.merge_and_unload() if settings.lora else module
