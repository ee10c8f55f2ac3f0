"""The decoding engine against transformers' `generate`, which is kept as `engine=reference`.

Chance enters only where `Comparisons` counts it: a correct engine fails the file with probability 1e-3.
"""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import pytest
from scipy import stats
from toy_comparisons import Comparisons

from model_collapse import corpora, hardware
from model_collapse.companion import bench
from model_collapse.data import Rows
from model_collapse.families.lm import Lm

with warnings.catch_warnings():
    # Importing transformers is not what these tests are about.
    warnings.simplefilter("ignore")
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")

    from transformers.generation import logits_process as library

    from model_collapse import hardware
    from model_collapse.families.lm import compare, decoding, engine, model

compared = Comparisons(most=4)

NONE = torch.zeros(0, dtype=torch.long)
"""No banned ids."""

NEW, WORDS = 12, 200
TRAINED = Lm(block=64, vocabulary=512, pretrain="none", dropout=0.0, epochs=4, evaluate=200)
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
def fitted(request) -> model.LmModel:
    """Random weights, scaled until its choices are clear, so that no two beams tie."""
    shape = model.plain(transformers.OPTConfig(**SHAPES[request.param]))
    weights = model.unbuild(model.build(model.LmModel(shape), 3, torch.device("cpu")))
    scaled = {name: weight * (4 if weight.ndim == 2 else 1) for name, weight in weights.items()}
    return model.LmModel(shape, scaled)


@pytest.fixture(scope="module")
def source():
    return corpora.load("embedded").source(384, **TRAINED.reading())


@pytest.fixture(scope="module")
def trained(source) -> model.LmModel:
    """Has learned from the embedded corpus: its chances are those of text, neither flat nor clear."""
    start = model.blank("tiny", TRAINED.vocabulary, 2 * TRAINED.block)
    return TRAINED.fit(source.train, np.random.default_rng(0), start=start)


def test_it_is_trained(trained, source):
    assert TRAINED.score(trained, source.test.rows).mean() < 0.5 * np.log(TRAINED.vocabulary)


def agreement(fitted: model.LmModel, given: np.ndarray, family: Lm, other: Lm) -> compare.Agreement:
    """How far two settings agree on what follows the given blocks."""
    one, two = (
        torch.from_numpy(way.sample(fitted, len(given), np.random.default_rng(1), given=Rows(given)).x).long()
        for way in (family, other)
    )
    module = model.build(fitted, 0, torch.device("cpu")).eval()
    return compare.compare(module, torch.from_numpy(given).long(), one, two, family)


@pytest.mark.parametrize("penalty", [1.0, 2.0, 3.0])
@pytest.mark.parametrize("beams", [1, 2, 5, 8])
def test_a_trained_model_writes_the_same_as_in_the_library(trained, source, beams, penalty):
    """200 prompts of 16 to 64 tokens; what is different must be a tie, and ties are rare."""
    family = dataclasses.replace(TRAINED, block=32, beams=beams, repetition_penalty=penalty)
    reference = dataclasses.replace(family, engine="reference")
    blocks = source.test.rows.x
    found = [
        agreement(trained, part[:, -length:], family, reference)
        for part, length in zip(np.split(blocks, 5), (16, 27, 40, 53, 64), strict=True)
    ]
    assert sum(part.texts for part in found) == 200 and all(part.explained for part in found), found
    assert sum(part.ties for part in found) <= 2, found


@pytest.mark.parametrize("settings", [{"decoding": "greedy"}, {}, {"beams": 2, "repetition_penalty": 2.0}])
@pytest.mark.parametrize("batch", [1, 7, 40])
def test_a_trained_model_writes_the_same_in_batches_of_any_size(trained, source, settings, batch):
    family = dataclasses.replace(TRAINED, block=32, **settings)
    given = source.test.rows.x[:40, :24]
    found = agreement(trained, given, family, dataclasses.replace(family, sample_batch=batch))
    assert found.explained and found.ties <= 1, found


def test_what_another_search_wrote_is_no_tie(trained, source):
    """Five beams find what two do not: most differences are larger than any rounding."""
    family = dataclasses.replace(TRAINED, block=16)
    found = agreement(trained, source.test.rows.x[:40], family, dataclasses.replace(family, beams=2))
    assert not found.explained and found.equal + found.ties < 40 - 4 and found.gap > 1e-2 > 100 * found.error > 0


