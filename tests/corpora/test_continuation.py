"""Continuations from the true distribution, against the grammar that the articles are drawn from."""

from __future__ import annotations

import math

import numpy as np
import pytest

from model_collapse import corpora
from model_collapse.corpora.continuation import Continuation
from model_collapse.corpora.embedded import LENGTHS
from model_collapse.errors import InputError

pytest.importorskip("tokenizers")


@pytest.fixture(scope="module")
def corpus() -> corpora.Corpus:
    return corpora.load("embedded")


@pytest.fixture(scope="module")
def continued(corpus) -> Continuation:
    return corpus.continuation("corpus", 1024)


def prompts(corpus: corpora.Corpus, n: int, block: int = 64) -> corpora.TextSource:
    return corpus.source(n, block=block, articles=0, order=np.random.default_rng(3), evaluate=1, pretrain=1)


def after(corpus, continued, text: str, n: int, length: int) -> list[str]:
    """n continuations of a text; each up to the end of its article."""
    tokenizer = corpus._tokenizer("corpus", 1024)
    prompt = np.array(tokenizer.encode([text]), np.int32)
    written = continued(np.repeat(prompt, n, axis=0), length, np.random.default_rng(0))
    return [line.split("\n")[0] for line in tokenizer.decode(written)]


def test_a_block_and_its_continuation_are_articles_that_the_grammar_can_write(corpus, continued):
    """Every whole article has a probability above 0, also the one that goes over from one to the other."""
    source = prompts(corpus, 60)
    written = continued(source.train.x, 64, np.random.default_rng(1))
    assert written.shape == (60, 64) and written.dtype == np.int32
    for text in source.tokenizer.decode(np.concatenate([source.train.x, written], axis=1)):
        for article in text.split("\n")[1:-1]:
            assert math.isfinite(corpus.world.log_probability(article))


def test_blocks_without_the_beginning_of_an_article_are_continued_too(corpus, continued):
    source = prompts(corpus, 12, block=12)
    written = continued(source.train.x, 60, np.random.default_rng(1))
    for text in source.tokenizer.decode(np.concatenate([source.train.x, written], axis=1)):
        for article in text.split("\n")[1:-1]:
            assert math.isfinite(corpus.world.log_probability(article))
        first = text.split("\n")[0]
        assert first == "" or first.endswith(".")
        assert len({*first.split(". ")}) == len(first.split(". ")), "nothing is said twice"


def test_what_follows_an_opening_has_the_probabilities_of_the_grammar(corpus, continued):
    """2,000 articles after one opening: lengths and first sentences against their shares, chi-squared below 5 sigma."""
    opening = corpus.world.articles[0].openings[0][0]
    whole = after(corpus, continued, opening, 2000, 70)
    sentences = [article.strip().removesuffix(".").split(". ") for article in whole]
    counts = np.bincount([len(each) for each in sentences], minlength=max(LENGTHS) + 1)
    expected = 2000 * np.array([LENGTHS.get(k, 0.0) for k in range(max(LENGTHS) + 1)])
    assert counts[expected == 0].sum() == 0
    known = expected > 0
    assert ((counts - expected)[known] ** 2 / expected[known]).sum() < 3 + 5 * math.sqrt(6)
    town = f"It stands in {corpus.world.articles[0].values[0][0]}"
    share = np.mean([each[0] == town for each in sentences])
    p = 1 / 6 * corpus.world.articles[0].options[0][0][0]
    assert abs(share - p) < 5 * math.sqrt(p * (1 - p) / 2000)


def test_what_is_stated_is_not_stated_again_and_the_article_knows_its_length(corpus, continued):
    """After five sentences an article has 5 with probability 0.3 / 0.5 and 6 with 0.2 / 0.5, and one attribute left."""
    articles = corpus.world.articles[0]
    said = [sentences[0][0] for _, sentences in articles.options[:5]]
    ends = after(corpus, continued, " ".join([articles.openings[0][0], *said]), 1000, 40)
    last = {f" {sentence}" for sentence in articles.options[5][1][0]}
    assert {*ends} <= {"", *last}
    assert abs(np.mean([end == "" for end in ends]) - 0.6) < 5 * math.sqrt(0.24 / 1000)


def test_a_name_cut_in_two_is_completed_by_popularity(corpus, continued):
    """After "Few animals are as shy as the", animals follow by their shares."""
    world = corpus.world
    animals = {name: p / 0.25 for name, p in world.popularity.items() if world.topic(name) == "animals"}
    found = after(corpus, continued, "Few animals are as shy as the", 2000, 16)
    first, p = max(animals.items(), key=lambda item: item[1])
    share = np.mean([text.startswith(f" {first}.") for text in found])
    assert abs(share - p) < 5 * math.sqrt(p * (1 - p) / 2000)


def test_the_same_generator_gives_the_same_and_another_text_is_refused(corpus, continued):
    x = prompts(corpus, 4).train.x
    one, two = (continued(x, 20, np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(one, two)
    foreign = np.array(corpus._tokenizer("corpus", 1024).encode(["A text about nothing"]), np.int32)
    with pytest.raises(InputError, match=r"^family\.decoding=truth: a prompt is no text of the embedded corpus$"):
        continued(foreign, 4, np.random.default_rng(0))


def test_only_a_corpus_with_a_known_distribution_has_continuations(tmp_path):
    (tmp_path / "a.txt").write_text("\n\n".join(f"text number {i}" for i in range(9)), encoding="utf-8")
    with pytest.raises(
        InputError, match=r"^continuations need a corpus whose true distribution is known \(embedded\), not "
    ):
        corpora.load(str(tmp_path)).continuation("corpus", 300)
