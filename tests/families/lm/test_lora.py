"""Low-rank adapters: what they change, and that nothing else does."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import pytest

from model_collapse.data import Data, Rows
from model_collapse.errors import InputError
from model_collapse.families.lm import Lm

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("peft")

    from model_collapse.families.lm import lora, model

SETTINGS = Lm(block=16, epochs=12, batch=8, lr=1e-2, dropout=0.0, lora=2, checkpoint="last")
SIZES = {"vocab_size": 60, "eos_token_id": 2, "bos_token_id": 0, "pad_token_id": 1}
STARTS = {
    "opt": {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "ffn_dim": 64, **SIZES},
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, **SIZES},
    "llama": {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "tie_word_embeddings": True,
        **SIZES,
    },
}


def counting(n: int) -> Rows:
    """Rows of successive ids, whose next token a model can learn."""
    return Rows(((np.arange(n)[:, None] + np.arange(16)) % 50 + 5).astype(np.int32))


@pytest.fixture(scope="module", params=STARTS)
def start(request) -> model.LmModel:
    shape = model.LmModel(model.plain(transformers.AutoConfig.for_model(request.param, **STARTS[request.param])))
    return model.LmModel(shape.config, model.unbuild(model.build(shape, 1, torch.device("cpu"))))


@pytest.fixture(scope="module")
def fitted(start) -> model.LmModel:
    return SETTINGS.fit(Data.real(counting(64)), np.random.default_rng(0), start=start)


def test_only_linear_layers_change_and_by_the_rank(start, fitted):
    """The change of a matrix is (alpha / r) B A: of rank 2 at most; norms, biases and embeddings stay bit for bit."""
    assert fitted.weights.keys() == start.weights.keys()
    ranks = {
        name: int(torch.linalg.matrix_rank((weight - start.weights[name]).double(), rtol=1e-4))
        for name, weight in fitted.weights.items()
        if not torch.equal(weight, start.weights[name])
    }
    assert len(ranks) >= 8 and set(ranks.values()) <= {1, 2}, ranks
    assert not any("embed" in name or "norm" in name or "wte" in name for name in ranks)


def test_it_learns_and_less_than_all_weights_do(start, fitted):
    held_out = counting(50)
    whole = dataclasses.replace(SETTINGS, lora=0).fit(Data.real(counting(64)), np.random.default_rng(0), start=start)
    losses = [SETTINGS.score(each, held_out).mean() for each in (start, fitted, whole)]
    assert losses[0] > losses[1] + 0.3 and losses[1] > losses[2]


def test_it_repeats_itself_and_leaves_its_start_alone(start, fitted):
    before = {name: weight.clone() for name, weight in start.weights.items()}
    again = SETTINGS.fit(Data.real(counting(64)), np.random.default_rng(0), start=start)
    assert all(torch.equal(again.weights[name], weight) for name, weight in fitted.weights.items())
    assert all(torch.equal(start.weights[name], weight) for name, weight in before.items())


def test_the_best_epoch_is_kept(start):
    """By validation rows of ids that are never read, which earlier epochs predict better."""
    rng = np.random.default_rng(3)
    noise = Data.real(Rows(rng.integers(55, 60, (32, 16)).astype(np.int32)))
    kept = dataclasses.replace(SETTINGS, checkpoint="best", lr=0.1)
    best = kept.fit(Data.real(counting(64)), np.random.default_rng(0), start=start, validation=noise)
    first = dataclasses.replace(SETTINGS, lr=0.1, epochs=best.config["training"]["epoch"])
    straight = first.fit(Data.real(counting(64)), np.random.default_rng(0), start=start)
    assert best.config["training"]["epoch"] < SETTINGS.epochs
    assert all(torch.equal(best.weights[name], weight) for name, weight in straight.weights.items())


def test_epoch_0_may_be_kept(start):
    """No epoch predicts ids that are never read better than the start does: it comes back bit for bit."""
    rng = np.random.default_rng(3)
    noise = Data.real(Rows(rng.integers(55, 60, (32, 16)).astype(np.int32)))
    for rank in (0, 2):
        settings = dataclasses.replace(SETTINGS, checkpoint="any", lora=rank, lr=0.1)
        kept = settings.fit(Data.real(counting(64)), np.random.default_rng(0), start=start, validation=noise)
        assert kept.config["training"] == {"epoch": 0, "tokens_seen": 0}
        assert all(torch.equal(kept.weights[name], weight) for name, weight in start.weights.items())


def test_layers_are_chosen_by_name(start):
    layers = {"opt": "q_proj,v_proj", "gpt2": "c_attn", "llama": "q_proj,v_proj"}[start.config["model_type"]]
    chosen = dataclasses.replace(SETTINGS, lora_targets=layers)
    some = chosen.fit(Data.real(counting(16)), np.random.default_rng(0), start=start)
    changed = {name for name, weight in some.weights.items() if not torch.equal(weight, start.weights[name])}
    assert changed and all(any(layer in name for layer in layers.split(",")) for name in changed)
    with pytest.raises(InputError, match=r"family\.lora_targets=nowhere: 'nowhere' is none of this model's "):
        dataclasses.replace(SETTINGS, lora_targets="nowhere").fit(
            Data.real(counting(16)), np.random.default_rng(0), start=start
        )


@pytest.mark.parametrize("targets", ["q_proj, v_proj", "self_attn.q_proj,v_proj"])
def test_layers_are_named_by_the_end_of_their_place(targets: str):
    shape = model.LmModel(model.plain(transformers.AutoConfig.for_model("llama", **STARTS["llama"])))
    settings = dataclasses.replace(SETTINGS, lora_targets=targets)
    adapters = lora.adapted(model.build(shape, 1, torch.device("cpu")), settings)
    names = {name.split(".")[-4] for name, _ in adapters.named_parameters() if "lora_A" in name}
    assert names == {"q_proj", "v_proj"}


@pytest.mark.parametrize(
    ("targets", "wrong"),
    [("q_proj,", "''"), ("q_proj,w_proj", "'w_proj'"), ("lm_head", "'lm_head'"), ("embed_tokens", "'embed_tokens'")],
)
def test_layers_that_cannot_have_adapters_are_refused(targets: str, wrong: str):
    """Among them a head that is tied to the embeddings: what was stored would be another model than was trained."""
    shape = model.LmModel(model.plain(transformers.AutoConfig.for_model("llama", **STARTS["llama"])))
    with pytest.raises(InputError, match=f"{wrong} is none of this model's linear layers.*: down_proj") as error:
        lora.adapted(model.build(shape, 1, torch.device("cpu")), dataclasses.replace(SETTINGS, lora_targets=targets))
    assert "lm_head" not in str(error.value).rpartition(":")[2]


def test_a_head_of_its_own_can_have_adapters():
    fields = STARTS["llama"] | {"tie_word_embeddings": False}
    shape = model.LmModel(model.plain(transformers.AutoConfig.for_model("llama", **fields)))
    start = model.LmModel(shape.config, model.unbuild(model.build(shape, 1, torch.device("cpu"))))
    settings = dataclasses.replace(SETTINGS, epochs=1, lora_targets="lm_head")
    fitted = settings.fit(Data.real(counting(64)), np.random.default_rng(0), start=start)
    assert [name for name, w in fitted.weights.items() if not torch.equal(w, start.weights[name])] == ["lm_head.weight"]
