"""Groups and their weights: the filter, what it refuses, and closed forms with and without it against the loop.

Error rate: all seeded. Every comparison with a simulation is two-sided at level 1e-3 / COMPARISONS, so that a correct
program fails this file with probability at most 1e-3 (Bonferroni) for a freshly chosen seed.
"""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from toy_comparisons import Comparisons

from model_collapse import cli, corpora, families, registry, streams
from model_collapse.data import Data, Rows
from model_collapse.families.discrete import Discrete
from model_collapse.filters.reweigh import Reweigh
from model_collapse.loop import Generation, generations
from model_collapse.regimes.replace import Replace
from model_collapse.theory import expected_heterozygosity, forgetting_time, groups, survival

COMPARISONS = 200
compare = Comparisons(COMPARISONS)
within = partial(compare.within, slack=1e-12)


def chain(family: Discrete, M: int, fits: int, chains: int, *filters: Reweigh) -> list[Generation]:
    stream = streams.stream(M)
    source = family.source(M, stream(-1, streams.SOURCE), chains)
    return list(generations(source, family, Replace(), M, stream, last=fits - 1, filters=filters))


def judged(x: np.ndarray, family: Discrete, weight: np.ndarray | None = None, **settings: int) -> np.ndarray:
    data = Data(Rows(x, stacked=True), np.zeros(len(x)), np.zeros(len(x)), weight)
    return Reweigh(**settings)(data, np.random.default_rng(0), SimpleNamespace(family=family, source=None))


# Weights -----------------------------------------------------------------------------------------------------------


def test_every_group_that_is_there_gets_its_true_share_chain_by_chain():
    family = Discrete(symbols=3, zipf=0, sampling="draw")
    x = np.array([[0, 0], [0, 1], [1, 1], [0, 1]])
    weight = judged(x, family)
    assert weight == pytest.approx(np.array([[2 / 3, 2], [2 / 3, 2 / 3], [2, 2 / 3], [2 / 3, 2 / 3]]))
    assert weight.sum(axis=0) == pytest.approx(4)


def test_two_groups_keep_the_shares_inside_them():
    family = Discrete(symbols=4, zipf=0, sampling="draw")
    weight = judged(np.array([[0], [1], [1], [1], [1], [3]]), family, majority=2)
    assert weight[:, 0] == pytest.approx([0.6] * 5 + [3.0])


def test_weights_of_other_filters_count():
    family = Discrete(symbols=2, zipf=0, sampling="draw")
    before = np.array([3.0, 1.0, 0.0])
    weight = judged(np.array([[0], [1], [1]]), family, before)[:, 0] * before
    assert weight == pytest.approx([2, 2, 0])


def test_breeds_get_their_shares_back():
    family = registry.build(families, "breeds", {"breeds": 5, "sampling": "draw"})
    stream = streams.stream(1)
    source = family.source(40, stream(-1, streams.SOURCE), 6)
    run = list(generations(source, family, Replace(), 40, stream, last=4, filters=[Reweigh()]))
    share = run[-1].model.share
    there = np.where(share > 0, family.distribution, 0)
    assert share == pytest.approx(there / there.sum(axis=1, keepdims=True))


@pytest.fixture(scope="module")
def embedded():
    return corpora.load("embedded").source(600, evaluate=16)


def test_blocks_of_text_are_weighed_within_their_topic(embedded):
    data = embedded.train
    reference = SimpleNamespace(family=SimpleNamespace(distribution=None), source=embedded)
    weight = Reweigh()(data, np.random.default_rng(0), reference)
    texts = embedded.tokenizer.decode(data.rows.x)
    first = [next(iter(embedded.world.entities(text)), None) for text in texts]
    group = np.array(["" if name is None else embedded.world.group(name) for name in first])
    people = np.isin(group, ["coast", "hill", "island"])
    assert np.all(weight[~people] == 1), "other topics have one group, and blocks about nobody keep their weight"
    assert weight[people].sum() == pytest.approx(people.sum())
    for name, share in embedded.world.group_shares["people"].items():
        assert weight[group == name].sum() / people.sum() == pytest.approx(share)
    gone = data.take(np.flatnonzero(group != "island"))
    left = Reweigh()(gone, np.random.default_rng(0), reference)
    assert left[group[group != "island"] == "hill"].sum() / people.sum() < 0.17, "what is gone cannot be weighed"


