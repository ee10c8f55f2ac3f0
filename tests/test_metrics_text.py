"""Metrics of text against values worked out by hand and against the embedded world."""

from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest

from model_collapse import corpora
from model_collapse.data import Data, Rows
from model_collapse.metrics import text


class Told:
    """A family whose models are arrays of nats per token, given out whatever the rows are."""

    def __init__(self) -> None:
        self.asked = 0

    def score(self, model: SimpleNamespace, rows: Rows) -> np.ndarray:
        self.asked += 1
        return np.log(2) * np.asarray(model.bits, np.float32)


class Model:
    """Bits per predicted token; compared by identity, as models are."""

    def __init__(self, bits: object) -> None:
        self.bits = bits


def case(wrote=((5, 5),), bits=((1.0,),), *, given=None, source=None, first=None):
    """(generation, reference) with what a test needs of them."""
    source = source or SimpleTextSource()
    model = Model(bits)
    sample = Data.real(Rows(np.array(wrote, np.int32)))
    generation = SimpleNamespace(model=model, sample=sample, given=given)
    return generation, SimpleNamespace(first=SimpleNamespace(model=first or model), source=source, family=Told())


class SimpleTextSource:
    def __init__(self, train=((0, 1),), world=None) -> None:
        self.train = Data.real(Rows(np.array(train, np.int32)))
        self.test = Data.real(Rows(np.zeros((2, 3), np.int32)))
        self.world = world


def test_the_two_perplexities():
    generation, reference = case(bits=[[0, 2], [4, 4]])
    assert text.perplexity(generation, reference) == pytest.approx(2**2.5)
    assert text.perplexity_block_mean(generation, reference) == pytest.approx((2 + 16) / 2)
    assert reference.family.asked == 1
    other = SimpleNamespace(model=Model([[3, 3], [3, 3]]))
    assert text.perplexity(other, reference) == pytest.approx(8)
    assert reference.family.asked == 2


def test_written_perplexity_is_taken_under_generation_0():
    bits = np.log2(10) * np.array([[0.57], [1.22], [1.22], [3.99], [7.0]])
    generation, reference = case(bits=[[0.0]], first=Model(bits))
    items = text.written_perplexity(generation, reference)
    bins = {name: share for name, share in items.items() if name.startswith("bin ")}
    assert list(bins)[:2] == ["bin 0.00", "bin 0.05"] and list(bins)[-1] == "bin 3.95" and len(bins) == 80
    assert {name: share for name, share in bins.items() if share} == pytest.approx(
        {"bin 0.55": 0.2, "bin 1.20": 0.4, "bin 3.95": 0.4}
    )
    values = 10 ** np.array([0.57, 1.22, 1.22, 3.99, 7.0])
    for name, q in {"q01": 0.01, "q05": 0.05, "q25": 0.25, "q50": 0.5, "q75": 0.75, "q95": 0.95, "q99": 0.99}.items():
        assert items[name] == pytest.approx(np.quantile(values, q), rel=1e-5)
    assert len(items) == 87


def test_three_grams():
    # Block 1: abc bca cab abc; block 2: abc bcd cde def. Eight 3-grams, six different, one repeated in its block.
    generation, reference = case([[7, 8, 9, 7, 8, 9], [7, 8, 9, 50_000, 11, 12]])
    assert text.distinct_3(generation, reference) == 6 / 8
    assert text.repeated_3(generation, reference) == 1 / 8


def test_three_grams_against_counting():
    x = np.random.default_rng(0).integers(0, 4, (30, 20))
    generation, reference = case(x)
    blocks = [list(zip(row, row[1:], row[2:], strict=False)) for row in x.tolist()]
    every = [gram for block in blocks for gram in block]
    assert text.distinct_3(generation, reference) == pytest.approx(len(set(every)) / len(every))
    repeats = sum(count - 1 for block in blocks for count in Counter(block).values())
    assert text.repeated_3(generation, reference) == pytest.approx(repeats / len(every))


def test_coverage_of_tokens_by_their_frequency():
    # Of 100 tokens: 0 is 40, 1 is 30 (starts before half), 2 is 20 (starts at 0.7), 3 to 7 share 10 (start at 0.9).
    train = np.repeat(np.arange(8), [40, 30, 20, 2, 2, 2, 2, 2]).reshape(10, 10)
    source = SimpleTextSource(train)
    generation, reference = case([[0, 0, 4, 5, 9]], source=source)
    assert text.rare_coverage(generation, reference) == {"common": 0.5, "medium": 0.0, "rare": 0.4}
    everything = case(train, source=source)
    assert set(text.rare_coverage(*everything).values()) == {1.0}


@pytest.fixture(scope="module")
def embedded():
    return corpora.load("embedded").source(256, evaluate=16)


def test_coverage_of_facts_is_one_for_the_real_text_and_zero_for_silence(embedded):
    x = embedded.train.rows.x
    prompts = Rows(np.roll(x, 1, axis=0))
    real = text.rare_coverage(*case(x, given=prompts, source=embedded))
    assert real == {"rare": 1.0, "medium": 1.0, "common": 1.0}
    # What a prompt states does not count as written.
    dots = np.full_like(x, embedded.tokenizer.encode(["."])[0][-1])
    assert set(text.rare_coverage(*case(dots, given=prompts, source=embedded)).values()) == {0.0}


def test_half_of_the_text_covers_part_of_the_facts_and_the_rare_ones_least(embedded):
    x = embedded.train.rows.x
    half = text.rare_coverage(*case(x[1:128], given=Rows(x[:127]), source=embedded))
    assert 0.2 < half["rare"] < half["common"] < 1


def test_bands_of_facts_hold_the_stated_mass(embedded):
    """The shares of all true statements in each band are one half, four tenths and one tenth, up to one fact."""
    _, bands = text._said(embedded)
    mass = Counter()
    for fact, band in bands.items():
        mass[band] += embedded.world.probability(fact)
    total = sum(mass.values())
    largest = max(embedded.world.probability(fact) for fact in bands) / total
    assert len(bands) == len(embedded.world.truths)
    assert mass["common"] / total == pytest.approx(0.5, abs=largest)
    assert mass["rare"] / total == pytest.approx(0.1, abs=largest)


def test_a_statement_is_about_the_entity_its_prompt_names(embedded):
    fact = embedded.world.truths[0]
    article = next(
        document
        for document in embedded.world.documents(3000, np.random.default_rng(0))
        if fact in embedded.world.facts(document)
    )
    opening, rest = article.split(". ", 1)
    encode = embedded.tokenizer.encode

    def facts(prompt: str, wrote: str) -> set:
        # What is written goes on in the prompt's article: without the </s> that opens a new one.
        return text._facts(embedded, np.array(encode([prompt])), np.array(encode([wrote]))[:, 1:])

    assert fact in facts(opening + ".", " " + rest)
    assert not facts("It rained.", " " + rest)
    assert fact not in facts(article, " It rained.")
