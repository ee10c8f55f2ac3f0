"""Metrics of text against values worked out by hand and against the embedded world."""

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from toy_text import Model, TextSource, case, of_model

from model_collapse import cli, corpora
from model_collapse.data import Data, Rows
from model_collapse.engine.execute import execute
from model_collapse.engine.plan import plan
from model_collapse.errors import InputError
from model_collapse.families.lm import Lm
from model_collapse.families.ngram import Ngram
from model_collapse.metrics.leaks import leaks
from model_collapse.metrics.text import KNOWN_LAW, facts, perplexity


def test_the_two_perplexities():
    m = case(bits=[[0, 2], [4, 4]])
    assert perplexity.perplexity(m) == pytest.approx(2**2.5)
    assert perplexity.perplexity_block_mean(m) == pytest.approx((2 + 16) / 2)
    assert m.family.asked == 1
    assert perplexity.perplexity(of_model(m, Model([[3, 3], [3, 3]]))) == pytest.approx(8)
    assert m.family.asked == 2


def test_written_loss_is_that_of_the_own_words_after_their_prompt():
    """Of a prompt of two and three written tokens the last three of the four predicted ones count."""
    m = case(wrote=[[5, 6, 7]], bits=[[9, 1, 2, 3]], given=Rows(np.array([[3, 4]])))
    assert perplexity.written_loss(m) == pytest.approx(np.log(2) * 2)


def test_a_leak_is_a_row_of_the_training_set_again():
    m = case(wrote=[[0, 1, 2], [9, 9, 9], [9, 9, 8]])
    real = Data.real(Rows(np.array([[0, 0, 0], [9, 9, 9], [1, 2, 3], [4, 5, 6]])))
    m = replace(m, generation=replace(m.generation, train=real))
    m.source.validation = None
    # The test blocks of the toy source are zeros.
    assert leaks(m) == {"test": 1.0, "written": pytest.approx(1 / 3)}
    m.source.validation = Data.real(Rows(np.array([[4, 5, 6], [4, 5, 7]], np.int32)))
    assert leaks(m)["validation"] == 0.5


def test_written_perplexity_is_taken_under_generation_0():
    bits = np.log2(10) * np.array([[0.57], [1.22], [1.22], [3.99], [7.0]])
    m = case(bits=[[0.0]], first=Model(bits))
    items = perplexity.written_perplexity(m)
    bins = {name: share for name, share in items.items() if name.startswith("bin ")}
    assert list(bins)[:2] == ["bin 0.00", "bin 0.05"] and list(bins)[-1] == "bin 3.95" and len(bins) == 80
    assert {name: share for name, share in bins.items() if share} == pytest.approx(
        {"bin 0.55": 0.2, "bin 1.20": 0.4, "bin 3.95": 0.4}
    )
    values = 10 ** np.array([0.57, 1.22, 1.22, 3.99, 7.0])
    for name, q in {"q01": 0.01, "q05": 0.05, "q25": 0.25, "q50": 0.5, "q75": 0.75, "q95": 0.95, "q99": 0.99}.items():
        assert items[name] == pytest.approx(np.quantile(values, q), rel=1e-5)
    assert len(items) == 87


def test_coverage_of_tokens_by_their_frequency():
    # Of 100 tokens: 0 is 40, 1 is 30 (starts before half), 2 is 20 (starts at 0.7), 3 to 7 share 10 (start at 0.9).
    train = np.repeat(np.arange(8), [40, 30, 20, 2, 2, 2, 2, 2]).reshape(10, 10)
    source = TextSource(train)
    m = case([[0, 0, 4, 5, 9]], source=source)
    assert facts.rare_coverage(m) == {"common": 0.5, "medium": 0.0, "rare": 0.4}
    everything = case(train, source=source)
    assert set(facts.rare_coverage(everything).values()) == {1.0}


@pytest.fixture(scope="module")
def embedded():
    return corpora.load("embedded").source(256, evaluate=16)


def test_coverage_of_facts_is_one_for_the_real_text_and_zero_for_silence(embedded):
    x = embedded.train.rows.x
    prompts = Rows(np.roll(x, 1, axis=0))
    real = facts.rare_coverage(case(x, given=prompts, source=embedded))
    assert real == {"rare": 1.0, "medium": 1.0, "common": 1.0}
    # What a prompt states does not count as written.
    dots = np.full_like(x, embedded.tokenizer.encode(["."])[0][-1])
    assert set(facts.rare_coverage(case(dots, given=prompts, source=embedded)).values()) == {0.0}


def test_half_of_the_text_covers_part_of_the_facts_and_the_rare_ones_least(embedded):
    x = embedded.train.rows.x
    half = facts.rare_coverage(case(x[1:128], given=Rows(x[:127]), source=embedded))
    assert 0.2 < half["rare"] < half["common"] < 1


def test_bands_of_facts_hold_the_stated_mass(embedded):
    """The shares of all true statements in each band are one half, four tenths and one tenth, up to one fact."""
    _, bands = case(source=embedded).reference.once(facts._said)
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
    opening, rest = article_with(embedded, fact).split(". ", 1)

    def stated(prompt: str, wrote: str) -> set:
        return set(facts._stated(told(embedded, prompt, wrote)))

    assert fact in stated(opening + ".", " " + rest)
    assert not stated("It rained.", " " + rest)
    assert fact not in stated(opening + ". " + rest, " It rained.")


def article_with(source, fact) -> str:
    drawn = source.world.documents(3000, np.random.default_rng(0))
    return next(document for document in drawn if fact in source.world.facts(document))


