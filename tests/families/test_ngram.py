"""N-gram models against dictionaries of counts, and their chain against the discrete one's closed form."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest
from scipy import stats as tests

from model_collapse import corpora, theory
from model_collapse.analysis.stats import per_replicate
from model_collapse.corpora import tokens
from model_collapse.data import Data, Rows
from model_collapse.engine.execute import execute
from model_collapse.engine.plan import plan
from model_collapse.errors import InputError
from model_collapse.families import ngram
from model_collapse.families.ngram import Ngram

SIZE = 7


def text(n: int, length: int = 9, seed: int = 0) -> np.ndarray:
    """Rows in which the next token depends on the last two."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, SIZE, (n, length))
    keep = rng.random(x.shape) < 0.6
    for j in range(2, length):
        x[:, j] = np.where(keep[:, j], (x[:, j - 1] + 2 * x[:, j - 2] + 1) % SIZE, x[:, j])
    return x.astype(np.int32)


def by_hand(family: Ngram, x: np.ndarray, weight: np.ndarray | None = None):
    """P(token | context) from dictionaries, the definition written out."""
    counts: dict[tuple, Counter] = defaultdict(Counter)
    for row, w in zip(x.tolist(), np.ones(len(x)) if weight is None else weight, strict=True):
        for length in range(family.order):
            for j in range(length, len(row)):
                counts[length, *row[j - length : j]][row[j]] += w

    def chance(token: int, context: list[int]) -> float:
        p = 0.0
        for length in range(min(family.order - 1, len(context)) + 1):
            after = counts.get((length, *context[len(context) - length :]))
            if after and sum(after.values()):
                share = after[token] / sum(after.values())
                p = share if length == 0 else (1 - family.back) * share + family.back * p
        return p

    return chance


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("weighted", [False, True, "some not at all"])
def test_scores_are_the_definition(order: int, weighted: bool | str):
    family = Ngram(order=order, back=0.3, smoothing=0.01, vocabulary=20)
    x, new = text(30), np.concatenate([text(8, seed=1), [[19] * 9]])
    weight = np.random.default_rng(2).random(30) if weighted else None
    if weighted == "some not at all":
        # Contexts of these rows alone count as never seen.
        x[::2] = np.where(x[::2] == 3, SIZE, x[::2])
        weight[::2] = 0
    data = Data.real(Rows(x))
    model = family.fit(data if weight is None else data.filtered(weight), np.random.default_rng(0))
    chance = by_hand(family, x, weight)
    expected = [
        [-np.log(0.99 * chance(row[j], row[:j]) + 0.01 / 20) for j in range(1, len(row))] for row in new.tolist()
    ]
    assert np.allclose(family.score(model, Rows(new)), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("pairs", [2**20, 3])
@pytest.mark.parametrize("smoothing", [0.0, 0.01])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_entropy_is_the_sum_over_all_tokens(order: int, smoothing: float, pairs: int, monkeypatch: pytest.MonkeyPatch):
    """Of a text with unseen contexts and unknown tokens, each with the distribution of `score`."""
    monkeypatch.setattr(ngram, "PAIRS", pairs)
    family = Ngram(order=order, back=0.3, smoothing=smoothing, vocabulary=20)
    model = family.fit(Data.real(Rows(text(3))), np.random.default_rng(0))
    new = np.concatenate([text(6, seed=1), [[19] * 9], [[0, 19, 0, 1, 19, 19, 2, 3, 4]]])
    entropies = family.entropy(model, Rows(new))
    assert entropies.shape == (8, 8)
    for j in range(1, 9):
        nats = np.stack([family.score(model, Rows(np.insert(new[:, :j], j, w, axis=1)))[:, -1] for w in range(20)])
        np.testing.assert_allclose(np.exp(-nats).sum(axis=0), 1)
        expected = np.sum(np.where(np.isinf(nats), 0, nats) * np.exp(-nats), axis=0)
        np.testing.assert_allclose(entropies[:, j - 1], expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_writing_follows_the_distribution_that_scores_say(order: int):
    """Chi-square of the first new token after each of five contexts, 4000 draws each; error rate 1e-4 over all 15."""
    family = Ngram(order=order, back=0.2, smoothing=0, block=4)
    x = text(40)
    model = family.fit(Data.real(Rows(x)), np.random.default_rng(0))
    for i in range(5):
        given = np.tile(text(1, seed=10 + i), (4000, 1))
        wrote = family.sample(model, 4000, np.random.default_rng(i), given=Rows(given)).x[:, 0]
        chance = by_hand(family, x)
        p = np.array([chance(token, given[0].tolist()) for token in range(SIZE)])
        counts = np.bincount(wrote, minlength=SIZE)
        assert np.isclose(p.sum(), 1) and counts[p == 0].sum() == 0
        assert tests.chisquare(counts[p > 0], 4000 * p[p > 0]).pvalue > 1e-4 / 15


def test_a_context_never_seen_falls_back_on_a_shorter_one():
    family = Ngram(order=3, back=0.0, block=4)
    model = family.fit(Data.real(Rows(np.array([[0, 1, 2, 3]], np.int32))), np.random.default_rng(0))
    wrote = family.sample(model, 1, np.random.default_rng(0), given=Rows(np.array([[3, 0]], np.int32))).x
    assert wrote[0, :3].tolist() == [1, 2, 3]  # after (3, 0), never seen, comes what follows 0
    unknown = family.sample(model, 50, np.random.default_rng(0), given=Rows(np.full((50, 2), 9, np.int32))).x
    assert set(unknown[:, 0]) == {0, 1, 2, 3}


def test_words_alone_are_the_discrete_chain(tmp_path):
    """Different words written, against the exact survival of each word's count; level 1e-3 over four generations."""
    n, block, chains = 4, 10, 60
    run = plan(
        "ngram", n=n, generations=3, replicates=chains, seed=5, metrics=["vocabulary"],
        settings={"family.order": 1, "family.block": block},
    )  # fmt: skip
    table, _ = execute(run, tmp_path / "run.parquet", jobs=1)
    real = corpora.load("embedded").source(n, block=block, tokenizer="words", vocabulary=50_000, web="none")
    shares = np.unique(real.train.rows.x, return_counts=True)[1] / (n * block)
    for g in range(4):
        found = per_replicate(table, "vocabulary", g)
        expected = theory.survival(g + 1, shares, n * block).sum()
        error = found.std() / np.sqrt(chains)
        assert abs(found.mean() - expected) < tests.norm.isf(1e-3 / 8) * error
    lost = table[table["metric"] == "vocabulary"].pivot(index="generation", columns="replicate", values="value")
    assert (lost.diff().iloc[1:] <= 0).all(axis=None), "a lost word came back"


def test_any_number_of_jobs_gives_the_same_bits(tmp_path):
    run = plan("ngram", "mix", n=20, generations=2, replicates=3, seed=1, settings={"family.order": 3})
    one, two = (execute(run, tmp_path / f"{jobs}.parquet", jobs=jobs) for jobs in (1, 2))
    assert one[0].drop(columns="seconds").equals(two[0].drop(columns="seconds")) and one[1].equals(two[1])


def test_words_come_back_as_they_were():
    tokenizer = tokens.words(["the cat sat", "the dog <unk> sat"], 8)
    assert list(tokenizer.vocabulary) == ["<s>", "<pad>", "</s>", "<unk>", "sat", "the", "cat", "dog"]
    ids = tokenizer.encode(["the  dog sat", "a <unk>"])
    assert ids == [[2, 5, 7, 4], [2, 3, 3]]
    assert tokenizer.decode(np.array([[*ids[0], *ids[1]]])) == ["\nthe dog sat\n<unk> <unk>"]
    assert tokens.words(["b a c a"], 6).vocabulary.keys() == {"<s>", "<pad>", "</s>", "<unk>", "a", "b"}


def test_prompts_are_asked_for():
    model = Ngram(order=1).fit(Data.real(Rows(text(3))), np.random.default_rng(0))
    with pytest.raises(InputError, match=r"^ngram continues prompts: it needs 5 given blocks, not 0$"):
        Ngram(order=1).sample(model, 5, np.random.default_rng(0))


def test_nothing_is_written_that_only_rows_of_weight_0_have():
    family = Ngram(order=2, back=0.2, block=8, vocabulary=20)
    x = text(40)
    x[::2] = np.where(x[::2] == 3, SIZE, x[::2])
    weight = np.ones(40)
    weight[::2] = 0
    model = family.fit(Data.real(Rows(x)).filtered(weight), np.random.default_rng(0))
    given = Rows(np.full((500, 3), SIZE, np.int32))
    assert not (family.sample(model, 500, np.random.default_rng(1), given=given).x == SIZE).any()
    assert np.isfinite(family.entropy(model, Rows(x))).all()