@pytest.mark.parametrize("beams", [1, 5])
def test_tokens_that_a_model_cannot_tell_apart_tie(trained, source, beams):
    """Two tokens with one embedding: each may stand for the other, wherever it was written last."""
    name = "model.decoder.embed_tokens.weight"
    given = source.test.rows.x[:20]
    family = dataclasses.replace(TRAINED, block=8, beams=beams)

    def written(by: model.LmModel) -> np.ndarray:
        return family.sample(by, 20, np.random.default_rng(1), given=Rows(given)).x

    # A second token like it takes some of a token's places among the beams, so that the commonest last token may go:
    # the first of them that stays.
    counts = np.bincount(written(trained)[:, -1])
    for usual in np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]:
        embedding = trained.weights[name].clone()
        twin = (usual + 1) % TRAINED.vocabulary
        embedding[twin] = embedding[usual]
        twins = model.LmModel(trained.config, trained.weights | {name: embedding})
        one = written(twins)
        if np.isin(one[:, -1], [usual, twin]).any():
            break
    last = one[:, -1:]
    swapped = np.where(last == usual, twin, np.where(last == twin, usual, last))
    other = np.concatenate([one[:, :-1], swapped], axis=1)
    module = model.build(twins, 0, torch.device("cpu")).eval()
    found = compare.compare(module, *(torch.from_numpy(x).long() for x in (given, one, other)), family)
    assert found.ties == np.isin(last, [usual, twin]).sum() > 0 and found.explained, found


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"temperature": 0.6},
        {"top_k": 8, "temperature": 1.4},
        {"top_p": 0.7, "repetition_penalty": 1.5},
    ],
    ids=lambda s: "-".join(s) or "plain",
)
def test_every_token_is_drawn_from_the_distribution_of_the_library(trained, source, settings):
    """The cumulative chance of each of 200 x 64 drawn tokens, given all before it, is uniform (Kolmogorov-Smirnov);
    logits from the library's model, chances from its warpers."""
    family = dataclasses.replace(TRAINED, decoding="sample", **settings)
    given = source.test.rows.x[:, :32]
    drawn = family.sample(trained, len(given), np.random.default_rng(3), given=Rows(given)).x
    text = torch.from_numpy(np.concatenate([given, drawn], axis=1)).long()
    module = model.build(trained, 0, torch.device("cpu")).eval()
    with torch.inference_mode():
        logits = module(text).logits
    below, chance = [], []
    for t in range(given.shape[1], text.shape[1]):
        distribution = warped(logits[:, t - 1], text[:, :t], family, module.config.eos_token_id).double().softmax(-1)
        token = text[:, t, None]
        chance.append(distribution.gather(1, token))
        below.append(distribution.cumsum(-1).gather(1, token) - chance[-1])
    assert torch.stack(chance).min() > 0
    spread = np.random.default_rng(4).random((len(chance), len(given), 1))
    uniform = torch.stack(below).numpy() + torch.stack(chance).numpy() * spread
    compared.count(str(settings))
    assert stats.kstest(uniform.ravel(), "uniform").pvalue > compared.level


def warped(logits: torch.Tensor, past: torch.Tensor, family: Lm, end: int) -> torch.Tensor:
    """Logits (n, V) after what `generate` does to them before it draws."""
    if family.repetition_penalty != 1:
        logits = library.RepetitionPenaltyLogitsProcessor(family.repetition_penalty)(past, logits)
    if family.end == "forbidden":
        logits = logits.index_fill(1, torch.tensor([end]), -torch.inf)
    logits = library.TemperatureLogitsWarper(family.temperature)(past, logits)
    if family.top_k:
        logits = library.TopKLogitsWarper(family.top_k)(past, logits)
    return library.TopPLogitsWarper(family.top_p)(past, logits) if family.top_p < 1 else logits


def prompts(n: int, length: int = 16, seed: int = 0) -> Rows:
    return Rows(np.random.default_rng(seed).integers(0, WORDS, (n, length)).astype(np.int32))


def both(fitted: model.LmModel, n: int, **settings) -> list[np.ndarray]:
    family = Lm(block=NEW, **settings)
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
        Lm(block=NEW, sample_batch=batch, **settings).sample(fitted, 20, np.random.default_rng(1), given=prompts(20))
        for batch in (3, 64)
    )
    assert np.array_equal(one.x, all_.x)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("decoding", ["greedy", "beam", "sample"])
def test_half_precision_writes_much_the_same(fitted, precision, decoding):
    """8 or 11 bits: first tokens mostly agree with fp32."""
    full, half = (
        Lm(block=NEW, decoding=decoding, precision=p).sample(fitted, 64, np.random.default_rng(1), given=prompts(64))
        for p in ("fp32", precision)
    )
    assert (full.x[:, 0] == half.x[:, 0]).mean() > 0.8


