"""Ways of writing on a known law: against all texts one by one, and against the decoder of the language model."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from model_collapse.theory import decoding


@pytest.fixture
def law() -> np.ndarray:
    return decoding.wordy_law(4, np.random.default_rng(3))


def test_the_stationary_law_stays(law):
    shares = decoding.stationary(law)
    assert shares @ law == pytest.approx(shares) and shares.sum() == pytest.approx(1)
    assert (shares > 0).all()


def test_enough_beams_find_the_likeliest_text(law):
    written, score = decoding.beam_texts(law, 3, 4**3)
    for first in range(4):
        chance = {
            text: np.prod([law[a, b] for a, b in zip((first, *text[:-1]), text, strict=True)])
            for text in product(range(4), repeat=3)
        }
        best = max(chance, key=lambda text: chance[text])
        assert tuple(written[first]) == best
        assert score[first] == pytest.approx(np.log(chance[best]))


def test_one_beam_is_greedy(law):
    written, _ = decoding.beam_texts(law, 5, 1)
    state = np.arange(4)
    for step in range(5):
        state = law[state].argmax(axis=1)
        assert list(written[:, step]) == list(state)


def test_temperatures_multiply(law):
    """CF-D1, and a temperature of 1 changes nothing."""
    again = decoding.sharpened(decoding.sharpened(law, 0.3), 0.3)
    assert again == pytest.approx(decoding.sharpened(law, 0.09), rel=1e-9)
    assert decoding.sharpened(law, 1) == pytest.approx(law)


def test_cut_by_hand():
    law = np.array([[0.5, 0.1, 0.4], [0.2, 0.3, 0.5]])
    assert decoding.cut(law, top_k=2) == pytest.approx(np.array([[5 / 9, 0, 4 / 9], [0, 3 / 8, 5 / 8]]))
    assert decoding.cut(law, top_p=0.9) == pytest.approx(np.array([[5 / 9, 0, 4 / 9], [0.2, 0.3, 0.5]]))
    assert decoding.cut(law, top_p=1e-9) == pytest.approx(np.array([[1.0, 0, 0], [0, 0, 1]]))
    assert decoding.cut(law) == pytest.approx(law)


def test_cutting_to_k_again_loses_nothing_and_to_a_share_does():
    law = decoding.wordy_law(40, np.random.default_rng(3))
    contexts = decoding.stationary(law)
    once, share = decoding.cut(law, top_k=5), decoding.cut(law, top_p=0.8)
    assert decoding.cut(once, top_k=5) == pytest.approx(once)
    again = decoding.cut(share, top_p=0.8)
    lost = [decoding.shared_mass(p, law, contexts) for p in (law, share, again)]
    assert lost[0] == pytest.approx(1) and lost[0] > lost[1] > lost[2]


def test_the_law_of_what_is_written(law):
    """One symbol after each prompt: every row has one entry. Entropies of one entry and of an even coin."""
    shares = decoding.stationary(law)
    first = decoding.beam_law(law, shares, 1, 1)
    assert (first.max(axis=1) == 1).all() and decoding.next_entropy(first, shares) == 0
    assert decoding.shared_mass(first, law, shares) == pytest.approx(shares @ law.max(axis=1))
    coin = np.full((2, 2), 0.5)
    assert decoding.next_entropy(coin, [0.3, 0.7]) == pytest.approx(np.log(2))


def test_counts_are_weighted_by_prompts():
    """After 0 the text is 1 2 and after 1 it is 2 2: what follows 1 is 2, what follows 2 is 2 but in its own text 0."""
    law = np.array([[0, 1, 0], [0, 0, 1], [0.4, 0, 0.6]])
    found = decoding.beam_law(law, [0.2, 0.3, 0.5], 2, 1)
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