def test_a_model_of_reweighed_text_reads_the_minority_as_often_as_it_should(embedded):
    """An n-gram chain: the weights reach the counts."""
    family = registry.build(families, "ngram", {"tokenizer": "corpus", "order": 1})
    reference = SimpleNamespace(family=family, source=embedded)
    data = embedded.train
    plain = family.fit(data, np.random.default_rng(0))
    weight = Reweigh()(data, np.random.default_rng(0), reference)
    fitted = family.fit(data.filtered(weight), np.random.default_rng(0))
    assert fitted.levels[0].mass[-1] == pytest.approx(plain.levels[0].mass[-1])
    assert not np.allclose(fitted.levels[0].mass, plain.levels[0].mass)


@pytest.mark.parametrize(
    "family", ["gaussian", "gmm", "kde", "regression", "vae", "diffusion", "scanner", "ngram --corpus FOLDER"]
)
def test_it_is_refused_before_any_work_where_there_are_no_known_groups(family, tmp_path, capsys):
    for i in range(9):
        (tmp_path / f"{i}.txt").write_text(f"nothing is known about text {i}\n" * 100)
    name, *more = family.replace("FOLDER", str(tmp_path)).split()
    draw = ["--set", "family.sampling=draw"] if name in ("gaussian", "regression") else []
    out = tmp_path / "out.parquet"
    chain = ["chain", name, "replace", "-n", "8", "-g", "1", "--filter", "reweigh", "--out", str(out)]
    assert cli.main([*chain, *draw, *more]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("model-collapse: --filter reweigh: needs groups of known shares; use ") and not out.exists()


# Closed forms ------------------------------------------------------------------------------------------------------

TWO = Discrete(symbols=2, zipf=float(np.log2(9)), sampling="draw")
"""Nine to one."""


@pytest.mark.parametrize("M", [5, 15, 40])
def test_survival_of_a_group(M):
    q = float(TWO.distribution[1])
    for filters in ((), (Reweigh(),)):
        run = chain(TWO, M, 13, 6000, *filters)
        alive = groups.group_survival([1, 2, 5, 13], q, M, reweighed=bool(filters))
        for i, n in enumerate((1, 2, 5, 13)):
            there = run[n - 1].model.shares[:, 1] > 0
            within(f"M={M} n={n} {len(filters)}", there, alive[i], variance=alive[i] * (1 - alive[i]))


@pytest.mark.parametrize("M", [8, 30])
def test_variety_inside_a_group(M):
    """The last 4 of 6 equally common symbols; the heterozygosity among them, 0 where none is left."""
    family = Discrete(symbols=6, zipf=0, sampling="draw")
    for filters in ((), (Reweigh(majority=2),)):
        run = chain(family, M, 9, 8000, *filters)
        expected = 0.75 * groups.group_variety([1, 2, 5, 9], 4 / 6, M, reweighed=bool(filters))
        for i, n in enumerate((1, 2, 5, 9)):
            inside = run[n - 1].model.shares[:, 2:]
            total = inside.sum(axis=1, keepdims=True)
            p = inside / np.where(total > 0, total, 1)
            within(f"M={M} n={n} {len(filters)}", np.sum(p * (1 - p), axis=1), expected[i])


def test_forms_at_their_ends():
    n = np.arange(1, 6)
    np.testing.assert_allclose(groups.group_survival(n, 0.3, 20), survival(n, 0.3, 20))
    np.testing.assert_allclose(groups.group_survival(n, 1.0, 20, reweighed=True), 1)
    np.testing.assert_allclose(groups.group_survival(n, [0.0, 0.2], 20, reweighed=True)[:, 0], 0)
    # Alone from the beginning, a group is a chain of its own.
    np.testing.assert_allclose(groups.group_variety(n, 1.0, 20), expected_heterozygosity(n, 20, [0.5, 0.5]) / 0.5)
    np.testing.assert_allclose(groups.group_variety(n, 1.0, 20, reweighed=True), groups.group_variety(n, 1.0, 20))
    for both in (groups.group_survival, groups.group_variety):
        np.testing.assert_allclose(both(n[:2], 0.1, 20, reweighed=True), both(n[:2], 0.1, 20))


def test_half_lives():
    """Without weights linear in the number of rows, as of rare symbols; with them exponential, and shorter below 2."""
    assert groups.half_life(0.01, 800) == pytest.approx(float(forgetting_time(8.0)), rel=0.02)
    for q, M in ((0.1, 15), (0.05, 60)):
        whole = np.arange(1, 200)
        alive = groups.group_survival(whole, q, M, reweighed=True)
        after = groups.half_life(q, M, reweighed=True)
        assert alive[int(after) - 1] >= 0.5 - 1e-9 and alive[int(after)] <= 0.5
    assert groups.half_life(0.015, 100, reweighed=True) < groups.half_life(0.015, 100)
    assert groups.half_life(0.03, 100, reweighed=True) > groups.half_life(0.03, 100)
