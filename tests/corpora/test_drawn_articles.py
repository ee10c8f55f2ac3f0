"""Training blocks from articles drawn for each chain, and test blocks that are spread over all articles."""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from toy_text import case

from model_collapse import corpora
from model_collapse.corpora import text
from model_collapse.engine.block import Unit
from model_collapse.engine.plan import plan
from model_collapse.errors import InputError
from model_collapse.metrics.text import continuation

pytest.importorskip("tokenizers")

WORDS = 30
"""Of an article; an article's words carry its number, so that a block tells where it is from."""


def article(part: str, number: int) -> list[str]:
    body = [f" {part[0]}{number:02}w{i:02}" for i in range(WORDS)]
    return ["", f" = {part} {number} = \n", "", "".join(body) + " \n"]


@pytest.fixture
def corpus(tmp_path, monkeypatch) -> corpora.Corpus:
    """WikiText's raw validation and test parts, as large as the real ones in articles; no part to train on."""
    folder = tmp_path / "wikitext" / "wikitext-2-raw-v1"
    folder.mkdir(parents=True)
    for part, count in (("validation", 60), ("test", 20)):
        rows = [row for i in range(count) for row in article(part, i)] + [""]
        pq.write_table(pa.table({"text": rows}), folder / f"{part}-00000-of-00001.parquet")
    monkeypatch.setenv("MODEL_COLLAPSE_DATA", str(tmp_path))
    return corpora.load("wikitext-2-raw-held-out")


READING = {"block": 40, "tokenizer": "corpus", "vocabulary": 260, "web": "none", "evaluate": 30}
"""Bytes: a block of 40 has at least one whole word."""


def sources(corpus: corpora.Corpus, seed: int, n: int = 60, articles: int = 2) -> corpora.TextSource:
    return corpus.source(n, **READING, articles=articles, order=np.random.default_rng(seed))


def numbers(source: corpora.TextSource, rows: np.ndarray) -> list[set[str]]:
    """Which articles each block is from."""
    return [set(re.findall(r"([vt]\d\d)w", line)) for line in source.tokenizer.decode(rows)]


def test_the_parts_are_the_held_out_ones_and_disjoint(corpus):
    """54 of the 60 validation articles to train on, the other six choose a checkpoint, tests are the test part's."""
    assert len(text.articles(corpus.whole)) == 54 and len(text.articles(corpus.validation)) == 6
    assert not set(filter(str.strip, corpus.whole)) & set(filter(str.strip, corpus.validation))
    assert sum(row.startswith(" = test") for row in corpus.test) == 20


def test_each_chain_has_its_own_articles_and_no_more_of_one_than_allowed(corpus):
    one, two, again = (sources(corpus, seed) for seed in (1, 2, 1))
    assert np.array_equal(one.train.x, again.train.x) and not np.array_equal(one.train.x, two.train.x)
    for source in (one, two):
        assert source.train.x.shape == (60, 40)
        found = numbers(source, source.train.x)
        assert all(len(each) == 1 for each in found), "a block lies in one article"
        counts = np.unique([next(iter(each)) for each in found], return_counts=True)[1]
        assert len(counts) == 30 and set(counts) == {2}
    assert np.array_equal(one.test.x, two.test.x), "all chains are tested on the same text"


@pytest.mark.parametrize("articles", [0, 1, 2])
def test_a_block_is_continued_by_the_next_one_of_its_article(corpus, articles):
    """And by no block of another; the similarity of a text to how its prompts really go on looks at these alone."""
    source = sources(corpus, 1, n=40, articles=articles)
    found = [next(iter(each)) for each in numbers(source, source.train.x)]
    assert source.continued.tolist() == [a == b for a, b in pairwise(found)] + [False]
    assert 0 < source.continued.sum() < 39 or articles == 1
    x = source.train.x
    real = continuation.similarity(case(np.roll(x, -1, axis=0), given=source.train.rows, source=source))
    other = continuation.similarity(case(np.roll(x, 1, axis=0), given=source.train.rows, source=source))
    if articles == 1:
        assert np.isnan(real["overlap_2"])
    else:
        assert real["overlap_2"] == 1 > other["overlap_2"]


