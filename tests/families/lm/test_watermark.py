"""Watermarks of OPT: both decoders write them, and the tests find them and nothing else.

Error rate: all seeded. Every statistical comparison is two-sided at level 1e-3 / COMPARISONS (Bonferroni).
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy import stats
from toy_comparisons import Comparisons

torch = pytest.importorskip("torch")

from transformers.generation import logits_process as library  # noqa: E402

from model_collapse import corpora  # noqa: E402
from model_collapse.data import Rows  # noqa: E402
from model_collapse.errors import InputError  # noqa: E402
from model_collapse.families.lm import Lm, model, watermark  # noqa: E402

compared = Comparisons(12)
OWN = Lm(preset="tiny", pretrain="none", vocabulary=512, epochs=6, evaluate=120, dropout=0.0)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def source():
    return corpora.load("embedded").source(256, **OWN.reading())


@pytest.fixture(scope="module")
def trained(source) -> model.LmModel:
    start = model.blank("tiny", OWN.vocabulary, 2 * OWN.block)
    return OWN.fit(source.train, np.random.default_rng(0), start=start)


def wrote(trained, source, n: int = 120, seed: int = 1, **settings) -> np.ndarray:
    family = dataclasses.replace(OWN, **settings)
    return family.sample(trained, n, np.random.default_rng(seed), given=Rows(source.test.rows.x[:n])).x


@pytest.mark.parametrize(
    "settings",
    [
        {"watermark": "green"},
        {"watermark": "green", "beams": 2, "repetition_penalty": 2.0, "watermark_bias": 4.0},
        {"watermark": "green", "decoding": "greedy"},
        {"watermark": "synthid", "block": 16, "beams": 3},
    ],
    ids=lambda s: "-".join(map(str, s.values())),
)
def test_both_decoders_write_the_same_marked_text(trained, source, settings):
    """Against transformers' `generate` with its own watermarking configuration; a tie is the only difference allowed,
    and the mark changes what is written."""
    one, other = (wrote(trained, source, 40, engine=engine, **settings) for engine in ("fast", "reference"))
    assert (one == other).all(axis=1).mean() > 0.95
    plain = wrote(trained, source, 40, **{k: v for k, v in settings.items() if not k.startswith("watermark")})
    assert (one != plain).any(axis=1).mean() > 0.5


@pytest.mark.parametrize("kind", ["green", "synthid"])
@pytest.mark.parametrize("settings", [{}, {"top_k": 20}, {"top_p": 0.8, "temperature": 1.3}], ids=str)
def test_every_marked_token_is_drawn_from_the_distribution_of_the_library(trained, source, kind, settings):
    """As for unmarked tokens: the cumulative chance of each drawn token, by the library's processors, is uniform."""
    family = dataclasses.replace(OWN, block=16, decoding="sample", watermark=kind, **settings)
    given = source.test.rows.x[:, :32]
    drawn = family.sample(trained, len(given), np.random.default_rng(3), given=Rows(given)).x
    text = torch.from_numpy(np.concatenate([given, drawn], axis=1)).long()
    module = model.build(trained, 0, CPU).eval()
    with torch.inference_mode():
        logits = module(text).logits.double()
    logits = logits.clone()
    mark = watermark.processor(family, OWN.vocabulary, CPU)
    below, chance = [], []
    for t in range(given.shape[1], text.shape[1]):
        past, scores = text[:, :t], logits[:, t - 1]
        scores[:, module.config.eos_token_id] = -torch.inf
        scores = library.TemperatureLogitsWarper(family.temperature)(past, scores)
        if family.top_k:
            scores = library.TopKLogitsWarper(family.top_k)(past, scores)
        if family.top_p < 1:
            scores = library.TopPLogitsWarper(family.top_p)(past, scores)
        distribution = mark(past, scores).softmax(-1)
        token = text[:, t, None]
        chance.append(distribution.gather(1, token))
        below.append(distribution.cumsum(-1).gather(1, token) - chance[-1])
    assert torch.stack(chance).min() > 0
    spread = np.random.default_rng(4).random((len(chance), len(given), 1))
    uniform = torch.stack(below).numpy() + torch.stack(chance).numpy() * spread
    compared.count(f"{kind} {settings}")
    assert stats.kstest(uniform.ravel(), "uniform").pvalue > compared.level


@pytest.mark.parametrize("kind", ["green", "synthid"])
def test_a_row_does_not_depend_on_its_batch(trained, source, kind):
    settings = {"decoding": "sample", "watermark": kind, "block": 24}
    one, other = (wrote(trained, source, 20, sample_batch=batch, **settings) for batch in (3, 64))
    assert np.array_equal(one, other)


