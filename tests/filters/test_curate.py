"""Filters curate and verifier: who is kept, counted by hand; text against its world; one line where it fails."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from toy_text import TextSource

from model_collapse import cli
from model_collapse.analysis import stats
from model_collapse.corpora.embedded import World
from model_collapse.data import REAL, Data, Rows
from model_collapse.engine.execute import execute
from model_collapse.engine.plan import plan
from model_collapse.errors import InputError
from model_collapse.filters import _scores
from model_collapse.filters.curate import Curate
from model_collapse.filters.verifier import Verifier
from model_collapse.theory import curation as theory

RNG = np.random.default_rng


class Liked:
    """A family whose rows are their own reward, and miss by it."""

    scores = frozenset({"reward", "truth"})

    def reward(self, rows: Rows) -> np.ndarray:
        return rows.x

    def miss(self, rows: Rows, bias: float) -> np.ndarray:
        return rows.x + bias


REFERENCE: Any = SimpleNamespace(family=Liked(), source=None)


def written(x: Any, real: int = 0) -> Data:
    """Rows with these rewards, (n,) or (n, R), the first `real` of them by people."""
    x = np.asarray(x, float)
    parts = [Data.real(Rows(x[:real], x.ndim == 2)), Data.of(Rows(x[real:], x.ndim == 2), born=1, author=1)]
    return Data.concat(parts)


# Who is kept -------------------------------------------------------------------------------------------------------


def test_the_best_share_is_kept_in_each_chain():
    x = np.array([[1, 9], [5, 2], [3, 3], [4, 8]])
    kept = Curate(by="reward", share=0.5)(written(x), RNG(0), REFERENCE)
    np.testing.assert_array_equal(kept, [[False, True], [True, False], [False, False], [True, True]])


def test_one_candidate_of_each_prompt_is_kept():
    """Rows i, i + n, i + 2 n are for prompt i; of the winners the better half."""
    x = [1, 2, 3, 4, 9, 1, 2, 2, 5, 5, 8, 0]
    kept = Curate(by="reward", candidates=3, share=1)(written(x), RNG(0), REFERENCE)
    np.testing.assert_array_equal(np.flatnonzero(kept), [3, 4, 9, 10])
    kept = Curate(by="reward", candidates=3, share=0.5)(written(x), RNG(0), REFERENCE)
    np.testing.assert_array_equal(np.flatnonzero(kept), [4, 10])
    stacked = Curate(by="reward", candidates=3, share=1)(written(np.transpose([x, x[::-1]])), RNG(0), REFERENCE)
    np.testing.assert_array_equal(np.flatnonzero(stacked[:, 0]), [3, 4, 9, 10])
    np.testing.assert_array_equal(np.flatnonzero(stacked[:, 1]), [1, 2, 7, 8])


def test_real_rows_stay_whatever_they_are_worth():
    data = written([0, 0, 0, 1, 2, 3, 4], real=3)
    for judge in (Curate(by="reward", share=0.5), Curate(by="reward", candidates=2, share=1), Verifier(radius=2)):
        kept = judge(data, RNG(0), REFERENCE)
        assert kept[:3].all() and 0 < kept[3:].sum() < 4
    each = Data(written(np.zeros((4, 2))).rows, np.array([[0, 1], [1, 0], [1, 1], [1, 1]]), np.ones((4, 2), int))
    kept = Curate(by="random", share=0.34)(each, RNG(0), REFERENCE)
    assert np.all(kept[each.born == REAL]) and np.array_equal(kept.sum(axis=0), [2, 2])


def test_lots_among_equals_are_fair_and_a_lot_keeps_as_many():
    """4000 draws of 1 of 4: chi-square with 3 degrees of freedom below 21.1, error rate 1e-4."""
    chosen = [
        np.flatnonzero(Curate(by="random", share=0.25)(written([3, 1, 2, 0]), RNG(i), REFERENCE)) for i in range(4000)
    ]
    counts = np.bincount(np.concatenate(chosen), minlength=4)
    assert counts.sum() == 4000 and np.sum((counts - 1000) ** 2) / 1000 < 21.1


@pytest.mark.parametrize("judged", [0.0, 0.01, 0.1, 0.5])
def test_a_judge_looks_at_as_many_rows_as_his_budget_allows(judged, monkeypatch):
    """What was not looked at counts as average: with a tenth of 1000 rows seen, half of the seen ones are kept."""
    looked: list[int] = []

    def counting(rows: Rows, reference: Any, bias: float) -> np.ndarray:
        looked.append(len(rows))
        return rows.x

    monkeypatch.setattr(_scores, "SCORES", {"reward": counting})
    x = RNG(1).permutation(1000)
    kept = Curate(by="reward", judged=judged, share=0.5)(written(x), RNG(2), REFERENCE)
    assert kept.sum() == 500 and sum(looked) == round(1000 * judged)
    # E of a kept one's rank: those seen (a share j) are the upper half, about 750; the others are drawn at random.
    expected = judged * 749.5 + (1 - judged) * 499.5
    assert abs(x[kept].mean() - expected) < 4 * 289 / np.sqrt(500)


def test_noise_makes_the_choice_that_of_bradley_and_terry():
    """Of two, by odds exp((a - b) / noise): binomial, four standard errors."""
    n, noise = 20_000, 0.7
    x = np.concatenate([np.zeros(n), np.ones(n)])
    kept = Curate(by="reward", candidates=2, share=1, noise=noise)(written(x), RNG(3), REFERENCE)
    expected = 1 / (1 + np.exp(-1 / noise))
    assert kept.sum() == n and abs(kept[n:].mean() - expected) < 4 * np.sqrt(expected * (1 - expected) / n)


def test_a_verifier_keeps_right_and_wrong_at_its_rates():
    """Binomial, four standard errors each."""
    n = 20_000
    x = np.concatenate([np.full(n, 0.5), np.full(n, 1.5)])
    kept = Verifier(right=0.9, wrong=0.2, radius=1)(written(x), RNG(4), REFERENCE)
    for part, rate in ((kept[:n], 0.9), (kept[n:], 0.2)):
        assert abs(part.mean() - rate) < 4 * np.sqrt(rate * (1 - rate) / n)
    assert not Verifier(radius=1, bias=1)(written(x), RNG(4), REFERENCE).any()


# In the loop -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("regime", "part"), [("replace", 0.0), ("fixed", 0.5)])
@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_preference_follows_its_closed_form(regime, part, noise):
    """40 chains of 2000 rows, three rounds: mean reward within four standard errors and 0.003 for finite rows."""
    settings = {"family.sampling": "draw", "family.zipf": 0, "family.symbols": 6, "curate.by": "reward"}
    settings |= {"curate.candidates": 3, "curate.share": 1, "curate.noise": noise}
    run = plan(
        "discrete",
        regime,
        n=2000,
        generations=3,
        replicates=40,
        seed=5,
        filter=["curate"],
        settings=settings,
        metrics=["mean_reward"],
    )
    table, _ = execute(run, jobs=1)
    start = p = np.full(6, 1 / 6)
    for g in range(4):
        found = stats.per_replicate(table, "mean_reward", g)
        assert abs(found.mean() - p @ np.arange(6) / 5) < 4 * found.std() / np.sqrt(40) + 0.003
        p = theory.preferred(p, np.arange(6) / 5, 3, noise, real=start, part=part)


def test_accumulate_chooses_in_every_generation_of_the_pool():
    run = plan(
        "ngram",
        "accumulate",
        n=20,
        generations=2,
        filter=["curate"],
        settings={"curate.by": "random", "curate.candidates": 3, "curate.share": 1},
        metrics=["vocabulary"],
    )
    table, texts = execute(run, jobs=1)
    assert table["n_train"].tolist() == [20, 40, 60] and len(texts) == 3 * 60


def test_many_rounds_end_at_the_verifiers_centre():
    """Error against its closed form in every round: four standard errors and a tenth, what first order leaves out."""
    settings = {
        "family.sampling": "draw",
        "family.dim": 5,
        "verifier.radius": 0.5,
        "verifier.bias": 0.2,
        "verifier.candidates": 20,
    }
    run = plan(
        "regression", n=100, generations=8, replicates=64, seed=6, given="fresh", filter=["verifier"], settings=settings
    )
    table, _ = execute(run, jobs=1)
    for g in range(9):
        found = stats.per_replicate(table, "test_error", g)
        expected = theory.verified_error(g, 100, 2000, 1.0, 5, 0.5, 0.2)
        assert abs(found.mean() - expected) < 4 * found.std() / 8 + 0.1 * expected


# Text --------------------------------------------------------------------------------------------------------------


class Spelled:
    """A tokenizer of whole texts: token i is text i."""

    def __init__(self, texts: list[str]) -> None:
        self.texts = texts

    def decode(self, x: np.ndarray) -> list[str]:
        return [self.texts[i] for i in x[:, 0]]


def test_the_oracle_reads_what_a_text_states_of_the_world():
    world = World()
    true = world.documents(1, RNG(0))[0]
    count = len(world.facts(true))
    fact = next(f for f in world.truths if f.entity == world.facts(true)[0].entity)
    other = next(f for f in world.truths if f.attribute == fact.attribute and f.value != fact.value)
    mixed = next(
        d for d in world.documents(2000, RNG(1)) if world.facts(d) and world.facts(d)[0].entity == other.entity
    )
    false = mixed.replace(other.entity, fact.entity)
    texts = [true, false, "Nothing that can be checked.", true[len(fact.entity) :]]
    source = TextSource(world=world, tokenizer=Spelled(texts))
    reference: Any = SimpleNamespace(family=SimpleNamespace(scores=()), source=source)
    found = _scores.miss(Rows(np.arange(4)[:, None]), reference, 0.0)
    stated = world.facts(false)
    assert count and found[0] == 0 and found[2] == 1
    assert found[1] == sum(not f.true for f in stated) / len(stated) > 0


def test_a_learned_judge_predicts_from_pairs_of_words():
    """Right is when words 0 and 2, or 1 and 3, meet: no word alone tells. Rows that were seen keep their score."""
    rng, n = RNG(7), 600
    x = np.stack([rng.integers(0, 2, n), rng.integers(2, 4, n), *rng.integers(4, 60, (4, n))], axis=1)
    score = (x[:, 0] == x[:, 1] - 2).astype(float)
    known = np.arange(n) < 200
    found = _scores.learned(Rows(x), known, np.where(known, score, np.nan))
    np.testing.assert_array_equal(found[known], score[known])
    guess = found[~known] > 0.5
    assert np.mean(guess == (score[~known] > 0.5)) > 0.9


def test_text_is_chosen_by_truth_by_likelihood_and_by_a_learned_judge():
    """One round with 100 prompts and four continuations of each: more of what the next generation says is true."""
    means = {}
    for by, judged in (("oracle", 1.0), ("learned", 0.5), ("likelihood", 0.5), ("random", 1.0)):
        run = plan(
            "ngram",
            n=100,
            generations=1,
            seed=8,
            filter=["curate"],
            metrics=["facts", "perplexity"],
            settings={
                "family.order": 3,
                "curate.by": by,
                "curate.candidates": 4,
                "curate.share": 1,
                "curate.judged": judged,
            },
        )
        table, _ = execute(run, jobs=1)
        assert table["n_train"].tolist()[-1] == 100
        means[by] = float(stats.per_replicate(table, "facts", 1, "true").iloc[0])
    assert means["oracle"] > means["random"]


# Refused in one line -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "settings", "said"),
    [
        (
            {"family": "gaussian"},
            {"family.sampling": "draw"},
            "--filter curate: by=oracle: right and wrong must be known",
        ),
        ({"family": "gaussian"}, {"family.sampling": "draw", "curate.by": "likelihood"}, "use lm, ngram or discrete"),
        ({"family": "gaussian"}, {"family.sampling": "draw", "curate.by": "reward"}, "use discrete"),
        ({"family": "ngram"}, {"curate.by": "certainty"}, "use classifier"),
        ({"family": "classifier"}, {"curate.by": "learned"}, "only scores of text are learned"),
        ({"family": "gaussian"}, {"curate.by": "random"}, "set family.sampling=draw"),
        ({"family": "ngram", "regime": "mix"}, {"curate.candidates": 2}, "mix does not"),
        ({"family": "gaussian", "filter": ["verifier"]}, {"family.sampling": "draw"}, "verifier: right and wrong"),
    ],
)
def test_what_cannot_be_judged_is_refused_before_any_work(arguments, settings, said):
    with pytest.raises(InputError, match=said) as refused:
        plan(**{"filter": ["curate"], **arguments}, settings=settings)
    assert "\n" not in str(refused.value)


def test_text_of_unknown_truth_has_no_oracle(tmp_path):
    for i in range(8):
        (tmp_path / f"train-{i}.txt").write_text("\n".join(f"Line {j} of text {i} about nothing." for j in range(40)))
    with pytest.raises(InputError, match="text of the embedded corpus"):
        plan("ngram", n=10, corpus=str(tmp_path), filter=["curate"])
    plan("ngram", n=10, corpus=str(tmp_path), filter=["curate"], settings={"curate.by": "likelihood"})


@pytest.mark.parametrize(
    ("family", "settings"),
    [
        ("ngram", ["curate.candidates=2", "curate.share=1"]),
        ("ngram", ["curate.by=likelihood", "curate.top_up=true"]),
        ("classifier", []),
        ("regression", ["family.sampling=draw", "curate.judged=0.5"]),
        ("discrete", ["family.sampling=draw", "curate.by=reward", "curate.noise=1"]),
        ("gaussian", ["family.sampling=draw", "curate.by=random"]),
    ],
)
def test_it_works_from_the_command_line(family, settings, capsys):
    sets = [part for setting in settings for part in ("--set", setting)]
    arguments = ["chain", family, "replace", "-n", "40", "-g", "2", "--replicates", "2", "--filter", "curate", *sets]
    assert cli.main(arguments) == 0, capsys.readouterr().err


def test_the_command_line_says_in_one_line_what_does_not(capsys):
    assert cli.main(["chain", "gaussian", "replace", "--filter", "curate", "--set", "family.sampling=draw"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    "more",
    [
        {"filter": ["surprise", "curate"], "regime": "accumulate"},
        {"filter": ["curate"], "given": "fresh"},
        {"filter": ["curate"], "models": 2},
    ],
    ids=["after another filter", "other prompts", "rows of others"],
)
def test_candidates_are_known_by_their_places_and_nothing_may_move_them(more):
    with pytest.raises(InputError, match=r"^--filter curate: with curate.candidates above 1 it has to be the first"):
        plan("ngram", n=16, generations=1, settings={"curate.candidates": 2}, **more)
