"""Minimal pairs of the embedded world, self-BLEU and MAUVE: models and texts whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from toy_text import TextSource, case

from model_collapse import corpora
from model_collapse.metrics.text.continuation import mauve
from model_collapse.metrics.text.diversity import self_bleu
from model_collapse.metrics.text.pairs import PAIRS, minimal_pairs


@pytest.fixture(scope="module")
def source():
    real = corpora.load("embedded").source(4, block=16, tokenizer="corpus", vocabulary=600, evaluate=4, pretrain=1)
    return TextSource(real.train.x, real.world, real.tokenizer)


class Reader:
    """A model that finds some texts improbable: nats(text) are those of a row's second token."""

    has_states = True
    block = 64

    def __init__(self, tokenizer, nats) -> None:
        self.tokenizer, self.nats = tokenizer, nats

    def score(self, model, rows):
        nats = np.array([self.nats(text.strip()) for text in self.tokenizer.decode(rows.x)])
        return np.pad(nats[:, None], ((0, 0), (0, rows.x.shape[1] - 2)))

    def states(self, model, rows):
        return rows.x[:, :2].astype(float)


def _pairs(source, nats):
    return minimal_pairs(case(source=source, family=Reader(source.tokenizer, nats)))


def test_who_knows_the_world_is_always_right(source):
    world = source.world

    def nats(text):
        return 1.0 - sum(fact.true for fact in world.facts(text))

    assert _pairs(source, nats) == {"fact": 1.0, "order": 1.0}
    assert _pairs(source, lambda text: -nats(text)) == {"fact": 0.0, "order": 0.0}


def test_who_knows_the_language_alone_guesses_the_facts(source):
    # A false statement is as well formed as a true one.
    assert _pairs(source, lambda text: -len(source.world.facts(text))) == {"fact": 0.5, "order": 1.0}
    assert _pairs(source, lambda text: 0.0) == {"fact": 0.5, "order": 0.5}


def test_texts_that_no_model_of_these_blocks_reads_are_left_out(source, monkeypatch):
    def nats(text):
        assert len(source.tokenizer.encode([text])[0]) <= 2 * Reader.block
        return 0.0

    for block, known in ((12, True), (3, False)):
        monkeypatch.setattr(Reader, "block", block)
        found = _pairs(source, nats)
        assert np.isfinite(list(found.values())).all() == known


def test_a_pair_differs_in_one_thing(source):
    world = source.world
    for fact in world.truths[::7]:
        right, false, order = world.pair(fact)
        assert [(said.value, said.true) for said in world.facts(right)] == [(fact.value, True)]
        (said,) = world.facts(false)
        assert (said.entity, said.attribute) == (fact.entity, fact.attribute) and not said.true
        assert right != order and sorted(right.split()) == sorted(order.split())
    assert len(world.truths) > PAIRS


def test_self_bleu_by_its_definition():
    sacrebleu = pytest.importorskip("sacrebleu")
    same = np.tile(np.arange(10, 20), (5, 1))
    assert self_bleu(case(same)) == pytest.approx(1.0)
    assert self_bleu(case(np.arange(60).reshape(6, 10))) < 0.05  # no token in common; smoothed, so not 0
    assert np.isnan(self_bleu(case(same[:1])))
    rng = np.random.default_rng(0)
    x = rng.integers(0, 6, (7, 12))
    words = [" ".join(map(str, row)) for row in x]
    expected = np.mean(
        [
            sacrebleu.sentence_bleu(word, words[:i] + words[i + 1 :], tokenize="none").score / 100
            for i, word in enumerate(words)
        ]
    )
    assert self_bleu(case(x)) == pytest.approx(expected)
    assert self_bleu(case(np.vstack([x[:3], x[:3]]))) == pytest.approx(1.0)  # each block has its copy


def test_mauve_is_high_for_the_same_distribution_and_low_for_another():
    pytest.importorskip("mauve")
    rng = np.random.default_rng(1)
    real, same, other = (rng.integers(0, 50, (80, 2)) + np.array(shift) for shift in ((1, 1), (1, 1), (1, 2000)))
    family = Reader(None, None)
    found = [mauve(case(x, source=TextSource(real), family=family)) for x in (same, other)]
    assert found[0] > 0.8 and found[1] < 0.2
    assert mauve(case(same, source=TextSource(real), family=family)) == found[0]
