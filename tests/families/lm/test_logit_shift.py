"""A constant in all logits: nothing changes without a penalty, and with one only outside beam search."""

import dataclasses
import warnings

import numpy as np
import pytest

from model_collapse.data import Rows
from model_collapse.families.lm import Lm

with warnings.catch_warnings():
    # Importing transformers is not what these tests are about.
    warnings.simplefilter("ignore")
    torch = pytest.importorskip("torch")
    from model_collapse.families.lm import model

FAMILY = Lm(block=6, pretrain="none", dropout=0.0, end="ordinary", beams=3)
PROMPTS = np.random.default_rng(3).integers(0, 6, (32, 2)).astype(np.int32)


@pytest.fixture(scope="module")
def peaked() -> model.LmModel:
    """Random weights over 6 tokens, scaled up until its distributions are not uniform."""
    shape = model.blank("tiny", vocabulary=6, positions=12)
    weights = model.unbuild(model.build(shape, 5, torch.device("cpu")))
    name = "model.decoder.embed_tokens.weight"
    return model.LmModel(shape.config, weights | {name: weights[name] * 4})


def written(peaked: model.LmModel, shift: float, **settings: object) -> np.ndarray:
    family = dataclasses.replace(FAMILY, logit_shift=shift, **settings)
    return family.sample(peaked, len(PROMPTS), np.random.default_rng(0), given=Rows(PROMPTS)).x


@pytest.mark.parametrize("engine", ["fast", "reference"])
@pytest.mark.parametrize(
    ("settings", "same"),
    [
        ({"decoding": "sample"}, True),
        ({"decoding": "beam", "repetition_penalty": 1.5}, True),
        ({"decoding": "sample", "repetition_penalty": 1.5}, False),
        ({"decoding": "greedy", "repetition_penalty": 1.5}, False),
    ],
    ids=["sampled", "beams, penalty", "sampled, penalty", "greedy, penalty"],
)
def test_a_constant_matters_only_to_a_penalty_on_logits(peaked, settings, same, engine):
    one, other = (written(peaked, shift, engine=engine, **settings) for shift in (0.0, 12.0))
    assert np.array_equal(one, other) is same


def test_a_sampled_token_has_the_distribution_of_the_penalised_logits(peaked):
    """First tokens after one prompt, 1,000 of them, against theory: chi-square below the 1 - 1e-4 quantile."""
    from scipy.stats import chi2

    from model_collapse.theory.decoding import penalised_distribution

    prompt, n, shift = np.array([[1, 4]], np.int32), 1_000, 2.0
    family = dataclasses.replace(FAMILY, block=2, decoding="sample", repetition_penalty=1.5, logit_shift=shift)
    wrote = family.sample(peaked, n, np.random.default_rng(1), given=Rows(np.repeat(prompt, n, axis=0))).x[:, 0]
    module = model.build(peaked, 0, torch.device("cpu")).eval()
    with torch.no_grad():
        logits = module(input_ids=torch.tensor(prompt, dtype=torch.long)).logits[0, -1].double().numpy()
    distribution = penalised_distribution(logits + shift, np.isin(np.arange(6), prompt), 1.5)
    plain = penalised_distribution(logits, np.isin(np.arange(6), prompt), 1.5)
    counts = np.bincount(wrote, minlength=6)

    def statistic(p: np.ndarray) -> float:
        return float(np.sum((counts - n * p) ** 2 / (n * p)))

    assert statistic(distribution) < chi2(5).isf(1e-4) < statistic(plain)
