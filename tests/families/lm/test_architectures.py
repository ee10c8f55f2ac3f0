"""Causal language models of many architectures: they learn, are saved, scored and decoded as in the library.

Learned and rotary positions, grouped queries, tied and untied heads, linear layers that lie the other way round,
several end tokens, rows of the vocabulary without a token, capped scores, layers that see only so far back, and ALiBi,
which numbers no positions.
"""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import pytest

from model_collapse import corpora
from model_collapse.data import Rows
from model_collapse.errors import InputError
from model_collapse.families.lm import Lm

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")

    from model_collapse.families.lm import compare, decoding, model

TRAINED = Lm(block=64, vocabulary=512, pretrain="none", dropout=0.0, epochs=8, lr=3e-3, evaluate=200)
UNWRITABLE = (512, 514, 519)
"""Rows of the vocabulary that stand for no token."""

SIZES = {
    "hidden_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 96,
    "vocab_size": 520,
    "max_position_embeddings": 128,
    "eos_token_id": 2,
    "bos_token_id": 0,
    "pad_token_id": 1,
}
ARCHITECTURES = {
    "gpt2": {"n_embd": 48, "n_layer": 2, "n_head": 4, "vocab_size": 520, "n_positions": 128, "eos_token_id": [2, 7]},
    "gpt_neox": SIZES | {"tie_word_embeddings": False},
    "llama": SIZES | {"num_key_value_heads": 2, "tie_word_embeddings": True},
    "qwen2": SIZES | {"num_key_value_heads": 2, "tie_word_embeddings": True},
    "qwen3": SIZES | {"num_key_value_heads": 1, "head_dim": 16},
    "gemma": SIZES | {"num_key_value_heads": 1, "head_dim": 24},
    "gemma2": SIZES
    | {"num_key_value_heads": 2, "head_dim": 16, "query_pre_attn_scalar": 16, "attn_logit_softcapping": 5.0},
    "bloom": {"hidden_size": 48, "n_layer": 2, "n_head": 4, "vocab_size": 520, "eos_token_id": 2, "pad_token_id": 1},
    "mistral": SIZES | {"num_key_value_heads": 2, "sliding_window": 80},
}
"""Beside OPT, which test_engine.py is about. A mistral here sees 80 tokens back."""


@pytest.fixture(scope="module")
def source():
    return corpora.load("embedded").source(192, **TRAINED.reading())


@pytest.fixture(scope="module", params=ARCHITECTURES)
def trained(request, source) -> model.LmModel:
    """Has learned from the embedded corpus: its chances are those of text, neither flat nor clear."""
    config = transformers.AutoConfig.for_model(request.param, **ARCHITECTURES[request.param])
    start = model.LmModel({**model.plain(config), "unwritable": list(UNWRITABLE)})
    return TRAINED.fit(source.train, np.random.default_rng(0), start=start)


def test_it_learns(trained, source):
    assert TRAINED.score(trained, source.test.rows).mean() < 0.6 * np.log(TRAINED.vocabulary)


def test_it_is_scored_as_in_the_library(trained, source, tmp_path):
    """The saved folder is one that transformers reads, and its losses are ours."""
    TRAINED.save(trained, tmp_path)
    module = transformers.AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    x = torch.from_numpy(source.test.rows.x[:8]).long()
    with torch.inference_mode():
        loss = module(x, labels=x).loss
    assert abs(TRAINED.score(trained, Rows(source.test.rows.x[:8])).mean() - float(loss)) < 1e-5
    kept = TRAINED.load(tmp_path)
    assert kept.config == trained.config and kept.unwritable == UNWRITABLE
    assert all(torch.equal(kept.weights[name], weight) for name, weight in trained.weights.items())


def test_a_fit_leaves_its_start_alone_and_repeats_itself(trained, source):
    before = {name: weight.clone() for name, weight in trained.weights.items()}
    short = dataclasses.replace(TRAINED, epochs=1)
    one, two = (short.fit(source.train, np.random.default_rng(5), start=trained) for _ in range(2))
    assert all(torch.equal(one.weights[name], two.weights[name]) for name in one.weights)
    assert all(torch.equal(trained.weights[name], weight) for name, weight in before.items())
    assert any(not torch.equal(one.weights[name], weight) for name, weight in before.items())


@pytest.mark.parametrize(("beams", "penalty"), [(b, p) for b in (1, 2, 5, 8) for p in (1.0, 1.2, 2.0, 3.0)])
def test_it_writes_the_same_as_in_the_library(trained, source, beams, penalty):
    """200 prompts; what is different must be a tie, and ties are rare. Ids without a token are never written."""
    family = dataclasses.replace(TRAINED, block=24, beams=beams, repetition_penalty=penalty)
    given = np.concatenate([source.test.rows.x[:100, :48], source.test.rows.x[100:200, 16:]])
    one, two = (
        torch.from_numpy(way.sample(trained, 200, np.random.default_rng(1), given=Rows(given)).x).long()
        for way in (family, dataclasses.replace(family, engine="reference"))
    )
    module = model.build(trained, 0, torch.device("cpu")).eval()
    found = compare.compare(module, torch.from_numpy(given).long(), one, two, family, trained.unwritable)
    assert found.texts == 200 and found.explained and found.ties <= 2, found
    assert not np.isin(one.numpy(), [*UNWRITABLE, *trained.shape.ends]).any()


def test_what_is_banned_would_be_written_otherwise(trained, source):
    """Without this, the test above could agree on what nothing asks for: the likeliest ids are banned and go."""
    given = Rows(source.test.rows.x[:20, :32])
    family = dataclasses.replace(TRAINED, block=8)
    usual = family.sample(trained, 20, np.random.default_rng(1), given=given).x
    banned = np.unique(usual)[:6].tolist()
    other = model.LmModel({**trained.config, "unwritable": banned}, trained.weights)
    for engine in ("fast", "reference"):
        way = dataclasses.replace(family, engine=engine)
        assert not np.isin(way.sample(other, 20, np.random.default_rng(1), given=given).x, banned).any()


def test_dropout_is_refused_where_there_is_none(trained, source):
    has = trained.config["model_type"] in ("gpt2", "gpt_neox", "bloom")
    family = dataclasses.replace(TRAINED, dropout=0.5, steps=1)
    if has:
        family.fit(source.train, np.random.default_rng(0), start=trained)
    else:
        with pytest.raises(InputError, match=r"family\.dropout=0\.5: a \w+ has none; use auto or 0"):
            family.fit(source.train, np.random.default_rng(0), start=trained)


def test_local_layers_are_the_librarys_business(source):
    """Beyond a window the engine is not asked."""
    config = transformers.AutoConfig.for_model("mistral", **ARCHITECTURES["mistral"])
    writer = decoding._Writer(model.LmModel(model.plain(config)), dataclasses.replace(TRAINED, block=24))
    assert writer._fast(56) and not writer._fast(57)


def test_an_architecture_that_attends_by_itself_is_left_to_the_library(source):
    config = transformers.AutoConfig.for_model(
        "bloom", hidden_size=32, n_layer=1, n_head=2, vocab_size=520, eos_token_id=2
    )
    start = model.LmModel(model.plain(config) | {"max_position_embeddings": 128})
    fitted = dataclasses.replace(TRAINED, epochs=1).fit(source.train, np.random.default_rng(0), start=start)
    given = Rows(source.test.rows.x[:4])
    one, two = (
        dataclasses.replace(TRAINED, engine=engine, block=8).sample(fitted, 4, np.random.default_rng(1), given=given).x
        for engine in ("fast", "reference")
    )
    assert np.array_equal(one, two)
