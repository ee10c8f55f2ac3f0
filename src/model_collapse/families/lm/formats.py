"""Files that weights are stored in: safetensors, and what is converted to it once, into our cache."""

from __future__ import annotations

import importlib.util
import io
import json
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_collapse import paths, store
from model_collapse.corpora import hub, tokens
from model_collapse.errors import ExternalError, InputError
from model_collapse.families.lm import configuration
from model_collapse.families.lm.configuration import CONFIG
from model_collapse.families.lm.pinned import PINNED

if TYPE_CHECKING:
    import torch

WEIGHTS, INDEX, PICKLE = "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"

NO_GGUF = "reading GGUF needs the package gguf; pip install 'model-collapse[gguf]' brings it"


def pickles() -> dict[str | None, str]:
    """sha256 of the pickles that are opened -> the name of the model."""
    return {known.weights.sha256: name for name, known in PINNED.items() if known.weights.name == PICKLE}


def is_weights(name: str) -> bool:
    """Whether a file of this name holds weights."""
    return name in (WEIGHTS, INDEX, PICKLE) or name.endswith(".gguf")


def gguf(files: Mapping[str, Path]) -> Path | None:
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


def weight_files(files: Mapping[str, Path], where: str) -> list[str]:
    """Names of the files that weights are read from: one, or the shards that an index names."""
    if WEIGHTS in files:
        return [WEIGHTS]
    if INDEX in files:
        return sorted(set(_index(files, where).values()))
    if PICKLE in files:
        return [PICKLE]
    other = [
        name for name in files if name.endswith((".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack"))
    ]
    has = f" (it has {other[0]})" if other else ""
    raise InputError(
        f"{where}: no {WEIGHTS} in it{has}; convert what it has to safetensors, or use family.start=scratch"
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


def tensors(files: Mapping[str, Path], where: str) -> dict[str, torch.Tensor]:
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
            raise InputError(f"{where}: {name} is damaged or cut short ({configuration.first_line(error)})") from None
    lost = sorted(set(index) - set(found))
    if lost:
        raise InputError(f"{where}: {index[lost[0]]} lacks {lost[0]}, which {INDEX} says it has")
    return found


# Conversions


def _converted(name: str, sha256: str) -> Path:
    return paths.cache() / "weights" / f"{name}-{sha256[:16]}"


def unknown_pickle(where: str) -> InputError:
    """Said of every pickle but those that are pinned."""
    return InputError(
        f"{where}: {PICKLE} is a pickle whose checksum is not known, which is never opened; convert it to {WEIGHTS}, "
        "or use family.start=scratch"
    )


def unpickled(get: Callable[[], Path], sha256: str, where: str) -> Path:
    """The folder with a pickle's tensors as safetensors. It is opened only because its sha256 is known, and with
    torch's reader of tensors alone; InputError for any other."""
    name = pickles().get(sha256)
    if name is None:
        raise unknown_pickle(where)

    def fill(folder: Path) -> None:
        import torch
        from safetensors.torch import save_file

        loaded = torch.load(get(), map_location="cpu", weights_only=True)
        own = {key: x.clone().contiguous() for key, x in loaded.items() if isinstance(x, torch.Tensor)}
        save_file(own, folder / WEIGHTS, metadata={"format": "pt"})

    return made(_converted(name, sha256), fill, {"origin": name, "sha256": sha256})


def from_gguf(get: Callable[[], Path], sha256: str, name: str) -> Path:
    """The folder with config.json, model.safetensors and tokenizer.json of a GGUF file, dequantised once."""

    def fill(folder: Path) -> None:
        path = get()
        if importlib.util.find_spec("gguf") is None:
            raise ExternalError(f"{path.name}: {NO_GGUF}")
        _convert_gguf(path, folder)

    return made(_converted(name, sha256), fill, {"origin": name, "sha256": sha256})


def _convert_gguf(path: Path, folder: Path) -> None:
    import torch
    from safetensors.torch import save_file
    from transformers import AutoConfig, AutoTokenizer

    from model_collapse.hardware import seeded

    print(f"{path.name}: converted once, which takes about a minute for 100 MB", file=sys.stderr)
    place: dict[str, Any] = {"gguf_file": path.name, "local_files_only": True}
    try:
        # Its progress bars are not those of `_quiet`.
        with configuration.quiet(), redirect_stderr(io.StringIO()), seeded(0, torch.device("cpu")):
            config = AutoConfig.from_pretrained(path.parent, **place)
            fields = json.loads(config.to_json_string(use_diff=False))
            built = configuration.understood(fields, path.name)
            module, found = configuration.architecture(built).from_pretrained(
                path.parent, config=built, dtype=torch.float32, output_loading_info=True, **place
            )
            own = AutoTokenizer.from_pretrained(path.parent, **place)
    except InputError:
        raise
    except Exception as error:  # of transformers and of gguf, which know some architectures and types
        raise InputError(f"{path.name}: this GGUF file cannot be read ({configuration.first_line(error)})") from None
    if wrong := missing(found):
        raise InputError(f"{path.name}: it lacks {wrong}, or has it in another shape")
    save_file({name: _narrowed(x) for name, x in once(module).items()}, folder / WEIGHTS, metadata={"format": "pt"})
    plain = {key: x for key, x in configuration.plain(built).items() if key != "quantization_config"}
    (folder / CONFIG).write_text(json.dumps(plain), encoding="utf-8")
    own.backend_tokenizer.save(str(folder / tokens.OWN))


def _narrowed(x: torch.Tensor) -> torch.Tensor:
    """The same numbers in two bytes each where they fit."""
    import torch

    for dtype in (torch.float16, torch.bfloat16):
        if torch.equal(x.to(dtype).float(), x):
            return x.to(dtype).contiguous()
    return x.contiguous()


def missing(report: Mapping[str, Any]) -> str | None:
    """The first tensor that transformers did not find, or found in another shape."""
    return min(report["missing_keys"] or (key for key, *_ in report["mismatched_keys"]), default=None)


def tied(module: Any) -> set[str]:
    """Names of the tensors that are others' under a second name."""
    pairs = module.all_tied_weights_keys.items()
    return {name for name, source in pairs if module.get_parameter(name) is module.get_parameter(source)}


def once(module: Any) -> dict[str, torch.Tensor]:
    """A module's tensors, tied ones once."""
    second = tied(module)
    return {name: x.detach() for name, x in module.state_dict().items() if name not in second}


def made(place: Path, fill: Callable[[Path], None], about: Mapping[str, Any]) -> Path:
    """A folder of our cache, filled if it is not there or damaged; one process fills, others wait."""
    from filelock import FileLock

    if store.intact(place):
        return place
    with hub.writing(place.parent), FileLock(place.with_name(f".{place.name}.lock")):
        if not store.intact(place):
            store.write_folder(place, fill, about)
    return place