def told(source, prompt: str, wrote: str):
    """A measurement in which `wrote` goes on in the prompt's article: without the </s> that opens a new one."""
    prompts, texts = (np.array(source.tokenizer.encode([text]), np.int32) for text in (prompt, wrote))
    return case(texts[:, 1:], given=Rows(prompts), source=source)


def test_true_and_false_statements_are_told_apart(embedded):
    world = embedded.world
    fact = world.truths[0]
    opening, rest = article_with(embedded, fact).split(". ", 1)
    said = len(world.facts(f"{opening}. {rest}"))
    wrong = next(f.value for f in world.truths if f.attribute == fact.attribute and f.value != fact.value)

    def measured(wrote: str) -> dict[str, float]:
        return facts.facts(told(embedded, opening + ".", wrote))

    assert measured(" " + rest) == {"true": 1.0, "different": said}
    assert measured(" " + rest.replace(fact.value, wrong)) == {"true": (said - 1) / said, "different": said - 1}
    assert measured(f" {rest} {rest}") == {"true": 1.0, "different": said}
    silent = measured(" It rained.")
    assert np.isnan(silent["true"]) and silent["different"] == 0


def test_groups_are_those_that_statements_are_about(embedded):
    fact = next(f for f in embedded.world.truths if embedded.world.group(f.entity) == "island")
    opening, rest = article_with(embedded, fact).split(". ", 1)
    shares = facts.groups(told(embedded, opening + ".", " " + rest))
    assert shares.pop("people/island") == 1 and set(shares.values()) == {0.0}
    assert set(shares) == {"buildings/buildings", "animals/animals", "people/coast", "people/hill"} | {
        "places/places",
        "breeds/breeds",
    }
    x = embedded.train.rows.x
    m = case(x, given=Rows(np.roll(x, 1, axis=0)), source=embedded)
    every = facts.groups(m)
    assert sum(every.values()) == pytest.approx(1)
    # The distribution of articles: 0.8, 0.15 and 0.05 of those about people.
    assert every["people/coast"] > 3 * every["people/hill"] > 0 and every["people/coast"] > 6 * every["people/island"]
    assert facts.facts(m)["true"] == 1


# Metrics on request


@pytest.mark.parametrize("family", [Ngram, Lm])
def test_a_run_takes_the_cheap_ones_and_others_on_request(family, capsys):
    name = family.__name__.lower()
    assert plan(name).metrics == family.metrics
    assert {"perplexity", "perplexity_block_mean", "distinct_3", "repeated_3", "rare_coverage"} <= set(family.metrics)
    assert plan(name, metrics=["kl", "perplexity"]).metrics == ("kl", "perplexity")
    with pytest.raises(InputError, match=r"'nothing' is not a metric of this family; it has perplexity, .*, kl"):
        plan(name, metrics=["nothing"])
    assert cli.main(["families", "--json"]) == 0
    listed = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert listed[name]["metrics"] == list(family.metrics)
    assert listed[name]["more_metrics"] == list(family.more_metrics)


@pytest.mark.parametrize("name", KNOWN_LAW)
def test_what_needs_a_known_distribution_is_refused_before_the_run(name, tmp_path):
    (tmp_path / "train.txt").write_text("\n\n".join(f"It rained on day {i} of the year." for i in range(400)))
    with pytest.raises(
        InputError, match=f"--metrics: {name} needs a corpus whose true distribution is known .embedded., not"
    ):
        plan("ngram", corpus=str(tmp_path), metrics=[name])


SHORT = {
    "ngram": {},
    "lm": {"pretrain": "none", "block": 16, "vocabulary": 300, "epochs": 1, "evaluate": 8, "decoding": "sample"},
}


@pytest.mark.parametrize("name", SHORT)
def test_every_metric_is_taken_in_a_run(name):
    """Numbers, or nan where nothing whole was written; what a distribution bounds is inside its bounds."""
    family = {"ngram": Ngram, "lm": Lm}[name]
    every = (*family.metrics, *family.more_metrics)
    settings = {f"family.{key}": value for key, value in SHORT[name].items()}
    table, _ = execute(plan(name, n=48, generations=1, settings=settings, metrics=every), jobs=1)
    assert list(dict.fromkeys(table["metric"])) == list(every)
    values = table.set_index(["metric", "item", "generation"])["value"].sort_index()
    for metric in ("distinct_2", "type_token_ratio", "skeletons", "similarity", "state_diversity"):
        if metric in every:
            assert values[metric].between(0, 1).all(), metric
    assert values["zipf"].gt(0).all() and values["entropy"].gt(0).all()
    assert (values["kl", "low"] < values["kl", "mean"]).all() and (values["kl", "mean"] < values["kl", "high"]).all()
    assert ("similarity", "states", 0) in values.index if name == "lm" else ("states" not in set(table["item"]))
    assert set(table[table["metric"] == "rare_coverage"]["item"]) == {"rare", "medium", "common"}


def test_coverage_holds_for_words_too():
    """The n-gram family reads facts of the embedded corpus as words: all of them in the real text itself."""
    source = corpora.load("embedded").source(256, **Ngram().reading())
    x = source.train.rows.x
    covered = facts.rare_coverage(case(x, given=Rows(np.roll(x, 1, axis=0)), source=source))
    assert covered == {"rare": 1.0, "medium": 1.0, "common": 1.0}
    half = facts.rare_coverage(case(x[1:128], given=Rows(x[:127]), source=source))
    assert 0.2 < half["rare"] < half["common"] < 1
