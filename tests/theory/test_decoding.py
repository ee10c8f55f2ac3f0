"""Ways of writing on a known distribution: against all texts one by one, and against the language model's decoder."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from model_collapse.theory import decoding


@pytest.fixture
def distribution() -> np.ndarray:
    return decoding.wordy_distribution(4, np.random.default_rng(3))


def test_the_stationary_distribution_stays(distribution):
    shares = decoding.stationary(distribution)
    assert shares @ distribution == pytest.approx(shares) and shares.sum() == pytest.approx(1)
    assert (shares > 0).all()


def test_enough_beams_find_the_likeliest_text(distribution):
    written, score = decoding.beam_texts(distribution, 3, 4**3)
    for first in range(4):
        chance = {
            text: np.prod([distribution[a, b] for a, b in zip((first, *text[:-1]), text, strict=True)])
            for text in product(range(4), repeat=3)
        }
        best = max(chance, key=lambda text: chance[text])
        assert tuple(written[first]) == best
        assert score[first] == pytest.approx(np.log(chance[best]))


def test_one_beam_is_greedy(distribution):
    written, _ = decoding.beam_texts(distribution, 5, 1)
    state = np.arange(4)
    for step in range(5):
        state = distribution[state].argmax(axis=1)
        assert list(written[:, step]) == list(state)


def test_temperatures_multiply(distribution):
    """CF-D1, and a temperature of 1 changes nothing."""
    again = decoding.sharpened(decoding.sharpened(distribution, 0.3), 0.3)
    assert again == pytest.approx(decoding.sharpened(distribution, 0.09), rel=1e-9)
    assert decoding.sharpened(distribution, 1) == pytest.approx(distribution)


def test_cut_by_hand():
    distribution = np.array([[0.5, 0.1, 0.4], [0.2, 0.3, 0.5]])
    assert decoding.cut(distribution, top_k=2) == pytest.approx(np.array([[5 / 9, 0, 4 / 9], [0, 3 / 8, 5 / 8]]))
    assert decoding.cut(distribution, top_p=0.9) == pytest.approx(np.array([[5 / 9, 0, 4 / 9], [0.2, 0.3, 0.5]]))
    assert decoding.cut(distribution, top_p=1e-9) == pytest.approx(np.array([[1.0, 0, 0], [0, 0, 1]]))
    assert decoding.cut(distribution) == pytest.approx(distribution)


def test_cutting_to_k_again_loses_nothing_and_to_a_share_does():
    distribution = decoding.wordy_distribution(40, np.random.default_rng(3))
    contexts = decoding.stationary(distribution)
    once, share = decoding.cut(distribution, top_k=5), decoding.cut(distribution, top_p=0.8)
    assert decoding.cut(once, top_k=5) == pytest.approx(once)
    again = decoding.cut(share, top_p=0.8)
    lost = [decoding.shared_mass(p, distribution, contexts) for p in (distribution, share, again)]
    assert lost[0] == pytest.approx(1) and lost[0] > lost[1] > lost[2]


def test_the_distribution_of_what_is_written(distribution):
    """One symbol after each prompt: every row has one entry. Entropies of one entry and of an even coin."""
    shares = decoding.stationary(distribution)
    first = decoding.beam_distribution(distribution, shares, 1, 1)
    assert (first.max(axis=1) == 1).all() and decoding.next_entropy(first, shares) == 0
    assert decoding.shared_mass(first, distribution, shares) == pytest.approx(shares @ distribution.max(axis=1))
    coin = np.full((2, 2), 0.5)
    assert decoding.next_entropy(coin, [0.3, 0.7]) == pytest.approx(np.log(2))


def test_counts_are_weighted_by_prompts():
    """After 0 the text is 1 2 and after 1 it is 2 2: what follows 1 is 2, what follows 2 is 2 but in its own text 0."""
    distribution = np.array([[0, 1, 0], [0, 0, 1], [0.4, 0, 0.6]])
    found = decoding.beam_distribution(distribution, [0.2, 0.3, 0.5], 2, 1)
    assert found == pytest.approx(np.array([[0, 1, 0], [0, 0, 1], [0, 0, 1]]))


@pytest.mark.parametrize("penalty", [2.0, 3.0])
def test_the_penalty_is_the_librarys(penalty):
    """Logits and log-probabilities through transformers' own processor."""
    torch = pytest.importorskip("torch")
    from transformers import RepetitionPenaltyLogitsProcessor

    logits = np.array([3.0, 1.0, -2.0, 0.5])
    seen = np.array([True, False, True, False])
    prompt = torch.tensor(np.flatnonzero(seen))[None]
    library = RepetitionPenaltyLogitsProcessor(penalty)
    for values in (logits, logits - np.log(np.exp(logits).sum())):
        theirs = library(prompt, torch.tensor(values)[None].clone())[0].numpy()
        assert decoding.penalised(values, seen, penalty) == pytest.approx(theirs)
