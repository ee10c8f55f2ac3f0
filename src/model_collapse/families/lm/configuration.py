"""Configurations of decoder-only models, as transformers understands them; no code of others is run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from model_collapse.errors import InputError

CONFIG, GENERATION = "config.json", "generation_config.json"


def stored(files: Mapping[str, Path], where: str) -> dict[str, Any]:
    """config.json, with the end tokens of generation_config.json, which is what writing goes by."""
    try:
        fields = json.loads(files[CONFIG].read_text(encoding="utf-8"))
        if not isinstance(fields["model_type"], str):
            raise TypeError
    except (OSError, ValueError, KeyError, TypeError):
        has = "has no model_type or is damaged" if CONFIG in files else "is missing"
        raise InputError(f"{where}: config.json {has}; a folder must hold a model in the hub's layout") from None
    if GENERATION in files:
        try:
            ends = json.loads(files[GENERATION].read_text(encoding="utf-8")).get("eos_token_id")
        except (OSError, ValueError, AttributeError):
            raise InputError(f"{where}: {GENERATION} is damaged") from None
        fields |= {} if ends is None else {"eos_token_id": ends}
    return fields


DROPPED = (
    "auto_map",
    "custom_pipelines",
    "transformers_weights",
    "architectures",
    "torch_dtype",
    "dtype",
    "origin",
    "weights_sha256",
    "_name_or_path",
    "_commit_hash",
    "_attn_implementation",
    "attn_implementation",
    "transformers_version",
)
"""Fields that say nothing of the model, or ask for what is never done: code of others, other files."""


def check(fields: Mapping[str, Any], where: str) -> None:
    """InputError for a model of a kind that is not read, as far as its configuration's text says so."""
    kind = fields["model_type"]
    if fields.get("is_encoder_decoder"):
        raise InputError(f"{where}: config.json says {kind} with encoder and decoder; only decoders are read")
    if fields.get("quantization_config") is not None:
        raise InputError(f"{where}: its weights are quantised (quantization_config); take the model they were made of")
    if "vision_config" in fields or "audio_config" in fields:
        raise InputError(f"{where}: config.json says {kind}, which reads more than text; only language models are read")


def understood(fields: Mapping[str, Any], where: str) -> Any:
    """The configuration as transformers understands it; InputError for one that it does not or that is no decoder's."""
    from transformers import CONFIG_MAPPING
    from transformers.models.auto import modeling_auto as auto

    check(fields, where)
    kind = fields["model_type"]
    decoders = set(auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES) - set(auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES)
    decoders -= set(auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES)
    if kind not in decoders:
        code = "; code that comes with a model is not run" if "auto_map" in fields else ""
        raise InputError(f"{where}: config.json says {kind}, which is no decoder that transformers knows{code}")
    try:
        with quiet():
            built = CONFIG_MAPPING[kind].from_dict({key: x for key, x in fields.items() if key not in DROPPED})
        width, heads, layers = built.hidden_size, built.num_attention_heads, built.num_hidden_layers
        sizes = (width, heads, layers, built.vocab_size)
    except AttributeError as error:
        raise InputError(f"{where}: a {kind} is no transformer as they are read here ({error})") from None
    except Exception as error:  # of the many checks that configurations make
        raise InputError(f"{where}: config.json cannot be understood ({first_line(error)})") from None
    if not all(isinstance(size, int) and size > 0 for size in sizes):
        raise InputError(f"{where}: config.json has sizes that are no positive whole numbers")
    if width % heads and getattr(built, "head_dim", None) is None:
        raise InputError(f"{where}: config.json has {heads} attention heads, which do not divide the width {width}")
    return built


def plain(built: Any) -> dict[str, Any]:
    """A configuration as JSON values, so that a saved and loaded model is equal to the one before."""
    values = json.loads(built.to_json_string(use_diff=False))
    return {**values, "architectures": [architecture(built).__name__], "dtype": "float32", "_name_or_path": ""}


def architecture(built: Any) -> Any:
    """The class of the language model that has such a configuration."""
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING

    return MODEL_FOR_CAUSAL_LM_MAPPING[type(built)]


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bar and no report from transformers: what is wrong is said in one line."""
    from transformers.utils import logging

    bar, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity(logging.CRITICAL)
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bar:
            logging.enable_progress_bar()


def first_line(error: Exception) -> str:
    """What an error of transformers says, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    # The classes that check configurations name the field in the first line and say what is wrong in the second.
    return ": ".join(line.rstrip(".:") for line in lines[:2])[:200]
