"""KL from the true distribution to a model's, against closed forms and sums over all articles; entropy of text."""

from typing import ClassVar

import numpy as np
import pytest
from toy_text import TextSource, Told, case, of_model, rows

from model_collapse import corpora
from model_collapse.analysis import stats
from model_collapse.corpora import tokens
from model_collapse.data import Data, Rows
from model_collapse.errors import InputError
from model_collapse.families.ngram import Ngram
from model_collapse.metrics.text import divergence, perplexity


@pytest.fixture(scope="module")
def embedded():
    return corpora.load("embedded").source(64, evaluate=16)


class Uniform:
    """Every token has probability 1 / V, whatever came before."""

    def __init__(self, block: int, size: int) -> None:
        self.block, self.size = block, size

    def score(self, model, rows):
        return np.full((len(rows), rows.x.shape[1] - 1), np.log(self.size))


@pytest.mark.parametrize("block", [2, 7, 10, 64])
def test_kl_to_a_uniform_distribution_of_tokens(embedded, block):
    """Every token and the </s> counts once, however often the article has to be cut."""
    value = divergence.kl(case(source=embedded, family=Uniform(block, 500)))
    documents = embedded.world.documents(divergence.ARTICLES, divergence.streams.stream(0)(-1, 7))
    lengths = np.array([len(ids) for ids in embedded.tokenizer.encode(documents)])
    costs = lengths * np.log(500) + [embedded.world.log_probability(document) for document in documents]
    expected = stats.mean(costs)
    assert value["mean"] == pytest.approx(expected.value) and value["end"] == pytest.approx(np.log(500))
    assert (value["low"], value["high"]) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize("block", [4, 9])
def test_windows_leave_no_token_without_context(embedded, block):
    """Each predicted token once, in order, behind at least `block` tokens or all there are."""
    cut, _ = case(source=embedded, family=Uniform(block, 500)).reference.once(divergence._articles)
    windows, counted, article, last = cut.windows, cut.counted, cut.article, cut.last
    documents = embedded.world.documents(divergence.ARTICLES, divergence.streams.stream(0)(-1, 7))
    for number, ids in enumerate(embedded.tokenizer.encode(documents)[:40]):
        mine = article == number
        assert windows.x[mine][:, 1:][counted[mine]].tolist() == [*ids[1:], embedded.tokenizer.end]
        assert windows.x[mine][0, 0] == embedded.tokenizer.end
        assert np.all(np.argmax(counted[mine][1:], axis=1) + 1 >= block)
    assert np.all(windows.x[:, 1:][last] == embedded.tokenizer.end) and np.all(counted[last])


class Village:
    """Three articles and their distribution."""

    distribution: ClassVar[dict[str, float]] = {"it rains": 0.5, "it rains and rains": 0.3, "it snows": 0.2}

    def documents(self, n, rng):
        return rng.choice(list(self.distribution), n, p=list(self.distribution.values())).tolist()

    def log_probability(self, document):
        return np.log(self.distribution[document])


def test_kl_of_an_ngram_model_is_the_sum_over_all_articles():
    """Within 4 standard errors of the exact sum: by chance outside for one stream in 16,000."""
    family = Ngram(order=2, back=0.2, smoothing=0.05, vocabulary=9, block=4)
    tokenizer = tokens.words(Village.distribution, 9)
    source = TextSource(world=Village(), tokenizer=tokenizer)
    ids = {document: [*tokenizer.encode([document])[0], tokenizer.end] for document in Village.distribution}
    row = [*ids["it rains"], *ids["it rains"][1:], *ids["it snows"][1:], *ids["it rains and rains"][1:]]
    model = family.fit(Data.real(rows([row])), np.random.default_rng(0))
    nats = {document: family.score(model, rows([text])).sum() for document, text in ids.items()}
    exact = sum(p * (np.log(p) + nats[document]) for document, p in Village.distribution.items())
    value = divergence.kl(of_model(case(source=source, family=family), model))
    assert exact > 0
    error = (value["high"] - value["mean"]) / 1.97
    assert value["mean"] == pytest.approx(exact, abs=4 * error) and 0 < error < 0.1
    drawn = Village().documents(divergence.ARTICLES, divergence.streams.stream(0)(-1, 7))
    assert value["mean"] == pytest.approx(np.mean([np.log(Village.distribution[d]) + nats[d] for d in drawn]))