def test_models_with_parts_of_a_text_know_where_theirs_goes_on():
    run = plan("lm", n=6, models=2, reads="deal", settings={"family.pretrain": "none"}, metrics=["perplexity"])
    whole = corpora.load("embedded").source(12, **run.members.family.reading())
    assert whole.continued.tolist() == [True] * 11 + [False]
    parts = [agent.source() for agent in Unit(run, out=None, block=0).agents]
    assert all(len(part.continued) == len(part.train) == 6 for part in parts)
    for part in parts:
        here = [row.tobytes() for row in whole.train.x].index(part.train.x[0].tobytes())
        assert np.array_equal(part.continued, whole.continued[here : here + 6])


def test_fresh_blocks_are_of_articles_that_were_not_trained_on(corpus):
    source = sources(corpus, 3)
    new = source.fresh(20, np.random.default_rng(0)).x
    trained, other = (set.union(*numbers(source, x)) for x in (source.train.x, new))
    assert trained and other and not trained & other


def test_test_blocks_are_spread_over_all_articles(corpus):
    """30 blocks of 20 articles: the first of each, then the second of ten."""
    source = sources(corpus, 1)
    found = [next(iter(each)) for each in numbers(source, source.test.x)]
    counts = np.unique(found, return_counts=True)[1]
    assert len(counts) == 20 and sorted(counts) == [1] * 10 + [2] * 10


def test_all_blocks_of_an_article_and_too_many_blocks(corpus):
    whole = sources(corpus, 1, n=40, articles=0)
    assert len(set.union(*numbers(whole, whole.train.x))) < 20
    with pytest.raises(
        InputError, match=r"n must be at most 108, the training blocks corpus wikitext-2-raw-held-out has"
    ):
        sources(corpus, 1, n=500)


def test_replicates_of_a_run_draw_from_their_own_streams(corpus):
    settings = {"family.draw": "articles", "family.article_blocks": 2, "family.block": 40, "family.vocabulary": 260}
    settings["family.pretrain"] = "none"
    run = plan("lm", n=20, replicates=2, corpus="wikitext-2-raw-held-out", settings=settings)
    first, second = (Unit(run, out=None, block=i).source() for i in range(2))
    assert not np.array_equal(first.train.x, second.train.x) and np.array_equal(first.test.x, second.test.x)
    assert np.array_equal(first.train.x, Unit(run, out=None, block=0).source().train.x)


def test_where_the_distribution_is_known_articles_are_drawn_in_a_row():
    """Short articles are cut into blocks as they stand: of each chain others, and of the corpus' own training part."""
    corpus = corpora.load("embedded")
    one, two, again = (
        corpus.source(40, articles=0, order=np.random.default_rng(seed), evaluate=20, pretrain=4) for seed in (1, 2, 1)
    )
    assert np.array_equal(one.train.x, again.train.x) and not np.array_equal(one.train.x, two.train.x)
    assert np.array_equal(one.test.x, two.test.x) and np.array_equal(one.test.x, corpus.source(4, evaluate=20).test.x)
    written = "".join(one.tokenizer.decode(one.train.x.reshape(1, -1))).split("\n")[1:-1]
    assert len(written) > 40 and {*written} <= {*corpus.train}
    new = one.tokenizer.decode(one.fresh(8, np.random.default_rng(0)).x.reshape(1, -1))
    assert np.isfinite([corpus.world.log_probability(article) for article in new[0].split("\n")[1:-1]]).all()


def test_text_to_pretrain_on_stays_in_order(corpus):
    """Neighbouring blocks are read together, so they are not spread over articles."""
    drawn, first = (
        corpus.source(8, **(READING | {"web": "web", "pretrain": 4}), **more)
        for more in ({"articles": 2, "order": np.random.default_rng(1)}, {})
    )
    assert np.array_equal(drawn.web.x, first.web.x)
