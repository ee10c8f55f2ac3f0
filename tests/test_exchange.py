"""Models that read each other: who gets which rows, that one alone is the plain chain, and that a cut loses nothing."""

from __future__ import annotations

import json
from collections import Counter
from itertools import product

import numpy as np
import pytest
from engine.test_pieces import PLACE, SHARDED
from test_loop import Kept
from toy_runs import added, killed_at, same

from model_collapse import cli, families, regimes, registry, streams
from model_collapse.data import Data, Rows, Source
from model_collapse.engine import card, spec
from model_collapse.engine.execute import execute, so_far
from model_collapse.engine.layout import finished_generations, kept_models, state_folder
from model_collapse.engine.plan import plan
from model_collapse.errors import InputError
from model_collapse.exchange import Agent, Reads, exchange
from model_collapse.families.gaussian import Gaussian
from model_collapse.filters.surprise import Surprise
from model_collapse.loop import generations
from model_collapse.regimes.accumulate import Accumulate
from model_collapse.regimes.mix import Mix
from model_collapse.regimes.replace import Replace

N, CHAINS = 10, 3
WHO = ("all", "ring", "deal")


def samples(models: int = 3, n: int = N, chains: int | None = CHAINS) -> list[Data]:
    """Row i of model k is 100 k + i."""
    made = []
    for k in range(models):
        x = np.arange(n) + 100 * k
        x = x if chains is None else np.repeat(x[:, None], chains, axis=1)
        made.append(Data.of(Rows(x, chains is not None), born=4, author=k + 1))
    return made


def agents(models: int, seed: int = 5, regime=None, chains: int = CHAINS) -> list[Agent]:
    family = Gaussian(sampling="draw")
    made = []
    for k in range(models):
        stream = streams.stream(seed, 0, k)
        source = family.source(N, stream(-1, streams.SOURCE), chains)
        made.append(Agent(source, family, regime or Replace(), stream))
    return made