def test_kl_is_infinite_where_an_article_is_impossible_and_refused_where_a_word_is_unknown():
    source = TextSource(world=Village(), tokenizer=tokens.words(Village.distribution, 9))
    family = Ngram(order=1, smoothing=0, block=4, vocabulary=9)
    model = family.fit(Data.real(rows([[2, 5, 4, 2]])), np.random.default_rng(0))
    assert divergence.kl(of_model(case(source=source, family=family), model))["mean"] == np.inf
    few = TextSource(world=Village(), tokenizer=tokens.words(Village.distribution, 6))
    with pytest.raises(InputError, match=r"family\.vocabulary: the metric kl needs a tokenizer that knows every word"):
        divergence.kl(of_model(case(source=few, family=family), model))


def test_more_real_text_brings_a_model_nearer_to_the_distribution():
    family = Ngram(order=3)
    source = corpora.load("embedded").source(2000, **family.reading())
    values = []
    for n in (50, 2000):
        model = family.fit(source.train.take(np.arange(n)), np.random.default_rng(0))
        values.append(divergence.kl(of_model(case(source=source, family=family), model)))
    assert values[0]["low"] > values[1]["high"] > values[1]["low"] > 0


class Sure(Told):
    """Entropy is the last token of what comes before, in nats."""

    def entropy(self, model, rows: Rows) -> np.ndarray:
        return rows.x[:, :-1].astype(float)


def test_entropy_of_what_was_written_starts_behind_the_prompt():
    prompts = rows([[9, 9, 3], [9, 9, 5]])
    source = TextSource()
    value = perplexity.entropy(case([[1, 2, 99], [0, 4, 99]], given=prompts, source=source, family=Sure()))
    assert value == {"test": 0.0, "written": (3 + 1 + 2 + 5 + 0 + 4) / 6}


def test_entropy_looks_at_a_fixed_choice_of_blocks():
    n = 1000
    x = np.repeat(np.arange(n), 2).reshape(n, 2)
    value = perplexity.entropy(case(x, given=rows(x), family=Sure()))["written"]
    assert value == pytest.approx((n - 1) / 2, abs=0.5)


def test_the_loss_of_a_group_is_that_of_articles_about_it(embedded):
    """A family that charges a nat for every token of an island name, and nothing else, finds island articles dear."""
    names = {name for name in embedded.world.popularity if embedded.world.group(name) == "island"}
    marked = {token for name in names for token in embedded.tokenizer.encode([" " + name])[0][-2:]}

    class Biased:
        block = 16

        def score(self, model, rows):
            return np.isin(rows.x[:, 1:], list(marked)).astype(float)

    m = case(source=embedded, family=Biased())
    value = divergence.group_loss(m)
    assert list(value) == ["people/coast", "people/hill", "people/island"]
    assert value["people/island"] > 2 * max(value["people/coast"], value["people/hill"])
    cuts = m.reference.once(divergence._by_group)
    for item, documents in divergence._articles_by_group(embedded.world).items():
        assert len(documents) == len(set(documents)) == divergence.PER_GROUP
        assert {embedded.world.group(embedded.world.entities(d)[0]) for d in documents} == {item.split("/")[1]}
        lengths = [len(ids) for ids in embedded.tokenizer.encode(list(documents))]
        assert cuts[item].counted.sum() == sum(lengths), (
            "every token but the </s> before an article, and the </s> after it"
        )
    flat = divergence.group_loss(case(source=embedded, family=Uniform(8, 500)))
    assert list(flat.values()) == pytest.approx([np.log(500)] * 3)
