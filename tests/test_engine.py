"""The decoding engine against transformers' `generate`, which is kept as `engine=reference`."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import pytest

from model_collapse.data import Rows
from model_collapse.families.opt import Opt

with warnings.catch_warnings():
    # Importing transformers is not what these tests are about.
    warnings.simplefilter("ignore")
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")

    from model_collapse.families.opt import engine, model

NEW, WORDS = 12, 200
WIDE = {"vocab_size": WORDS, "max_position_embeddings": 40, "hidden_size": 64, "num_attention_heads": 4}
SHAPES = {
    "norm first": WIDE | {"num_hidden_layers": 2, "ffn_dim": 256, "word_embed_proj_dim": 64},
    # As OPT-350m: norms after, embeddings of another width, a query scale that is no power of two.
    "norm last": WIDE
    | {
        "num_hidden_layers": 2,
        "ffn_dim": 128,
        "num_attention_heads": 8,
        "word_embed_proj_dim": 32,
        "do_layer_norm_before": False,
    },
    "no bias, gelu": WIDE
    | {
        "num_hidden_layers": 1,
        "ffn_dim": 96,
        "enable_bias": False,
        "activation_function": "gelu",
        "word_embed_proj_dim": 64,
    },
}
SETTINGS = [
    {"decoding": decoding, "repetition_penalty": penalty, "end": end}
    for decoding in ("beam", "greedy")
    for penalty in (1.0, 2.0, 3.0, 0.7)
    for end in ("forbidden", "ordinary")
] + [{"beams": 1, "repetition_penalty": 2.0}, {"beams": 2}, {"beams": 250}]


@pytest.fixture(scope="module", params=SHAPES)
def fitted(request) -> model.OptModel:
    """Random weights, scaled until its choices are clear, so that no two beams tie."""
    shape = model._plain(transformers.OPTConfig(**SHAPES[request.param]))
    weights = model.unbuild(model.build(model.OptModel(shape), 3, torch.device("cpu")))
    scaled = {name: weight * (4 if weight.ndim == 2 else 1) for name, weight in weights.items()}
    return model.OptModel(shape, scaled)


def prompts(n: int, length: int = 16, seed: int = 0) -> Rows:
    return Rows(np.random.default_rng(seed).integers(0, WORDS, (n, length)).astype(np.int32))


def both(fitted: model.OptModel, n: int, **settings) -> list[np.ndarray]:
    family = Opt(block=NEW, **settings)
    return [
        dataclasses.replace(family, engine=name).sample(fitted, n, np.random.default_rng(1), given=prompts(n)).x
        for name in ("fast", "reference")
    ]


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda s: "-".join(map(str, s.values())))
def test_the_same_tokens_as_the_library(fitted, settings):
    fast, reference = both(fitted, 24, **settings)
    assert fast.shape == (24, NEW) and np.array_equal(fast, reference)


def test_the_penalty_and_the_beams_matter_here(fitted):
    """Without this, the tests above could agree on what no setting changes."""
    plain, penalised = (both(fitted, 24, repetition_penalty=penalty)[0] for penalty in (1.0, 3.0))
    greedy = both(fitted, 24, decoding="greedy")[0]
    assert not np.array_equal(plain, penalised) and not np.array_equal(plain, greedy)


@pytest.mark.parametrize("settings", [{}, {"decoding": "greedy"}, {"decoding": "sample"}, {"beams": 3}])
def test_a_row_does_not_depend_on_its_batch(fitted, settings):
    one, all_ = (
        Opt(block=NEW, sample_batch=batch, **settings).sample(fitted, 20, np.random.default_rng(1), given=prompts(20))
        for batch in (3, 64)
    )
    assert np.array_equal(one.x, all_.x)


def test_bf16_writes_much_the_same(fitted):
    """Eight bits of precision: first tokens mostly agree with fp32, and the numbers stay finite."""
    full, half = (
        Opt(block=NEW, decoding="greedy", precision=precision).sample(
            fitted, 64, np.random.default_rng(1), given=prompts(64)
        )
        for precision in ("fp32", "bf16")
    )
    assert (full.x[:, 0] == half.x[:, 0]).mean() > 0.8


@pytest.mark.parametrize(
    "settings",
    [{}, {"temperature": 0.7}, {"top_k": 5}, {"top_p": 0.6}, {"top_k": 20, "top_p": 0.8, "temperature": 1.5}],
)
def test_the_law_of_one_draw_is_that_of_the_library(settings):
    """Chances by a fine grid of uniform numbers against the library's own warpers, exactly up to the grid."""
    from transformers.generation import logits_process as library

    logits = 3 * torch.randn((1, 30), generator=torch.Generator().manual_seed(2))
    family = Opt(decoding="sample", **settings)
    warped = library.TemperatureLogitsWarper(family.temperature)(None, logits.clone())
    if family.top_k:
        warped = library.TopKLogitsWarper(family.top_k)(None, warped)
    if family.top_p < 1:
        warped = library.TopPLogitsWarper(family.top_p)(None, warped)
    grid = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000
    past = torch.zeros((len(grid), 1), dtype=torch.int64)
    drawn = engine._pick(logits.repeat(len(grid), 1), past, family, None, grid)
    share = torch.bincount(drawn, minlength=30).double() / len(grid)
    assert torch.allclose(share, warped[0].double().softmax(-1), rtol=0, atol=1e-4)
    assert torch.equal(share > 0, torch.isfinite(warped[0]) & (share > 0)), "a token that was warped away was drawn"
