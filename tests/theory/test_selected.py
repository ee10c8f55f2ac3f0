"""Who is left after selections by surprise, against rows that are sorted and cut in plain numpy."""

from __future__ import annotations

import numpy as np
import pytest

from model_collapse.data import Data, Rows, Source
from model_collapse.families.discrete import Categorical, Discrete
from model_collapse.filters.surprise import Surprise
from model_collapse.interfaces import Generation, Reference
from model_collapse.theory import groups, zipf_law

LAW = zipf_law(10, 1.5)
FEW = float(LAW[6:].sum())


@pytest.mark.parametrize("keep", ["low", "high", "random"])
def test_selections_compose_to_one_cut(keep):
    """A million rows, nine tenths kept, three times. Standard errors of the share are below 0.001: 5 of them."""
    rng, n, kept = np.random.default_rng(1), 1_000_000, 0.9
    p, nats = LAW, -np.log(LAW)
    for t in range(1, 4):
        rows = rng.choice(10, n, p=p)
        order = rng.permutation(n) if keep == "random" else np.argsort(nats[rows] * (1 if keep == "low" else -1))
        p = np.bincount(rows[order[: round(kept * n)]], minlength=10) / round(kept * n)
        expected = float(groups.selected_share(t, FEW, kept, keep))
        assert p[6:].sum() == pytest.approx(expected, abs=5 * np.sqrt(0.25 / n))


def test_the_order_of_three_and_the_ends():
    low, rnd, high = (groups.selected_share([1, 5, 60], FEW, 0.95, keep) for keep in ("low", "random", "high"))
    assert np.all(low < rnd) and np.all(rnd < high)
    assert low[-1] == 0 and high[-1] == 1
    gone = np.log(1 - FEW) / np.log(0.95)
    assert groups.selected_share(gone - 0.01, FEW, 0.95, "low") > 0
    assert groups.selected_share(gone + 0.01, FEW, 0.95, "low") == 0


@pytest.mark.parametrize("keep", ["low", "high"])
def test_the_filter_cuts_every_chain_by_its_own_first_model(keep):
    family = Discrete(symbols=4, sampling="draw")
    shares = np.array([[0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4]])
    model = Categorical(np.tile(np.arange(4), (2, 1)), shares, 4)
    x = np.array([[0, 0], [1, 1], [2, 2], [3, 3], [0, 0], [3, 3]])
    data = Data.of(Rows(x, stacked=True), 1, 1)
    reference = Reference(Generation(0, data, model, data), Source(data, fresh=lambda n, rng: data.rows), family)
    kept = Surprise(keep=keep, share=0.5)(data, np.random.default_rng(0), reference)
    common, rare = [0, 0, 1], [2, 3, 3]
    expected = (common, sorted([2, 3, 3])) if keep == "low" else (rare, sorted([0, 0, 1]))
    assert [sorted(x[kept[:, r], r].tolist()) for r in range(2)] == [sorted(each) for each in expected]
    np.testing.assert_allclose(family.score(model, data.rows), -np.log(shares[np.arange(2), x]))
    entropy = -np.sum(shares[0] * np.log(shares[0]))
    np.testing.assert_allclose(family.entropy(model, data.rows), np.full(x.shape, entropy))