@pytest.mark.parametrize(
    "settings",
    [{}, {"temperature": 0.7}, {"top_k": 5}, {"top_p": 0.6}, {"top_k": 20, "top_p": 0.8, "temperature": 1.5}],
)
def test_the_distribution_of_one_draw_is_that_of_the_library(settings):
    """Chances by a fine grid of uniform numbers against the library's own warpers, exactly up to the grid."""
    logits = 3 * torch.randn((1, 30), generator=torch.Generator().manual_seed(2))
    family = Lm(decoding="sample", end="ordinary", **settings)
    distribution = warped(logits.clone(), logits, family, 0)
    grid = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000
    past = torch.zeros((len(grid), 1), dtype=torch.int64)
    drawn = engine._pick(logits.repeat(len(grid), 1), past, family, NONE, grid)
    share = torch.bincount(drawn, minlength=30).double() / len(grid)
    assert torch.allclose(share, distribution[0].double().softmax(-1), rtol=0, atol=1e-4)
    assert torch.equal(share > 0, torch.isfinite(distribution[0]) & (share > 0)), (
        "a token that was warped away was drawn"
    )


def written_in(settings: dict, n: int):
    """Work that writes after n prompts in one batch, its model laid out already."""
    family = Lm(block=32, sample_batch=n, **settings)
    writer = decoding._Writer(large(family), family)
    _ = writer.engine
    given, draws = np.ones((n, family.block)), torch.full((n, family.block), 0.5, dtype=torch.float64)
    # What the first use of a library takes is not the prompts'.
    writer.write(given[:2], draws[:2], 0)
    return lambda: writer.write(given, draws, 0)


def large(family: Lm) -> model.LmModel:
    shape = model.blank("tiny", 4096, 2 * family.block)
    return model.LmModel(shape.config, model.unbuild(model.build(shape, 0, torch.device("cpu"))))


@pytest.mark.skipif(not bench.PEAK.exists(), reason="only Linux can be asked to forget the peak memory of a process")
@pytest.mark.parametrize(
    "settings",
    [{}, {"precision": "bf16"}, {"decoding": "sample", "top_p": 0.9}],
    ids=["beam", "bf16", "sample"],
)
def test_the_memory_of_writing_is_what_is_reckoned(settings):
    """Resident memory of a fresh process grows by no more than reckoned, and by no less than half of that."""
    n = 512  # what the libraries themselves take weighs less
    family = Lm(block=32, **settings)
    dtype = hardware.precision(family.precision, torch.device("cpu"))
    reckoned = n * engine.bytes_per_prompt(large(family).shape, family, dtype)
    grown = bench.extra_memory(written_in, settings, n)
    assert grown is not None
    assert reckoned / 2 < grown < reckoned * 1.05, f"{grown / reckoned:.3f} of what is reckoned"


def test_the_batch_is_the_largest_power_of_two_that_fits(monkeypatch):
    family = Lm(block=32)
    fitted = large(family)
    need = engine.bytes_per_prompt(fitted.shape, family, torch.float32)
    for has, size in ((1e18, 64), (float("inf"), 64), (2 * 63 * need, 32), (2 * 8 * need, 8), (1, 1)):
        monkeypatch.setattr(hardware, "total_memory", lambda has=has: has)
        assert decoding.batch(fitted, family) == size
    assert decoding.batch(fitted, dataclasses.replace(family, sample_batch=7)) == 7


def test_on_a_gpu_the_batch_is_chosen_by_what_a_trial_takes(monkeypatch):
    """The GPU is stood in for: its memory, and the most that was allocated in a trial."""
    family = Lm(block=32, precision="fp32")
    fitted = large(family)
    need = engine.bytes_per_prompt(fitted.shape, family, torch.float32)
    cpu = torch.device("cpu")
    gpu = type("Gpu", (), {"type": "cuda"})()
    monkeypatch.setattr(decoding.hardware, "device", lambda: gpu)
    monkeypatch.setattr(
        decoding._Writer,
        "__init__",
        lambda self, model, settings: vars(self).update(model=model, settings=settings, device=cpu),
    )
    for name, value in (("memory_allocated", 5), ("reset_peak_memory_stats", None)):
        monkeypatch.setattr(torch.cuda, name, lambda device, value=value: value)
    for used, free, size in ((1, 1e15, decoding.SHARD), (1, 2 * 40 * need, 32), (3 * need, 2 * 40 * need, 8)):
        monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device, used=used: 5 + decoding.TRIAL * used)
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda free=free: (free, 0))
        assert decoding.batch(fitted, family) == size