@pytest.mark.parametrize("kind", ["green", "synthid"])
def test_the_key_finds_what_it_marked_and_nothing_else(trained, source, kind):
    """z of marked text is far above that of real text, of unmarked text, and of another key's test, which agree with
    standard normal values up to what the few values of an n-gram allow: |mean| and sd within wide seeded bounds."""
    family = dataclasses.replace(OWN, decoding="sample", watermark=kind, watermark_bias=4.0)
    marked = Rows(wrote(trained, source, decoding="sample", watermark=kind, watermark_bias=4.0))
    plain = Rows(wrote(trained, source, decoding="sample"))
    other = dataclasses.replace(family, watermark_key=7)
    found = family.marks(marked, 512)
    assert found.shape == (120,) and found.mean() > 2
    for z in (family.marks(plain, 512), family.marks(source.test.rows, 512), other.marks(marked, 512)):
        assert abs(z.mean()) < 0.6 and 0.6 < z.std() < 1.7 and z.max() < found.mean() + 3


def test_green_z_is_the_share_of_green_tokens_that_the_librarys_processor_prefers(trained, source):
    """Counted by hand: tokens whose score the processor raises, after each token; repeats once or as often."""
    family = dataclasses.replace(OWN, watermark="green")
    x = wrote(trained, source, 6, decoding="sample", watermark="green")
    x[0, 32:] = x[0, :32]
    mark = watermark.processor(family, OWN.vocabulary, CPU)
    for repeats in (False, True):
        by_hand = []
        for row in x:
            pairs = list(zip(row[:-1].tolist(), row[1:].tolist(), strict=True))
            pairs = pairs if repeats else sorted(set(pairs))
            raised = mark(torch.tensor([[a] for a, _ in pairs]), torch.zeros(len(pairs), OWN.vocabulary))
            green = sum(float(raised[i, b]) > 0 for i, (_, b) in enumerate(pairs))
            by_hand.append((green - 0.25 * len(pairs)) / np.sqrt(len(pairs) * 0.25 * 0.75))
        np.testing.assert_allclose(family.marks(Rows(x), 512, repeats=repeats), by_hand)


def test_rows_that_begin_with_an_end_are_read_like_others(source):
    """The library refuses rows of which some begin with <s>, whose id OPT uses for </s> too."""
    x = source.test.rows.x[:4].copy()
    x[1, 0] = 2
    family = dataclasses.replace(OWN, watermark="green")
    z = family.marks(Rows(x), 512)
    np.testing.assert_allclose(z[1], family.marks(Rows(x[1:2]), 512)[0])


def test_too_short_rows_are_one_line():
    with pytest.raises(InputError, match=r"^family\.block: a watermark's test needs rows of 5 tokens at least, not 4$"):
        dataclasses.replace(OWN, watermark="synthid").marks(Rows(np.ones((2, 4), np.int32)), 512)


def test_without_a_watermark_nothing_is_marked(trained, source):
    """`none` writes what it wrote before there were watermarks: other settings of the mark change no token."""
    for decoding in ("beam", "sample", "greedy"):
        one = wrote(trained, source, 10, decoding=decoding)
        assert np.array_equal(one, wrote(trained, source, 10, decoding=decoding, watermark_key=5, watermark_bias=9.0))
    assert watermark.config(OWN) is None and watermark.processor(OWN, 512, CPU) is None


@pytest.mark.parametrize("kind", ["green", "synthid"])
def test_a_mark_does_not_depend_on_the_device_that_writes(kind: str, monkeypatch: pytest.MonkeyPatch):
    """A GPU's generator draws other numbers: here every generator but a CPU's is refused, and `meta` is the device."""
    made, devices = torch.Generator, []
    monkeypatch.setattr(torch, "Generator", lambda device="cpu": devices.append(str(device)) or made("cpu"))
    settings = Lm(watermark=kind, decoding="sample")
    processor = watermark.processor(settings, 300, torch.device("meta"))
    if kind == "synthid":
        monkeypatch.undo()
        table = watermark.processor(settings, 300, torch.device("cpu")).sampling_table
        assert devices[-1] == "cpu" and processor.sampling_table.shape == table.shape
        return
    assert devices == ["cpu"]
    texts, scores = torch.arange(12).view(3, 4), torch.randn(3, 300)
    expected = watermark.processor(settings, 300, torch.device("cpu"))(texts, scores)
    assert torch.equal(processor(texts, scores), expected) and not torch.equal(expected, scores)