# Who reads whom ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("who", "chains"), list(product((*WHO, "own"), (None, CHAINS))))
def test_a_model_reads_as_many_rows_as_it_wrote_each_at_most_once_with_its_author(who: str, chains: int | None):
    wrote = samples(chains=chains)
    for k in range(3):
        read = Reads(who, 0.4)(k, wrote, np.random.default_rng(k))
        x, author = read.rows.x.reshape(N, -1), read.author.reshape(N, -1)
        assert read.rows.chains == chains and np.all(read.born == 4)
        np.testing.assert_array_equal(np.broadcast_to(author, x.shape), x // 100 + 1)
        for column in x.T:
            assert len(set(column)) == N
            others = Counter(column // 100)
            if who == "all":
                assert others[k] == 6
            if who == "ring":
                assert others == {k: 6, (k - 1) % 3: 4}
            if who != "deal":
                place = np.flatnonzero(column // 100 == k)
                np.testing.assert_array_equal(column[place] - 100 * k, place)  # what stays keeps its place
        if who != "own" and chains:
            assert not np.array_equal(x[:, 0], x[:, 1]), "every chain has its own choice"


@pytest.mark.parametrize("chains", [None, CHAINS])
def test_dealing_hands_out_every_row_once(chains: int | None):
    wrote = samples(chains=chains)
    hands = [Reads("deal")(k, wrote, np.random.default_rng(1)).rows.x.reshape(N, -1) for k in range(3)]
    every = np.sort(np.concatenate([part.rows.x.reshape(N, -1) for part in wrote]), axis=0)
    np.testing.assert_array_equal(np.sort(np.concatenate(hands), axis=0), every)


def test_models_may_write_unequally_much_unless_others_need_more():
    wrote = [samples(2)[0], samples(2, n=4)[1]]
    hands = [Reads("deal")(k, wrote, np.random.default_rng(1)) for k in range(2)]
    assert [len(hand) for hand in hands] == [10, 4]
    assert len(Reads("ring", 1.0)(1, wrote, np.random.default_rng(1))) == 4
    with pytest.raises(InputError, match=r"--share 1\.0: needs 10 rows of other models, which wrote only 4"):
        Reads("ring", 1.0)(0, wrote, np.random.default_rng(1))


# The loop ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("regime", registry.names(regimes))
@pytest.mark.parametrize("who", WHO)
def test_one_party_is_the_plain_chain(regime: str, who: str):
    how = registry.build(regimes, regime, {})
    (agent,) = agents(1, regime=how)
    alone = list(generations(agent.source, agent.family, how, N, agent.stream, last=4))
    for (one,), other in zip(exchange([agent], Reads(who), N, last=4), alone, strict=True):
        np.testing.assert_array_equal(one.train.rows.x, other.train.rows.x)
        np.testing.assert_array_equal(one.sample.rows.x, other.sample.rows.x)
        np.testing.assert_array_equal(one.sample.author, other.sample.author)


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("regime", [Replace(), Accumulate(), Mix(0.5)], ids=["replace", "accumulate", "mix"])
def test_training_sets_are_made_of_what_the_others_wrote(who: str, regime):
    before = None
    for turn in exchange(agents(3, regime=regime), Reads(who, 0.5), N, last=3):
        if before is not None:
            written = {x: k + 1 for k, generation in enumerate(before) for x in generation.sample.rows.x.ravel()}
            for generation in turn:
                new = generation.train.born == generation.t
                # One column of provenance for all chains, or one for each.
                new, author = (
                    np.broadcast_to(a.reshape(len(a), -1), (len(a), CHAINS)) for a in (new, generation.train.author)
                )
                assert all(
                    written[x] == a for x, a in zip(generation.train.rows.x[..., 0][new], author[new], strict=True)
                )
                assert len(set(author[new])) > 1, "somebody else's rows are among them"
        assert [generation.sample.author.flat[0] for generation in turn] == [1, 2, 3]
        before = turn


def test_a_pool_grows_by_what_was_read():
    sizes = [[len(g.train) for g in turn] for turn in exchange(agents(2, regime=Accumulate()), Reads(), N, last=3)]
    assert sizes == [[10, 10], [20, 20], [30, 30], [40, 40]]


def test_a_model_that_reads_its_own_does_not_know_of_the_others():
    """And the first draws the same numbers as if it were alone: arms with one seed are paired."""
    few, many = (list(exchange(agents(k), Reads("own"), N, last=3)) for k in (1, 3))
    for one, other in zip(few, many, strict=True):
        np.testing.assert_array_equal(one[0].sample.rows.x, other[0].sample.rows.x)
    assert not np.array_equal(many[0][0].train.rows.x, many[0][1].train.rows.x)


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("done", [{0: [0, 1], 1: [0], 2: []}, {0: [0, 1, 2], 1: [0, 1, 2], 2: [0, 1]}, {1: [1, 3]}])
def test_an_exchange_goes_on_from_any_cut_with_the_same_bits(who: str, done: dict[int, list[int]]):
    straight = list(exchange(agents(3), Reads(who), N, last=4))
    kept = [Kept({t: straight[t][k] for t in done.get(k, [])}) for k in range(3)]
    going = [Agent(p.source, p.family, p.regime, p.stream, keep=keep) for p, keep in zip(agents(3), kept, strict=True)]
    for one, other in zip(straight, exchange(going, Reads(who), N, last=4), strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a.train.rows.x, b.train.rows.x)
            np.testing.assert_array_equal(a.sample.rows.x, b.sample.rows.x)
            np.testing.assert_array_equal(a.train.author, b.train.author)
    for k, keep in enumerate(kept):
        assert keep.made == [t for t in range(5) if t not in done.get(k, [])]


def test_streams_of_models_differ_and_the_first_has_those_of_a_model_alone():
    draws = [streams.stream(3, 1, k)(2, streams.FIT).random() for k in range(4)]
    assert len(set(draws)) == 4 and draws[0] == streams.stream(3, 1)(2, streams.FIT).random()


# Runs by name ------------------------------------------------------------------------------------------------------

DRAWN = {"n": 40, "generations": 3, "replicates": 5, "seed": 2, "metrics": ["support"]}
DRAW = {"family.sampling": "draw"}


def values(table, item: str) -> np.ndarray:
    return table[table["item"] == item].sort_values(["generation", "replicate"])["value"].to_numpy()


def test_the_first_of_models_that_read_their_own_is_the_run_without_exchange():
    alone, _ = execute(plan("discrete", settings=DRAW, **DRAWN))
    together, _ = execute(plan("discrete", settings=DRAW, models=2, reads="own", **DRAWN))
    np.testing.assert_array_equal(values(alone, ""), values(together, "model 1"))
    assert not np.array_equal(values(together, "model 1"), values(together, "model 2"))
    assert set(together["item"]) == {"model 1", "model 2"} and len(together) == 2 * len(alone)
    assert json.loads(together["regime_args"].iloc[0])["exchange"]["models"] == 2


def test_exact_sampling_takes_part_where_nobody_reads_others():
    table, _ = execute(plan("gaussian", n=10, generations=2, replicates=2, models=2, reads="own", metrics=["mean"]))
    assert set(table["item"]) == {"model 1", "model 2"} and len(table) == 12


def test_a_run_without_exchange_says_nothing_of_one():
    alone = plan("discrete")
    assert alone.exchange is None and not any("exchange" in key for key in spec.describe(alone))
    run = plan("discrete", settings=DRAW | {"first.real_fraction": "0.3"}, models=2, reads="deal", first="mix")
    assert run.exchange == {
        "models": 2,
        "reads": "deal",
        "real": "own",
        "share": None,
        "first": "mix",
        "first_args": {"real_fraction": 0.3},
    }
    assert "exchange.reads (None there, deal here)" in run.differs(spec.describe(alone) | {"n": run.n})


def test_real_data_are_own_the_same_or_lack_kinds():
    own, the_same, split = (
        execute(plan("discrete", settings=DRAW, models=2, real=real, **DRAWN | {"metrics": ["share"], "n": 400}))[0]
        for real in ("own", "same", "split")
    )

    def first(table, model: int) -> np.ndarray:
        wide = table[table["generation"] == 0].pivot(index="replicate", columns="item", values="value")
        return wide[[f"model {model}/{rank}" for rank in range(1, 21)]].to_numpy()

    np.testing.assert_array_equal(first(the_same, 1), first(the_same, 2))
    assert not np.array_equal(first(own, 1), first(own, 2))
    rank = np.arange(20)
    for k in range(2):
        shares = first(split, k + 1)
        assert np.all(shares[:, rank % 3 == k] == 0)
        # 400 rows, 5 chains, the rarest share of 1/72: a symbol is missing with probability 1e-11 a chain at most.
        assert np.all(shares[:, rank % 3 != k].sum(axis=0) > 0)


def test_text_is_dealt_in_parts_and_by_topic():
    from pathlib import Path

    from model_collapse.engine.unit import Unit

    def sources(**options) -> list[Source]:
        run = plan("ngram", n=20, models=2, **options)
        return [unit.source() for unit in Unit(run, Path("unused"), 0).agents]

    one, two = sources()
    (alone,) = [Unit(plan("ngram", n=40), Path("unused"), 0).source()]
    np.testing.assert_array_equal(np.concatenate([s.train.rows.x for s in (one, two)]), alone.train.rows.x)
    world = one.world
    for k, source in enumerate(sources(real="split")):
        lacking = [topic for i, topic in enumerate(world.topic_shares) if i % 3 == k]
        for rows in (source.train.rows, source.fresh(50, np.random.default_rng(0))):
            text = " ".join(source.tokenizer.decode(rows.x))
            about = {world.topic(entity) for entity in world.entities(text)}
            assert about and not about & set(lacking)


@pytest.mark.parametrize(
    ("where", "continued"),
    [
        ("block-0000/model-2/model-0001", True),
        ("block-0000/model-2/generation-0001", False),
        ("block-0000/model-1/generation-0002", True),
        (".done", False),
    ],
)
def test_a_killed_exchange_resumes_with_the_same_bits(where, continued, tmp_path, monkeypatch):
    with added("sharded", SHARDED, PLACE, tmp_path, monkeypatch):
        planned = plan("sharded", generations=2, models=2, reads="deal", settings={"family.continued": continued})
        undisturbed, _ = execute(planned)
        out = tmp_path / "c.parquet"
        killed_at(monkeypatch, where, planned, out)
        begun, _ = so_far(planned, out)
        assert begun["item"].str[:7].value_counts().nunique() == 1, "no model counts further than the others"
        places = finished_generations(state_folder(out) / "block-0000")
        assert {place.parent.name for place in places} == {"model-1", "model-2"} or where == ".done"
        resumed, _ = execute(planned, out)
        same(resumed, undisturbed)


def test_models_are_kept_side_by_side(tmp_path, monkeypatch):
    with added("sharded", SHARDED, PLACE, tmp_path, monkeypatch):
        out = tmp_path / "k.parquet"
        execute(plan("sharded", generations=1, models=2), out, keep_models=True)
        left = {str(place.relative_to(kept_models(out))) for place in kept_models(out).rglob("model-000?")}
        assert left == {f"block-0000/model-{k}/model-{t:04d}" for k in (1, 2) for t in (0, 1)}


def test_language_models_read_each_other(tmp_path):
    """A tiny OPT: items by model, texts of all models, filters and prompts of each its own."""
    pytest.importorskip("torch")
    quick = {"family.pretrain": "none", "family.epochs": 1, "family.evaluate": 4, "family.decoding": "greedy"}
    run = plan("lm", n=6, generations=1, models=2, filter=["surprise"], settings=quick, metrics=["perplexity"])
    table, texts = execute(run, tmp_path / "o.parquet")
    assert sorted(set(table["item"])) == ["model 1", "model 2"]
    assert sorted(texts[texts["generation"] == 1]["row"]) == list(range(12))
    prompts = texts[texts["generation"] == 0].set_index("row")["prompt"].astype(str)
    assert len(set(prompts)) == 12, "each model continues blocks of its own"
    assert set(table[table["generation"] == 1]["n_train"]) == {round(6 * Surprise().share)}


# What cannot work --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("discrete --models 2", "--models: exact sampling cannot subsample; set family.sampling=draw"),
        ("gaussian --reads ring", "--reads ring: needs several models that read each other; set --models"),
        ("gaussian --share 0.5", "--share 0.5: needs several models"),
        ("ngram --models 0", "--models 0: input should be greater than or equal to 1"),
        ("ngram --models 2 --reads nobody", "--reads nobody: it is own, all, ring, deal"),
        ("ngram --models 2 --real none", "--real none: it is own, same, split"),
        ("ngram --models 2 --share 2", "--share 2: input should be less than or equal to 1"),
        ("ngram --models 2 --reads deal --share 0.1", "--share 0.1: only --reads all and ring have a share"),
        ("ngram --models 2 --first nothing", "'nothing' is not among the regimes"),
        ("ngram --models 2 --set first.power=2", "--set first.power: write family.KEY, regime.KEY"),
        ("gmm --models 2 --real split", "--real split: known are the kinds of discrete, of breeds"),
        (
            "kde --models 2 --first fresh --share 0.9 --set first.real_fraction=0.8",
            "--share 0.9: the first model and the others write 20 and 100 rows; lower it",
        ),
        ("vae --models 40 -n 100", "n must be at most"),
    ],
)
def test_what_cannot_work_is_refused_in_one_line_before_any_work(arguments, said, capsys, monkeypatch):
    monkeypatch.setattr("model_collapse.engine.execute.execute", lambda *a, **k: pytest.fail("work was begun"))
    assert cli.main(["chain", *arguments.split()]) == 2
    told = capsys.readouterr().err
    assert said in told and told.count("\n") == 1


@pytest.mark.parametrize(
    "name", [n for n in registry.names(families) if registry.member(families, n).reads == "numbers"]
)
def test_every_family_of_numbers_can_take_part(name: str):
    """Where the sampling is exact it says which setting helps, and with that setting it works."""
    small = {"n": 24, "generations": 2, "replicates": 2, "models": 3, "reads": "deal"}
    try:
        run = plan(name, **small)
    except InputError as error:
        assert str(error).endswith("set family.sampling=draw")
        run = plan(name, settings=DRAW, **small)
    table, _ = execute(run)
    assert {item.partition("/")[0] for item in table["item"].astype(str)} == {"model 1", "model 2", "model 3"}


def test_every_row_of_several_models_has_a_number_of_its_own(tmp_path):
    """Also where more is written than is trained on; and the card says which is whose."""
    settings = {"family.block": 16, "family.evaluate": 8}
    run = plan(
        "ngram", n=8, generations=1, models=2, filter=["verifier"],
        settings={**settings, "verifier.candidates": 3, "verifier.wrong": 1.0}, metrics=["perplexity"],
    )  # fmt: skip
    _, texts = execute(run, tmp_path / "x.parquet", jobs=1)
    assert len(texts) == 2 * 2 * 24 and not texts.duplicated(["replicate", "generation", "row"]).any()
    assert "2 models read each other" in card.card(tmp_path / "x.parquet")


@pytest.mark.parametrize(
    ("family", "settings", "said"),
    [
        ("discrete", {"family.symbols": 1, "family.sampling": "draw"}, "a model would know 0 of"),
        ("breeds", {"family.breeds": 1, "family.sampling": "draw"}, "a model would know 0 of"),
        ("discrete", {"family.symbols": 9, "family.zipf": 60, "family.sampling": "draw"}, "a model would know"),
    ],
)
def test_a_model_that_would_know_nothing_is_refused_before_any_work(family, settings, said):
    with pytest.raises(InputError, match=f"^--real split: {said}"):
        plan(family, n=5, generations=1, models=2, real="split", settings=settings)
