"""Pre-trained weights as they are found in the world: by a preset's name, from the hub, or in a folder.

    config, tensors = weights.read("HuggingFaceTB/SmolLM2-135M")

Read are the decoder-only models that transformers builds from a configuration without code of others: one or several
safetensors files in any floating-point type, tied weights under either name or both, names with and without the
prefix of the head; GGUF through the package `gguf`; pickled weights only where their sha256 is known. Anything that
would have to be guessed (a tensor that is missing, in another shape, of a layer that the configuration lacks, of whole
numbers, not finite) is one line instead.

pinned.py         models with a name of our own, and their checksums
configuration.py  config.json, as transformers understands it
formats.py        the files that weights are stored in
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_collapse import paths, store
from model_collapse.corpora import hub, tokens
from model_collapse.errors import ExternalError, InputError
from model_collapse.families.lm import configuration, formats
from model_collapse.families.lm.configuration import CONFIG, GENERATION
from model_collapse.families.lm.pinned import PINNED

if TYPE_CHECKING:
    import torch

NAME = re.compile(r"(?P<repository>\w[\w.-]*/\w[\w.-]*)(@(?P<revision>\w[\w./-]*))?")
"""A model of the hub: owner/name, or owner/name@revision."""

INSTEAD = "give a folder that holds it with --set family.preset=FOLDER, or use --set family.start=scratch"

TOKENIZER = (
    tokens.OWN,
    *tokens.FILES,
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)
"""Files of a tokenizer."""


def check(preset: str, weights: bool) -> None:
    """InputError for what can be seen to be wrong without reading weights or asking the hub.

    weights  whether they will be read
    """
    folder = _folder(preset)
    if folder is None and preset not in PINNED and not NAME.fullmatch(preset):
        raise InputError(
            f"{_where(preset)}: neither a preset (tiny, mini, small, {', '.join(PINNED)}), nor owner/name of the hub, "
            "nor a folder with a model's config.json"
        )
    files = _in(folder) if folder else {}
    if folder and not formats.gguf(files):
        configuration.check(configuration.stored(files, _where(preset)), _where(preset))
        pickled = weights and formats.weight_files(files, _where(preset)) == [formats.PICKLE]
        # Its checksum is taken when it is read.
        if pickled and files[formats.PICKLE].stat().st_size not in {known.weights.size for known in PINNED.values()}:
            raise formats.unknown_pickle(_where(preset))


def contents(preset: str) -> str:
    """What says which weights a preset means: a checksum, or the repository's commit. Weights that are pinned are not
    looked at."""
    if folder := _folder(preset):
        return checksum(folder)
    if preset in PINNED:
        return PINNED[preset].weights.sha256 or ""
    repository, revision = _repository(preset)
    return f"{repository}@{hub.listing(repository, revision, instead=INSTEAD).commit}"


def checksum(folder: Path) -> str:
    """sha256 over the names and contents of what a model's, a tokenizer's or a corpus' folder is read from."""
    total = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        if file.suffix in (".json", ".txt", ".safetensors", ".parquet", ".gguf", ".model", ".bin") and file.is_file():
            total.update(f"{file.relative_to(folder)} {store.checksum(file)}\n".encode())
    return total.hexdigest()


def config(preset: str) -> dict[str, Any]:
    """All fields of the transformers configuration of a preset, as JSON values; no weights are read."""
    if preset in PINNED and not _folder(preset):
        fields = PINNED[preset].config
    else:
        fields = configuration.stored(_find(preset, weights=False).files, _where(preset))
    return configuration.plain(configuration.understood(fields, _where(preset)))


def tokenizer(preset: str) -> Path:
    """A folder with a preset's own tokenizer and its configuration, for `tokens.read`."""
    found = _find(preset, weights=False)
    if found.folder:
        return found.folder

    def fill(folder: Path) -> None:
        for name in (CONFIG, GENERATION, *TOKENIZER):
            if name in found.files:
                shutil.copyfile(found.files[name], folder / name)
        if found.fields:
            (folder / CONFIG).write_text(json.dumps(dict(found.fields)), encoding="utf-8")

    # Copies, because they may lie in several caches.
    place = paths.cache() / "tokenizers" / found.origin.replace("/", "--")
    return formats.made(place, fill, {"origin": found.origin})


