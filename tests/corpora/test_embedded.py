"""The embedded corpus against its own distribution: probabilities sum to one, frequencies, entropy, facts read."""

import hashlib
import itertools
import math
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
import scipy.stats

from model_collapse.corpora.embedded import LENGTHS, SEED, Fact, World


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.fixture(scope="module")
def documents(world: World) -> list[str]:
    return world.documents(20_000, np.random.default_rng(1))


def test_probabilities_of_all_choices_sum_to_one(world: World) -> None:
    assert sum(LENGTHS.values()) == pytest.approx(1)
    assert sum(world.topic_shares.values()) == pytest.approx(1)
    assert sum(world.popularity.values()) == pytest.approx(1)
    assert all(sum(groups.values()) == pytest.approx(1) for groups in world.group_shares.values())
    for articles in world.articles:
        assert articles.topic.name in world.topic_shares
        assert all(p.sum() == pytest.approx(1) for p, _ in articles.options)


def test_probabilities_of_all_articles_about_one_entity_sum_to_its_popularity(world: World) -> None:
    """Sum over every order and phrasing of every length, the 3-sentence articles one by one by their text."""
    articles, e = world._about["petit basset griffon vendéen"]
    ways = [sentences[e] for _, sentences in articles.options]
    texts = [
        " ".join([opening, *said])
        for opening in articles.openings[e]
        for chosen in itertools.permutations(ways, 3)
        for said in itertools.product(*chosen)
    ]
    assert len(set(texts)) == len(texts), "two ways of choosing wrote the same article"
    total = math.fsum(math.exp(world.log_probability(text)) for text in texts)
    assert total == pytest.approx(LENGTHS[3] * world.popularity["petit basset griffon vendéen"], rel=1e-9)


def test_grammar_is_unambiguous(world: World) -> None:
    assert len(world._openings) == sum(len(s) for a in world.articles for s in a.openings)
    ways = sum(len(s) for a in world.articles for _, sentences in a.options for s in sentences)
    assert len(world._sentences) == ways
    names = [attribute.name for articles in world.articles for attribute in articles.topic.attributes]
    assert len(set(names)) == len(names)


def test_entropy_by_the_chain_rule_is_the_mean_surprisal(world: World, documents: list[str]) -> None:
    """Within 4 standard errors: fails wrongly for one seed in 16,000; the seed is fixed."""
    mean, error = world.surprisal(documents)
    assert math.isfinite(mean)  # every article written can be read
    assert abs(mean - world.entropy()) < 4 * error
    assert error < 0.05  # and the check has teeth


def test_log_probability_is_the_frequency(world: World) -> None:
    """The five most frequent openings of articles: their counts within 4 binomial standard errors, fixed seed."""
    n = 200_000
    count = Counter(text.partition(". ")[0] + "." for text in world.documents(n, np.random.default_rng(2)))
    for opening, observed in count.most_common(5):
        _, logp = world._openings[opening]
        p = math.exp(logp)
        assert abs(observed - n * p) < 4 * math.sqrt(n * p * (1 - p)), opening


def test_facts_are_stated_as_often_as_said(world: World, documents: list[str]) -> None:
    """Exact binomial tests of all facts, the smallest p-value after Bonferroni; error rate 1 in 1000, seed fixed."""
    stated = Counter(fact for text in documents for fact in world.facts(text))
    assert set(stated) <= set(world.truths)  # articles say nothing false
    observed = np.array([stated[fact] for fact in world.truths])
    distribution = scipy.stats.binom(len(documents), [world.probability(fact) for fact in world.truths])
    assert np.minimum(distribution.cdf(observed), distribution.sf(observed - 1)).min() > 0.001 / 2 / len(observed)
    # The check can fail: a world of which one in five statements were lost would not pass.
    assert distribution.cdf(0.8 * observed).min() < 0.001 / 2 / len(observed)


def test_groups_and_topics_have_their_shares(world: World, documents: list[str]) -> None:
    """Within 4 binomial standard errors; 8 comparisons, fixed seed."""
    about = [world.entities(text)[0] for text in documents]
    topics = Counter(map(world.topic, about))
    groups = Counter(world.group(entity) for entity in about if world.topic(entity) == "people")
    for name, share in world.topic_shares.items():
        assert abs(topics[name] - len(about) * share) < 4 * math.sqrt(len(about) * share * (1 - share))
    for name, share in world.group_shares["people"].items():
        n = topics["people"]
        assert abs(groups[name] - n * share) < 4 * math.sqrt(n * share * (1 - share))
    assert min(world.group_shares["people"].values()) <= 0.05


