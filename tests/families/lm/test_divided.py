"""A batch that is divided over processes has the gradient, the dropout and the losses of the whole."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import pytest

from model_collapse import distributed
from model_collapse.data import Data, Rows
from model_collapse.errors import InputError
from model_collapse.families.lm import Lm

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    torch = pytest.importorskip("torch")
    import toy_models
    from torch.nn import functional

    from model_collapse import hardware
    from model_collapse.families.lm import decoding, model, training
    from model_collapse.families.lm.dropout import PartOfBatch

BLOCK = 8
SMALL = Lm(block=BLOCK, pretrain="none", batch=7)
BLANK = model.blank("tiny", vocabulary=24, positions=2 * BLOCK)
CPU = torch.device("cpu")


class Share(distributed.Alone):
    """One of several processes, without the others."""

    def __init__(self, rank: int, count: int) -> None:
        self.rank, self.count = rank, count


def gradients(settings: Lm, team: distributed.Alone, rows: int) -> tuple[float, dict[str, torch.Tensor]]:
    """A process' part of the loss, and its gradients, of a batch of unequal weights at several positions."""
    drawn = np.random.default_rng(3)
    blocks = torch.from_numpy(drawn.integers(0, 24, (rows, BLOCK)))
    weight = torch.from_numpy(drawn.uniform(0.5, 2, rows).astype(np.float32))
    place = torch.from_numpy(drawn.integers(0, BLOCK, rows))
    module = model.build(BLANK, 5, CPU, None if settings.dropout == "auto" else settings.dropout).train()
    step = training._Step(module, settings, 0.0, team)
    with hardware.seeded(11, CPU):
        loss = float(step(blocks, weight, place, 0.0))
    return loss, {name: w.grad.clone() for name, w in module.named_parameters()}


@pytest.mark.parametrize("settings", [{"dropout": 0.0}, {"dropout": 0.3}, {"dropout": 0.3, "chunk": 3}])
@pytest.mark.parametrize("count", [2, 3, 9])
def test_the_mean_gradient_of_all_processes_is_that_of_the_batch(count: int, settings: dict[str, float]):
    """Of 7 rows, in shares of unequal length; of 9 processes two have none. Dropout too: OPT drops row by row, and in
    its feed-forward layers token by token."""
    family = dataclasses.replace(SMALL, clip=0.0, **settings)
    loss, whole = gradients(family, distributed.Alone(), 7)
    parts = [gradients(family, Share(rank, count), 7) for rank in range(count)]
    assert sum(part for part, _ in parts) == pytest.approx(loss, rel=1e-6)
    for name, gradient in whole.items():
        mean = sum(part[name] for _, part in parts) / count
        torch.testing.assert_close(mean, gradient, rtol=1e-4, atol=1e-6)


def test_parts_drop_what_the_whole_does():
    x = torch.rand(6, 5, 4) + 1
    with hardware.seeded(7, CPU):
        whole = functional.dropout(x, 0.4)
    assert 0 < int((whole == 0).sum()) < whole.numel()
    for rows in (slice(0, 2), slice(2, 6)):
        with hardware.seeded(7, CPU), PartOfBatch(rows, 6):
            assert torch.equal(functional.dropout(x[rows], 0.4), whole[rows])
        with hardware.seeded(7, CPU), PartOfBatch(rows, 6):
            flat = functional.dropout(x[rows].flatten(0, 1), 0.4)
            assert torch.equal(flat.view(-1, 5, 4), whole[rows])
        with PartOfBatch(rows, 6):
            assert torch.equal(functional.dropout(x[rows], 0.4, training=False), x[rows])


def test_what_does_not_drop_row_by_row_is_refused():
    with PartOfBatch(slice(0, 2), 4), pytest.raises(InputError, match="row by row"):
        functional.dropout(torch.ones(3, 2))


@pytest.mark.parametrize("causal", [False, True])
def test_attention_drops_in_parts_what_it_drops_in_the_whole(causal: bool):
    query, key, value = torch.randn(3, 6, 2, 5, 4)
    mask = None if causal else torch.randn(6, 1, 5, 5)
    attention = functional.scaled_dot_product_attention

    def attended(rows: slice):
        own = None if mask is None else mask[rows]
        return attention(query[rows], key[rows], value[rows], own, dropout_p=0.4, is_causal=causal)

    with hardware.seeded(7, CPU):
        whole = attended(slice(0, 6))
    for rows in (slice(0, 2), slice(2, 6)):
        with hardware.seeded(7, CPU), PartOfBatch(rows, 6):
            torch.testing.assert_close(attended(rows), whole[rows])


@pytest.mark.parametrize("chunk", [1, 3])
@pytest.mark.parametrize("kind", ["opt", "gpt2"])
def test_dropout_does_not_depend_on_the_chunk(kind: str, chunk: int):
    """Half a batch, where the memory is full, is no other experiment. GPT-2 drops inside attention too."""
    module = toy_models.module(kind)
    start = model.LmModel(model.plain(module.config), model.unbuild(module))
    family = dataclasses.replace(SMALL, dropout=0.3, epochs=1, batch=8, checkpoint="last")
    data = Data.real(Rows(np.random.default_rng(3).integers(0, 24, (12, BLOCK)).astype(np.int32)))
    whole, parts = (
        dataclasses.replace(family, chunk=size).fit(data, np.random.default_rng(1), start=start).weights
        for size in (0, chunk)
    )
    moved = max(float((whole[name] - start.weights[name]).abs().max()) for name in whole)
    assert moved > 1e-3
    for name, weight in whole.items():
        torch.testing.assert_close(parts[name], weight, rtol=0, atol=moved / 20)


@pytest.mark.parametrize("settings", [{}, {"decoding": "sample"}, {"watermark": "green", "decoding": "sample"}])
def test_tokens_do_not_depend_on_who_writes_them(settings: dict[str, str], monkeypatch: pytest.MonkeyPatch):
    family = dataclasses.replace(SMALL, **settings)
    fitted = model.LmModel(BLANK.config, model.unbuild(model.build(BLANK, 5, CPU)))
    prompts = np.random.default_rng(0).integers(0, 24, (7, BLOCK)).astype(np.int32)

    def wrote(of: slice = slice(0, 7)) -> np.ndarray:
        writer = decoding._Writer(fitted, family)
        assert writer.row_by_row(BLOCK)
        draws = torch.rand((7, BLOCK), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        return writer.write(prompts[of], draws[of], 0).x

    shares = [wrote(Share(rank, 3).part(7)) for rank in range(3)]
    np.testing.assert_array_equal(np.concatenate(shares), wrote())
    reference = decoding._Writer(fitted, dataclasses.replace(family, engine="reference"))
    assert not reference.row_by_row(BLOCK)  # the library draws for a batch: the leader alone writes