def read(preset: str) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Configuration and weights of a preset: fields as JSON values; name -> fp32 tensor on the CPU, tied ones once.

    The configuration says besides where the weights came from (`origin`: repository@revision, package@version or the
    folder's name) and the sha256 of their file (`weights_sha256`; of several files, of the list of their checksums).
    InputError in one line for weights that are damaged or do not fit, ExternalError for what cannot be had.
    """
    where = _where(preset)
    found = _find(preset, weights=True)
    fields = found.fields or configuration.stored(found.files, where)
    digest = found.sha256 or _sum(found.files, where)
    if formats.weight_files(found.files, where) == [formats.PICKLE]:
        path = found.files[formats.PICKLE]
        found = replace(found, files=_in(formats.unpickled(lambda: path, digest, where)))
    values, tensors = _load(fields, formats.tensors(found.files, where), where)
    return values | {"origin": found.origin, "weights_sha256": digest}, tensors


def on_hub(name: str) -> tuple[hub.Listing, tuple[hub.File, ...]]:
    """What the hub has today of owner/name[@revision], and the files of it that are read."""
    repository, revision = _repository(name)
    found = hub.listing(repository, revision, instead=INSTEAD, anew=True)
    return found, tuple(found.files[file] for file in _wanted(found, True, name))


def in_package(preset: str) -> Path | None:
    """The GGUF file of a package: in $MODEL_COLLAPSE_DATA, where the package is installed, or where `fetch` put it.

    None where it is not, or is another.
    """
    file = PINNED[preset].weights
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


# Where a preset's files are


@dataclass(frozen=True)
class _Found:
    """Where a preset's files lie.

    files   name -> path
    folder  that holds them all, if one does
    fields  of its configuration, where they stand in for config.json
    sha256  of the weights, where it is known
    """

    origin: str
    files: Mapping[str, Path]
    folder: Path | None = None
    fields: Mapping[str, Any] | None = None
    sha256: str | None = None


def _find(preset: str, weights: bool) -> _Found:
    """The files of a preset, brought from where they are; GGUF and pickles that are pinned as what they became."""
    folder = _folder(preset)
    if folder is None and preset in PINNED:
        return _pinned(preset, weights)
    if folder is not None:
        found = _Found(f"folder {folder.name}", _in(folder), folder)
    else:
        repository, revision = _repository(preset)
        held = hub.listing(repository, revision, instead=INSTEAD)
        wanted = _wanted(held, weights, _where(preset))
        files = {name: hub.fetch(held.files[name], instead=INSTEAD) for name in wanted}
        found = _Found(f"{repository}@{held.commit}", files)
    if path := formats.gguf(found.files):
        sha256 = store.checksum(path)
        made = formats.from_gguf(lambda: path, sha256, path.stem)
        return _Found(found.origin, _in(made), made, sha256=sha256)
    return found


def _pinned(preset: str, weights: bool) -> _Found:
    known = PINNED[preset]
    file = known.weights
    sha256 = file.sha256 or ""
    if known.package:

        def get() -> Path:
            if path := in_package(preset):
                return path
            raise ExternalError(
                f"{_where(preset)}: {file.name} is not here; `model-collapse fetch {preset}` downloads it "
                f"({(file.size or 0) / 1e6:.0f} MB)"
            )

        made = formats.from_gguf(get, sha256, preset)
        return _Found(known.origin, _in(made), made, sha256=sha256)
    if not weights:
        files = {own.name: hub.fetch(own, instead=INSTEAD) for own in known.tokenizer}
    elif file.name == formats.PICKLE:
        files = _in(formats.unpickled(lambda: hub.fetch(file, instead=INSTEAD), sha256, preset))
    else:
        files = {file.name: hub.fetch(file, instead=INSTEAD)}
    return _Found(known.origin, files, fields=known.config, sha256=sha256)


def _folder(preset: str) -> Path | None:
    """The folder that a preset is read from: its own, or $MODEL_COLLAPSE_DATA/<preset> if that holds a model."""
    if preset not in PINNED:
        return Path(preset) if preset and Path(preset).is_dir() else None
    data = paths.data()
    folder = data / preset if data else None
    return folder if folder and folder.is_dir() and any(map(formats.is_weights, _in(folder))) else None


def _in(folder: Path) -> dict[str, Path]:
    return {path.name: path for path in sorted(folder.iterdir()) if path.is_file()}


def _where(preset: str) -> str:
    return f"family.preset={preset}"


def _repository(preset: str) -> tuple[str, str]:
    found = NAME.fullmatch(preset)
    if found is None:
        raise InputError(f"{_where(preset)}: write owner/name or owner/name@revision for a model of the hub")
    return found["repository"], found["revision"] or "main"


def _wanted(held: hub.Listing, weights: bool, where: str) -> list[str]:
    """Of a repository's files those that are read."""
    # A pickle that will not be opened is not brought either.
    safe = (name for name, file in held.files.items() if name != formats.PICKLE or file.sha256 in formats.pickles())
    names = {name: Path(name) for name in safe}
    if packed := formats.gguf(names):
        return [packed.name]
    small = [name for name in (CONFIG, GENERATION, *TOKENIZER) if name in names]
    if not weights:
        return small
    if formats.WEIGHTS not in names and formats.INDEX in names:
        # What the index names is seen when it is read.
        shards = [name for name in names if re.fullmatch(r"model-\d+-of-\d+\.safetensors", name)]
        return [*small, formats.INDEX, *sorted(shards)]
    return [*small, *formats.weight_files(names, where)]


def _sum(files: Mapping[str, Path], where: str) -> str:
    """sha256 of the weights' file; of several, of a list of their checksums."""
    sums = {name: store.checksum(files[name]) for name in formats.weight_files(files, where)}
    if len(sums) == 1:
        return next(iter(sums.values()))
    return hashlib.sha256("".join(f"{sha256}  {name}\n" for name, sha256 in sorted(sums.items())).encode()).hexdigest()


# Tensors in their places


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

    built = configuration.understood(fields, where)
    tensors = {name: x for name, x in tensors.items() if not BUFFERS.search(name) and not HEADS.match(name)}
    for name, x in tensors.items():
        if not x.is_floating_point():
            kind = str(x.dtype).removeprefix("torch.")
            raise InputError(f"{where}: {name} holds whole numbers ({kind}); quantised weights are not read")
        if not x.float().isfinite().all():
            raise InputError(f"{where}: {name} holds numbers that are not finite")
    try:
        # What is missing is drawn at first and refused then: not from the caller's generator.
        with configuration.quiet(), seeded(0, torch.device("cpu")):
            module, found = configuration.architecture(built).from_pretrained(
                None,
                config=built,
                state_dict=tensors,
                dtype=torch.float32,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
            )
    except Exception as error:  # of transformers, which checks a model's sizes as it builds it
        raise InputError(f"{where}: the model cannot be built ({configuration.first_line(error)})") from None
    if wrong := formats.missing(found):
        raise InputError(f"{where}: {formats.WEIGHTS} lacks {wrong}, or has it in another shape")
    if found["unexpected_keys"]:
        name = min(found["unexpected_keys"])
        raise InputError(f"{where}: {formats.WEIGHTS} has {name}, for which the model of config.json has no place")
    # Where both of two tied tensors are stored and differ, transformers goes by the tensors.
    built.tie_word_embeddings = bool(formats.tied(module))
    return configuration.plain(built), {name: x.contiguous() for name, x in formats.once(module).items()}