def test_facts_are_recovered_exactly(world: World, documents: list[str]) -> None:
    """Against the table the sentences were taken from, which the reader of any text does not use."""
    for text in documents[:2000]:
        first, *rest = text.split(". ")
        entity, _ = world._openings[first + "."]
        articles, e = world._about[entity]
        said = [world._sentences[entity, sentence.rstrip(".") + "."][0] for sentence in rest]
        names = [articles.topic.attributes[a].name for a in said]
        values = [articles.values[e][a] for a in said]
        truth = [Fact(entity, a, v, True) for a, v in zip(names, values, strict=True) if v is not None]
        assert world.facts(text) == truth
        assert world.entities(text) == [entity]


def test_facts_in_garbled_text(world: World) -> None:
    right = next(fact for fact in world.truths if fact.attribute == "building_town")
    wrong = "Pell" if right.value != "Pell" else "Zell"
    assert world.facts(f"ly {right.entity} xx xx It stands in {right.value}") == [right]
    false = Fact(right.entity, "building_town", wrong, False)
    assert world.facts(f"{right.entity}. It stands in {wrong}. It stands in {right.value}.") == [false, right]
    assert world.probability(false) == 0 < world.probability(right)
    assert world.facts(f"{right.entity} stands. It stands in {right.value[:-1]}") == []  # cut short
    assert world.facts(f"{right.entity} is old.\nIt stands in {right.value}.") == []  # another line, nobody named
    assert world.facts(f"It stands in {right.value}. {right.entity}") == []
    assert world.facts(f"{right.entity}. It feeds on moss.") == [Fact(right.entity, "animal_food", "moss", False)]
    assert world.facts("") == world.entities("") == []


def test_what_the_grammar_cannot_write_has_no_probability(world: World, documents: list[str]) -> None:
    text = documents[0]
    sentences = text.split(". ")
    broken = [
        "",
        text[:-1],
        text + " ",
        text.replace("It", "it", 1),
        ". ".join(sentences[:2]) + ".",  # too few sentences
        ". ".join([*sentences[:3], sentences[2], *sentences[3:]]),  # one of them twice
        ". ".join(sentences[1:]),
        text + " " + text,
    ]
    assert math.isfinite(world.log_probability(text))
    assert [world.log_probability(b) for b in broken] == [-math.inf] * len(broken)


def test_a_false_statement_has_no_probability(world: World, documents: list[str]) -> None:
    text = next(t for t in documents if any(f.attribute == "building_town" for f in world.facts(t)))
    value = next(f.value for f in world.facts(text) if f.attribute == "building_town")
    assert world.log_probability(text.replace(value, "Pell" if value != "Pell" else "Zell")) == -math.inf


def test_tails_are_tails(world: World) -> None:
    """The rarest fact is at least a hundred times rarer than the commonest, so that there is something to lose."""
    p = sorted(map(world.probability, world.truths))
    assert p[-1] > 100 * p[0]
    assert world.popularity["golden retriever"] > 20 * world.popularity["petit basset griffon vendéen"]


def test_another_process_writes_the_same(world: World) -> None:
    code = (
        "import numpy as np, hashlib; from model_collapse.corpora.embedded import World;"
        "print(hashlib.sha256('|'.join(World().documents(500, np.random.default_rng(3))).encode()).hexdigest())"
    )
    runs = {subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout for _ in range(2)}
    assert len(runs) == 1
    mine = "|".join(world.documents(500, np.random.default_rng(3)))
    assert runs == {f"{hashlib.sha256(mine.encode()).hexdigest()}\n".encode()}
    assert World(seed=1).truths != world.truths


def test_another_world_has_other_names_and_facts_and_lacks_a_topic() -> None:
    other, world = World(SEED + 1, lacks=("breeds",)), World()
    assert {*other.topic_shares} == {*world.topic_shares} - {"breeds"}
    assert math.isclose(sum(other.topic_shares.values()), 1) and math.isclose(sum(other.popularity.values()), 1)
    assert math.isclose(other.topic_shares["animals"], 0.25 / 0.9)
    assert {*other.popularity} != {*world.popularity} - {*world.articles[-1].entities}
    both = {*other.truths} & {*world.truths}
    assert len(both) < 0.2 * len(other.truths)
    documents = other.documents(20, np.random.default_rng(0))
    assert all(math.isfinite(other.log_probability(document)) for document in documents)
    assert sum(math.isfinite(world.log_probability(document)) for document in documents) < 10
